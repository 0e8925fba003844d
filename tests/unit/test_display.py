from __future__ import annotations

import io
import threading

import msgspec
import pytest
from rich.console import Console
from sample_summary import sample, stopped

from adhere.app.display import (
    TerminalProgress,
    clean,
    duration_words,
    one_line,
    print_error,
    print_result,
    speed_words,
    stderr_console,
)
from adhere.core.errors import DataError


def console(terminal: bool = False, width: int = 90) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    made = Console(file=out, force_terminal=terminal, width=width, highlight=False, markup=False, legacy_windows=False)
    return made, out


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("hostile", "harmless"),
    [
        ("a\x1b[31mred\x1b[0m", "ared"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]0;never ended\nnext line", "\nnext line"),
        ("\x9b2Jx\x9d0;t\x9cy", "xy"),
        ("\x1bcreset", "reset"),
        ("over\rwritten\x08\x07\x00", "overwritten"),
        ("ab\u202ecd\u2066", "abcd"),
        ("half \ud83d", "half "),
        ("kept\n\ttext ü 漢", "kept\n\ttext ü 漢"),
    ],
)
def test_control_sequences_are_taken_out(hostile: str, harmless: str) -> None:
    assert clean(hostile) == harmless


def test_one_line_is_one_short_line() -> None:
    assert one_line("a\n\n b\x1b[2J" + "c" * 1_000_000, 10) == "a b" + "c" * 6 + "…"


def test_durations_and_speeds_in_words() -> None:
    assert [duration_words(s) for s in (0.25, 41.2, 200, 7500)] == ["0.2 s", "41 s", "3 min 20 s", "2 h 05 min"]
    assert [speed_words(v) for v in (None, 0, 12.34, 1234, 0.25)] == ["", "", "12.3/s", "1,234/s", "4.0 s each"]


def test_without_a_terminal_a_line_per_tenth() -> None:
    made, out = console()
    clock = Clock()
    with TerminalProgress(made, clock) as progress:
        for done in range(0, 201):
            clock.now = done / 10
            progress("synthesise: replies", done, 200)
    lines = out.getvalue().splitlines()
    assert len(lines) == 10
    assert lines[4] == "synthesise: replies   50 %  100/200  10.0/s  10 s left"
    assert lines[-1] == "synthesise: replies  100 %  200/200  10.0/s"


def test_without_a_terminal_a_short_task_is_one_line_and_none_in_two_seconds() -> None:
    made, out = console()
    clock = Clock()
    with TerminalProgress(made, clock) as progress:
        for done in range(1, 101):
            clock.now += 0.01
            progress("short", done, 100)
        for done in range(1, 101):
            clock.now += 0.05
            progress("five seconds", done, 100)
    lines = out.getvalue().splitlines()
    assert [line.split("  ")[0] for line in lines] == ["short"] + 3 * ["five seconds"]
    assert lines[0].startswith("short  100 %  100/100")


def test_without_a_terminal_a_task_that_stops_early_says_where() -> None:
    made, out = console()
    with TerminalProgress(made, Clock()) as progress:
        progress("rows", 13, 16, "13 of 16 examples, " + "3961 labelled of 8463 tokens, 0 truncated, none dropped")
        assert out.getvalue() == ""
        progress("tune", 1, 3)
        assert out.getvalue().startswith("rows   81 %  13/16  13 of 16 examples, 3961 labelled")
        assert out.getvalue().endswith("none dropped\n")
    assert out.getvalue().splitlines()[-1] == "tune   33 %  1/3"


def test_replayed_work_does_not_count_as_speed() -> None:
    made, out = console()
    clock = Clock()
    progress = TerminalProgress(made, clock)
    progress("tune", 500, 1000)
    clock.now = 10.0
    progress("tune", 600, 1000)
    assert "10.0/s  40 s left" in out.getvalue()


def test_a_task_without_total_speaks_ever_more_rarely() -> None:
    made, out = console()
    clock = Clock()
    with TerminalProgress(made, clock) as progress:
        for done in range(0, 5001):
            clock.now = 3.0 * done
            progress("read", done)
    assert [line.split()[1] for line in out.getvalue().splitlines()] == ["1", "10", "100", "1,000", "5,000"]


def test_a_task_that_begins_again_speaks_again_and_nothing_to_do_is_done() -> None:
    made, out = console()
    progress = TerminalProgress(made, Clock())
    for done in (0, 10, 0, 10):
        progress("round", done, 10)
    progress("none", 0, 0)
    assert out.getvalue().count("100 %  10/10") == 2
    assert "none  100 %  0/0" in out.getvalue()


def test_on_a_terminal_bars_show_counts_and_hostile_notes_are_text() -> None:
    made, out = console(terminal=True, width=120)
    with TerminalProgress(made) as progress:
        progress("synthesise: replies", 0, 10)
        progress("synthesise: replies", 10, 10, "[bold]x[/nope] \x1b]0;t\x07{task.id}")
        progress("tune", 4, None)
        progress("tune", 2, 8)
    assert "10/10" in out.getvalue()
    assert "2/8" in out.getvalue()
    assert "[bold]x[/nope] {task.id}" in out.getvalue()
    assert "\x1b]0" not in out.getvalue()


def test_on_a_terminal_long_counts_are_a_line_of_their_own() -> None:
    made, out = console(terminal=True, width=200)
    with TerminalProgress(made) as progress:
        progress("tune: rows", 13, 16, "13 of 16 examples, 3961 labelled of 8463 tokens, 3 dropped")
    assert "13 of 16 examples, 3961 labelled of 8463 tokens, 3 dropped" in out.getvalue()


def test_a_terminal_that_went_away_does_not_stop_the_work() -> None:
    made, out = console()
    out.close()
    with TerminalProgress(made) as progress:
        progress("synthesise", 1, 2)


def test_reports_may_come_from_several_threads() -> None:
    made, out = console()
    progress = TerminalProgress(made, Clock())

    def work(name: str) -> None:
        for done in range(101):
            progress(name, done, 100)

    threads = [threading.Thread(target=work, args=(f"task{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    said = [line for line in out.getvalue().splitlines() if "100 %  100/100" in line]
    assert sorted(line.split()[0] for line in said) == ["task0", "task1", "task2", "task3"]


def test_the_result_is_the_verdict_and_a_row_per_slice() -> None:
    made, out = console(width=80)
    print_result(sample(), made)
    said = out.getvalue().replace("\u202f", " ")
    assert "Kept: follows 61 % of constraints, up from 44 %" in said
    row = next(line for line in said.splitlines() if line.startswith("plain instructions"))
    assert " ".join(row.split()) == "plain instructions 86.7 % 82.5 % −4.2 −8.3 to −0.8 – 80 × 3"
    assert "Run: runs/2026-01-02-improve-0a1b2c" in said


def test_the_result_of_a_stopped_run_has_no_table() -> None:
    made, out = console()
    print_result(stopped(), made)
    assert out.getvalue().strip().splitlines() == ["No verdict: the budget of 1 minute is spent.", "Run: runs/r"]


def test_hostile_names_do_not_reach_the_terminal() -> None:
    made, out = console(terminal=True)
    hostile = msgspec.structs.replace(sample().slices[0], name="\x1b[2J[red]seen")
    print_result(msgspec.structs.replace(sample(), slices=(hostile,), why="\x1b]0;t\x07why"), made)
    assert "[red]seen" in out.getvalue()
    assert "\x1b[2J" not in out.getvalue()
    assert "\x1b]0" not in out.getvalue()


def test_an_error_is_its_message_and_its_hint() -> None:
    made, out = console(width=20)
    print_error(DataError("row 3 of a-very-long-file-name.jsonl: \x1b[31m[bold]", "Check the row."), made)
    assert out.getvalue() == "error: row 3 of a-very-long-file-name.jsonl: [bold]\nCheck the row.\n"


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("FORCE_COLOR", "1")
    print_error(DataError("bad row"), stderr_console())
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "\x1b[31m" not in captured.err
    assert "\x1b[1;31m" not in captured.err
    assert "bad row" in captured.err
