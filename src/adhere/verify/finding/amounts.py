"""Rules for how much of the reply: sentences, words, bullets, highlights, placeholders."""

from __future__ import annotations

import re

from adhere.verify.finding.cues import EMPHASIS, QTY, is_request, quantity, relations, requests
from adhere.verify.finding.found import Findings
from adhere.verify.finding.reading import Reading, Sentence

_EACH = re.compile(
    r"(?<!› )\b(?:each|every|per|any|no|individual|the (?:first|second|third|last|opening|final)) "
    r"(?:single |of the |numbered |bullet )?(?:sentences?|lines?|paragraphs?|sections?|"
    r"bullets?|points?|items?|stanzas?|verses?|parts?|chapters?|"
    r"steps?|answers?|descriptions?|entry|entries|cell|row|slide|responses?)\b|\bone each\b|"
    r"\bwords? each\b|\bsentences? each\b|\beach with\b"
    r"|\b(?:long|short|all) lines\b|\blines\b|\ba line\b|\blong words?\b"
)
_ADJECTIVES = (
    r"(?:(?:total|full|complete|whole|separate|different|distinct|more|additional|or so|"
    r"english|short|long|grammatical|proper|of|the|your|well|formed) ){0,2}"
)
_WORDS = re.compile(
    rf"{QTY} {_ADJECTIVES}words?\b(?! (?:(?:that|which) (?:start|begin|end|contain|rhyme|are|"
    rf"is|were|have|has|means?|describe)|in (?:all|full|upper|capital|caps)|with|written|from "
    rf"(?!you)|starting|beginning|for|title|containing|of wisdom|search|per|each|entirely|"
    rf"completely|spelled|typed|fully))"
)
_WORDS_AFTER = re.compile(
    rf"\b(?:number of words|word count|word limit|length|word budget|words|word counter|amount "
    rf"of words|count of words)\b(?: \w+){{0,5}}? ?:? ?{QTY}(?! (?:times|sentences?|"
    rf"paragraphs?|lines?|letters?|characters?|\w+ (?:times|sentences?)))"
)
_SENTENCES = re.compile(
    rf"{QTY} {_ADJECTIVES}sentences?\b(?! (?:(?:that|which) (?:start|begin|end|contain|rhyme|"
    rf"are|is|were|have|has|use)|per|each|with (?:a|an)|from (?!you)|must end|have to end))"
)
_SENTENCES_AFTER = re.compile(
    rf"\b(?:number of sentences|sentence count|sentence limit|sentence budget|sentences|amount "
    rf"of sentences)\b(?: \w+){{0,5}}? ?:? ?{QTY}(?! (?:times|words?|paragraphs?|lines?))"
)


def _counted(reading: Reading, kind: str, number: str, noun: str, patterns: tuple[re.Pattern[str], ...]) -> Findings:
    for sentence in requests(reading, rf"\b{noun}\b"):
        every = ([*pattern.finditer(sentence.form)] for pattern in patterns)
        meant = ([match for match in matches if not _part_only(sentence.form, match)] for matches in every)
        for match in next((matches for matches in meant if matches), []):
            span = reading.clause(sentence, *match.span())
            for relation, count in relations(quantity(reading, match.group(1))):
                yield kind, {"relation": relation, number: count}, span, 1.0


def _part_only(form: str, match: re.Match[str]) -> bool:
    """Whether the amount is meant for each part, such as a line or a paragraph, and not for the whole."""
    start = max(
        (form.rfind(cut, max(match.start() - 300, 0), match.start()) for cut in (" and ", "; ", ". ", ": ", ", ")),
        default=0,
    )
    return bool(_EACH.search(form, max(start, 0), min(match.end() + 30, len(form))))


def number_words(reading: Reading) -> Findings:
    """At least or fewer than so many words in the whole reply."""
    yield from _counted(
        reading, "length_constraints:number_words", "num_words", "(?:words?|length)", (_WORDS, _WORDS_AFTER)
    )


def number_sentences(reading: Reading) -> Findings:
    """At least or fewer than so many sentences in the whole reply."""
    patterns = (_SENTENCES, _SENTENCES_AFTER)
    yield from _counted(reading, "length_constraints:number_sentences", "num_sentences", "sentences?", patterns)


# ---------------------------------------------------------------- bullets, highlights, placeholders

_BULLET = r"(?:bullets?|bulleted|bulletpoints?)"
_BULLETS = re.compile(rf"{QTY} (?:\w+ ){{0,3}}?{_BULLET}\b")
_BULLETS_AFTER = re.compile(
    rf"\b{_BULLET}(?: points?| list| items?)?(?: \( \* \))?(?: \w+){{0,4}}? ?[:?]? ?{QTY}(?! "
    rf"(?:words?|sentences?|characters?))"
)
_EXACT = re.compile(QTY)
_STAR_LINES = re.compile(rf"{QTY} (?:lines|points|items|entries)\b|arrive at {QTY}|\bhow many bullets \? {QTY}")


def number_bullet_lists(reading: Reading) -> Findings:
    """Exactly so many markdown bullets."""
    starred = bool(re.search(r"(?:begin|start|open)\w* with (?:an asterisk|a star|\*)", reading.plain.lower()))
    asked = list(requests(reading, _BULLET))
    exactly = [one for one in reading.sentences if _says_exactly(reading, one)] if asked else []
    lines = requests(reading, r"\b(?:lines|points|items|entries|exactly|arrive)\b|‹") if starred or asked else ()
    for pattern, sentences in ((_BULLETS, asked), (_BULLETS_AFTER, asked), (_EXACT, exactly), (_STAR_LINES, lines)):
        for sentence in sentences:
            match = _bullet_count(reading, sentence, pattern)
            if match is not None:
                count = quantity(reading, next(group for group in match.groups() if group)).value
                span = reading.clause(sentence, *match.span())
                yield "detectable_format:number_bullet_lists", {"num_bullets": count}, span, 1.0
                return


def _bullet_count(reading: Reading, sentence: Sentence, pattern: re.Pattern[str]) -> re.Match[str] | None:
    """The first number in the sentence that counts bullets."""
    for match in pattern.finditer(sentence.form):
        count = quantity(reading, next(group for group in match.groups() if group)).value
        if count is None or count < 1 or re.match(r"bullet(?: point)? ‹", match.group()):
            continue
        if pattern is _STAR_LINES or not _part_only(sentence.form, match):
            return match
    return None


def _says_exactly(reading: Reading, sentence: Sentence) -> bool:
    """Whether the sentence tells an exact number of things to list, which bullets named elsewhere then have."""
    listing = re.search(
        r"\b(?:list|name|give|write|suggest|provide|come up with|generate|create|offer)\b", sentence.form
    )
    match = _EXACT.search(sentence.form)
    if listing is None or match is None or not is_request(sentence):
        return False
    unit = re.match(
        r" (?:\w+ )?(?:words?|sentences?|paragraphs?|times?|sections?|letters?|highlight\w*)\b",
        sentence.form[match.end() : match.end() + 60],
    )
    return quantity(reading, match.group(1)).kind == "exact" and unit is None


_MARKED_NOUN = (
    r"(?:sections?|parts?|phrases?|passages?|pieces?|portions?|bits?|ideas?|places?|times?|"
    r"spots?|highlights?|highlighted|words?|terms?|sentences?|snippets?|segments?|areas|of "
    r"them|things|points?|text|important|emphasi[sz]ed|key|italic\w*|bold\w*|most)"
)
_MARKDOWN = re.compile(r"\bmarkdown\b|\*marked\*|\basterisks?\b|\bitali\w*|\bbold\b|\*+")


def number_highlighted_sections(reading: Reading) -> Findings:
    """At least so many parts highlighted with asterisks."""
    in_markdown = any(_MARKDOWN.search(sentence.form) for sentence in reading.sentences)
    for sentence in requests(reading, EMPHASIS):
        if re.search(
            r"\bbullets?\b|\*{3,}|\bparagraphs?\b.{0,60}asterisks|(?<!\S)\* ", sentence.form
        ) and not re.search(r"highlight|itali|emphas|bold", sentence.form):
            continue
        if (
            re.search(
                r"\b(?:all caps|capitals?|capital letters|uppercase|upper case|six|‹\d+› asterisks?)\b", sentence.form
            )
            and "highlight" not in sentence.form
        ):
            continue
        match = _highlight_count(reading, sentence, in_markdown)
        if match is not None:
            low = quantity(reading, match.group(1) or match.group(2)).low
            span = reading.clause(sentence, *match.span())
            yield "detectable_format:number_highlighted_sections", {"num_highlights": low}, span, 1.0
        elif _SOME_MARKED.search(sentence.form) and not re.search(QTY, sentence.form):
            span = (sentence.start, sentence.stop)
            yield "detectable_format:number_highlighted_sections", {"num_highlights": 1}, span, 0.6


_COUNTED_MARKS = re.compile(
    rf"{QTY}(?: (?:\w+|,|\*marked\*)){{0,3}}? {_MARKED_NOUN}\b|(?:\) :|\* :|markdown.{{0,40}} "
    rf":|highlights? .{{0,40}}:) {QTY}"
)
_SOME_MARKED = re.compile(r"\bhighlight (?:some|the|a few|several|your|important|key) .{0,80}(?:\*marked\*|with \*)")


def _highlight_count(reading: Reading, sentence: Sentence, in_markdown: bool) -> re.Match[str] | None:
    """The number of highlighted parts in a sentence; "3 times" only where nothing better is counted."""
    options = []
    for match in _COUNTED_MARKS.finditer(sentence.form):
        found = quantity(reading, match.group(1) or match.group(2))
        if found.low is None or found.low < 1 or found.kind == "range":
            continue
        if _about_marks(sentence.form, match, in_markdown):
            options.append(match)
    return next(
        (match for match in options if not match.group().endswith(("times", "time"))), next(iter(options), None)
    )


def _about_marks(form: str, match: re.Match[str], in_markdown: bool) -> bool:
    """Whether the number counts highlighted text: markdown is meant, or parts of the reply are to be highlighted."""
    if in_markdown:
        return True
    return bool(
        re.search(r"highlight\w*", form)
        and re.search(r"\b(?:sections?|parts?|phrases?|passages?|portions?)\b", match.group())
    )


_SLOT = re.compile(
    r"\bplaceholders?\b|\bsquare brackets?\b|\bbracketed\b|(?<!angle )(?<!angular "
    r")\bbrackets\b|\[slot\]|\bfields open\b|\bfields?\b|\bgaps?\b|\bblanks?\b"
)
_SLOTS_COUNTED = rf"{QTY} (?:\w+ ){{0,2}}?(?:fields?|gaps?|blanks?|slots?|spots?|details?)\b"
_SURE_SLOT = re.compile(r"\bplaceholders?\b|\bsquare brackets?\b|\bbracketed\b|\[slot\]|\[ and \]")


def number_placeholders(reading: Reading) -> Findings:
    """At least so many placeholders in square brackets."""
    if not any(_SURE_SLOT.search(sentence.form) for sentence in reading.sentences):
        return
    sure = list(requests(reading, _SURE_SLOT.pattern))
    for sentence in [*sure, *requests(reading, _SLOT.pattern)]:
        if re.search(r"\[slot\]", sentence.form) and not re.search(
            r"placeholder|bracket|\b(?:blanks?|spots?|gaps?|slots?|fields?|detail|details|like|as|"
            r"such|e\.g\.|template|fill)\b",
            sentence.form,
        ):
            continue
        if re.search(r"\bsections?\b", sentence.form) and not re.search(r"placeholder|bracket", sentence.form):
            continue
        pattern = QTY if _SURE_SLOT.search(sentence.form) else _SLOTS_COUNTED
        for match in re.finditer(pattern, sentence.form):
            found = quantity(reading, match.group(1))
            if (
                found.low is None
                or found.low < 1
                or re.match(
                    r" (?:words?|sentences?|paragraphs?|sections?|bullet)",
                    sentence.form[match.end() : match.end() + 20],
                )
            ):
                continue
            span = reading.clause(sentence, *match.span())
            yield "detectable_content:number_placeholders", {"num_placeholders": found.low}, span, 1.0
            return
