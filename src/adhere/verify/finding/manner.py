"""Rules for manner: commas, quotation marks, JSON, titles, fixed answers, two answers, repeating the request."""

from __future__ import annotations

import re

from adhere.verify.finding.cues import NEGATED, QTY, quantity, requests
from adhere.verify.finding.found import Findings
from adhere.verify.finding.reading import Reading, Sentence

# ---------------------------------------------------------------- commas

_COMMA = re.compile(r"\bcommas?\b(?! (?:separated|delimited|splice|separator))")
_COMMA_KEPT = re.compile(
    r"\bnot (?:forget|only|omit|skip|leave out|worry)\b|\bwhether or not\b|\bspaces? (?:after|"
    r"before)\b|\bafter (?:each|every|the) comma|"
    r"\bcommas? (?:between|after|before)\b|\b(?:remove|replace|delete|count|insert|add|"
    r"missing|separated by|separate .{0,40} (?:with|by)) (?:all |the |any |every |a "
    r")?commas?\b|"
    r"\bnot (?:use )?more than\b"
)


def no_comma(reading: Reading) -> Findings:
    """No commas."""
    for sentence in requests(reading, r"\bcommas?\b"):
        for match in _COMMA.finditer(sentence.form):
            start = max(match.start() - 120, 0)
            around = sentence.form[start : match.end() + 80]
            zero = any(quantity(reading, place).high == 0 for place in re.findall(QTY, around))
            if not (zero or NEGATED.search(around)) or _COMMA_KEPT.search(around):
                continue
            yield "punctuation:no_comma", {}, reading.clause(sentence, *match.span()), 1.0
            break


# ---------------------------------------------------------------- quotation, JSON, title

_QUOTES = re.compile(
    r"\b(?:double )?quot(?:ation|e|es|ations) ?(?:marks?|signs?|symbols?)?\b|(?<!\S)\"(?!\S)|\bquotation\b"
)
_AROUND = re.compile(
    r"\b(?:wrap\w*|enclos\w*|surround\w*|put|place\w*|inside|within|between|in|around|quote|"
    r"encas\w*|encapsulat\w*|both|at both ends|begin\w*|start\w*|open\w*|opens|treat|go "
    r"around|stands?|contained|with|"
    r"bracket\w*|character)\b"
)
_EVERYTHING = re.compile(
    r"\b(?:entire|whole|complete|full|all of (?:it|your)|everything|your (?:response|answer|"
    r"reply|output|text|story)|the (?:response|answer|reply|output|text)|both ends|first and "
    r"the last|"
    r"begin and end|begins and ends|start and end|starts and ends|start with|opens? and "
    r"closes?|what you say|front|the entire|no character|open the|all your|the whole|it)\b"
)
_QUOTES_ELSE = re.compile(
    r"\b(?:title|name|keyword|phrase|word|words|exact phrase|sentence) (?:\S+ ){0,3}?(?:in|"
    r"inside|within|between) (?:double )?quot|\b(?:no|not|never|avoid|without) (?:\S+ "
    r"){0,4}?(?:double )?quot(?:ation|es)|"
    r"\bwithout quotation|\bquote (?:nothing|three|two|a|an|some|at least)\b|\bquote ‹|"
    r"\bquotes? (?:from|by|about)\b|\bopening (?:by )?quoting|\binspirational quotes?|"
    r"\bfamous quotes?"
)


def quotation(reading: Reading) -> Findings:
    """The whole reply within double quotation marks."""
    for sentence in requests(reading, r"\bquot|(?<!\S)\"(?!\S)"):
        form = sentence.form
        match = _QUOTES.search(form)
        if match is None or _QUOTES_ELSE.search(form):
            continue
        plain_mark = match.group() in ('"', "quote", "quotes", "quotation", "quotations")
        if plain_mark and not re.search(
            r"double|marks?\b|wrap|surround|enclos|both|character|start with|opens? and|full|entire|whole", form
        ):
            continue
        if re.search(r"format : «\d+» , including the quotation marks", form) or (
            _AROUND.search(form) and _EVERYTHING.search(form)
        ):
            yield "startend:quotation", {}, reading.clause(sentence, *match.span()), 1.0
            return


_JSON = re.compile(
    r"\b(?:in|as|using|use|into|with|valid|via|only|of|is|expects|through|be|single|one|to|"
    r"output|return|no|by|an?|the|wrapped|format|formatted) (?:(?:a|an|the|one|single|valid|"
    r"proper|pure|well formed|of|structured|format|form|raw|whole|only|‹\d+›) ){0,4}json\b"
    r"|\bjson (?:format|object|only|array|block|document|output|structure|string|value|parser|"
    r"code block)\b|\bjson$|(?:: |machine readable \( )json\b"
)
_JSON_TASK = re.compile(
    r"\b(?:parse|parses|parsing|read|reads|load|loads|convert (?:this|the|these|my)|function|"
    r"program|script|api endpoint|validate|difference|what is|debug|following json|this json|"
    r"json file|json files|tutorial|explain (?:what )?json|fix|schema for)\b"
)
_JSON_REPLY = re.compile(
    r"\b(?:answer|response|reply|output|result|respond|return|format\w*|wrap\w*|give|write|"
    r"put|express|deliver|present|use|provide|list|make sure|generate|create|structure|"
    r"describe|whole|entire|complete|should be|must be|want|as|"
    r"in|only|expects|send|parser|single|value)\b"
)


def json_format(reading: Reading) -> Findings:
    """The whole reply as JSON."""
    for sentence in requests(reading, r"\bjson\b"):
        form = sentence.form
        match = _JSON.search(form)
        if match is None or not _JSON_REPLY.search(form):
            continue
        if _JSON_TASK.search(form) and not re.search(
            r"\b(?:your|the) (?:\w+ )?(?:answer|response|reply|output)\b|\bwill read\b", form
        ):
            continue
        if re.search(r"\b(?:not|never|avoid|without|rather than|instead of) (?:\w+ ){0,3}json\b", form):
            continue
        yield "detectable_format:json_format", {}, reading.clause(sentence, *match.span()), 1.0
        return


_ANGLES = re.compile(
    r"<<|\bdouble angu?l?a?r?e?d? ?brackets?\b|\bdouble angular\b|\bangle brackets\b|"
    r"\bangular brackets\b|\bguillemets\b|\bdouble angle\b"
)
_NAMES_TEXT = re.compile(
    r"\b(?:titles?|titled|heading|headline|headed|name|called|caption|untitled|wrapp?e?d?|"
    r"header|songs?)\b|<< ?(?:title|poem|your|the)"
)


def title(reading: Reading) -> Findings:
    """A title in double angle brackets."""
    named = any(_NAMES_TEXT.search(sentence.form) for sentence in reading.sentences)
    for sentence in requests(reading, _ANGLES.pattern):
        match = _ANGLES.search(sentence.form)
        if (
            match is None
            or not named
            or re.search(r"\b(?:cout|cin|bash|heredoc|shift|operator)\b|\bc \+ \+", sentence.form)
        ):
            continue
        yield "detectable_format:title", {}, reading.clause(sentence, *match.span()), 1.0
        return


# ---------------------------------------------------------------- fixed answers, two answers, repeating

_FIXED = re.compile(
    r"\bmy answer is\b[^\n]{0,12}?(?:yes|no|maybe|x\b|\.\.\.|\[|_+|followed|…)|\bmy answer is[\"']", re.IGNORECASE
)


def constrained_response(reading: Reading) -> Findings:
    """One of the three fixed answers."""
    match = _FIXED.search(reading.plain)
    if match is None or not re.search(r"\b(?:yes|maybe)\b", reading.plain, re.IGNORECASE):
        return
    if not re.search(r"\b(?:maybe|no)\b", reading.plain, re.IGNORECASE):
        return
    yield "detectable_format:constrained_response", {}, match.span(), 1.0


_SIX = re.compile(r"(?<!\*)\*{6}(?!\*)|(?<![* ]) ?(?:\* ){5}\*(?! ?\*)")
_SIX_WORDS = re.compile(r"(?:‹(\d+)›|\bsix\b) (?:asterisk|star|\*)\w*")
_TWO = re.compile(
    r"\b(?:second|both|another|different|alternatives?|twice|versions?|options?|unlike|"
    r"distinct|either|variants?|response a|between|in between|separat\w+|divid\w+|apart|"
    r"split)\b|‹\d+›"
)


def two_responses(reading: Reading) -> Findings:
    """Two different answers with six asterisks between them."""
    raw = _SIX.search(reading.plain)
    if raw is None and not any(_six_named(reading, sentence) for sentence in reading.sentences):
        return
    for sentence in reading.sentences:
        here = raw is not None and sentence.start <= raw.start() < sentence.stop
        if here or _six_named(reading, sentence):
            if _says_two(reading):
                yield "combination:two_responses", {}, (sentence.start, sentence.stop), 1.0
            return


def _six_named(reading: Reading, sentence: Sentence) -> bool:
    return any(
        quantity(reading, match.group(1)).value == 6 for match in _SIX_WORDS.finditer(sentence.form) if match.group(1)
    )


_SEPARATES = re.compile(
    r"\bseparate (?:the |your )?\w+ and (?:the )?(?:\w+ ){1,2}(?:with|by|using)\b|\bseparate them\b"
)


def _says_two(reading: Reading) -> bool:
    if any(_SEPARATES.search(sentence.form) for sentence in reading.sentences):
        return True
    two = any(one.value == 2 for one in reading.quantities)
    return two or any(
        re.search(r"\b(?:second|another|both|two|twice|response b|not identical|differs?)\b", sentence.form)
        for sentence in reading.sentences
    )


_REPEAT = re.compile(
    r"\b(?:repeat(?:ing|ed|s)?|restat\w+|copy(?:ing)?|copied|echo\w*|reproduc\w+|re ?write|"
    r"reappear|quot(?:e|ing)|say|type|write|writing|opening|open|full text|exact copy)\b"
)
_REQUEST = re.compile(
    r"\b(?:the |this |my |whole |entire |above |following |exact |original |full "
    r")*(?P<what>requests?|prompts?|questions?|instructions?|sentences?|query|task|text|"
    r"phrase|message|words)(?: (?P<where>above|below|again))?\b|\brequest «|\babove\b"
)
_FAITHFUL = re.compile(
    r"\b(?:word (?:for|by) word|verbatim|exactly|exact|without (?:change|any change|changing|"
    r"changes|altering|alteration)|unchanged|unaltered|no word|none of its words|keeping "
    r"every word|same words|as (?:it is|written|it stands|given|is)|"
    r"not (?:change|alter)|letter (?:by|for) letter|first|before|then|above|below|again|after that|and only then)\b"
)
_THING = re.compile(r"«|\b(?:first line|request|prompt|question|instruction|query|sentence|task|message|phrase)s?\b")


def repeat_prompt(reading: Reading) -> Findings:
    """The request repeated word for word before the answer."""
    for sentence in requests(reading, _REPEAT.pattern):
        form = sentence.form
        if not _THING.search(form) or not _FAITHFUL.search(form) or not _repeats(form):
            continue
        text = _repeated(reading, sentence)
        if text:
            yield "combination:repeat_prompt", {"prompt_to_repeat": text}, (sentence.start, sentence.stop), 1.0
            return


def _repeats(form: str) -> bool:
    """Whether what is repeated is the request, and it is the answer that repeats it."""
    if re.search(
        r"\b(?:not|never|avoid|without) (?:\w+ )?(?:repeat|restat|copy|echo)\w*\b(?! this (?:sentence|line))", form
    ) and not re.search(r"\b(?:first|before)\b", form):
        return False
    strong = re.search(
        r"\b(?:repeat(?:ing|ed)?|restat\w+|copy(?:ing)?|copied|echo|reproduce)\b(?: (?:out|back|"
        r"and|to|me|exactly|verbatim|me,|first|only|just))*(?: \S+){0,6}? (?:request|prompt|"
        r"question|instruction|query|sentence|task|message|phrase|«)",
        form,
    )
    named = re.search(
        r"\b(?:request|prompt|question|instruction|query|sentence|task|message) (?:above|below|"
        r"again)\b|\b(?:above|below|following) (?:request|prompt|question|instruction|"
        r"sentence)\b.{0,60}\b(?:repeat|copy|verbatim|word)|\b(?:repeat|copy|restate|"
        r"echo)\w*\b.{0,60}\b(?:above|below|following) (?:request|prompt|question|instruction|"
        r"sentence)\b|\brepeat «|\brepeat (?:\w+ )?(?:the )?first line\b",
        form,
    )
    if strong and not named:
        return bool(
            re.search(
                r"\bword (?:for|by) word|verbatim|exactly|without (?:\w+ )?chang|unchanged|before|first|"
                r"as (?:it is|written)|then answer|above|as is\b",
                form,
            )
        )
    return bool(named)


def _repeated(reading: Reading, sentence: Sentence) -> str:
    """The text to repeat: a quotation in the sentence, or what stands above it, or below."""
    named = re.search(
        r"\b(?:request|prompt|question|instruction|sentence|text|following|repeat|copy)s?(?: \w+){0,3}? ?:? «(\d+)»",
        sentence.form,
    )
    if named:
        return reading.quotes[int(named.group(1))].text.strip()
    if re.search(r"\bfirst line\b", sentence.form):
        return reading.text.strip().partition("\n")[0].strip()
    above = reading.text[: _line_head(reading, sentence)].strip()
    rest = reading.text[sentence.stop :]
    below = rest.partition("\n\n")[2].strip() or rest.partition("\n")[2].strip() or rest.strip()
    if re.search(r"\b(?:below|following)\b", sentence.form):
        return below or above
    return above or below


def _line_head(reading: Reading, sentence: Sentence) -> int:
    """Where the sentence starts, its list mark and bracket included."""
    head = reading.text.rfind("\n", 0, sentence.start) + 1
    lead = reading.text[max(head, sentence.start - 12) : sentence.start]
    return (
        head
        if head >= sentence.start - 12 and not re.search(r"[A-Za-z]{2}", lead)
        else sentence.start - (lead.endswith("("))
    )
