"""All replies in the order of the asks, with progress, and a failed one for an ask that got none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from adhere.core.model import Ask, Reply, replies
from adhere.core.record import user

ASKS = [Ask((user(text),)) for text in ("a", "b", "c")]


class Backwards:
    """Answers the last ask first, and the first one never."""

    name = fingerprint = "backwards"

    def generate(self, asks: Sequence[Ask]) -> Iterator[tuple[int, Reply]]:
        for at in reversed(range(1, len(asks))):
            yield at, Reply(asks[at].messages[0].text)


def test_replies_stand_in_the_order_of_the_asks_and_none_is_missing() -> None:
    seen: list[tuple[str, int, int | None]] = []

    def progress(task: str, done: int, total: int | None = None, note: str = "") -> None:
        seen.append((task, done, total))

    found = replies(Backwards(), ASKS, "task", progress)
    assert [one.text for one in found] == ["", "b", "c"]
    assert (found[0].finish, found[0].error) == ("error", "no reply came")
    assert seen == [("task", 1, 3), ("task", 2, 3)]


def test_nothing_is_asked_of_none() -> None:
    class Asked(Backwards):
        def generate(self, asks: Sequence[Ask]) -> Iterator[tuple[int, Reply]]:
            raise AssertionError("asked")

    assert replies(Asked(), []) == []
