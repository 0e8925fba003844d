"""Keep training prompts apart from held-out and benchmark prompts: shared runs of n words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from adhere.core.errors import SettingsError
from adhere.data.novelty import words

SHORTEST_RUN = 4  # below this a shared run says nothing: "tell me a joke" is four words


class NgramIndex:
    """Runs of `n` words of the texts to stay clear of.

    Words are case folded and of any script; punctuation does not count. An indexed text shorter than `n`
    words is looked for whole: inside other texts from four words up, and as the entire text below that.
    """

    def __init__(self, n: int = 8, texts: Iterable[str] = ()) -> None:
        if n < SHORTEST_RUN:
            raise SettingsError(f"runs should have at least {SHORTEST_RUN} words, found n={n}", "8 is usual.")
        self.n = n
        self._runs: set[tuple[str, ...]] = set()
        self._short: dict[int, set[tuple[str, ...]]] = {}
        for text in texts:
            self.add(text)

    def add(self, text: str) -> None:
        """Stay clear of `text` from now on; a text without words adds nothing."""
        found = words(text, unicode=True)
        if len(found) >= self.n:
            self._runs.update(_runs(found, self.n))
        elif found:
            self._short.setdefault(len(found), set()).add(tuple(found))

    def overlaps(self, text: str) -> str | None:
        """The first run of words that `text` shares with an indexed text, or None when it shares none."""
        found = words(text, unicode=True)
        shared = next((run for run in _runs(found, self.n) if run in self._runs), None)
        if shared is None:
            shared = self._short_run(found)
        return None if shared is None else " ".join(shared)

    def _short_run(self, found: list[str]) -> tuple[str, ...] | None:
        for size in sorted(self._short, reverse=True):
            inside = _runs(found, size) if size >= SHORTEST_RUN or size == len(found) else iter(())
            shared = next((run for run in inside if run in self._short[size]), None)
            if shared is not None:
                return shared
        return None


def _runs(found: list[str], size: int) -> Iterator[tuple[str, ...]]:
    return (tuple(found[start : start + size]) for start in range(len(found) - size + 1))
