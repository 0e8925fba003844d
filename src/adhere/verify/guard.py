"""Is a reply still an answer? Catches what passes checks and says nothing."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Callable, Sequence

from adhere.core.record import Record
from adhere.verify.text import sentences, words

_MOST_WORDS = 900
_FEWEST_WORDS = 4
_MARKER = re.compile(
    r"<\|[\w\-]{1,30}\|>|\[/?INST\]|</?s>|<</?SYS>>|<(?:start|end)_of_turn>|^(?:###\s*)?(?:user|human|assistant|system)\s*:?\s*$"
    r"|^###\s*(?:instruction|response)\s*:",
    re.IGNORECASE | re.MULTILINE,
)
_SHORT_TASK = re.compile(
    r"^(?:what|who|whom|when|where|which|how (?:many|much|old|long|far|tall)|is|are|was|were|do|does|did|can|could"
    r"|should|will|name|convert|calculate|compute|solve|spell|count|identify|find|extract|classify|translate|select"
    r"|choose|pick|suggest)\b"
    r"|\b(?:classif|categor|label|sentiment|positive or negative|true or false|one word|single word|yes or no|translate"
    r"|extract|synonym|antonym|title for|name for|headline|slogan|how many|which of|capital of|opposite of)",
    re.IGNORECASE,
)
_EDITING = re.compile(
    r"\b(?:proofread|correct|fix|edit|rewrite|rephrase|reword|paraphrase|extract|copy|quote|sort|order|arrange|reorder"
    r"|format|summar|shorten|translate|convert|punctuat|capitali[sz]e|change|replace|repeat|which|find|identify)",
    re.IGNORECASE,
)
_FORMAT = re.compile(
    r"<<[^\n]{0,200}?>>|\[[^\]\n]{0,200}\]|^[^\S\n]*[#*\-]*[^\S\n]*(?:section|part|chapter|day|step|paragraph|topic)\s?\d+[:.]?[^\S\n]*$"
    r"|\bP\.\s?(?:P\.\s?)?S\.?|```(?:json)?|[*#`\"{}\[\]<>_=~|-]",
    re.IGNORECASE | re.MULTILINE,
)


def degenerate(record: Record, reply: str) -> str | None:
    """Why the reply is no answer to the record, or None.

    Reasons begin with a fixed word, for counting: `empty`, `marker`, `short`, `long`, `repetition`, `copy`.
    Refusals are answers and left alone.
    """
    if not reply.strip():
        return "empty: nothing but white space"
    body = _without_request(record, reply)
    for look in (_leaked_marker, _too_short, _too_long, _copied):
        reason = look(record, body)
        if reason:
            return reason
    # Two responses may resemble each other; each is looked at alone.
    for part in body.split("******"):
        reason = repetition(part)
        if reason:
            return reason
    return None


def _kinds(record: Record) -> frozenset[str]:
    return frozenset(check.kind for check in record.checks)


def _without_request(record: Record, reply: str) -> str:
    """The reply without the repetition of the request that a check demands."""
    body = reply.strip()
    for check in record.checks:
        wanted = str(check.params.get("prompt_to_repeat", "")).strip()
        if check.kind == "combination:repeat_prompt" and wanted and body.lower().startswith(wanted.lower()):
            body = body[len(wanted) :].strip()
    return body


def _leaked_marker(record: Record, body: str) -> str | None:
    asked = " ".join(message.text for message in record.prompt).lower()
    for found in _MARKER.finditer(body):
        if found.group().strip().lower() not in asked:
            return f"marker: {found.group().strip()[:30]!r} leaked into the reply"
    return None


def _plain_instruction(record: Record) -> str:
    return str(record.notes.get("instruction") or record.instruction).strip()


def _too_short(record: Record, body: str) -> str | None:
    """Fewer words than an answer needs once marks, titles, placeholders and given endings are taken off."""
    if "detectable_format:constrained_response" in _kinds(record):
        return None
    fewest = _fewest(record)
    # A short answer may well stand inside the marks: <<Harbour>> names a boat.
    plain = body if fewest == 1 else _FORMAT.sub(" ", body)
    for check in record.checks:
        for key in ("end_phrase", "phrase"):
            given = check.params.get(key)
            if isinstance(given, str) and given.strip():
                plain = re.sub(re.escape(given.strip()), " ", plain, flags=re.IGNORECASE)
    found = len(words(plain))
    return f"short: {found} words besides the format, at least {fewest} expected" if found < fewest else None


def _too_long(record: Record, body: str) -> str | None:
    limit = _MOST_WORDS
    for check in record.checks:
        if check.kind == "length_constraints:number_words" and check.params.get("relation") == "at least":
            limit = max(limit, 2 * int(check.params.get("num_words", 0)))
    found = len(words(body))
    return f"long: {found} words, at most {limit} expected" if found > limit else None


def _copied(record: Record, body: str) -> str | None:
    """A reply made of the prompt's own words in their order, or one that recites a requirement."""
    said = [word.lower() for word in words(body)]
    flat = f" {' '.join(said)} "
    for check in record.checks:
        phrase = [word.lower() for word in words(check.phrase)]
        given = [word.lower() for value in check.params.values() if isinstance(value, str) for word in words(value)]
        if len(phrase) >= 6 and len(phrase) - len(given) >= 4 and f" {' '.join(phrase)} " in flat:
            return f"copy: recites the requirement {check.phrase[:60]!r}"
    asked = [word.lower() for word in words(record.instruction)]
    echoed = _echoes(record, said)
    if echoed:
        return echoed
    size = 5
    if len(said) < 2 * size:
        return None
    known = set(_ngrams(asked, size))
    runs = _ngrams(said, size)
    share = sum(run in known for run in runs) / len(runs)
    limit = 0.97 if _EDITING.search(_plain_instruction(record)) else 0.6
    return f"copy: {share:.0%} of the reply is taken from the prompt" if share > limit else None


def _fewest(record: Record) -> int:
    return 1 if _SHORT_TASK.search(_plain_instruction(record)) else _FEWEST_WORDS


def _echoes(record: Record, said: list[str]) -> str | None:
    """The request said once or more with next to nothing after it."""
    rest = said
    for text in (record.instruction, _plain_instruction(record)):
        request = [word.lower() for word in words(text)]
        while len(request) >= 4 and rest[: len(request)] == request:
            rest = rest[len(request) :]
    if len(rest) < len(said) and len(rest) < _fewest(record):
        return f"copy: the request again, and {len(rest)} words"
    return None


def _ngrams(items: Sequence[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(items[at : at + size]) for at in range(len(items) - size + 1)]


def repeated_share(text: str, n: int = 4) -> float:
    """Share of runs of `n` words that repeat an earlier one: 0.0 for fresh text, near 1.0 for a loop."""
    runs = _ngrams([word.lower() for word in words(text)], n)
    return 1 - len(set(runs)) / len(runs) if runs else 0.0


def repetition(text: str) -> str | None:
    """How the text repeats itself, or None for ordinary prose, lists and verse.

    Looks at runs of one character, lines and sentences that come back and fill much of the text, word loops,
    the share of distinct runs of four words (from 40 words), and how far deflate shrinks the text (from 600
    characters, Latin script; loops fall under a quarter of their length).
    """
    looks: tuple[Callable[[str], str | None], ...] = (_same_signs, _same_lines, _word_loop, _few_distinct, _shrinks)
    for look in looks:
        reason = look(text)
        if reason:
            return f"repetition: {reason}"
    return None


def _same_signs(text: str) -> str | None:
    found = re.search(r"([^\s*\-_=#.~|])\1{14,}|([*\-_=#.~|])\2{79,}", text)
    return f"{found.group()[0]!r} again and again" if found else None


def _same_lines(text: str) -> str | None:
    units = [" ".join(words(line)).lower() for line in text.split("\n")]
    units += [" ".join(words(part)).lower() for line in text.split("\n") for part in sentences(line) if part != line]
    total = len(words(text))
    for unit, times in Counter(units).items():
        size = len(unit.split())
        # The chorus of a song comes back too, but is a small part of the whole.
        if size >= 4 and times >= 3 and times * size > 0.3 * total:
            return f"{unit[:40]!r} {times} times"
    return None


def _tokens(text: str) -> list[str]:
    """Lower-cased runs between white space: word characters would cut Indic words at their vowel signs."""
    return [token for part in text.lower().split() if (token := part.strip(".,;:!?\"'()[]*_|#=~-"))]


def _word_loop(text: str) -> str | None:
    """A run of 1 to 24 words that follows itself: 6 times for one word, 4 for two, 3 for more."""
    said = _tokens(text)
    for size in range(1, 25):
        needed = {1: 6, 2: 4}.get(size, 3)
        same = 0
        for at in range(size, len(said)):
            same = same + 1 if said[at] == said[at - size] else 0
            if same >= size * (needed - 1):
                return f"{' '.join(said[at - size + 1 : at + 1])[:40]!r} in a loop"
    return None


def _few_distinct(text: str) -> str | None:
    said = _tokens(text)
    if len(said) < 40:
        return None
    runs = _ngrams(said, 4)
    share = len(set(runs)) / len(runs)
    return f"only {share:.0%} of its runs of four words are distinct" if share < 0.6 else None


def _shrinks(text: str) -> str | None:
    raw = text.encode("utf-8", "surrogatepass")
    if len(raw) < 600 or len(raw) > 1.2 * len(text):  # scripts of several bytes a letter shrink by themselves
        return None
    share = len(zlib.compress(raw, 6)) / len(raw)
    return f"deflates to {share:.0%} of its length" if share < 0.22 else None
