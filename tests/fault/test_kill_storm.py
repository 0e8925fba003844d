"""kill -9 at random moments: a few of them here, two hundred with `python bench/kills.py`."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from kill_storm import Kept, RecordedServer, Session, Storm, Tally, ask_of, judge, kept_in, recorded

SEED = int(os.environ.get("ADHERE_KILL_SEED", "1"))


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["synth", "evaluate", "tune"])
def test_a_run_killed_at_random_moments_ends_as_an_uninterrupted_one(tmp_path: Path, verb: str) -> None:
    if verb == "tune":
        pytest.importorskip("torch", reason="needs the extra [local]")
    total, number = Tally(), 0
    with RecordedServer(SEED) as server:
        storm = Storm(tmp_path, server, SEED)
        # Moments after the end of the process are no kills; on a busy machine all may come before there is a reply.
        while total.kills < 4 or (verb != "tune" and not total.kept and number < 20):
            total.add(storm.trial(verb, number, kills=1 + 2 * (number % 2)))
            number += 1
            assert total.missed < 20, "the uninterrupted run takes longer than any other"
    assert not storm.told
    assert total.holds
    assert total.kills == total.before + total.during + total.late
    if verb != "tune":
        assert total.kept > 0
        assert 0.15 < total.faults / total.requests < 0.45


# -- the harness itself ---------------------------------------------------------------------------------------


def judged(*sessions: tuple[str, str, bool], end: str, journals: tuple[bytes, ...] = ()) -> Tally:
    """Sessions as letters: kept before, finished by the server, killed. `journals` are those before, and at the end."""
    tally = Tally()
    lines = journals or (b"",) * (len(sessions) + 1)
    told = [
        Session(Kept(line, Counter(before)), Counter(good), killed)
        for line, (before, good, killed) in zip(lines, sessions, strict=False)
    ]
    judge(told, Kept(lines[-1], Counter(end)), tally)
    return tally


def test_what_counts_as_lost_and_as_repaid() -> None:
    fine = judged(("", "abc", True), ("ab", "cd", False), end="abcd")  # c was finished and not kept: in flight
    assert (fine.kept, fine.in_flight, fine.lost, fine.repaid) == (2, 1, 0, 0)
    assert judged(("", "ab", True), ("ab", "bc", False), end="abc").repaid == 1
    assert judged(("", "ab", True), ("ab", "c", False), end="bc").lost == 1
    assert judged(("", "aa", True), ("a", "a", False), end="aa").repaid == 0  # the same ask is wanted twice
    assert judged(("", "aa", True), ("aa", "a", False), end="aa").repaid == 1
    torn = judged(("", "a", True), ("a", "b", False), end="ab", journals=(b"", b"1\n", b"2\n"))
    assert torn.lost == 1
    assert judged(("", "abab", False), end="ab").repaid == 2  # within one session, too


def test_a_run_that_forgets_is_found_out(tmp_path: Path) -> None:
    with RecordedServer(fault_share=0.0, work_s=0.002) as server:
        place = Storm(tmp_path, server).place("one", "synth", caches=False)
        place.finish()
        first = kept_in(place)
        assert server.settle() == first.replies
        assert place.run is not None
        journal = place.run / "journal.jsonl"
        lines = first.journal.splitlines(keepends=True)
        journal.write_bytes(b"".join(lines[: len(lines) // 2]))
        good = server.settle()
        place.finish()
        tally = Tally()
        judge([Session(first, server.settle() - good, False)], kept_in(place), tally)
    assert tally.repaid > 5


def test_recorded_replies_tell_their_asks() -> None:
    assert ask_of(recorded("0123456789abcdef")) == "0123456789abcdef"
    assert recorded("a") == recorded("a") != recorded("b")
