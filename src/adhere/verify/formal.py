"""Rewriting systems and regular languages: small exact engines for tasks whose one right answer code can compute.

Patterns are over single letters with `|`, `*` and parentheses, and nothing else. They are read without recursion into
a position automaton (Glushkov's construction, sets of positions as bits of an int), so that membership takes time
linear in the string whatever the pattern: nothing here backtracks, and Python's `re` is not involved.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import msgspec

from adhere.core.errors import VerifierError

MOST_STRING = 2_000
"""Characters of a string to rewrite or to test, at most."""
MOST_PATTERN = 600
"""Characters of a pattern, at most: building the automaton takes time in its square."""
MOST_RULES = 100

_MOST_REMEMBERED = 4_096

Rule = tuple[str, str]


# ---------------------------------------------------------------- rewriting


def rewritten_once(string: str, rule: Rule) -> str:
    """`string` with the leftmost occurrence of the rule's left side replaced; unchanged where there is none."""
    find, put = _sound(string, rule)
    return string.replace(find, put, 1)


def rewritten_everywhere(string: str, rule: Rule) -> str:
    """`string` with every occurrence replaced, from left to right, none overlapping another."""
    find, put = _sound(string, rule)
    return string.replace(find, put)


def rewritten_in_order(string: str, rules: Sequence[Rule]) -> str:
    """`string` after each rule was applied once, at its leftmost place, one rule after the other."""
    if not 1 <= len(rules) <= MOST_RULES:
        raise VerifierError(f"expected 1 to {MOST_RULES} rewriting rules, found {len(rules)}", "Give at least one.")
    for rule in rules:
        string = rewritten_once(string, rule)
    return string


def _sound(string: str, rule: Rule) -> Rule:
    find, put = rule
    if not find:
        raise VerifierError("a rewriting rule needs something to look for, found an empty left side", "Name a part.")
    longest = max(len(string), len(find), len(put))
    if longest > MOST_STRING:
        raise VerifierError(f"expected at most {MOST_STRING} characters to rewrite, found {longest}", "Shorten it.")
    return find, put


# ---------------------------------------------------------------- regular languages


class Language(msgspec.Struct, frozen=True):
    """A regular language as its position automaton; made by `language`.

    Sets of positions are ints, one bit each: `first` and `last` may begin and end a string, `follow[p]` may come after
    position p, `places` are the positions of each letter. `empty` says whether the empty string belongs to it.
    """

    pattern: str
    empty: bool
    first: int
    last: int
    follow: tuple[int, ...]
    places: Mapping[str, int]

    def holds(self, string: str) -> bool:
        """Whether `string` belongs to the language, in time linear in its length."""
        if not string:
            return self.empty
        known: dict[tuple[int, str], int] = {}
        reached = self.first & self.places.get(string[0], 0)
        for letter in string[1:]:
            if not reached:
                return False
            at = (reached, letter)
            if at not in known:
                if len(known) >= _MOST_REMEMBERED:  # hostile pairs can have very many sets; forgetting bounds memory
                    known.clear()
                known[at] = self._after(reached) & self.places.get(letter, 0)
            reached = known[at]
        return bool(reached & self.last)

    def has_length(self, length: int) -> bool:
        """Whether some string of the language has exactly `length` letters."""
        return self.empty if length == 0 else bool(self.first & self._leading(length)[-1])

    def sample(self, rng: random.Random, length: int) -> str | None:
        """A string of exactly `length` letters drawn from the language, or None when it has none.

        Letters are drawn one at a time among those that still lead to a string of the language.
        """
        if length == 0:
            return "" if self.empty else None
        leading = self._leading(length)
        reached, letters = self.first, []
        for left in range(length - 1, -1, -1):
            possible = reached & leading[left]
            choices = [letter for letter, places in self.places.items() if possible & places]
            if not choices:
                return None
            letters.append(rng.choice(choices))
            reached = self._after(possible & self.places[letters[-1]])
        return "".join(letters)

    def outside(self, rng: random.Random, length: int, alphabet: str, tries: int = 40) -> str | None:
        """A string over `alphabet` that does not belong to the language, near a member where it has one; or None."""
        for attempt in range(tries):
            member = self.sample(rng, length) if attempt % 2 == 0 else None
            letters = list(member or (rng.choice(alphabet) for _ in range(length)))
            for _ in range(1 + attempt // 8 if member else 0):
                letters[rng.randrange(length)] = rng.choice(alphabet)
            drawn = "".join(letters)
            if not self.holds(drawn):
                return drawn
        return None

    def _after(self, reached: int) -> int:
        after = 0
        for position in _bits(reached):
            after |= self.follow[position]
        return after

    def _leading(self, length: int) -> list[int]:
        """For k = 0 ... length - 1 the positions from which k further letters can end a string of the language."""
        leading = [self.last]
        for _ in range(length - 1):
            before = leading[-1]
            leading.append(sum(1 << at for at, after in enumerate(self.follow) if after & before))
        return leading


class _Part(msgspec.Struct, frozen=True):
    """A piece of a pattern: whether it matches nothing, and where it may begin and end."""

    empty: bool
    first: int
    last: int


class _Group(msgspec.Struct):
    """An open parenthesis, or the whole: alternatives so far, the sequence being read, and its last piece."""

    opened_at: int
    alternatives: _Part | None = None
    sequence: _Part | None = None
    piece: _Part | None = None


def language(pattern: str, alphabet: str = "ab") -> Language:
    """The language of a pattern of letters from `alphabet`, `|`, `*` and parentheses.

    Raises `VerifierError` naming the place where the pattern makes no sense; an empty alternative is such a place.
    """
    if len(pattern) > MOST_PATTERN:
        raise VerifierError(
            f"expected a pattern of at most {MOST_PATTERN} characters, found {len(pattern)}", "Shorten it."
        )
    return _Reader(pattern, alphabet).read()


class _Reader:
    """Reads a pattern from left to right with a stack of its own: depth costs no recursion."""

    def __init__(self, pattern: str, alphabet: str) -> None:
        self.pattern, self.alphabet = pattern, alphabet
        self.follow: list[int] = []
        self.places: dict[str, int] = {}
        self.groups = [_Group(-1)]

    def read(self) -> Language:
        for at, sign in enumerate(self.pattern):
            if sign == "(":
                self.groups.append(_Group(at))
            elif sign == ")":
                if len(self.groups) == 1:
                    raise self._wrong(at, "a ) without its (")
                self._put(self._closed(self.groups.pop(), at))
            elif sign == "|":
                self._end_alternative(self.groups[-1], at)
            elif sign == "*":
                self._star(at)
            elif sign in self.alphabet:
                self._put(self._letter(sign))
            else:
                raise self._wrong(at, f"{sign!r}, which is neither a letter of {self.alphabet!r} nor | * ( )")
        if len(self.groups) > 1:
            raise self._wrong(self.groups[-1].opened_at, "a ( without its )")
        whole = self._closed(self.groups[0], len(self.pattern))
        places = MappingProxyType(self.places)
        return Language(self.pattern, whole.empty, whole.first, whole.last, tuple(self.follow), places)

    def _wrong(self, at: int, found: str) -> VerifierError:
        return VerifierError(
            f"expected a pattern of letters, | * and parentheses, found {found} at character {at + 1} of "
            f"{self.pattern[:80]!r}",
            "Write for example (a|b)*ab; every alternative needs at least one letter.",
        )

    def _letter(self, letter: str) -> _Part:
        bit = 1 << len(self.follow)
        self.follow.append(0)
        self.places[letter] = self.places.get(letter, 0) | bit
        return _Part(False, bit, bit)

    def _put(self, piece: _Part) -> None:
        group = self.groups[-1]
        self._flush(group)
        group.piece = piece

    def _flush(self, group: _Group) -> None:
        """The last piece joins the sequence: only now is it certain that no star follows it."""
        piece, before = group.piece, group.sequence
        group.piece = None
        if piece is None or before is None:
            group.sequence = piece or before
            return
        self._link(before.last, piece.first)
        group.sequence = _Part(
            before.empty and piece.empty,
            before.first | (piece.first if before.empty else 0),
            piece.last | (before.last if piece.empty else 0),
        )

    def _star(self, at: int) -> None:
        piece = self.groups[-1].piece
        if piece is None:
            raise self._wrong(at, "a * with nothing before it")
        self._link(piece.last, piece.first)
        self.groups[-1].piece = _Part(True, piece.first, piece.last)

    def _link(self, ends: int, begins: int) -> None:
        for position in _bits(ends):
            self.follow[position] |= begins

    def _end_alternative(self, group: _Group, at: int) -> None:
        self._flush(group)
        done, before = group.sequence, group.alternatives
        if done is None:
            raise self._wrong(at, "an alternative with nothing in it")
        group.sequence = None
        if before is not None:
            done = _Part(before.empty or done.empty, before.first | done.first, before.last | done.last)
        group.alternatives = done

    def _closed(self, group: _Group, at: int) -> _Part:
        self._end_alternative(group, at)
        assert group.alternatives is not None
        return group.alternatives


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def random_pattern(rng: random.Random, alphabet: str = "ab", depth: int = 2) -> str:
    """A pattern with up to `depth` levels of parentheses; it always holds at least one star and two letters."""
    while True:
        pattern = _sequence(rng, alphabet, depth)
        if "*" in pattern and sum(letter in alphabet for letter in pattern) >= 2:
            return pattern


def _sequence(rng: random.Random, alphabet: str, depth: int) -> str:
    return "".join(_piece(rng, alphabet, depth) for _ in range(rng.randint(1, 3)))


def _piece(rng: random.Random, alphabet: str, depth: int) -> str:
    star = rng.choice(("", "", "*"))
    if depth == 0 or rng.random() < 0.4:
        return rng.choice(alphabet) + star
    inside = "|".join(_sequence(rng, alphabet, depth - 1) for _ in range(rng.randint(1, 2)))
    return f"({inside}){star}" if "|" in inside or star else inside


def fingerprint(found: Language, alphabet: str = "ab", longest: int = 6) -> int:
    """One bit for each string of up to `longest` letters: equal languages have equal fingerprints.

    Different patterns can say the same thing (`(a|b)*` and `(a*b*)*`); a held-out set has to tell.
    """
    strings = [""]
    bits, at, length = 0, 0, 0
    while length <= longest:
        for string in strings:
            bits |= found.holds(string) << at
            at += 1
        strings = [string + letter for string in strings for letter in alphabet]
        length += 1
    return bits
