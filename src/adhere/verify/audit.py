"""The prompt audit: what is wrong with a prompt and its checks before a model is blamed.

A finding is a fault of the data: parameters that make no sense, checks that no reply can pass together, and a prompt
that says something else than its checks do. A false alarm blames a good prompt, so a finding needs evidence that
leaves no other reading: one number in the prompt that agrees with a check acquits it, whatever else the prompt says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import msgspec

from adhere.core.errors import VerifierError
from adhere.core.record import Check, canonical_json
from adhere.core.verifier import Verdict
from adhere.verify.catalogue import ALL_TYPES
from adhere.verify.constraint import ConstraintType
from adhere.verify.languages import LANGUAGE_NAMES
from adhere.verify.stated import Stated, sentences_of, stated_numbers

Types = Mapping[str, ConstraintType]
Span = tuple[int, int]

KINDS = {
    "unknown": "a check of a type that does not exist",
    "parameter": "a parameter that is missing, of the wrong kind or without meaning",
    "duplicate": "the same check twice",
    "contradiction": "checks, or sentences of the prompt, that no reply can satisfy together",
    "number": "the prompt states another number than the check",
    "relation": "the prompt asks for more where the check asks for less, or the other way round",
    "bound": "the prompt's bound differs from the check's by one",
    "text": "the check looks for text that the prompt does not hold",
    "unchecked": "the prompt lists a word beside those of a check, and no check looks for it",
    "vacuous": "the text to repeat passes another check by itself",
}
_LONGEST = 200_000  # characters of a prompt that are looked at


class Finding(msgspec.Struct, frozen=True):
    """One fault: a kind of `KINDS`, what is wrong, which checks (positions from 0) and where in the prompt."""

    kind: str
    reason: str
    checks: tuple[int, ...]
    span: Span | None = None


def audit(instruction: str, checks: Sequence[Check], types: Types = ALL_TYPES) -> tuple[Finding, ...]:
    """What is wrong with a prompt and its checks; nothing where they go together. Never raises."""
    prompt = instruction[:_LONGEST]
    found: list[Finding] = []
    sound: dict[int, Check] = {}
    for at, check in enumerate(checks):
        problem = _unsound(at, check, types)
        if problem is not None:
            found.append(problem)
        else:
            sound[at] = msgspec.structs.replace(check, params=dict(types[check.kind].validated(check.params)))
    found += _duplicates(sound)
    found += _contradictions(sound, types)
    for at, check in sound.items():
        found += _number_mismatch(prompt, at, check)
        found += _missing_text(prompt, at, check)
    found += _self_contradiction(prompt, sound)
    found += _unchecked_words(prompt, sound)
    found += _vacuous_repeats(sound, types)
    return tuple(dict.fromkeys(found))


# --- parameters --------------------------------------------------------------------------------------------------


def _unsound(at: int, check: Check, types: Types) -> Finding | None:
    kind = types.get(check.kind)
    if kind is None:
        return Finding("unknown", f"no constraint type {check.kind!r}", (at,))
    try:
        params = kind.validated(check.params)
        verdict = kind.verify(params, "A plain answer.")
    except VerifierError as error:
        return Finding("parameter", error.message, (at,))
    except Exception as error:
        return Finding("parameter", f"{kind.id} breaks: {type(error).__name__}: {error}"[:300], (at,))
    if verdict.passed is None and kind.family not in _JUDGE_LATER:
        return Finding("parameter", f"{kind.id} cannot judge: {verdict.reason}", (at,))
    if check.kind == "keywords:letter_frequency" and not re.fullmatch("[a-zA-Z]", str(params["letter"])):
        reason = f"letter {params['letter']!r} is none from a to z: the reference checker draws a random one instead"
        return Finding("parameter", reason, (at,))
    return None


_JUDGE_LATER = ("language",)  # may have nothing to judge in a short text


def _duplicates(checks: Mapping[int, Check]) -> Iterator[Finding]:
    first: dict[bytes, int] = {}
    for at, check in checks.items():
        key = canonical_json([check.kind, check.params])
        if key in first:
            yield Finding("duplicate", f"{_said(check)} is asked twice and counts twice", (first[key], at))
        first.setdefault(key, at)


# --- checks against checks ---------------------------------------------------------------------------------------

# What is counted, by which parameters it is named, where the number is, and where the relation (None: exactly).
_COUNTS: dict[str, tuple[tuple[str, ...], str, str | None]] = {
    "length_constraints:number_words": ((), "num_words", "relation"),
    "length_constraints:number_sentences": ((), "num_sentences", "relation"),
    "length_constraints:number_paragraphs": ((), "num_paragraphs", None),
    "length_constraints:nth_paragraph_first_word": ((), "num_paragraphs", None),
    "detectable_content:number_placeholders": ((), "num_placeholders", "at least"),
    "detectable_format:number_bullet_lists": ((), "num_bullets", None),
    "detectable_format:number_highlighted_sections": ((), "num_highlights", "at least"),
    "detectable_format:multiple_sections": (("section_spliter",), "num_sections", "at least"),
    "change_case:capital_word_frequency": ((), "capital_frequency", "capital_relation"),
    "keywords:frequency": (("keyword",), "frequency", "relation"),
    "keywords:letter_frequency": (("letter",), "let_frequency", "let_relation"),
}
# Each unit of these holds at least one word of its own.
_UNITS_OF_WORDS = ("length_constraints:number_sentences", "change_case:capital_word_frequency", "keywords:frequency")


def _bounds(check: Check) -> tuple[int | None, int | None] | None:
    """The least and the greatest count that pass, or None for a check that counts nothing we know."""
    if check.kind not in _COUNTS:
        return None
    _, key, relation = _COUNTS[check.kind]
    number = int(check.params[key])
    relation = "exactly" if relation is None else str(check.params.get(relation, relation))
    limits = {"at least": (number, None), "less than": (None, number - 1), "exactly": (number, number)}
    return limits.get(relation)


def _contradictions(checks: Mapping[int, Check], types: Types) -> Iterator[Finding]:
    for (at, one), (after, other) in combinations(checks.items(), 2):
        reason = (
            _clashing_counts(one, other)
            or _clashing_shapes(one, other)
            or _clashing_shapes(other, one)
            or _banned(types[one.kind], one, other, types)
            or _banned(types[other.kind], other, one, types)
            or _too_few_words(one, other)
            or _too_few_words(other, one)
        )
        if reason:
            yield Finding("contradiction", reason, (at, after))


def _clashing_counts(one: Check, other: Check) -> str | None:
    first, second = _bounds(one), _bounds(other)
    if one.kind != other.kind or first is None or second is None:
        return None
    names = _COUNTS[one.kind][0]
    if any(str(one.params[name]).lower() != str(other.params[name]).lower() for name in names):
        return None
    lows = [low for low in (first[0], second[0]) if low is not None]
    highs = [high for high in (first[1], second[1]) if high is not None]
    if lows and highs and max(lows) > min(highs):
        return f"{_said(one)} and {_said(other)} leave no number"
    return None


def _clashing_shapes(one: Check, other: Check) -> str | None:
    """Pairs that exclude each other by what they are, whatever their numbers."""
    kinds, params = (one.kind, other.kind), other.params
    cases = ("change_case:english_capital", "change_case:english_lowercase")
    if kinds == cases:
        return "a reply cannot be all in capitals and all in lower case"
    if one.kind in cases and other.kind == "language:response_language" and params["language"] != "en":
        return f"{one.kind} wants English, the reply has to be in {_language(params['language'])}"
    if one.kind in cases and other.kind == "detectable_format:constrained_response":
        return "the fixed answers are in mixed case"
    if one.kind in cases and other.kind == "detectable_format:multiple_sections":
        heading = str(params["section_spliter"])
        wrong = heading != (heading.upper() if one.kind == cases[0] else heading.lower())
        return f"{one.kind} forbids the heading {heading!r}, which is looked for as written" if wrong else None
    if one.kind == cases[1] and other.kind == "change_case:capital_word_frequency":
        low = (_bounds(other) or (0, None))[0]
        return f"{_said(other)} does not go with all lower case" if low else None
    if kinds == ("startend:quotation", "combination:repeat_prompt"):
        starts = str(params["prompt_to_repeat"]).strip().startswith('"')
        return None if starts else "a reply cannot begin with a quote mark and with the prompt"
    if kinds == ("detectable_format:json_format", "combination:repeat_prompt"):
        return "a reply that begins with the prompt is no JSON"
    if kinds == ("startend:end_checker", "startend:end_checker"):
        ends = sorted((str(check.params["end_phrase"]).strip().lower() for check in (one, other)), key=len)
        return None if ends[1].endswith(ends[0]) else "a reply cannot end with two different phrases"
    return None


def _banned(kind: ConstraintType, ban: Check, other: Check, types: Types) -> str | None:
    """Why text that `other` demands breaks `ban` for good: what is forbidden, or too much of what is limited."""
    limit = _bounds(ban)
    limited = limit is not None and limit[1] is not None
    if not limited and (not kind.forbids or kind.family == "change_case"):  # demanded text may stand in any case
        return None
    for text in _demands(types[other.kind], other):
        inside = ban.kind == "keywords:forbidden_words" and other.kind == "keywords:existence"
        if not text.strip() or (inside and not _standing_alone(text, ban)):
            continue
        verdict = _judged(kind, ban.params, text)
        if verdict is None or verdict.passed is not False or verdict.miss < limited:
            continue
        return f"{other.kind} demands {_short(text)!r}, which breaks {_said(ban)}: {verdict.reason}"
    return None


def _demands(kind: ConstraintType, check: Check) -> tuple[str, ...]:
    try:
        return kind.demands(check.params)
    except Exception:  # as with `_judged`
        return ()


def _standing_alone(text: str, ban: Check) -> bool:
    """Whether a keyword is itself forbidden; it is found inside a longer word as well, which is allowed."""
    whole = {str(word).strip().lower() for word in ban.params["forbidden_words"]}
    return text.strip().lower() in whole


def _judged(kind: ConstraintType, params: Mapping[str, Any], text: str) -> Verdict | None:
    try:
        return kind.verify(params, text)
    except Exception:  # an audit tells of faults of the prompt, never of ours
        return None


def _too_few_words(limit: Check, other: Check) -> str | None:
    most, least = _bounds(limit), _bounds(other)
    if limit.kind != "length_constraints:number_words" or other.kind not in _UNITS_OF_WORDS or not most or not least:
        return None
    if most[1] is not None and least[0] is not None and least[0] > most[1]:
        return f"{_said(other)} does not fit into fewer than {most[1] + 1} words"
    return None


# --- the prompt against its checks -------------------------------------------------------------------------------

_GAP = r"[\s-]+(?:(?!(?:words?|sentences?|paragraphs?|times?|letters?|and|of|with|in)\b)[\w'*\"-]+\s+){0,3}?"
_MANY = r"(?:sections?|parts?|phrases?|words?|highlights?|pieces?|passages?|spans?|segments?)"
_CAPITALS = r"capital|upper[ -]?case|all[ -]caps"
_MARKED = r"highlight|italic|bold|emphasi[sz]e|\*\w"
# For each count: a sentence that may be about it holds this, and the number that states it is followed by that.
_UNIT: dict[str, tuple[str, str]] = {
    "length_constraints:number_words": ("", rf"{_GAP}words?\b(?![^.!?\n]{{0,30}}(?:{_CAPITALS}))"),
    "length_constraints:number_sentences": ("", rf"{_GAP}sentences?\b"),
    "length_constraints:number_paragraphs": ("", rf"{_GAP}paragraphs?\b"),
    "length_constraints:nth_paragraph_first_word": ("", rf"{_GAP}paragraphs?\b"),
    "detectable_content:number_placeholders": ("", rf"{_GAP}placeholders?\b"),
    "detectable_format:number_bullet_lists": ("", rf"{_GAP}bullets?\b"),
    "detectable_format:number_highlighted_sections": (_MARKED, rf"{_GAP}{_MANY}\b"),
    "detectable_format:multiple_sections": ("", rf"{_GAP}sections?\b"),
    "change_case:capital_word_frequency": (_CAPITALS, rf"(?:{_GAP}(?:words?|phrases?)|\s+times?)\b"),
    "keywords:frequency": ("", r"\s+times?\b"),
    "keywords:letter_frequency": (r"\bletter", r"\s+times?\b"),
}
_ADVERB = r"(?<=\bonce)(?!\w)|(?<=\btwice)(?!\w)|(?<=\bthrice)(?!\w)"


def _number_mismatch(prompt: str, at: int, check: Check) -> Iterator[Finding]:
    wanted = _bounds(check)
    if wanted is None or wanted in ((1, None), (None, 0)):  # to ask for a thing means one; `none` needs no number
        return
    about = [stated for stated in _stated_of(prompt, check) if stated.low != 0]
    differences = [_difference(stated, wanted) for stated in about]
    if not about or None in differences:
        return
    kind, stated = str(differences[0]), about[0]
    # a number may be stated in words that were not understood; then it agrees with some other number of the prompt
    if kind != "relation" and any(_agrees(other, wanted) for other in stated_numbers(prompt)):
        return
    said = prompt[stated.start : stated.stop]
    reason = f"the prompt says {_short(said)!r}, the check is {_said(check)}"
    yield Finding(kind, reason, (at,), (stated.start, stated.stop))


def _stated_of(prompt: str, check: Check) -> Iterator[Stated]:
    """The numbers that the prompt states of what a check counts."""
    scope, unit = _UNIT[check.kind]
    if check.kind == "length_constraints:number_paragraphs" and re.search(r"\*\*\*|asteris", prompt):
        unit = rf"{_GAP}(?:paragraphs?|sections?|stanzas?|parts?)\b"  # what stands between the asterisks has many names
    names = _COUNTS[check.kind][0]
    subject = rf"(?<!\w){re.escape(str(check.params[names[0]]).strip())}(?!\w)" if names else ""
    if check.kind == "detectable_format:multiple_sections":
        scope, subject = rf"(?!.*(?:{_MARKED}))", ""
    following = re.compile(rf"{unit}|{_ADVERB}" if "times" in unit else unit, re.IGNORECASE)
    for start, stop in sentences_of(prompt):
        sentence = prompt[start:stop]
        named = [start + one.start() for one in re.finditer(subject, sentence, re.IGNORECASE)] if subject else []
        if not re.search(scope, sentence, re.IGNORECASE) or (subject and not named):
            continue
        for stated in stated_numbers(prompt, start, stop):
            if following.match(prompt, stated.stop, stop) and (
                not subject or any(_belongs(prompt, one, stated) for one in named)
            ):
                yield stated


def _belongs(prompt: str, subject: int, stated: Stated) -> bool:
    """Whether no other word or letter is spoken of between a number and its subject."""
    between = prompt[min(subject, stated.stop) : max(subject, stated.start)]
    return not re.search(r"\b(?:words?|letters?|keywords?|names?)\b", between, re.IGNORECASE)


def _agrees(stated: Stated, wanted: tuple[int | None, int | None]) -> bool:
    """Whether a stated number can be the one that the check codes."""
    low, high = wanted
    if stated.vague:
        return any(bound is not None and abs(bound - (stated.low or 0)) <= 1 for bound in wanted)
    if low is not None and high is not None:
        return (stated.low, stated.high) == wanted
    return (low is not None and stated.low == low) or (high is not None and stated.high == high)


def _difference(stated: Stated, wanted: tuple[int | None, int | None]) -> str | None:
    """In what a statement and a check differ; None where they agree or the statement is too vague to tell."""
    low, high = wanted
    if _agrees(stated, wanted):
        return None
    if not stated.vague and low != high:
        if low is not None and stated.low is None and stated.high is not None and abs(stated.high - low) <= 1:
            return "relation"
        if high is not None and stated.high is None and stated.low is not None and abs(stated.low - high) <= 1:
            return "relation"
    bounds = [bound for bound in (stated.low, stated.high) if bound is not None]
    if min(abs(bound - other) for bound in bounds for other in wanted if other is not None) > 1:
        return "number"
    if stated.vague:
        return None
    if low == high:
        return "number" if stated.exact else "relation"
    return "bound"


_PHRASES = ("keyword", "end_phrase", "first_word", "phrase", "section_spliter", "prompt_to_repeat", "postscript_marker")


def _missing_text(prompt: str, at: int, check: Check) -> Iterator[Finding]:
    plain = _plain(prompt)
    for name in ("keywords", "forbidden_words", *_PHRASES):
        value = check.params.get(name)
        for text in value if isinstance(value, list | tuple) else [value]:
            if isinstance(text, str) and _plain(text) not in plain:
                reason = f"{check.kind} looks for {_short(text)!r}, which the prompt does not hold"
                yield Finding("text", reason, (at,))
            elif name == "prompt_to_repeat" and isinstance(text, str) and _plain(text) == plain:
                reason = "the text to repeat is the whole prompt, with whatever asks for its repetition"
                yield Finding("text", reason, (at,))
    named = check.params.get("language")
    if check.kind == "language:response_language" and isinstance(named, str):
        others = [name for name in LANGUAGE_NAMES.values() if re.search(rf"\b{name}\b", prompt)]
        if others and _language(named) not in others and named in LANGUAGE_NAMES:
            yield Finding("text", f"the prompt names {', '.join(others)}, the check is on {_language(named)}", (at,))
    letter = check.params.get("letter")
    if isinstance(letter, str):
        asked = {one.lower() for one in re.findall(r"\bletters?\s+[\"'“‘]?(\w)[\"'”’]?(?!\w)", prompt, re.IGNORECASE)}
        if asked and letter.lower() not in asked and f'"{letter}"' not in prompt and f"'{letter}'" not in prompt:
            yield Finding("text", f"the prompt names the letter {_listed(asked)}, the check counts {letter!r}", (at,))


_EXACT = {
    "detectable_format:number_bullet_lists": r"bullet(?:[ -]points?|s)",
    "length_constraints:number_paragraphs": r"paragraphs",
}


def _self_contradiction(prompt: str, checks: Mapping[int, Check]) -> Iterator[Finding]:
    """A prompt that asks for exactly one of something and elsewhere for several."""
    for at, check in checks.items():
        unit = _EXACT.get(check.kind)
        if unit is None or _bounds(check) != (1, 1):
            continue
        several = re.search(rf"\b(?:a few|several|many|multiple)\s+(?:\w+\s+)?{unit}", prompt, re.IGNORECASE)
        if several and any(stated.exact and stated.low == 1 for stated in _stated_of(prompt, check)):
            reason = f"the prompt asks for exactly one and for {several.group()!r}"
            yield Finding("contradiction", reason, (at,), several.span())


_QUOTED = r"(?:\"[^\"\n]{1,40}\"|“[^”\n]{1,40}”|'[^'\n]{1,40}'|‘[^’\n]{1,40}’)"
_LIST = re.compile(rf"{_QUOTED}(?:\s*(?:,\s*(?:and|or)?|and|or|&)\s*{_QUOTED})+")


def _unchecked_words(prompt: str, checks: Mapping[int, Check]) -> Iterator[Finding]:
    """A list of quoted words that holds two or more of a check's words, and one that no check knows."""
    known = {word for check in checks.values() for word in _looked_for(check)}
    for found in _LIST.finditer(prompt):
        listed = [one[1:-1].strip(" ,.").lower() for one in re.findall(_QUOTED, found.group())]
        unknown = [word for word in listed if word not in known]
        for at, check in checks.items():
            if unknown and len(set(listed) & set(_looked_for(check))) >= 2:
                reason = f"the prompt lists {_listed(unknown)} beside the words of {check.kind}; no check looks for it"
                yield Finding("unchecked", reason, (at,), found.span())


def _looked_for(check: Check) -> list[str]:
    words = [*(check.params.get("keywords") or ()), *(check.params.get("forbidden_words") or ())]
    words.append(check.params.get("keyword") or "")
    return [str(word).strip().lower() for word in words if str(word).strip()]


_PASSED_BY_TEXT = (
    "keywords:existence",
    "detectable_format:title",
    "detectable_content:postscript",
    "keywords:frequency",
)


def _vacuous_repeats(checks: Mapping[int, Check], types: Types) -> Iterator[Finding]:
    """Checks that the text to repeat passes by itself: whoever repeats it has passed them already."""
    for repeat, check in checks.items():
        text = check.params.get("prompt_to_repeat")
        if check.kind != "combination:repeat_prompt" or not isinstance(text, str):
            continue
        for at, other in checks.items():
            limit = _bounds(other)
            if at == repeat or other.kind not in _PASSED_BY_TEXT or (limit is not None and limit[1] is not None):
                continue
            verdict = _judged(types[other.kind], other.params, text)
            if verdict is not None and verdict.passed:
                reason = f"the text to repeat passes {_said(other)} by itself, so the answer need not"
                yield Finding("vacuous", reason, (repeat, at))


# --- words -------------------------------------------------------------------------------------------------------


def _plain(text: str) -> str:
    straight = text.translate({0x201C: '"', 0x201D: '"', 0x2018: "'", 0x2019: "'"})
    return " ".join(straight.casefold().split())


def _language(code: str) -> str:
    return LANGUAGE_NAMES.get(code, code)


def _listed(words: Sequence[str] | set[str]) -> str:
    return ", ".join(repr(_short(word)) for word in sorted(words))


def _short(text: str, limit: int = 60) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 3]}..."


def _said(check: Check) -> str:
    params = ", ".join(f"{key}={_short(str(value), 40)}" for key, value in sorted(check.params.items()))
    return f"{check.kind}({params})" if params else check.kind
