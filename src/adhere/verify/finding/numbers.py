"""Numbers and bounds in plain words: "three", "a dozen", "at least 3", "no more than ten", "fewer than", "40+".

`with_quantities` takes the tokens of a sentence and gives them back with every number, together with the words that
make it a bound, as one token. "do not use more than 3" is at most 3; "3 words or more" binds across the noun.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec


def word_set(words: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(words.split())


_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_SMALL = {word: value for value, word in enumerate(_ONES.split())}
_TEN_NAMES = "twenty thirty forty fifty sixty seventy eighty ninety"
_TENS = {word: 10 * value for value, word in enumerate(_TEN_NAMES.split(), start=2)}
_ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
_ORDINAL = {word: value for value, word in enumerate(_ORDINALS.split(), start=1)}
_TIMES = {"once": 1, "twice": 2, "thrice": 3}
_STANDS_FOR = word_set("each every this that which any last next other no whole")
_MARKS = word_set(", . ; : ( ) ! ?")
_COUNTING = word_set(
    "than least most exactly precisely over above under below to of is be minimum maximum paragraph number and or"
)
_ONCE_IS_WHEN = word_set("more you again the it that this done i we all everything a they he she")
_MOST_DIGITS = 9

# Words before a number, longest first, and the relation that they make.
_BEFORE: tuple[tuple[tuple[str, ...], str], ...] = tuple(
    (tuple(words.split()), relation)
    for relation, phrases in (
        ("ge", "at the very least|at the least|at a minimum|at minimum|at least|atleast|a minimum of|"
"minimum of|minimum|min|no less than|not less than"),
        ("gt", "more than|greater than|longer than|larger than|higher than|in excess of|over|above|"
"exceeding|exceeds|exceed|upwards of|beyond|go over"),
        ("le", "at the very most|at the most|at most|atmost|a maximum of|maximum of|maximum|max|up to|"
"limited to|a limit of|within|to a limit of"),
        ("lt", "less than|fewer than|lower than|shorter than|smaller than|under|below|short of"),
        ("eq", "exactly|precisely|a total of|only|just|neither more nor less than"),
        ("about", "about|around|approximately|roughly|nearly|almost|some|approx.|circa"),
    )
    for words in sorted(phrases.split("|"), key=lambda phrase: -phrase.count(" "))
)  # fmt: skip
_STARTS = {words[0] for words, _ in _BEFORE}
_AFTER: tuple[tuple[tuple[str, ...], str], ...] = tuple(
    (tuple(words.split()), relation)
    for relation, phrases in (
        ("eq", "no more and no fewer|no more and no less|no more , no less|no more , no fewer|exactly|"
"neither more nor less|neither fewer nor more|not one more or less"),
        ("ge", "or more|or above|or greater|or over|or longer|or higher|and above|and up|and more|and "
"over|at the very least|at the least|at least|at a minimum|at minimum|as a minimum|"
"minimum|plus|+"),
        ("le", "or less|or fewer|or below|or under|or lower|or shorter|or else fewer|at the very most|"
"at the most|at most|at maximum|at a maximum|maximum|max|tops"),
    )
    for words in phrases.split("|")
)  # fmt: skip
_AFTER_STARTS = {words[0] for words, _ in _AFTER}
_NEGATIONS = word_set("not no never without nor none avoid avoiding refrain")
_BREAKS = word_set(", . ; : ( ) ! ? and but or then if when so that which")
_BACK = 8  # tokens between a negation and the comparison that it turns round
_NEAR_ONLY = word_set("exactly max plus minimum maximum")
_PLACED = word_set("organise organize present arrange structure gather group")
_FORWARD = 5  # tokens between a number and an "or more" behind its noun


class Token(msgspec.Struct):
    """A piece of a sentence: `form` is what rules match, `start` and `stop` where it stands, `value` a number's."""

    form: str
    start: int
    stop: int
    value: int | None = None
    listed: bool = False


class Quantity(msgspec.Struct, frozen=True):
    """A number as a range, both ends included, None for open. `kind` is `bare`, `exact`, `bound`, `range`, `about`."""

    low: int | None
    high: int | None
    kind: str

    @property
    def value(self) -> int | None:
        """The number, where it is a plain or an exact one."""
        return self.low if self.kind in ("bare", "exact") else None


def ordinal_of(word: str) -> int | None:
    """The number of "third" or "3rd"; None where it is no ordinal."""
    if word in _ORDINAL:
        return _ORDINAL[word]
    digits = re.fullmatch(r"(\d{1,4})(?:st|nd|rd|th)", word)
    return int(digits.group(1)) if digits else None


def with_quantities(tokens: Sequence[Token], quantities: list[Quantity]) -> list[Token]:
    """The tokens with numbers and bounds joined; each becomes `‹k›`, k its place in `quantities`."""
    numbered = _ranged(_numbered(tokens))
    after: list[Token] = []
    at = 0
    taken: set[int] = set()
    while at < len(numbered):
        token = numbered[at]
        if at in taken:
            at += 1
            continue
        if token.value is None:
            after.append(token)
            at += 1
            continue
        start, relation = _before(after)
        first = token
        if relation is not None:
            first = after[start]
            del after[start:]
        else:
            relation = _behind(numbered, at, taken)
        quantities.append(_quantity(relation, token))
        after.append(Token(f"‹{len(quantities) - 1}›", first.start, token.stop))
        if token.listed:  # "twice" is a number of times
            after.append(Token("times", token.stop, token.stop))
        at += 1
    return after


def _numbered(tokens: Sequence[Token]) -> list[Token]:
    """The tokens with runs of number words joined into one token with a value."""
    found: list[Token] = []
    at = 0
    while at < len(tokens):
        value, used, times = (None, 0, False) if _pronoun(tokens, at) else _number(tokens, at)
        if used == 0 or value is None:
            found.append(tokens[at])
            at += 1
            continue
        last = tokens[at + used - 1]
        found.append(Token("#", tokens[at].start, last.stop, value, times))
        at += used
        # "three (3)" says the same number twice.
        if at + 2 < len(tokens) and tokens[at].form == "(" and tokens[at + 2].form == ")":
            again, again_used, _ = _number(tokens, at + 1)
            if again == value and again_used == 1:
                found[-1].stop = tokens[at + 2].stop
                at += 3
    return found


def _pronoun(tokens: Sequence[Token], at: int) -> bool:
    """Whether "one" stands for a thing, as in "the second one", and is no number."""
    if tokens[at].form != "one" or at == 0:
        return False
    before = tokens[at - 1].form
    behind = tokens[at + 1].form if at + 1 < len(tokens) else "."
    if behind in _MARKS and before not in _COUNTING and before not in _BREAKS:
        return True
    return before in _STANDS_FOR or ordinal_of(before) is not None


def _number(tokens: Sequence[Token], at: int) -> tuple[int | None, int, bool]:
    """The number that starts at a token: value, tokens used, and whether it is a word like "twice"."""
    word = tokens[at].form
    following = [token.form for token in tokens[at + 1 : at + 3]]
    if word.replace(",", "").isascii() and word.replace(",", "").isdigit():
        digits = word.replace(",", "")
        return (int(digits), 1, False) if len(digits) <= _MOST_DIGITS else (None, 0, False)
    if word == "once" and following and following[0] in _ONCE_IS_WHEN:
        return None, 0, False
    if word in _TIMES:
        return _TIMES[word], 1, True
    if word == "half" and following[:2] in (["a", "dozen"],):
        return 6, 3, False
    if word == "a" and following and following[0] in ("dozen", "hundred", "thousand", "couple"):
        if following[0] == "couple":
            return 2, 3 if following[1:] == ["of"] else 2, False
        value = {"dozen": 12, "hundred": 100, "thousand": 1000}[following[0]]
        return value, 2, False
    return _spelled(tokens, at)


def _spelled(tokens: Sequence[Token], at: int) -> tuple[int | None, int, bool]:
    total, part, used, last = 0, 0, 0, 0
    while at + used < len(tokens) and used < 12:
        word = tokens[at + used].form
        if word in _SMALL and (used == 0 or last in (10, 100, 1000)):
            part += _SMALL[word]
            last = 1
        elif word in _TENS and (used == 0 or last in (100, 1000)):
            part += _TENS[word]
            last = 10
        elif word == "hundred" and last == 1 and used:
            part *= 100
            last = 100
        elif word == "thousand" and used and last != 1000:
            total, part, last = total + part * 1000, 0, 1000
        elif word == "dozen" and last == 1:
            part *= 12
            last = 12
        elif word == "and" and last in (100, 1000) and at + used + 1 < len(tokens):
            nearby = tokens[at + used + 1].form
            if nearby not in _SMALL and nearby not in _TENS:
                break
        else:
            break
        used += 1
    return (total + part, used, False) if used else (None, 0, False)


def _ranged(tokens: list[Token]) -> list[Token]:
    """The tokens with "between 3 and 5", "from 3 to 5" and "3-5" joined into one, whose form is `#low-high`."""
    found: list[Token] = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        pair = tokens[at + 1 : at + 3]
        if token.value is not None and len(pair) == 2 and pair[1].value is not None and pair[1].value > token.value:
            lead = found[-1].form if found else ""
            joint = pair[0].form
            if joint in ("-", "–", "—") or (joint == "to") or (joint == "and" and lead == "between"):
                first = found.pop() if lead in ("between", "from") else token
                found.append(Token(f"#{token.value}-{pair[1].value}", first.start, pair[1].stop, token.value))
                at += 3
                continue
        found.append(token)
        at += 1
    return found


def _before(done: list[Token]) -> tuple[int, str | None]:
    """Where the words start that make the number behind `done` a bound, and the relation that they make."""
    forms = [token.form for token in done[-5:]]
    for words, relation in _BEFORE:
        if tuple(forms[-len(words) :]) == words:
            start = len(done) - len(words)
            if words[0] in ("under", "over", "above", "below") and any(
                one.form in _PLACED for one in done[max(start - 5, 0) : start]
            ):
                return len(done), None  # headings to write under, not a bound
            if relation in ("gt", "lt"):
                return _turned(done, start, relation)
            return start, relation
    return len(done), None


def _turned(done: list[Token], start: int, relation: str) -> tuple[int, str]:
    """The comparison turned round where it is negated: "no more than" and "do not write more than"."""
    for back in range(start - 1, max(start - 1 - _BACK, -1), -1):
        form = done[back].form
        if form.split(" ")[-1] in _NEGATIONS or form == "no":
            kept = back if back == start - 1 and form in ("no", "not", "never") else start
            return kept, "le" if relation == "gt" else "ge"
        if form in _BREAKS:
            break
    return start, relation


def _behind(tokens: list[Token], at: int, taken: set[int]) -> str | None:
    """The relation that words behind the number, or behind its noun, make of it; these words are taken."""
    for ahead in range(at + 1, min(at + 1 + _FORWARD, len(tokens))):
        form = tokens[ahead].form
        bound = _bound_at(tokens, ahead) if form in _AFTER_STARTS else None
        if bound is not None:
            words, relation = bound
            follower = tokens[ahead + words] if ahead + words < len(tokens) else None
            if follower is not None and follower.value is not None and relation != "eq":
                return None  # "3 words at least 5 times": it belongs to the next number
            if form in _NEAR_ONLY and words == 1 and ahead > at + 2:
                return None
            taken.update(range(ahead, ahead + words))
            return relation
        if tokens[ahead].value is not None or form in (".", ";", ":", "?", "!") or (form == "," and ahead > at + 3):
            return None
    return None


def _bound_at(tokens: list[Token], at: int) -> tuple[int, str] | None:
    """How many tokens make a bound of the number before them, and the relation; None where they make none."""
    for words, relation in _AFTER:
        if tuple(token.form for token in tokens[at : at + len(words)]) == words:
            return len(words), relation
    return None


def _quantity(relation: str | None, token: Token) -> Quantity:
    value = token.value or 0
    if "-" in token.form:
        return Quantity(value, int(token.form.rpartition("-")[2]), "range")
    limits = {
        "ge": Quantity(value, None, "bound"),
        "gt": Quantity(value + 1, None, "bound"),
        "le": Quantity(None, value, "bound"),
        "lt": Quantity(None, value - 1, "bound"),
        "eq": Quantity(value, value, "exact"),
        "about": Quantity(value, value, "about"),
    }
    return limits.get(relation or "", Quantity(value, value, "bare"))
