"""Reading an instruction: its sentences in a plain form that rules can match, with the way back to the text.

The form of a sentence is lower-case words and marks with single spaces between; a quotation is `«k»`, a number with
its bound `‹k›`, a postscript mark `p.s.`, words in brackets `[slot]`, words between asterisks `*marked*`. Pasted input
is not read. Linear in the length of the instruction.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

import msgspec

from adhere.verify.finding.numbers import Quantity, Token, with_quantities
from adhere.verify.finding.pasted import pasted
from adhere.verify.finding.quotes import Quote, quotes, straightened

_TOKEN = re.compile(
    r"""(?P<ps>(?<![\w.])(?:[Pp]\.[ ]?(?:[Pp]\.[ ]?)?[Ss](?!\w)\.?|P?PS(?=[\s:.,;)"'])))
    |(?P<short>(?:e\.g|i\.e|vs|mr|mrs|ms|dr|incl|approx)\.(?=\W))
    |(?P<marked>(?<![\w*])(?P<stars>\*\*?)[^\s*][^*\n]{0,80}?(?P=stars)(?![\w*]))
    |(?P<slot>\[[^\[\]\n]{0,60}\])
    |(?P<run>\*{2,}|<{2,}|>{2,}|`{3,}|-{3,}|\.{2,}|={2,}|\#{2,}|_{2,})
    |(?P<number>\d{1,3}(?:,\d{3})+(?!\w)|\d+(?!\w))
    |(?P<word>\w+(?:'\w+)*)
    |(?P<mark>\S)""",
    re.VERBOSE | re.IGNORECASE,
)
_ITEM = re.compile(r"(?:[-•]|\*|\(?\d{1,2}[.)]|\(?[a-zA-Z]\))[ \t]+")
_CLAUSE_REACH = 600  # characters of a form on both sides of what was found
_ENDS = frozenset(".!?")
_CLOSERS = frozenset(")]")
_SHORTENED = {"can't": "can not", "cannot": "can not", "won't": "will not", "shan't": "shall not", "dont": "do not"}
_CLAUSE = re.compile(r"(?:; |, (?=(?:and|but|then) )|(?:, )?(?:and|but) (?=(?:do not|make sure|use|include|"
r"your|end|finish|write|avoid|wrap|highlight|no|the|at least|with|without|in) ))")  # fmt: skip


class Sentence(msgspec.Struct, frozen=True):
    """A sentence: its `form`, where in the form each token starts, the token's span, and the span of the whole."""

    form: str
    at: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]
    start: int
    stop: int

    def span(self, first: int, last: int) -> tuple[int, int]:
        """The range in the instruction of the form's characters from `first` up to `last`."""
        low = max(bisect_right(self.at, first) - 1, 0)
        high = max(bisect_left(self.at, last) - 1, low)
        return self.spans[low][0], self.spans[high][1]


class Reading(msgspec.Struct, frozen=True):
    """An instruction that was read. `plain` has straight quotation marks and pasted input blanked, place for place."""

    text: str
    plain: str
    sentences: tuple[Sentence, ...]
    quotes: tuple[Quote, ...]
    quantities: tuple[Quantity, ...]

    def raw(self, sentence: Sentence, first: int, last: int) -> str:
        """The text as written behind the form's characters from `first` up to `last`."""
        if first >= last:
            return ""
        start, stop = sentence.span(first, last)
        return self.text[start:stop]

    def clause(self, sentence: Sentence, first: int, last: int) -> tuple[int, int]:
        """The span of the clauses of the sentence that cover the form from `first` up to `last`."""
        base, top = max(first - _CLAUSE_REACH, 0), min(last + _CLAUSE_REACH, len(sentence.form))
        cuts = [match.end() for match in _CLAUSE.finditer(sentence.form, base, top)]
        low = max((cut for cut in cuts if cut <= first), default=base)
        high = min((cut for cut in cuts if cut >= last), default=top)
        start, stop = sentence.span(low, high)
        return start, max(stop, start + 1)


def read(text: str) -> Reading:
    """Read an instruction; works on any text."""
    plain = _blanked(straightened(text), pasted(straightened(text)))
    quoted = quotes(plain)
    quantities: list[Quantity] = []
    sentences = tuple(_sentence(tokens, quantities) for tokens in _split(plain, quoted))
    return Reading(text, plain, sentences, tuple(quoted), tuple(quantities))


def _blanked(text: str, spans: list[tuple[int, int]]) -> str:
    """The text with these spans made blank lines, so that sentences end before them; no place moves."""
    parts, done = [], 0
    for start, stop in spans:
        parts += [text[done:start], "\n" * (stop - start)]
        done = stop
    return "".join([*parts, text[done:]])


def _tokens(plain: str, quoted: list[Quote]) -> Iterator[Token]:
    at, number = 0, 0
    for quote in [*quoted, None]:
        stop = len(plain) if quote is None else quote.start
        while at < stop:
            match = _TOKEN.search(plain, at, stop)
            if match is None:
                break
            item = _ITEM.match(plain, match.start()) if _opens_line(plain, match.start()) else None
            if item and item.end() <= stop:
                at = item.end()
                continue
            yield from _token(match)
            at = match.end()
        if quote is not None:
            yield Token(f"«{number}»", quote.start, quote.stop)
            at, number = quote.stop, number + 1


def _opens_line(plain: str, at: int) -> bool:
    before = plain[max(at - 12, 0) : at].rstrip(" \t")
    return at == 0 or (not before and at <= 12) or before.endswith("\n")


def _token(match: re.Match[str]) -> Iterator[Token]:
    kind, said = match.lastgroup, match.group()
    start, stop = match.span()
    if kind == "ps":
        yield Token("p.s.", start, stop)
    elif kind in ("marked", "stars"):
        yield Token("*marked*", start, stop)
    elif kind == "slot":
        yield Token("[slot]", start, stop)
    elif kind == "word":
        lowered = said.lower()
        lowered = _SHORTENED.get(lowered) or (lowered[:-3] + " not" if lowered.endswith("n't") else lowered)
        for part in lowered.split(" "):
            yield Token(part, start, stop)
    else:
        yield Token(said.lower(), start, stop)


def _split(plain: str, quoted: list[Quote]) -> Iterator[list[Token]]:
    """The tokens by sentence; a hyphen within a compound is dropped."""
    current: list[Token] = []
    ended = ""  # whether the last token ends a sentence: surely, or only where the next one looks like a start
    for token in _tokens(plain, quoted):
        if current:
            gap = plain[current[-1].stop : token.start]
            if token.form in _CLOSERS and ended and not gap:
                current.append(token)
                continue
            if _breaks(plain, current, token, gap, ended) and not _asked_and_told(current, gap):
                yield current
                current = []
            ended = ""
        if token.form in _ENDS:
            ended = "surely"
        elif token.form == "p.s." or _closed_quote(plain, token):
            ended = "perhaps"
        current.append(token)
    if current:
        yield current


def _asked_and_told(current: list[Token], gap: str) -> bool:
    """Whether a question such as "How many bullets?" waits for its answer in the same breath."""
    return current[-1].form == "?" and current[0].form in ("how", "which") and len(current) < 8 and "\n" not in gap


def _closed_quote(plain: str, token: Token) -> bool:
    """Whether a quotation ends in the mark of a sentence, and is more than that mark."""
    return token.form.startswith("«") and plain[token.stop - 2] in _ENDS and token.stop - token.start > 3


def _breaks(plain: str, current: list[Token], token: Token, gap: str, ended: str) -> bool:
    newlines = gap.count("\n")
    first = plain[token.start]
    if newlines > 1:
        return True
    if newlines:
        return (
            not first.islower()
            or bool(ended)
            or (_opens_line(plain, token.start - 2) and plain[token.start - 2] in "-*•).")
        )
    if not ended or not gap:
        return False
    if ended == "perhaps":
        return first.isupper() and token.form not in ("i", "p.s.")
    return True


def _sentence(tokens: list[Token], quantities: list[Quantity]) -> Sentence:
    kept = [token for k, token in enumerate(tokens) if token.form != "-" or not _within_compound(tokens, k)]
    joined = with_quantities(kept, quantities)
    at, length = [], 0
    for token in joined:
        at.append(length)
        length += len(token.form) + 1
    form = " ".join(token.form for token in joined)
    spans = tuple((token.start, token.stop) for token in joined)
    return Sentence(form, tuple(at), spans, tokens[0].start, tokens[-1].stop)


def _within_compound(tokens: list[Token], k: int) -> bool:
    if not 0 < k < len(tokens) - 1:
        return False
    before, token, behind = tokens[k - 1], tokens[k], tokens[k + 1]
    touching = before.stop == token.start and token.stop == behind.start
    return touching and not (before.form.isdigit() and behind.form.isdigit())
