"""What an instruction or a reply is about: titles, nouns, and phrases worth stressing, without any model.

The rules are few and shallow on purpose: where an instruction does not have the form they know, there is no
title, and a plain one is taken instead of a clever wrong one.
"""

from __future__ import annotations

import re

from adhere.verify.pieces import is_rule, mark_length
from adhere.verify.text import carries_meaning, sentences

_MOST_TITLE_WORDS = 8
_MOST_QUESTION_WORDS = 10
_LONGEST_LINE = 2000  # what a line has beyond that is not looked at: a reply of one endless line is no prose
_SMALL_TEXT = """
a an and as at but by for from in into nor of on or out the to up with without over than
"""
_SMALL = frozenset(_SMALL_TEXT.split())
_LOOSE_ENDS_TEXT = """
is are was be that which who so if when how what about our your my their every each his her its
"""
_LOOSE_ENDS = _SMALL | frozenset(_LOOSE_ENDS_TEXT.split())
_PREPOSITIONS_TEXT = """
at by for from in into on to with without during before after inside together
"""
_PREPOSITIONS = frozenset(_PREPOSITIONS_TEXT.split())
_LEAD = re.compile(
    r"^(?:please|kindly|as [^,]{1,60},|in (?:brief|short),?|(?:could|can|would|will) you(?: please)?|briefly"
    r"|i (?:need|want|would like)(?: you to)?|help me(?: to)?|let us|let's|tell me(?: briefly)?|show me|give me)\s+",
    re.IGNORECASE,
)
_VERB = re.compile(
    r"^(?:explain|describe|list|name|write out|write up|write about|write|compose|create|draft|invent|plan|think of"
    r"|come up with|suggest|imagine|outline|set up|put together|propose|collect|design|discuss|compare|make up|make"
    r"|prepare|give|find|recommend|develop|sketch|produce|brainstorm|tell|present|devise)\b"
    r"(?: me| us| in (?:a few|simple|plain|your own) (?:words|terms|sentences)"
    r"| to (?:a|my|an) [\w\- ]{1,20}?(?= (?:how|why|what)))?\s+",
    re.IGNORECASE,
)
_QUESTION = re.compile(r"^(?:how|why|what|which|who|where|when)\b", re.IGNORECASE)
_CLOSED = re.compile(r"^(?:is|are|can|should|does|do|did|was|were|will|would|may|has|have)\b", re.IGNORECASE)
_ABOUT = re.compile(
    r"^(?:an? |the |some )?(?:[a-z\-]+ ){0,2}(?:story|tale|poem|verse|song|letter|speech|essay|report|article|post|text"
    r"|scene|dialogue|joke|riddle|blog|tweet|note|review|paragraph|limerick|haiku)s? (?:about|on the subject of) ",
    re.IGNORECASE,
)
_ENDS_PHRASE = re.compile(
    r"[,;:(\"“]| (?:that|which|who|whose|where|when|in which|so that|because|together with|along with|if|but|while"
    r"|and (?:what|how|why|which|whether|explain|describe|say|tell|give|can|give|is|are|what's)|saying|as if"
    r"|such as|from this|in this|of this|of these|below)\b"
)
_POINTS_AWAY = re.compile(r"\b(?:this|these|those|below|above|following|passage|it|them|him|her)\b", re.IGNORECASE)
_PLAIN_TITLES = (
    "A Short Answer",
    "In a Nutshell",
    "The Main Points",
    "At a Glance",
    "A Closer Look",
    "What It Comes Down To",
    "Worth Knowing",
    "The Long and the Short of It",
    "One Way to See It",
    "The Heart of the Matter",
    "Step by Step",
    "Food for Thought",
)
_TASK_TITLES = (
    (re.compile(r"\b(?:summar|sum up|gist|in brief|shorten|tighten)", re.IGNORECASE), ("A Short Summary", "In Brief")),
    (re.compile(r"\b(?:rewrite|reword|rephrase|simplify|improve|edit)", re.IGNORECASE), ("A New Version", "Rewritten")),
    (re.compile(r"\b(?:sort|classify|group|which of|put .{1,30} into)", re.IGNORECASE), ("All Sorted", "Sorted Out")),
    (re.compile(r"\b(?:extract|find|pick out|list every)", re.IGNORECASE), ("The Key Facts", "The Details")),
)


def titles(instruction: str) -> list[str]:
    """Short titles for an answer, best first: from the instruction's own words, then by the task, then plain ones."""
    found: list[str] = []
    for sentence in sentences(instruction.strip().partition("\n")[0])[:3]:
        title = _title_of(sentence)
        if title:
            found.append(title)
    by_task = [title for pattern, options in _TASK_TITLES if pattern.search(instruction[:300]) for title in options]
    start = sum(map(ord, instruction)) % len(_PLAIN_TITLES)
    return [*found, *by_task, *_PLAIN_TITLES[start:], *_PLAIN_TITLES[:start]]


def _title_of(sentence: str) -> str | None:
    """A title made of one sentence of an instruction, or None where its form is not known."""
    text = re.sub(r"\s+", " ", sentence).strip()
    while found := _LEAD.match(text):
        text = text[found.end() :]
    asks = text.endswith("?")
    text = text.rstrip(".!?: ")
    if verb := _VERB.match(text):
        text, asks = text[verb.end() :], False
    elif not (_QUESTION.match(text) or (asks and _CLOSED.match(text))):
        return None
    if about := _ABOUT.match(text):
        text = text[about.end() :]
    return _as_question(text, asks) if asks or _QUESTION.match(text) else _as_phrase(text)


def _as_question(text: str, asks: bool) -> str | None:
    clause = re.split(r"[,;:]| and (?:how|what|why|can|is|are|what's)\b", text)[0]
    mark = ""
    if found := re.match(r"(how|where|when) (?:do|can|could|should|would) (?:i|we|you|one) ", clause, re.IGNORECASE):
        clause = f"{found.group(1)} to {clause[found.end() :]}"
    elif found := re.match(r"(how|why|when) do ", clause, re.IGNORECASE):
        clause = f"{found.group(1)} {clause[found.end() :]}"
    elif asks:
        mark = "?"
    words = clause.split()
    if len(words) > _MOST_QUESTION_WORDS:
        cuts = [at for at in range(4, _MOST_QUESTION_WORDS + 1) if words[at].lower() in _PREPOSITIONS]
        words = words[: cuts[-1]] if cuts else []
    if len(words) < 2 or _POINTS_AWAY.search(re.sub(r"\b(?:is|does|was) it\b", "", " ".join(words).lower())):
        return None
    return _title_case(words) + mark


def _as_phrase(text: str) -> str | None:
    phrase = _ENDS_PHRASE.split(text)[0]
    if re.match(r"(?:that )?(?:i|you|we|he|she|they)\b|that\b", phrase, re.IGNORECASE):
        return None
    words = re.sub(r"^(?:an?|some|all|a few|a list of|ways of|\d+)\s+", "", phrase.strip(), flags=re.IGNORECASE).split()
    if _POINTS_AWAY.search(phrase) or not any(map(carries_meaning, words)):
        return None
    words = words[:_MOST_TITLE_WORDS]
    while words and words[-1].lower() in _LOOSE_ENDS:
        words.pop()
    return _title_case(words) if len(words) > 1 else None


def _title_case(words: list[str]) -> str:
    done = []
    for at, word in enumerate(words):
        inner = 0 < at < len(words) - 1 and word.lower() in _SMALL
        parts = [part if part in _SMALL else part[:1].upper() + part[1:] for part in word.split("-")]
        done.append(word.lower() if inner else "-".join([parts[0][:1].upper() + parts[0][1:], *parts[1:]]))
    return " ".join(done)


_BEFORE_NOUN = "the|an?|your|their|its|my|our|his|her|this|these|those|some|any|of|for|with|about|between|every|each"
_NOT_NOUN = re.compile(r"(?:ly|ing|ed|ful|ous|ive|able|ible|less|ish|ic|al)$")


def nouns(instruction: str) -> list[str]:
    """Words that most likely are nouns, lower case: those that close a phrase opened by an article or the like."""
    found: dict[str, None] = {}
    for words in _phrases(instruction.partition("\n")[0]):
        last = words[-1].lower()
        if last.isascii() and not _NOT_NOUN.search(last):
            found[last] = None
    return list(found)


def _phrases(text: str) -> list[list[str]]:
    """Runs of meaningful words right after an article, a possessive or a preposition, up to the next other word."""
    return [re.findall(r"[^\W\d_]+", text[start:end]) for start, end in _phrase_spans(text)]


def _phrase_spans(text: str) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for opener in re.finditer(rf"\b(?:{_BEFORE_NOUN})[ ](?=[^\W\d_])", text, re.IGNORECASE):
        start = end = opener.end()
        for word in re.finditer(r"([^\W\d_]+)( ?)", text[start : start + 120]):
            if word.start() + start != end + (end > start) or not carries_meaning(word.group(1), 3):
                break
            end = start + word.end(1)
            if not word.group(2):
                break
        following = re.match(r"(?: ([^\W\d_]+)|[.,;:!?)]|$)", text[end : end + 40])
        closed = following is not None and (not following.group(1) or following.group(1).lower() in _LOOSE_ENDS)
        if end > start and closed and text[start:end].count(" ") < 3:
            found.append((start, end))
    return found


def key_phrases(text: str) -> list[tuple[int, int]]:
    """Ranges worth stressing, best first: phrases, single nouns, other words, each spread over the text.

    Lines with asterisks other than a bullet mark, titles, text in brackets and postscript marks are left alone.
    """
    tiers: tuple[list[tuple[int, int]], ...] = ([], [], [])
    start = 0
    for whole in text.split("\n"):
        line = whole[:_LONGEST_LINE]
        first = mark_length(line)
        if "*" not in line[first:] and not is_rule(line):
            guarded = [m.span() for m in re.finditer(r"<<[^<>]*>>|\[[^\[\]]*\]", line)]
            named = _phrase_spans(line)
            spans = named + [(a, b) for a, b in _runs(line, first) if all(b <= c or a >= d for c, d in named)]
            for a, b in spans:
                if a >= first and all(b <= c or a >= d for c, d in guarded):
                    tiers[2 if (a, b) not in named else int(" " not in line[a:b])].append((start + a, start + b))
        start += len(whole) + 1
    return [span for tier in tiers for span in _spread(tier)]


def _runs(line: str, first: int) -> list[tuple[int, int]]:
    """Runs of up to three meaningful words, for lines without any article."""
    found = []
    for run in re.finditer(r"[^\W\d_]+(?: [^\W\d_]+){0,2}", line[first:]):
        kept = [word for word in re.finditer(r"[^\W\d_]+", run.group()) if carries_meaning(word.group())]
        if kept:
            found.append((first + run.start() + kept[0].start(), first + run.start() + kept[-1].end()))
    return found


def _spread(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The spans in an order that covers the text evenly however many are taken: halves, quarters, eighths."""
    order: list[tuple[int, int]] = []
    queue = [(0, len(spans))]
    while queue:
        low, high = queue.pop(0)
        if low < high:
            middle = (low + high) // 2
            order.append(spans[middle])
            queue += [(low, middle), (middle + 1, high)]
    return order
