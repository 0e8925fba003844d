"""All rules together: what the grammar finds in an instruction, in the order of the text."""

from __future__ import annotations

from collections.abc import Callable, Container

from adhere.core.record import Check
from adhere.verify.finding import amounts, case, endings, keywords, letters, manner, paragraphs
from adhere.verify.finding.found import Finding, Findings, Found
from adhere.verify.finding.reading import Reading, read

_RULES: tuple[Callable[[Reading], Findings], ...] = (
    keywords.keywords,
    letters.letter_frequency,
    endings.end_checker,
    endings.postscript,
    amounts.number_words,
    amounts.number_sentences,
    amounts.number_bullet_lists,
    amounts.number_highlighted_sections,
    amounts.number_placeholders,
    paragraphs.number_paragraphs,
    paragraphs.nth_paragraph_first_word,
    paragraphs.multiple_sections,
    manner.no_comma,
    manner.quotation,
    manner.json_format,
    manner.title,
    manner.constrained_response,
    manner.two_responses,
    manner.repeat_prompt,
    case.capital_word_frequency,
    case.whole_case,
    case.response_language,
)
_ENGLISH_CASE = frozenset({"change_case:english_capital", "change_case:english_lowercase"})


def by_grammar(instruction: str, kinds: Container[str]) -> tuple[Found, ...]:
    """The constraints of these kinds that the rules find in an instruction, ordered by span."""
    if not instruction.strip():
        return ()
    reading = read(instruction)
    findings = [finding for rule in _RULES for finding in rule(reading)]
    cased = any(kind in _ENGLISH_CASE for kind, *_ in findings)
    kept: dict[str, Found] = {}
    for kind, params, span, confidence in _settled(findings):
        if kind not in kinds or (cased and kind == "language:response_language" and params["language"] == "en"):
            continue
        check = Check(kind, params, instruction[span[0] : span[1]])
        kept.setdefault(f"{kind} {sorted(params.items())}".lower(), Found(check, span, confidence))
    return tuple(sorted(kept.values(), key=lambda found: (found.span, found.check.kind)))


def _settled(findings: list[Finding]) -> list[Finding]:
    """The findings without those that another one explains better: the words that end a reply are no keyword."""
    named = {
        str(params.get("end_phrase") or params.get("first_word")).lower()
        for kind, params, *_ in findings
        if kind in ("startend:end_checker", "length_constraints:nth_paragraph_first_word")
    }
    fixed = any(kind == "detectable_format:constrained_response" for kind, *_ in findings)
    kinds = {kind for kind, *_ in findings}
    capitals = {_count(params) for kind, params, *_ in findings if kind == "change_case:capital_word_frequency"}
    ruled = {
        params["num_paragraphs"]
        for kind, params, _, confidence in findings
        if kind == "length_constraints:number_paragraphs" and confidence < 1.0  # pieces of another name
    }
    nth = "length_constraints:nth_paragraph_first_word" in kinds
    settled = []
    for finding in findings:
        kind, params = finding[0], finding[1]
        if kind == "length_constraints:number_words" and _count(params) in capitals:
            continue
        if kind == "keywords:existence" and {word.lower() for word in params["keywords"]} & named:
            continue
        if (
            kind == "detectable_format:multiple_sections"
            and params["num_sections"] in ruled
            and params["section_spliter"].lower() != "section"
        ):
            continue
        if kind == "detectable_format:multiple_sections" and nth and params["section_spliter"].lower() == "paragraph":
            continue
        if kind == "startend:end_checker" and fixed and params["end_phrase"].lower() in ("yes", "no", "maybe"):
            continue
        if kind == "length_constraints:number_paragraphs" and nth:
            continue
        settled.append(finding)
    return settled


def _count(params: dict[str, object]) -> object:
    """The number of a bound."""
    return params.get("num_words", params.get("capital_frequency"))
