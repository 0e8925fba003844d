"""What people see on the terminal: progress, the final table, errors. All of it goes to stderr.

Text from models, data and files is hostile: control sequences and direction overrides are taken out before
anything is printed. rich keeps to NO_COLOR and to what the terminal can do.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from adhere.app.summary import ImproveSummary, Slice, headline, points, share
from adhere.core.cleaning import clean
from adhere.core.errors import AdhereError

NOTE_BESIDE_BAR = 40
NOTE_ON_LINE = 160
SECONDS_BETWEEN_LINES = 2.0


def one_line(text: str, limit: int = 60) -> str:
    """`text` cleaned, on one line, cut to `limit` characters."""
    words = " ".join(clean(text[: 20 * limit]).split())
    return words if len(words) <= limit else words[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"


def stderr_console() -> Console:
    """A console on the present stderr."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def say(text: str) -> None:
    """Print a line of talk on stderr, cleaned; a stderr that went away is no reason to stop."""
    with contextlib.suppress(OSError, ValueError):
        stderr_console().print(Text(clean(text)), soft_wrap=True)


def speed_words(per_second: float | None) -> str:
    """A rate for people: `12/s`, or the time per unit where it is slow; empty when unknown."""
    if per_second is None or per_second <= 0:
        return ""
    if per_second >= 0.95:
        return f"{per_second:,.1f}/s" if per_second < 100 else f"{per_second:,.0f}/s"
    return f"{duration_words(1 / per_second)} each"


def duration_words(seconds: float) -> str:
    """Seconds as `40 s`, `3 min 20 s` or `2 h 05 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class _Count(ProgressColumn):
    """Finished units, and of how many."""

    def render(self, task: Task) -> Text:
        """`120/1,300`, or `120` when the total is unknown."""
        total = "" if task.total is None else f"/{task.total:,.0f}"
        return Text(f"{task.completed:,.0f}{total}", style="progress.download")


class _Speed(ProgressColumn):
    """Units per second."""

    def render(self, task: Task) -> Text:
        """The rate while running, over the whole task once finished."""
        return Text(speed_words(task.finished_speed or task.speed), style="progress.data.speed")


class TerminalProgress:
    """Draws `adhere.core.progress.Progress` reports: one bar per task, with rate and time left.

    Use as a context manager. Where stderr is no terminal, it prints plain lines instead: at most one per tenth of
    a task and one in two seconds, and where each task ended. Safe to call from several threads, and a terminal
    that goes away does not stop the work.
    """

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console or stderr_console()
        self._clock = clock
        self._lock = threading.Lock()
        self._ids: dict[str, TaskID] = {}
        self._lines: dict[str, _Lines] = {}
        self._bars: Progress | None = None
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._bars = _bars(self._console)

    def __enter__(self) -> TerminalProgress:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock, contextlib.suppress(OSError, ValueError):  # the terminal is gone; the work is not
            self._close_lines()
            if self._bars is not None:
                self._bars.stop()

    def __call__(self, task: str, done: int, total: int | None = None, note: str = "") -> None:
        """Show that `done` of `total` units of `task` are finished."""
        with self._lock, contextlib.suppress(OSError, ValueError):
            if self._bars is not None:
                self._draw(self._bars, task, done, total, note)
            else:
                self._print(task, done, total, note)

    def _draw(self, bars: Progress, task: str, done: int, total: int | None, note: str) -> None:
        if task not in self._ids and len(note) > NOTE_BESIDE_BAR:  # counts that must be read in full need no bar
            self._console.print(f"{one_line(task)}  {one_line(note, NOTE_ON_LINE)}")
            return
        note = one_line(note, NOTE_BESIDE_BAR)
        if task not in self._ids:  # rates count from here, so that replayed replies do not look like speed
            self._ids[task] = bars.add_task(one_line(task), total=total, completed=done, note=note)
            return
        known = next(one for one in bars.tasks if one.id == self._ids[task])
        if done < known.completed:
            bars.reset(known.id, completed=done, total=total)
        bars.update(known.id, completed=done, total=total, note=note)

    def _print(self, task: str, done: int, total: int | None, note: str) -> None:
        lines = self._lines.get(task)
        if lines is None:
            self._close_lines()
        if lines is None or done < lines.done:
            lines = self._lines[task] = _Lines(self._clock(), done)
        self._print_line(task, lines.report(done, total, note, self._clock()))

    def _close_lines(self) -> None:
        """Say where each task stands that has not said so yet."""
        for task, lines in self._lines.items():
            self._print_line(task, lines.owed())

    def _print_line(self, task: str, words: str) -> None:
        if words:
            self._console.print(f"{one_line(task)}  {words}", soft_wrap=True)


class _Lines:
    """Decides when a task without a bar says something: every tenth, but not often, and where it ended."""

    def __init__(self, started: float, done: int) -> None:
        self.started = self.spoke = started
        self.first = self.done = done
        self.step = -1
        self.unsaid = ""

    def report(self, done: int, total: int | None, note: str, now: float) -> str:
        """The words for a line, or nothing when none is due."""
        self.done = done
        self.unsaid = self._words(done, total, note, now)
        if total is not None and done >= total:
            return self.owed()
        step = 10 * done // total if total else len(str(done))
        if step <= self.step or now - self.spoke < SECONDS_BETWEEN_LINES:
            return ""
        self.step, self.spoke = step, now
        return self.owed()

    def owed(self) -> str:
        """The words of the last report where they were not said yet."""
        words, self.unsaid = self.unsaid, ""
        return words

    def _words(self, done: int, total: int | None, note: str, now: float) -> str:
        seconds = now - self.started
        speed = (done - self.first) / seconds if seconds > 0 and done > self.first else None
        words = [
            f"{done:,}" if total is None else f"{100 * done // total if total else 100:3d} %  {done:,}/{total:,}",
            speed_words(speed),
            f"{duration_words((total - done) / speed)} left" if total is not None and speed and done < total else "",
            one_line(note, NOTE_ON_LINE),
        ]
        return "  ".join(word for word in words if word)


def _bars(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        _Count(),
        _Speed(),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        TextColumn("{task.fields[note]}", markup=False, style="dim"),
        console=console,
        refresh_per_second=5,
    )


def print_result(summary: ImproveSummary, console: Console | None = None) -> None:
    """Print the verdict in one sentence, the table of slices and where the run is."""
    console = console or stderr_console()
    style = {True: "bold green", False: "bold red", None: "bold"}[summary.kept]
    console.print()
    console.print(Text(clean(headline(summary).sentence), style=style), soft_wrap=not console.is_terminal)
    if summary.why and summary.slices:
        console.print(Text(clean(summary.why)), soft_wrap=not console.is_terminal)
    if summary.slices:
        console.print()
        console.print(slices_table(summary.slices))
    console.print(Text(clean(f"Run: {summary.folder}")), soft_wrap=True)


def slices_table(slices: Sequence[Slice]) -> Table:
    """Base, tuned, paired difference, interval and floor of each slice."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("slice", overflow="fold", min_width=8)
    for name in ("base", "tuned", "difference", "95 % interval", "floor", "n"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in slices:
        low, high = one.interval
        style = "green" if low > 0 else "red" if high < 0 else ""
        table.add_row(
            Text(one_line(one.name, 40)),
            share(one.base),
            Text(share(one.tuned), style="bold"),
            Text(points(one.difference), style=style),
            f"{points(low)} to {points(high)}",
            share(one.floor.score if one.floor else None),
            f"{one.n} \N{MULTIPLICATION SIGN} {one.seeds}",
        )
    return table


def print_error(error: AdhereError, console: Console | None = None) -> None:
    """Print what went wrong and what to do about it."""
    console = console or stderr_console()
    with contextlib.suppress(OSError, ValueError):  # nobody is left to read it
        line = Text("error: ", style="bold red")
        line.append(clean(error.message), style="default not bold")
        console.print(line, soft_wrap=True)
        if error.hint:
            console.print(Text(clean(error.hint)), soft_wrap=True)
