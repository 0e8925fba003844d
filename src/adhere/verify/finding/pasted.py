"""Where an instruction holds pasted input: text that is to be worked on and not obeyed.

Fenced blocks, triple quotes, and what stands after a label such as `Text:` or after a line like `Shorten the
following email:`. Such input ends where the instruction resumes: at a blank line before a paragraph that talks to the
writer. Every pattern is anchored or bounded, so the work is linear in the length of the instruction.
"""

from __future__ import annotations

import re
from bisect import bisect_left

_NOUNS = (
    "text|passage|article|email|e-mail|letter|story|poem|document|essay|report|message|review|code|transcript|dialogue|"
    "conversation|excerpt|note|speech|post|resume|description|abstract|draft|context|input|data|content|paragraph|"
    "sentence|summary|lyrics|statement|question|original|source|table|program|function|recipe|log|diary entry"
)
_LABEL = re.compile(
    rf"^[ \t>*#]{{0,8}}(?:the |my |this |here is the )?(?:input |source |original |given )?(?:{_NOUNS})[ \t*]{{0,4}}:",
    re.IGNORECASE | re.MULTILINE,
)
_WORK = (
    "summari[sz]e|rewrite|rephrase|paraphrase|translate|correct|edit|proofread|shorten|improve|fix|read|analy[sz]e|"
    "critique|review|convert|condense|simplify|classify|explain|answer|extract|polish|judge|compare|grade|continue"
)
_ANNOUNCED = re.compile(
    rf"\b(?:(?:{_WORK})\b[^\n.!?:]{{0,80}}\b(?:following|below|this)\b[^\n.!?:]{{0,60}}"
    rf"|(?:following|below|this) (?:{_NOUNS})\b[^\n.!?:]{{0,40}}):[ \t]*(?=\n)",
    re.IGNORECASE,
)
# In these lines "following" announces words to use, not a text to work on.
_ASKS_FOR_WORDS = re.compile(
    r"\b(?:words?|keywords?|phrases?|terms?|end|finish|include|repeat|copy|answer with|one of|points|rules|"
    r"requirements|format|instructions|constraints|options)\b",
    re.IGNORECASE,
)
_RESUMES = re.compile(
    r"(?:[-*]|\(?\d{1,2}[.)])?[ \t]{0,4}(?:please|do not|don't|make sure|ensure|remember|note|also|additionally|write|"
    r"use|include|avoid|answer|respond|reply|end|finish|start|begin|keep|highlight|wrap|give|"
    r"add|put|limit|repeat|first|"
    r"summari[sz]e|translate|rewrite|explain|at least|at most|no|in your|requirements|rules|conditions|format|"
    r"your (?:\w+ )?(?:answer|response|reply|output|text|summary)|"
    r"the (?:\w+ )?(?:answer|response|reply|output|summary|word|words|letter))\b",
    re.IGNORECASE,
)
_TRIPLES = ('"""', "'''", "```", "~~~")


def pasted(text: str) -> list[tuple[int, int]]:
    """Half-open spans of pasted input, in order, without overlaps."""
    found = _fenced(text)
    blanks = [match.end() for match in re.finditer(r"\n[ \t]*\n\s*", text)]
    for pattern in (_LABEL, _ANNOUNCED):
        done = 0
        for match in pattern.finditer(text):
            if match.start() < done:
                continue
            if pattern is _ANNOUNCED and _ASKS_FOR_WORDS.search(match.group()):
                continue
            done = _resumed(text, match.end(), blanks)
            found.append((match.end(), done))
    return _merged(found)


def _fenced(text: str) -> list[tuple[int, int]]:
    found = []
    for mark in _TRIPLES:
        start = text.find(mark)
        while start >= 0:
            stop = text.find(mark, start + 3)
            if stop < 0:
                break
            if (
                stop - start > 3
                and not text[start:stop].strip("\"'`~").isspace()
                and (mark[0] in "\"'" or "\n" in text[start:stop])
            ):
                found.append((start, stop + 3))
            start = text.find(mark, stop + 3)
    return found


def _resumed(text: str, start: int, blanks: list[int]) -> int:
    """Where the instruction resumes after pasted input that starts at `start`."""
    head = start + len(text[start : start + 200]) - len(text[start : start + 200].lstrip())
    for at in blanks[bisect_left(blanks, head + 1) :]:
        if _RESUMES.match(text, at):
            return at
    return len(text)


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, stop in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        elif stop > start:
            merged.append((start, stop))
    return merged
