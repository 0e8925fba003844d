"""Rules for the parts of a reply: paragraphs, the first word of one of them, sections with headings."""

from __future__ import annotations

import re

from adhere.verify.finding.cues import EMPHASIS, QTY, is_request, quantity, quoted, requests
from adhere.verify.finding.found import Findings
from adhere.verify.finding.numbers import ordinal_of, word_set
from adhere.verify.finding.reading import Reading, Sentence

_PARAGRAPHS = re.compile(rf"{QTY} (?:(?!new|line|blank|empty)\w+ ){{0,2}}?(?:paragraphs?|blocks of prose)\b")
_PARAGRAPHS_AFTER = re.compile(
    rf"\bparagraphs?\b(?: \w+){{0,5}}? ?:? ?{QTY}(?! (?:times|sentences?|words?|new lines?|"
    rf"line breaks?|asterisks?|blank lines?|newlines?|\w+ asterisks?|or more|« ))"
)
_OF_THEM = re.compile(
    rf"stop after paragraph {QTY}|{QTY} (?:of them|in (?:all|total))\b|\bthere are {QTY}|\bof {QTY}(?= ,)"
)
_RULE = re.compile(r"(?<!\S)\*\*\*(?!\S)|‹\d+› (?:a\w{2,4}risks?|stars?)\b|markdown divider")


def _paragraph_count(reading: Reading) -> tuple[Sentence, re.Match[str], int] | None:
    """The first sentence that says how many paragraphs there are."""
    for pattern in (_PARAGRAPHS, _PARAGRAPHS_AFTER, _OF_THEM):
        for sentence in requests(reading, r"paragraphs?|blocks of prose|of them\b"):
            for match in pattern.finditer(sentence.form):
                count = quantity(reading, next(group for group in match.groups() if group is not None)).value
                if count is not None and count > 1 and not (pattern is _PARAGRAPHS_AFTER and _names_one(match)):
                    return sentence, match, count
    return None


def _names_one(match: re.Match[str]) -> bool:
    """Whether "paragraph 2" names one paragraph: the number follows the singular."""
    return bool(re.match(r"paragraph (?:number |no . |# )?‹|paragraph (?:\w+ ){0,5}?‹", match.group()))


def _is_ruled(reading: Reading, sentence: Sentence) -> bool:
    """Whether the sentence shows or names the divider of three asterisks."""
    for match in _RULE.finditer(sentence.form):
        place = re.match(r"‹(\d+)›", match.group())
        if place is None or quantity(reading, place.group(1)).value == 3:
            return True
    return "***" in (text.strip() for text in quoted(reading, sentence.form))


_PIECES = re.compile(
    rf"{QTY} (?:\w+ ){{0,2}}?(?:sections?|parts?|verses?|stanzas?|blocks|steps|pieces|segments|"
    rf"chunks|chapters|responses)\b"
)
_TWO_PIECES = re.compile(
    r"\bseparat\w+ (?:the |your )?(?:\w+ ){1,4}and (?:the )?(?:\w+ ){1,4}(?:with|by|using)\b|"
    r"\bbetween the \w+ and the \w+"
)
_DIVIDES = re.compile(r"\b(?:separat\w+|divid\w+|split\w*|between|apart|mark\w*)\b")


def _pieces_count(reading: Reading) -> tuple[Sentence, re.Match[str], int] | None:
    """How many pieces of another name the divider of three asterisks sets apart."""
    ruled = [k for k, one in enumerate(reading.sentences) if _is_ruled(reading, one) and _DIVIDES.search(one.form)]
    for k in ruled:
        for near in (k, k - 1):
            if near < 0 or re.search(EMPHASIS, reading.sentences[near].form.replace("asterisk", "")):
                continue
            match = _PIECES.search(reading.sentences[near].form)
            low = quantity(reading, match.group(1)).low if match else None
            if match and low is not None and low > 1:
                return reading.sentences[near], match, low
        match = _TWO_PIECES.search(reading.sentences[k].form)
        if match:
            return reading.sentences[k], match, 2
    return None


def number_paragraphs(reading: Reading) -> Findings:
    """So many paragraphs, or pieces of another name, with the divider of three asterisks between them."""
    if not any(_is_ruled(reading, sentence) for sentence in reading.sentences):
        return
    named = _paragraph_count(reading)
    counted = named or _pieces_count(reading)
    if counted is not None:
        sentence, match, count = counted
        span = reading.clause(sentence, *match.span())
        yield "length_constraints:number_paragraphs", {"num_paragraphs": count}, span, 1.0 if named else 0.9
        return
    lines = list(_RULE_LINE.finditer(reading.plain))
    if lines:  # a template that shows the divider
        span = (lines[0].start(1), lines[-1].end(1))
        yield "length_constraints:number_paragraphs", {"num_paragraphs": len(lines) + 1}, span, 0.7


_RULE_LINE = re.compile(r"(?<=[\]\w.])[ \t]*\n+[ \t]*(\*\*\*)[ \t]*(?=\n+[ \t]*[\[\w])")


_ONE = (
    r"(?:(?:the |that the |let the |its |your )?(?P<nth>first|second|third|fourth|fifth|sixth|"
    r"seventh|eighth|ninth|tenth|last|final|\d{1,3}(?:st|nd|rd|th)) "
    r"(?:and (?:last|final) )?(?:paragraph|one|of (?:your|the|these|them|which))"
    r"|(?:paragraph|number) (?:number |no . |# )?‹(?P<place>\d+)›|(?P<nth2>the (?:first|"
    r"second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|last|\d{1,3}(?:st|nd|rd|"
    r"th)))(?= (?:begin|start|open|to|is about|starting|beginning|opening|with)))"
)
_WORD = (
    r"(?:the |a |that |single |exact |very |first )*(?:word|term)?(?: :| is| be| ,)? "
    r"?(?:«(?P<quote>\d+)»|(?P<plain>[^\W\d_][\w']*))"
)
_NTH_FIRST = re.compile(
    rf"{_ONE}(?: \S+){{0,6}}? (?:start|starts|starting|begin|begins|beginning|open|opens|"
    rf"opening|opened|commence|commences|led)(?: off)?(?: with| by)? {_WORD}"
)
_FIRST_OF_NTH = re.compile(
    rf"first word (?:of|in) (?:your )?{_ONE}(?: (?:should|must|has to|needs to|will|is|to|be)){{0,3}} ?:? {_WORD}"
)
_BEGIN_NTH = re.compile(rf"\b(?:begin|start|open) {_ONE}(?: \w+){{0,2}}? (?:with|by) {_WORD}")
_QUOTE_FIRST = re.compile(
    rf"«(?P<quote>\d+)» (?:\S+ ){{0,6}}?(?:first word of|begins?|starts?|opens?|how|before) "
    rf"(?:in )?{_ONE}|nothing comes before «(?P<quote2>\d+)» in "
    rf"{_ONE.replace('nth', 'mth').replace('place', 'plaze')}"
)
_WORD_OF_NTH = re.compile(
    rf"{_ONE}(?: \S+){{0,6}}? (?:its )?first word is {_WORD}|«(?P<quote3>\d+)» as the first "
    rf"word of {_ONE.replace('nth', 'mth').replace('place', 'plaze')}"
)
_IT = re.compile(rf"paragraph ‹(?P<place>\d+)› of ‹\d+› , open it with {_WORD}")
_NOT_FIRST = word_set("the a an that following word words and to one some lines line new with this exactly")


def _groups(match: re.Match[str]) -> dict[str, str]:
    return {key.rstrip("0123456789"): value for key, value in match.groupdict().items() if value is not None}


def _nth(reading: Reading, named: dict[str, str], count: int) -> int | None:
    place = named.get("place") or named.get("plaze")
    if place is not None:
        return quantity(reading, place).value
    word = (named.get("nth") or named.get("mth") or "").rpartition(" ")[2]
    return count if word in ("last", "final") else ordinal_of(word)


def nth_paragraph_first_word(reading: Reading) -> Findings:
    """So many paragraphs, of which one named by its number starts with a given word."""
    if "paragraph" not in reading.plain.lower():
        return
    counted = _paragraph_count(reading)
    if counted is None:
        return
    count = counted[2]
    for sentence in requests(reading, r"\b(?:start|begin|open|first word|comes before|led)"):
        for pattern in (_IT, _FIRST_OF_NTH, _NTH_FIRST, _BEGIN_NTH, _WORD_OF_NTH, _QUOTE_FIRST):
            match = pattern.search(sentence.form)
            if match is None:
                continue
            named = _groups(match)
            word = reading.quotes[int(named["quote"])].text if "quote" in named else named.get("plain", "")
            nth = _nth(reading, named, count)
            word = word.strip(" .,").lower()
            if (
                nth is None
                or not 1 <= nth <= count
                or not word
                or (word in _NOT_FIRST and "quote" not in named)
                or " " in word
            ):
                continue
            params = {"num_paragraphs": count, "nth_paragraph": nth, "first_word": word}
            yield "length_constraints:nth_paragraph_first_word", params, reading.clause(sentence, *match.span()), 1.0
            break


# ---------------------------------------------------------------- sections

_SECTION_NOUN = (
    r"(?:sections?|parts?|chapters?|headings?|pieces|segments|stanzas|scenes|days|steps|"
    r"rounds|acts|topics|paragraphs?|verses|episodes|units|lessons|books)"
)
_SECTIONS = re.compile(rf"{QTY} (?:\w+ ){{0,2}}?{_SECTION_NOUN}\b")
_SECTIONS_AFTER = re.compile(
    rf"\b{_SECTION_NOUN}\b(?: \w+){{0,3}}? ?:? ?{QTY}|until (?:you have|there are) {QTY}|"
    rf"(?:and so on|onwards|so forth|etc) ,? ?‹(\d+)›"
)
_NAME = re.compile(r"(?<![\w])([A-Za-z][A-Za-z]{1,24})[ ](?:X|x|#|N|1)(?!\w|'\w)")
_NAME_RANGE = re.compile(r"(?<!\w)([A-Za-z]{2,25}) (\d{1,3})\W{1,4}(?:to|through|up to|\.\.\.)\W{1,4}\1 (\d{1,3})")
_NUMBERED = re.compile(
    r"(?:\bwrite|\bword|\bmarker|\bthem|\bgoes|\bwith) (?:\"|'|`)?([A-Za-z]{2,25})(?:\"|'|"
    r"`)?,? (?:and|plus|with|followed by) (?:its|the|a|1)(?: section's| running)? ?(?:number|"
    r",|2)",
    re.IGNORECASE,
)
_NO_NAME = word_set(
    "is of to in exactly least most than and or be with a an the at where number about by "
    "from only between word words that another use has have was like as for are it phase"
)


def multiple_sections(reading: Reading) -> Findings:
    """So many sections, each headed by a given word and its number."""
    named = _section_name(reading)
    if named is None:
        return
    name, at = named
    places = [k for k, sentence in enumerate(reading.sentences) if sentence.start <= at]
    here = places[-1] if places else 0
    near = sorted(range(max(here - 3, 0), min(here + 3, len(reading.sentences))), key=lambda k: abs(k - here))
    for k in near:
        sentence = reading.sentences[k]
        counted = _section_count(reading, sentence, name.lower() == "paragraph") if is_request(sentence) else None
        if counted is not None:
            params = {"section_spliter": name, "num_sections": counted[1]}
            span = reading.clause(sentence, *counted[0].span())
            yield "detectable_format:multiple_sections", params, span, 1.0
            return
    yield from _sections_by_range(reading)


def _section_count(reading: Reading, sentence: Sentence, labelled: bool) -> tuple[re.Match[str], int] | None:
    if re.search(r"\bhighlight|\bitalic|\bbold|\*marked\*", sentence.form):
        return None
    for pattern in (_SECTIONS, _SECTIONS_AFTER):
        for match in pattern.finditer(sentence.form):
            found = quantity(reading, next(group for group in match.groups() if group))
            count = found.low or (found.high if pattern is _SECTIONS_AFTER else None)
            if count is None or count < 2 or (match.group().endswith(("paragraph", "paragraphs")) and not labelled):
                continue
            if pattern is _SECTIONS_AFTER and re.match(r"(?:section|part|chapter|heading|paragraph) ‹", match.group()):
                continue
            return match, count
    return None


def _section_name(reading: Reading) -> tuple[str, int] | None:
    for pattern in (_NAME, _NUMBERED):
        for match in pattern.finditer(reading.plain):
            if match.group(1).lower() not in _NO_NAME and not _paragraph_of_rules(reading, match):
                return match.group(1), match.start()
    return None


def _paragraph_of_rules(reading: Reading, match: re.Match[str]) -> bool:
    """Whether "paragraph 1" names a paragraph that begins in some way rather than a heading."""
    return bool(
        match.group(1).lower() == "paragraph"
        and re.match(
            r"\W{0,3} ?(?:should|must|starts?|begins?|opens?|has to)", reading.plain[match.end() : match.end() + 20]
        )
    )


def _sections_by_range(reading: Reading) -> Findings:
    match = _NAME_RANGE.search(reading.plain)
    if match and match.group(2) == "1" and len(match.group(3)) < 4 and match.group(1).lower() not in _NO_NAME:
        params = {"section_spliter": match.group(1), "num_sections": int(match.group(3))}
        yield "detectable_format:multiple_sections", params, match.span(), 0.8
