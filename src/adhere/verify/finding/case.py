"""Rules for letter case and language."""

from __future__ import annotations

import itertools
import re

from adhere.verify.finding.cues import bounded, relations, requests
from adhere.verify.finding.found import Findings
from adhere.verify.finding.languages import CODES
from adhere.verify.finding.reading import Reading, Sentence

_UPPER = (
    r"(?:all caps?\b|caps lock|capital letters?|capitals\b(?! of)|uppercased?\b|upper case\b|"
    r"capitali[sz]ed?\b|capitali[sz](?:e|ing)\b|a capital\b(?= ?(?:[.,;]|$))|"
    r"big letters?|in caps\b|block letters|only caps\b|all capital\b|capital only\b|caps "
    r"only\b|capitals only|in capital\b(?= ?(?:[.,;]|$))|all uppercase|shift key)"
)
_LOWER = (
    r"(?:lowercased?\b|lower case\b|small letters?|a small one\b|small case\b|"
    r"decapitali[sz]ed|uncapitali[sz]ed|a letter would normally be small)"
)
_WHOLE = re.compile(
    r"\b(?:all|only|entire\w*|whole|complete\w*|everything|every (?:single )?letter|"
    r"throughout|full\w*|no|not|never|without|avoid\w*|any|in|use|using|must be|should be|has "
    r"to be|have to be|"
    r"is to be|be|not one|free of|always)\b"
)
_CASE_OF_PART = re.compile(
    r"\b(?:titles?|headings?|headlines?|headers?|names?|first letters?|initial letters?|first "
    r"words?|each word|every word|keywords?|subject line|acronyms?|proper nouns?|"
    r"beginning of (?:each|every)|start of (?:each|every)|the words? «|labels?|speakers?|key "
    r"words|important words|letter of (?:each|every))\b"
)
_CASE_WHOLE_NOUN = re.compile(
    r"\b(?:response|answer|reply|text|output|entire|whole|everything|english|not even|neither "
    r"names|letters in|story|poem|essay)\b"
)
_NO_CASE = re.compile(
    r"(?:\b(?:no|not|never|without|avoid\w*|zero|nothing|refrain\w*|forbid\w*|exclud\w*|not "
    r"one|none|free of|instead of|rather than|single|missing|nor|neither|any)\b(?: \S+){0,6} "
    r"?|\bnothing (?:\S+ ){0,18})$"
)
_CASE_FORBIDDEN = re.compile(
    r"^(?: letters?)?(?: \w+){0,3}? (?:not (?:allowed|permitted|be used|to be used|appear|be "
    r"found|be included|acceptable)|forbidden|prohibited|out of the question|off limits|"
    r"banned|never|missing)\b|^ (?:letters )?: none"
)
_WORDS_OF_CASE = re.compile(r"\bwords?\b|\btimes\b|\bemphasis\b|\boccurrences\b")


def capital_word_frequency(reading: Reading) -> Findings:
    """At least or fewer than so many words in all capitals."""
    for sentence in requests(reading, rf"{_UPPER}|\bcapitals?\b|\ball upper"):
        form = sentence.form
        if not _WORDS_OF_CASE.search(form) or _LOWER_LETTER.search(form):
            continue
        some = _SOME_CAPITALS.search(form)
        if (
            some
            and not _NO_CASE.search(form[max(some.start() - 60, 0) : some.start()])
            and "‹" not in form[: some.end()] + form[some.end() :].partition(" but ")[0]
        ):
            params = {"capital_relation": "at least", "capital_frequency": 1}
            yield "change_case:capital_word_frequency", params, reading.clause(sentence, *some.span()), 0.7
        for match, found in bounded(reading, sentence):
            behind = form[match.end() : match.end() + 40]
            unit = re.match(
                r"(?: (?:or more|\w+|,)){0,4}? (words?|times|occurrences|sentences?|paragraphs?|sections?|bullets?)\b",
                behind,
            )
            if unit and unit.group(1) not in ("words", "word", "times", "occurrences"):
                continue
            if not _near_case(form, match):
                continue
            span = reading.clause(sentence, *match.span())
            for relation, count in relations(found):
                yield (
                    "change_case:capital_word_frequency",
                    {"capital_relation": relation, "capital_frequency": count},
                    span,
                    1.0,
                )
            break


_SOME_CAPITALS = re.compile(
    r"\b(?:use|using|include|add|put|write|have|with|contain\w*|highlight) (?:some|a few|"
    r"several|certain|important|key)?(?: \w+)? ?(?:words?|terms) (?:\w+ )?(?:in|with|using) "
    r"(?:all )?"
    r"(?:caps\b|capitals?(?: letters)?|upper ?case|capital letters)"
)
_LOWER_LETTER = re.compile(rf"{_LOWER}|\bthe letter\b")


def _near_case(form: str, match: re.Match[str]) -> bool:
    low, high = max(match.start() - 160, 0), match.end() + 160
    start = max(form.rfind(" , and ", low, match.start()), low)
    end = form.find(" , and ", match.end(), high)
    part = form[start : end if end > 0 else high]
    return bool(re.search(rf"{_UPPER}|\bcapitals?\b", part))


def whole_case(reading: Reading) -> Findings:
    """The whole reply in capitals, or in lower case."""
    seen: set[str] = set()
    for sentence in requests(reading, rf"{_UPPER}|{_LOWER}|\bcapital\b|\bcapital,"):
        kind = _case_of(reading, sentence)
        if kind is not None and kind[0] not in seen:
            seen.add(kind[0])
            yield kind[0], {}, reading.clause(sentence, kind[1], kind[2]), 1.0


_CASE_TERM = re.compile(rf"(?P<upper>{_UPPER})|(?P<lower>{_LOWER})")


def _case_of(reading: Reading, sentence: Sentence) -> tuple[str, int, int] | None:
    form = sentence.form
    if bounded(reading, sentence) and _WORDS_OF_CASE.search(form) and not _LOWER_LETTER.search(form):
        return None
    made = re.search(
        r"\bmake (?:it|them|every letter|all letters) (?:an? )?(?:(?P<upper>capitals?|upper ?case|"
        r"big)|small|lower ?case)\b",
        form,
    )
    if made:
        return ("change_case:english_capital" if made.group("upper") else "change_case:english_lowercase"), *made.span()
    for match in _CASE_TERM.finditer(form):
        before, after = form[max(match.start() - 100, 0) : match.start()], form[match.end() : match.end() + 60]
        near = before[-50:] + match.group() + (after[:40] if re.match(r" (?:for|in|on|of|as)\b", after) else "")
        if _CASE_OF_PART.search(near) and not _CASE_WHOLE_NOUN.search(before + after):
            continue
        denied = bool(_NO_CASE.search(before)) or bool(_CASE_FORBIDDEN.search(after))
        if (
            re.match(r"capitali[sz](?:e|ing)", match.group())
            and not denied
            and not re.match(
                r" (?:everything|every (?:single )?letter|all|the (?:whole|entire)|your (?:whole|entire))", after
            )
        ):
            continue
        if match.group() == "shift key" and not denied:
            continue
        if (
            not denied
            and match.group() != "caps lock"
            and not _WHOLE.search(before[-60:] + " " + match.group() + " " + after[:30])
        ):
            continue
        if re.match(r"capitals|upper|lower|capital letters", match.group()) and re.match(
            r" (?:or|and|,) (?:lower|small|upper|capital)", after
        ):
            continue
        if re.search(r"\b(?:or|and) (?:lower|small|upper|in capitals?) ?$", before[-12:]) or re.search(
            r"(?:upper|lower) and $|small or $|upper or $", before
        ):
            continue
        upper = bool(match.group("upper")) != denied
        return ("change_case:english_capital" if upper else "change_case:english_lowercase"), match.start(), match.end()
    return None


# ---------------------------------------------------------------- language

_NAMES = "|".join(sorted(map(re.escape, CODES), key=len, reverse=True))
_FREE = (
    r"(?= ?(?:[.,;:()?!]|$)| (?:language|only|and(?! \w+ (?:history|culture))|with|from|"
    r"throughout|to|using|no|not|without|please|script|for|that|about|alone|entirely|in|but|"
    r"or else|instead|so|since|as|because|when|text))"
)
_IN = re.compile(
    rf"\b(?:in|into) (?:(?:the|only|pure|plain|simple|proper|all|fluent|modern|standard|"
    rf"entirely|completely|fully|purely) ){{0,2}}(?P<name>{_NAMES}){_FREE}"
)
_ONLY = re.compile(
    rf"\bonly (?:use |in |the |speak |write in )?(?:the )?(?P<name>{_NAMES})\b|"
    rf"\b(?P<name2>{_NAMES}) (?:language )?(?:only|is (?:the only )?allowed)\b|"
    rf"\b(?:other than|but|except|besides|nothing but) (?:the )?(?P<name3>{_NAMES})\b|\bonly "
    rf"speaks (?P<name4>{_NAMES})\b|"
    rf"\b(?:use|using|switch to|speak|employ) (?:only )?(?:the )?(?P<name5>{_NAMES})(?: language\b|{_FREE})|"
    rf"\blanguage(?: \w+){{0,4}} (?::|is|be|should be|must be) (?P<name6>{_NAMES})\b|\ba "
    rf"(?P<name7>{_NAMES}) one\b|\bbe (?P<name9>{_NAMES}) (?:throughout|alone|from)\b"
)
_AUTHORING = re.compile(
    r"\b(?:writ\w+|respond\w*|answer\w*|reply|response|output|compos\w+|generat\w+|explain\w*|"
    r"describe\w*|provid\w+|giv\w+|need|want|should|must|has to|have to|only|entire\w*|whole|"
    r"complete\w*|please|tell|say|use|using|draft|create|make|sure|do (?:it|this|that)|"
    r"language|from beginning|throughout|compose|create|produce|summari[sz]e|list|rewrite|be|"
    r"is|text|translate\w*)\b"
)
_SOURCE = re.compile(
    r"\b(?:translate|translations?|convert|render)\b|\b(?:from|how (?:do|would|can) (?:you|i|"
    r"one) say|say .{0,40}) $|\bwords?\b $"
)


def response_language(reading: Reading) -> Findings:
    """The whole reply in one language."""
    seen: set[str] = set()
    for sentence in requests(reading, rf"\b(?:{_NAMES})\b"):
        matches = itertools.chain(_IN.finditer(sentence.form), _ONLY.finditer(sentence.form))
        for match in matches:
            code = CODES[next(value for value in match.groupdict().values() if value)]
            if code in seen or not _about_reply(sentence.form, match):
                continue
            seen.add(code)
            yield "language:response_language", {"language": code}, reading.clause(sentence, *match.span()), 1.0


def _about_reply(form: str, match: re.Match[str]) -> bool:
    """Whether the language is the one to write in, rather than one to translate from or one that somebody knows."""
    before = form[max(match.start() - 200, 0) : match.start()]
    if _SOURCE.search(before[-120:]) or re.search(r"\b(?:learn\w*|knows?|studied|studying|teach\w*) $", before):
        return False
    return match.re is _ONLY or bool(_AUTHORING.search(before + form[match.end() : match.end() + 40]))
