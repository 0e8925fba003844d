"""Rules for words that are named: keywords to use, to use so often, and to avoid."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator

import msgspec

from adhere.verify.finding.cues import (
    DENIED_BEHIND,
    LIST,
    QTY,
    nearest,
    quantity,
    quoted,
    relations,
    requests,
    starts_at,
)
from adhere.verify.finding.found import Findings
from adhere.verify.finding.numbers import Quantity, word_set
from adhere.verify.finding.reading import Reading, Sentence

_KEYWORD = r"(?:key ?words?|words?|phrases?|terms?|expressions?|nouns?|verbs?|adjectives?|names?)"
_LIST = re.compile(LIST)
_MOST_ITEMS = 40
_MOST_ITEM_WORDS = 5
_SCOPE = 160  # characters of a form on either side of the words that may hold the cue for them

# What may stand between a cue and the words it governs.
_FILL = (
    r"(?:the|a|an|any|all|of|these|those|both|each|every|following|single|exact|specific|such|"
    r"as|like|also|keyword|keywords|"
    r"key|word|words|phrase|phrases|term|terms|expression|expressions|noun|nouns|verb|verbs|"
    r"adjective|adjectives|name|names|"
    r"sentence|sentences|either|in|your|the|whole|entire|response|responses|answer|reply|text|"
    r"output|story|poem|essay|letter|email|article|post|"
    r"summary|somewhere|anywhere|is|are|to|be|with|and|that|have|present|must|should|included|"
    r"use|include|:|,|\(|\[|-|=|\*\*|only|not|or|ever|"
    r"at|some|point|somewhere|them|explanation|speech|description|report|recipe|song|review|"
    r"note|list|two|three|following|below|mentioned|used|"
    r"along|way|into|for|by|saying|stated|appear|everywhere|least|‹\d+›)"
)
_USE = (
    r"(?:includ\w+|contain\w*|us(?:e|es|ing)|mention\w*|incorporat\w+|featur\w+|add|insert\w*|"
    r"weav\w+|work|employ\w*|bring up|bring in|"
    r"have|has|having|sprinkle|integrate|put|write|writing|say|saying|see|reference|name|"
    r"utili[sz]\w+|drop|avoid\w*|omit\w*|exclud\w+|keywords?|"
    r"words?|phrases?|terms?|ban(?:s|ned|ning)?|without|leave out|leaving out|forbidden|"
    r"refrain\w*|need|needs|require\w*|down|text for|not allowed|skip\w*|want)"
)
_CUE_BEFORE = re.compile(rf"\b{_USE}(?: {_FILL}){{0,9}} $")
_CUE_AFTER = re.compile(
    r" ?(?:,|\))? ?(?:(?:each|all|both|somewhere|also|too|which|that|keywords?|words?|in (?:the|your|its) \w+) ){0,3}"
    r"(?:should|must|has to|have to|needs? to|is to|are to|may|can|shall|will|is|are|never|"
    r"can be|come|comes|turned|in|into|somewhere|not|occur\w*|appear\w*)\b"
)
_TITLED = re.compile(
    r"\b(?:called|titled|entitled|named|title|song|book|film|movie|poem|novel|game|show|"
    r"article|essay|headline|label\w*|like|such as|"
    r"e\.g\.|i\.e\.|for example|for instance|example|heading\w*|mark\w*|marker|said|"
    r"mean|means|difference between|start\w*|begin\w*|open\w*|opening|end(?:s|ing)?|"
    r"finish(?:es|ing)?|close|closing|conclud\w*|sign off|reading|in place of|meaning of|"
    r"last|final|first|postscript|introduced|separat\w*|divid\w*|following text|letter|"
    r"character|replac\w+|section|after|follows?|following sentence|repeat\w*)(?: \S+){0,3} $"
)
_NOT_BEFORE = re.compile(
    r"\b(?:not|never|no|without|avoid\w*|refrain\w*|exclud\w*|omit\w*|forbid\w*|ban(?:s|ned)?|"
    r"leave out|instead of|steer clear|stay away|"
    r"prohibit\w*|skip\w*|abstain\w*|eschew|about to write|instead|taboo|disallowed|keep out|"
    r"delete|can not|none of|zero|one occurrence of|if)\b"
)
_YET_WANTED = re.compile(
    r"\b(?:not forget|not leave out|never forget|not omit|not skip|not fail|not miss|without "
    r"(?:forgetting|leaving out)|incomplete without|"
    r"not only|leaving out .{0,80} (?:is|are) not an option|not (?:be )?(?:complete|finished) "
    r"without|only complete if)\b"
)
_FUNCTION_WORDS = word_set(
    "the a an in on at of to for from with and or is are was be been should must may can "
    "that which this these those it its your you they "
    "them their by as into than then when if not no do does count limit long each all any "
    "used use using more less times only just here there "
    "below above following such like words word keyword keywords per appear appears "
    "mentioned included include order english length i has have had will would shall might "
    "occur occurs outside inside so such who whom where how why what"
)
_STOP_ITEM = re.compile(
    r" (?:in (?:your|the|a|all|it|this|each|any)|should|must|has|have|is|are|may|can|needs?|"
    r"at|somewhere|within|throughout|anywhere|to|when|while|"
    r"into|as|for|from|on|with|without|that|which|but|so|if|because|then|appears?|occurs?|‹|"
    r"\(|: |- |a|an|the|of|please|be|exactly|it|your|you|do|does|in)\b|[;:.?!‹(]"
)


class _Group(msgspec.Struct, frozen=True):
    """Words named together: the items, where the list stands in the form, whether a noun like "words" names them."""

    items: list[str]
    start: int
    stop: int
    named: bool
    span: tuple[int, int] | None = None


def _groups(reading: Reading, sentence: Sentence) -> list[_Group]:
    found = [
        _Group([item.strip() for item in quoted(reading, match.group())], *match.span(), False)
        for match in _LIST.finditer(sentence.form)
    ]
    plain = _named_groups(reading, sentence) if found else _plain_groups(reading, sentence)
    return sorted([*found, *plain], key=lambda group: group.start)


_AFTER_COLON = re.compile(
    r"(?<!other )\b(?:key ?words?|words?|phrases?|terms?|expressions?|not allowed|mentioned|"
    r"forbidden|banned|avoid|include)\b"
    r"(?: (?!such|like|form|format)[^\s:«‹,]+){0,10} : (?!\[slot|\*)"
)
_NAMED_PLAIN = re.compile(
    r"\b(?:the|both|following|single|using|use|with|these|include|avoid|no|or|and|not|without|"
    r"any|your) (?P<noun>key ?words?|words?|terms?|phrases?|name) (?=[^\W\d_])"
)
_ITEMS_PLAIN = re.compile(
    r"(?P<items>[^\W\d_][\w']*(?:(?: ,(?: and| or)?| and| or| &| as well as) [^\W\d_][\w']*){0,40})(?= |$)"
)


_LEADS_LIST = re.compile(
    r"(?<!other )\b(?:key ?words?|words|phrases|terms|expressions)\b(?: (?!such|like|form|format)[^\s:«‹,]+){0,10} :$"
)


def _plain_groups(reading: Reading, sentence: Sentence) -> Iterator[_Group]:
    form = sentence.form
    match = _AFTER_COLON.search(form)
    if match:
        stop = len(form) - (2 if form.endswith((" .", " !")) else 0)
        items = _items(reading.raw(sentence, match.end(), stop))
        if items:
            yield _Group(items, match.end(), stop, True)
            return
    if form.endswith(" :") and _LEADS_LIST.search(form):
        items, span = _listed_below(reading, sentence.stop)
        if items:
            yield _Group(items, len(form), len(form), True, (sentence.start, span))
            return
    yield from _named_groups(reading, sentence)


def _named_groups(reading: Reading, sentence: Sentence) -> Iterator[_Group]:
    """Words without quotation marks that follow "the word", "the keywords" and the like."""
    form = sentence.form
    for named in _NAMED_PLAIN.finditer(form):
        found = _ITEMS_PLAIN.match(form, named.end())
        if found is None:
            continue
        words = [
            word for word in re.split(r" ?,(?: and| or)? | and | or | & | as well as ", found.group("items")) if word
        ]
        if words[0] in _FUNCTION_WORDS:
            continue
        if named.group("noun") == "name" and not reading.raw(sentence, named.end(), named.end() + 1)[:1].isupper():
            continue
        words = words[: next((k for k, word in enumerate(words) if word in _FUNCTION_WORDS), len(words))]
        stop = named.end() + len(found.group("items"))
        singular = not named.group("noun").endswith("s")
        rest = form[stop : stop + 80]
        if singular and len(words) > 1 and " or " not in found.group("items"):
            words, stop = words[:1], named.end() + len(words[0])
        elif rest and not re.match(r" (?:[.,;:?!)]|‹)|" + _STOP_ITEM.pattern, rest):
            continue
        raw = _items(reading.raw(sentence, named.end(), stop))
        if raw:
            yield _Group(raw[:1] if singular and " or " not in found.group("items") else raw, named.end(), stop, True)


def _items(text: str) -> list[str]:
    """The items of a list in plain words; nothing where it is no list of words."""
    if len(text) > 2000:
        return []
    parts = re.split(r"\s*[,;\n•]\s*(?:and\s+|or\s+)?|\s+(?:and|or|&)\s+", text.strip(" .!\n\t"))
    items = [part.strip(" \t.\"'*-`[]()") for part in parts]
    items = [item for item in items if item]
    if not items or len(items) > _MOST_ITEMS or any(len(item.split()) > _MOST_ITEM_WORDS for item in items):
        return []
    plain = sum(item.lower() in _FUNCTION_WORDS for item in items)
    return [] if 2 * plain > len(items) or (plain and len(items) == 1) else items


def _listed_below(reading: Reading, start: int) -> tuple[list[str], int]:
    """The items on the list lines, or on the one line, that follow a colon, and where they end."""
    text = reading.plain
    items: list[str] = []
    at = start
    lines = 0
    while at < len(text) and lines <= _MOST_ITEMS:
        end = text.find("\n", at + 1)
        end = len(text) if end < 0 else end
        line = text[at:end].strip()
        marked = re.match(r"(?:[-*•]|\d{1,2}[.)])\s+(.{1,60})$", line)
        if marked:
            items.append(marked.group(1).strip(" .,;\"'"))
        elif line and (items or lines):
            break
        elif line:
            return _items(line), end
        lines += 1
        at = end
        if items and (at >= len(text) or not re.match(r"\n[ \t]*(?:[-*•]|\d{1,2}[.)])\s", text[at : at + 8])):
            break
    plain = [item for item in items if len(item.split()) <= _MOST_ITEM_WORDS]
    return (plain if len(plain) == len(items) else []), at


_TIMES = re.compile(
    rf"{QTY} (?:times?|occurrences?|mentions?|instances?|uses|appearances?|repetitions?)\b|"
    rf"{QTY}(?= ?(?:[.,;)]|$|in (?:the|your|total)|overall))"
)


_COUNTS_LETTER = re.compile(r"\b(?:letters?|characters?) (?:«\d+»|[^\W\d_]\b)(?: \S+){0,6} $")


def _counts(reading: Reading, sentence: Sentence) -> list[tuple[re.Match[str], Quantity]]:
    found = []
    for match in _TIMES.finditer(sentence.form):
        one = quantity(reading, match.group(1) or match.group(2))
        if (
            _COUNTS_LETTER.search(form := sentence.form[max(match.start() - 60, 0) : match.start()])
            and "word" not in form
        ):
            continue
        if one.kind in ("bound", "range", "exact"):
            found.append((match, one))
    return found


def keywords(reading: Reading) -> Findings:
    """Words to use, to use so often, and to avoid."""
    for sentence in requests(reading, rf"«|\b{_KEYWORD}\b|\bmentioned\b|\bnot allowed\b"):
        form = sentence.form
        groups = _groups(reading, sentence)
        counts = _counts(reading, sentence) if groups else []
        for place, group in enumerate(groups):
            if not _worth(group, form[max(group.start - 100, 0) : group.stop + 100]):
                continue
            last = groups[place - 1].stop if place else 0
            before = form[max(last, group.start - _SCOPE) : group.start]
            after = form[group.stop : group.stop + _SCOPE]
            following = groups[place + 1].start if place + 1 < len(groups) else len(form)
            own = counts[bisect_left(counts, last, key=starts_at) : bisect_left(counts, following, key=starts_at)]
            yield from _sorted_out(reading, sentence, group, own, (before, after))


def _worth(group: _Group, near: str) -> bool:
    if any(not item or len(item) > 120 or "\n" in item for item in group.items):
        return False
    if any(re.match(r"my answer is\b", item, re.IGNORECASE) for item in group.items):
        return False
    if any(re.fullmatch(r"[*#<>\[\]]+|[Pp]\.\s?(?:[Pp]\.\s?)?[Ss]\.?|<<.*>>|\W+", item) for item in group.items):
        return False
    return not (len(group.items) == 1 and len(group.items[0]) == 1 and re.search(r"\bletters?\b|\bcharacter\b", near))


def _sorted_out(
    reading: Reading,
    sentence: Sentence,
    group: _Group,
    counts: list[tuple[re.Match[str], Quantity]],
    around: tuple[str, str],
) -> Findings:
    """What is asked of a group of words: so often, not at all, or at least once; or nothing."""
    before, after = around
    if _ABOUT_WORDS.search(before) or (_TITLED.search(before) and not re.search(rf"\b{_KEYWORD} $", before)):
        return
    if _names_end(before):
        return
    amount = nearest(counts, group.start, group.stop)
    if amount is not None:
        span = reading.clause(sentence, min(group.start, amount[0].start()), max(group.stop, amount[0].end()))
        yield from _so_often(group, amount[1], span)
        return
    near = (re.split(r" , | and | but ", before[-60:])[-1], re.split(r" , | and | but ", after[:60])[0])
    if any(map(_PLAIN_TIMES.search, near)):
        return  # a plain number of times, which these types cannot say
    if not (group.named or _CUE_BEFORE.search(before) or _CUE_AFTER.match(after)):
        return
    span = group.span or reading.clause(sentence, group.start, max(group.stop, group.start + 1))
    wanted_yet = _YET_WANTED.search(before + "«»" + after)
    if not wanted_yet and (_NOT_BEFORE.search(_own_part(before)) or DENIED_BEHIND.search(after)):
        yield "keywords:forbidden_words", {"forbidden_words": group.items}, span, 1.0
    elif wanted_yet or _wanted(before, after, group):
        yield "keywords:existence", {"keywords": group.items}, span, 1.0


def _so_often(group: _Group, found: Quantity, span: tuple[int, int]) -> Findings:
    """Each word of the group at least or fewer than so many times; exactly once is: there, and fewer than twice."""
    once = found.kind == "exact" and found.low == 1
    for item in group.items:
        if once:
            yield "keywords:existence", {"keywords": [item]}, span, 1.0
        for relation, count in relations(found)[once:]:
            yield "keywords:frequency", {"keyword": item, "relation": relation, "frequency": count}, span, 1.0


_ABOUT_WORDS = re.compile(
    r"\b(?:in place of|meaning of|definition of|synonyms? (?:of|for)|after|follows?|words? before)(?: \S+){0,3} $"
)
_PLAIN_TIMES = re.compile(rf"(?<!not ){QTY} (?:times?|occurrences?|instances?)\b")


def _own_part(before: str) -> str:
    """The part of the words before a group that is of one clause with it."""
    cut = max(
        before.rfind(" but "),
        before.rfind(" ; "),
        before.rfind(" and include "),
        before.rfind(" and use "),
        before.rfind(" and make sure "),
        before.rfind(" , include "),
    )
    return before[cut:] if cut >= 0 else before


_WANTED = re.compile(
    r"\b(?:includ\w+|contain\w*|us(?:e|ing)|mention\w*|incorporat\w+|featur\w+|add|insert\w*|"
    r"weav\w+|work|employ\w*|bring up|bring in|integrate|"
    r"utili[sz]\w+|should have|must have|has to have|be sure to|make sure|want to see|"
    r"search\w*|required|needs?|keywords?|sprinkle|reference|have|has|with)\b"
)
_WANTED_AFTER = re.compile(
    r"^ ?,?(?: \w+){0,4}? (?:(?:should|must|has to|have to|needs? to|is to|are to|will|can) "
    r"(?:\w+ ){0,3}?(?:appear\w*|be|occur|come up|show up|stand)|into|is mentioned|are "
    r"mentioned|is included|are included|is used|are used|appears?|occurs?|somewhere|in "
    r"(?:your|the))\b"
)


def _wanted(before: str, after: str, group: _Group) -> bool:
    near = before[-90:]
    if _WANTED.search(near) or re.search(r"\bwrite (?:the|words?|phrases?|terms?|it so that)", near):
        return True
    return bool(_WANTED_AFTER.search(after)) or (
        group.named and bool(re.search(r"\b(?:keywords?|mentioned|write) ", near))
    )


def _names_end(before: str) -> bool:
    return bool(
        re.search(
            r"\b(?:end|ends|ending|finish|finishes|finishing|conclud\w*|close|closing|wrap up|sign "
            r"off|stop|start|starts|starting|begin\w*|open|opens)\b(?: \S+){0,8} $",
            before,
        )
    )
