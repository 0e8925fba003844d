"""Rules for how a reply ends: the last words, and postscripts."""

from __future__ import annotations

import re

from adhere.verify.finding.cues import requests
from adhere.verify.finding.found import Findings
from adhere.verify.finding.reading import Reading, Sentence

_END_VERB = (
    r"(?:end|ends|ending|ended|finish|finishes|finishing|conclude|concludes|concluding|close|"
    r"closes|closing|wrap up|sign off|sign off|stop|terminate)"
)
_END_LEAD = re.compile(
    rf"\b(?:{_END_VERB}(?: (?:your|the|a|an|this|that|it|its|off|answer|response|reply|letter|"
rf"story|poem|text|essay|entire|whole|speech|message|email|final|with|up|on|by|after|when|"
rf"in|is|required|to|just|everything|should|must|be|article|post|summary|output|of|and|"
rf"fable|song|review|blog|line|rap|riddle|dialogue|itinerary|resume|proposal|pitch|"
rf"script)){{0,8}} ?(?::|,)?"
    r"(?: (?:with|by|on|after|in|saying|writing|using|the|this|these|exact|exactly|same|very|"
r"following|phrase|phrases|words?|sentence|line|question|statement|to|say|of|expression|"
r"catchphrase|specific|closing|final|as|follows|only|and|is|it|,|:)){0,9}"
    r"|\b(?:the )?(?:very )?(?:last|final|closing|ending) (?:words?|sentence|line|phrase|"
r"thing|part|statement|question)(?: (?:of|in|you|say|write|the|your|whole|entire|response|"
r"answer|reply|text|story|letter|email|output|essay|poem|that|article))*"
    r"(?: (?:should|must|has to|have to|needs to|is|are|will|shall|to|be|read|say|exactly|as|"
r"follows|the|this|phrase|exact|words?|sentence|which|only|fixed|:|,)){1,8}"
    r"|\b(?:one fixed way to end this|how should it end)\b(?: (?:,|and|it|is|:|\?|with))*"
    r"|\bend of (?:your|the|this) \w+(?: (?:should|must|has to|needs to|reads?|be|say|is|to|"
r"exactly|this|:|the|phrase|words?)){1,6}"
    r"|\brequired (?:ending|closing) :"
    r"|\bending :|\bclosing phrase , which is :|\bsay,? ?:?) (?=\S)"
)  # fmt: skip
_AT_END_AFTER = re.compile(
    r"^ ?,?(?: (?:has|have|should|must|needs|to|is|are|be|as|the|appear|come|stand|comes|at|"
    r"your|its)){0,6} (?:very )?(?:last thing|last words?|last sentence|final words?|final "
    r"sentence|the end of (?:what|your|the)|very end|end of (?:what|your|the)|and nothing "
    r"(?:more|else)|and add nothing|and stop there)\b"
)
_AT_END_BEFORE = re.compile(r"\b(?:at the (?:very )?end|the (?:very )?end of (?:your|the|this) \w+)\b(?: \S+){0,6} $")
_OF_PARTS = re.compile(
    r"\b(?:each|every|all|any) (?:\w+ )?(?:sentences?|paragraphs?|lines?|sections?|bullets?|"
    r"stanzas?|verses?|items?|questions?)\b|\bquestion marks?\b"
)


def end_checker(reading: Reading) -> Findings:
    """Words that end the reply."""
    for sentence in requests(
        reading, r"\b(?:end\w*|finish\w*|conclu\w*|clos\w*|last|final|wrap up|sign off|stop\w*|nothing)\b"
    ):
        form = sentence.form
        if _OF_PARTS.search(form) or re.search(r"\bp\.s\.|\bpostscript|\bafterthought|\bremark\b", form):
            continue
        found = _quoted_end(reading, sentence) or _plain_end(reading, sentence) or _end_below(reading, sentence)
        if found is not None:
            phrase, first, last = found
            yield "startend:end_checker", {"end_phrase": phrase}, reading.clause(sentence, first, last), 1.0


def _end_below(reading: Reading, sentence: Sentence) -> tuple[str, int, int] | None:
    """The line below a sentence such as "Finish with:"."""
    match = re.search(
        rf"\b{_END_VERB}\b[^:]{{0,90}} (?:with|by|on|phrase|words?|sentence|line|following|follows) :$", sentence.form
    )
    if match is None:
        return None
    line = reading.text[sentence.stop : sentence.stop + 400].strip().partition("\n")[0].strip()
    return (line.strip("\"'"), match.start(), match.end()) if 0 < len(line.split()) <= 25 else None


def _quoted_end(reading: Reading, sentence: Sentence) -> tuple[str, int, int] | None:
    form = sentence.form
    for match in re.finditer(r"«(\d+)»", form):
        text = reading.quotes[int(match.group(1))].text.strip()
        if not re.search(r"\w", text) or len(text) > 400 or _MARK.match(text):
            continue
        before, after = form[max(match.start() - 200, 0) : match.start()], form[match.end() : match.end() + 100]
        if _led_to(before) or _placed_last(before, after):
            return text, match.start(), match.end()
    return None


def _led_to(before: str) -> bool:
    """Whether the words before a quotation lead to it as what comes last."""
    leads = list(_END_LEAD.finditer(before + "«"))
    return bool(leads) and leads[-1].end() >= len(before) and not leads[-1].group().startswith("say")


def _placed_last(before: str, after: str) -> bool:
    """Whether a quotation is said to stand at the end."""
    if _AT_END_AFTER.search(after) or _AT_END_BEFORE.search(before):
        return True
    if re.search(r"at the (?:very )?end", after) and re.search(r"\bend\b", after[:40]):
        return bool(re.search(r"\b(?:say|write|with|add|put|phrase|sentence|words?) $", before))
    alone = re.search(r"\band nothing (?:more|else|after|should follow)|no other words", after)
    return bool(alone and re.search(r"\b(?:write|say|ending) $", before))


def _plain_end(reading: Reading, sentence: Sentence) -> tuple[str, int, int] | None:
    """Words without quotation marks: after a colon, or after "with the words", up to the end of the sentence."""
    if "«" in sentence.form:
        return None
    match = re.search(
        rf"(?:\b{_END_VERB}\b|\blast\b|\bfinal\b|\bclosing phrase\b|\bway to end\b|\bstop after\b)[^:]{{0,90}} : |"
        rf"\b{_END_VERB} (?:\S+ ){{0,4}}?with (?:the |these |this )?(?:exact |following |final |"
        rf"closing )?(?:phrase|words|word|sentence|line|question) (?::)? ?",
        sentence.form,
    )
    if match is None or match.end() >= len(sentence.form):
        return None
    if re.search(r"\b(?:paragraph|bullet|section|title|format|postscript)", match.group()):
        return None
    phrase = reading.raw(sentence, match.end(), len(sentence.form)).strip()
    words = phrase.split()
    if not 1 <= len(words) <= 25:
        return None
    return phrase, match.start(), len(sentence.form)


_MARK = re.compile(r"(?<![\w.])(?:P\.[ ]?P\.[ ]?S\b\.?|P\.[ ]?S\b\.?|PPS\b|PS\b(?!\w))", re.IGNORECASE)
_PLACES_MARK = re.compile(
    r"\b(?:note|remark|line|comment|afterthought|add|end|finish|close|include|ps|with an?|bottom|marker)\b"
)
_ADDS = re.compile(
    r"\b(?:add\w*|includ\w+|append\w*|end\w*|finish\w*|close\w*|closing|conclu\w*|put|write|"
    r"leave|need\w*|needs|should|must|has to|have|contain\w*|start\w*|begin\w*|"
    r"introduc\w*|mark\w*|label\w*|flagged|expect|would like|there|bottom|attach|tack|"
    r"required|make sure|comes|yes|follow\w*|with|insert|provide|under)\b"
)


def postscript(reading: Reading) -> Findings:
    """A postscript and its marker; without one it is taken to be P.S."""
    for sentence in requests(reading, r"\bpostscripts?\b|\bpost script\b|p\.s\.|«|\bafterthought\b"):
        form = sentence.form
        named = re.search(r"\bpost ?scripts?\b", form)
        raw = reading.text[sentence.start : sentence.stop]
        mark = _MARK.search(raw)
        if not named and not (mark and _PLACES_MARK.search(form)):
            continue
        if not _ADDS.search(form) or re.match(r"(?:what|why)\b", form):
            continue
        if not mark and named:
            mark = _MARK.match(reading.plain, *_after_words(reading.plain, sentence.stop))
        if mark:
            marker = "P.P.S" if mark.group().lower().count("p") == 2 else "P.S."
        else:
            own = re.search(r"«(\d+)»", form)
            text = reading.quotes[int(own.group(1))].text.strip() if own else ""
            marker = text if text and len(text) <= 12 else "P.S."
        span = reading.clause(sentence, *(named.span() if named else (0, len(form))))
        yield "detectable_content:postscript", {"postscript_marker": marker}, span, 1.0 if mark else 0.6
        return


_INTRODUCES = re.compile(
    r"(?i:\s*(?:start|begin|introduce|mark|open|label) (?:it|this|that|the postscript) (?:with|by|as) [\"']?)"
)


def _after_words(plain: str, start: int) -> tuple[int, int]:
    """Where the mark of a postscript may stand in the sentence behind one that asks for it."""
    found = _INTRODUCES.match(plain, start)
    return (found.end(), found.end() + 8) if found else (len(plain), len(plain))
