"""Which constraints cannot, or should not, stand in one prompt.

The pairs are those of IFEval's own table made symmetric, with ours for infeasible pairs and for the held-out
types; on top come clashes of parameters: a forbidden word in a demanded phrase, more structure than a word
limit leaves room for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

from adhere.core.record import Check

# Everything that only these may go with.
_ONLY_WITH: dict[str, frozenset[str]] = {
    "detectable_format:json_format": frozenset({"keywords:existence", "keywords:forbidden_words"}),
    "combination:two_responses": frozenset(
        {
            "keywords:existence",
            "keywords:forbidden_words",
            "language:response_language",
            "detectable_format:title",
            "punctuation:no_comma",
        }
    ),
    "combination:repeat_prompt": frozenset({"keywords:existence", "detectable_format:title", "punctuation:no_comma"}),
    "detectable_format:constrained_response": frozenset(),
}

# A type, family or `*` ending against the types or families that it excludes.
_EXCLUDES: tuple[tuple[str, str], ...] = (
    (
        "language",
        "detectable_format:multiple_sections keywords startend:end_checker change_case opening:first_word "
        "opening:first_phrase opening:first_sentence_question lipogram",
    ),
    (
        "length_constraints:number_paragraphs",
        "length_constraints:nth_paragraph_first_word length_constraints:number_sentences",
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        "length_constraints:number_sentences detectable_format:number_bullet_lists detectable_content "
        "detectable_format:multiple_sections detectable_format:title",
    ),
    ("startend:quotation", "detectable_format:title opening:first_phrase"),
    ("change_case:english_capital", "change_case:english_lowercase change_case:capital_word_frequency"),
    ("change_case:english_lowercase", "change_case:capital_word_frequency"),
    ("opening", "opening detectable_format:title detectable_format:multiple_sections lines:numbered_steps"),
    ("opening", "detectable_format:number_bullet_lists length_constraints:nth_paragraph_first_word"),
    (
        "lines",
        "lines length_constraints:number_paragraphs length_constraints:nth_paragraph_first_word detectable_content "
        "detectable_format:number_bullet_lists detectable_format:multiple_sections detectable_format:title",
    ),
    ("lipogram:no_digits", "tally:numbers lines:numbered_steps detectable_format:multiple_sections"),
)

# Words that a unit of structure needs at the least, for word limits.
_WORDS_PER = {
    "detectable_format:number_bullet_lists": ("num_bullets", 6),
    "detectable_format:multiple_sections": ("num_sections", 10),
    "length_constraints:number_paragraphs": ("num_paragraphs", 10),
    "length_constraints:nth_paragraph_first_word": ("num_paragraphs", 10),
    "detectable_content:number_placeholders": ("num_placeholders", 3),
    "detectable_format:number_highlighted_sections": ("num_highlights", 4),
    "lines:line_count": ("num_lines", 5),
    "lines:numbered_steps": ("num_steps", 6),
    "change_case:capital_word_frequency": ("capital_frequency", 3),
}
_FIXED_WORDS = {"detectable_content:postscript": 12, "startend:end_checker": 6, "detectable_format:title": 5}
_WORDS_PER_SENTENCE = (8, 25)


def _number(params: Mapping[str, Any], key: str, default: int) -> int:
    """A count from parameters that nobody has validated yet; the default where it is none."""
    value = params.get(key)
    return int(value) if isinstance(value, int | float) else default


def _matches(kind: str, name: str) -> bool:
    return kind == name or kind.partition(":")[0] == name


def _excluded(first: str, second: str) -> bool:
    if first == second:
        return True
    for one, other in ((first, second), (second, first)):
        if one in _ONLY_WITH and other not in _ONLY_WITH[one]:
            return True
        for name, others in _EXCLUDES:
            if _matches(one, name) and any(_matches(other, known) for known in others.split()):
                return True
    return False


def conflict(first: Check, second: Check) -> str | None:
    """Why the two cannot stand together, or None. Symmetric."""
    if _excluded(first.kind, second.kind):
        return f"{first.kind} does not go with {second.kind}"
    for one, other in ((first, second), (second, first)):
        reason = _banned_text(one, other) or _case_clash(one, other) or _length_clash(one, other)
        if reason:
            return reason
    return None


def compatible(checks: Sequence[Check]) -> bool:
    """Whether one reply can pass all of the checks, as far as the table and the parameters tell."""
    if any(conflict(one, other) for one, other in combinations(checks, 2)):
        return False
    limit = _word_limit(checks)
    return limit is None or sum(_least_words(check) for check in checks) < limit


def _demanded(check: Check) -> Iterable[str]:
    """Text that a passing reply holds as given."""
    params = check.params
    for key in ("end_phrase", "first_word", "phrase", "prompt_to_repeat", "section_spliter", "postscript_marker"):
        if isinstance(params.get(key), str):
            yield params[key]
    if check.kind == "keywords:existence":
        yield from (str(word) for word in params.get("keywords", ()))
    if check.kind == "keywords:frequency" and params.get("relation") == "at least":
        yield " ".join([str(params.get("keyword", ""))] * _number(params, "frequency", 1))
    if check.kind == "detectable_format:constrained_response":
        yield "My answer is maybe."


def _banned_text(ban: Check, other: Check) -> str | None:
    for text in _demanded(other):
        found = _breaks(ban, text)
        if found:
            return f"{ban.kind} forbids what {other.kind} demands: {found!r}"
    return None


def _breaks(ban: Check, text: str) -> str | None:
    """The part of `text` that alone breaks the ban, or None."""
    lowered, params = text.lower(), ban.params
    if ban.kind == "punctuation:no_comma":
        return "," if "," in text else None
    if ban.kind == "keywords:forbidden_words":
        words = [str(word) for word in params.get("forbidden_words", ())]
        return next((word for word in words if re.search(rf"\b{re.escape(word.lower())}\b", lowered)), None)
    if ban.kind == "keywords:frequency" and params.get("relation") == "less than":
        word = str(params.get("keyword", "")).strip().lower()
        return word if word and lowered.count(word) >= _number(params, "frequency", 0) else None
    if ban.kind == "keywords:letter_frequency" and params.get("let_relation") == "less than":
        letter = str(params.get("letter", "")).lower()
        return letter if letter and lowered.count(letter) >= _number(params, "let_frequency", 0) else None
    if ban.kind == "lipogram:avoid_letter":
        letter = str(params.get("letter", "")).lower()
        return letter if letter and letter in lowered else None
    if ban.kind == "lipogram:no_digits":
        return next(iter(re.findall(r"[0-9]", text)), None)
    if ban.kind == "lipogram:no_contractions":
        return next(iter(re.findall(r"\w+['’]\w+", text)), None)
    return None


def _case_clash(one: Check, other: Check) -> str | None:
    splitter = str(other.params.get("section_spliter", ""))
    if one.kind == "change_case:english_lowercase" and splitter != splitter.lower():
        return f"lower case forbids the heading {splitter!r}"
    if one.kind == "change_case:english_capital" and splitter != splitter.upper():
        return f"capitals forbid the heading {splitter!r}"
    if one.kind == "change_case:capital_word_frequency" and one.params.get("capital_relation") == "less than":
        shouted = _number(other.params, "num_sections", 0) if splitter and splitter == splitter.upper() else 0
        shouted += 2 if "postscript_marker" in other.params else 0
        if shouted >= _number(one.params, "capital_frequency", 0):
            return f"{other.kind} brings {shouted} words in capitals"
    return None


def _length_clash(one: Check, other: Check) -> str | None:
    """Words against sentences, and a letter hardly used in a long text."""
    if one.kind != "length_constraints:number_words":
        return None
    words, at_least = _number(one.params, "num_words", 0), one.params.get("relation") == "at least"
    if other.kind == "length_constraints:number_sentences":
        count, other_at_least = _number(other.params, "num_sentences", 0), other.params.get("relation") == "at least"
        shortest, longest = _WORDS_PER_SENTENCE
        if at_least and not other_at_least and words > longest * max(count - 1, 0):
            return f"{words} words do not fit into fewer than {count} sentences"
        if not at_least and other_at_least and words <= shortest * count:
            return f"{count} sentences do not fit into fewer than {words} words"
    if other.kind == "keywords:letter_frequency" and at_least and other.params.get("let_relation") == "less than":
        most = _number(other.params, "let_frequency", 0)
        if str(other.params.get("letter", "")).lower() not in "qxzjkv" and words > 12 * most:
            return f"{words} words hold the letter {other.params.get('letter')!r} more often than {most} times"
    return None


def _word_limit(checks: Sequence[Check]) -> int | None:
    limits = [
        _number(check.params, "num_words", 0)
        for check in checks
        if check.kind == "length_constraints:number_words" and check.params.get("relation") == "less than"
    ]
    return min(limits, default=None)


def _least_words(check: Check) -> int:
    params = check.params
    if check.kind in _WORDS_PER:
        key, per = _WORDS_PER[check.kind]
        at_least = params.get("capital_relation", "at least") == "at least"
        return per * _number(params, key, 0) if at_least else 0
    if check.kind == "keywords:existence":
        return 3 * len(params.get("keywords", ()))
    if check.kind == "keywords:frequency" and params.get("relation") == "at least":
        return 4 * _number(params, "frequency", 0)
    if check.kind == "combination:repeat_prompt":
        return len(str(params.get("prompt_to_repeat", "")).split()) + 5
    return _FIXED_WORDS.get(check.kind, 0)
