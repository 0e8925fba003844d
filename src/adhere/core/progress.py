"""Progress as a function that is passed in: mechanisms report, the command line draws."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called as work goes on. Must be quick and must not raise."""

    def __call__(self, task: str, done: int, total: int | None = None, note: str = "") -> None:
        """`task` is what is going on ("synthesise: replies"), `done` of `total` units, `note` free text."""
        ...


def silent(task: str, done: int, total: int | None = None, note: str = "") -> None:
    """Reports nothing."""
