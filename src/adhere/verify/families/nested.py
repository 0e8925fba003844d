"""Constraints made of constraints: all, any, none, some, chains, dependencies and conditions.

Their parameters hold checks as plain data, `{"kind": ..., "params": {...}, "phrase": ...}`, which may be nested
themselves, eight levels deep. What a part cannot judge is carried through by logic with three outcomes: `any` holds if
one part does, whatever the rest. Composition and the rule for dependent parts are ComplexBench's: a part that depends
on a failed one fails with it, and the score of a chain is the share of parts that count.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from adhere.core.errors import VerifierError
from adhere.core.record import Check
from adhere.core.verifier import Verdict
from adhere.verify.constraint import ConstraintType, Drawing, Example, Params
from adhere.verify.families import nested_wording as say
from adhere.verify.families.nested_parts import (
    Part,
    as_part,
    at_least,
    both,
    checked_size,
    chosen,
    demanded,
    dependent,
    either,
    judged_parts,
    negated,
    ordered,
    parts_of,
    rated,
    repaired,
    said_condition,
    said_of,
    said_part,
    said_parts,
    words_needed,
)
from adhere.verify.wording import counted, spelled

Judge = Callable[[Params, str, bool], Verdict]
Draw = Callable[[random.Random, Drawing], dict[str, Any] | None]
_NOTHING = "No further rule applies."
_LIGHT = (
    "punctuation:no_comma",
    "startend:end_checker",
    "detectable_format:title",
    "detectable_content:postscript",
    "detectable_format:number_highlighted_sections",
)
"""Types that a drawn composition is made of: they go together, and most replies can be made to pass them."""
_EXCLUDED = frozenset(
    {
        *(
            "nested",
            "startend",
            "punctuation",
            "combination",
            "change_case",
            "language",
            "opening",
            "lines",
            "lipogram",
        ),
        *("detectable_format", "detectable_content", "keywords:forbidden_words", "keywords:letter_frequency"),
    }
)


def _some_parts(params: Params) -> tuple[Part, ...]:
    checked_size(params)
    parts = parts_of(params["checks"])
    if not parts:
        raise VerifierError("expected one check or more inside of a nested one, found none", "Fill its `checks`.")
    return parts


# ---------------------------------------------------------------- all, any, none, at least


def _share(verdicts: Sequence[Verdict]) -> float:
    """The mean score of what was judged."""
    scores = [verdict.score for verdict in verdicts if verdict.passed is not None]
    return sum(scores) / len(scores) if scores else 0.0


def _with(outcome: bool | None, verdicts: Sequence[Verdict]) -> list[Verdict]:
    return [verdict for verdict in verdicts if verdict.passed is outcome]


def _judge_all(params: Params, reply: str, mended: bool) -> Verdict:
    parts = _some_parts(params)
    verdicts = judged_parts(parts, reply, mended)
    outcome = both(verdict.passed for verdict in verdicts)
    said = f"{len(_with(True, verdicts))} of {len(parts)} parts hold, wanted all"
    if not outcome:
        said += f"; {said_of(parts, verdicts, outcome)}"
    return rated(outcome, _share(verdicts), said, _with(outcome, verdicts))


def _judge_any(params: Params, reply: str, mended: bool) -> Verdict:
    parts = _some_parts(params)
    verdicts = judged_parts(parts, reply, mended)
    outcome = either(verdict.passed for verdict in verdicts)
    said = f"{len(_with(True, verdicts))} of {len(parts)} parts hold, wanted one or more"
    if not outcome:
        said += f"; {said_of(parts, verdicts, outcome)}"
    return rated(outcome, max(verdict.score for verdict in verdicts), said, _with(outcome, verdicts))


def _judge_none(params: Params, reply: str, mended: bool) -> Verdict:
    parts = _some_parts(params)
    verdicts = judged_parts(parts, reply, mended)
    holding = either(verdict.passed for verdict in verdicts)
    said = f"{len(_with(True, verdicts))} of {len(parts)} parts hold, wanted none"
    if holding is not False:
        said += f"; {said_of(parts, verdicts, holding)}"
    judged = [verdict for verdict in verdicts if verdict.passed is not None]
    score = len(_with(False, verdicts)) / len(judged) if judged else 0.0
    return rated(negated(holding), score, said, _with(holding, verdicts))


def _judge_at_least(params: Params, reply: str, mended: bool) -> Verdict:
    parts, count = _some_parts(params), params["count"]
    if not 1 <= count <= len(parts):
        raise VerifierError(
            f"nested:at_least: expected a count from 1 to {len(parts)}, found {count}", "There are no more checks."
        )
    verdicts = judged_parts(parts, reply, mended)
    outcome = at_least(count, [verdict.passed for verdict in verdicts])
    best = sorted((verdict.score for verdict in verdicts), reverse=True)[:count]
    said = f"{len(_with(True, verdicts))} of {len(parts)} parts hold, wanted at least {count}"
    if not outcome:
        said += f"; {said_of(parts, verdicts, outcome)}"
    found = rated(outcome, sum(best) / count, said, _with(outcome, verdicts))
    miss = len(_with(True, verdicts)) - count if outcome is False else 0
    return msgspec.structs.replace(found, miss=miss)


# ---------------------------------------------------------------- chain and graph


def _linked(params: Params) -> tuple[Part, ...]:
    """The parts of a chain, each depending on the one before."""
    return tuple(
        msgspec.structs.replace(part, depends_on=(at - 1,) if at else ()) for at, part in enumerate(_some_parts(params))
    )


def _graph_parts(params: Params) -> tuple[Part, ...]:
    parts = _some_parts(params)
    ordered(parts)  # refuses bad positions and circles
    return parts


def _judge_dependent(parts: tuple[Part, ...], reply: str, mended: bool) -> Verdict:
    verdicts = judged_parts(parts, reply, mended)
    counting = dependent([verdict.passed for verdict in verdicts], parts)
    outcome = both(counting)
    said = f"{counting.count(True)} of {len(parts)} parts count"
    own = said_of(parts, verdicts, False)
    drawn_down = [
        str(at)
        for at, (verdict, counts) in enumerate(zip(verdicts, counting, strict=True), 1)
        if counts is False and verdict.passed is not False
    ]
    if own:
        said += f"; {own}"
    if drawn_down:
        said += f"; part {', '.join(drawn_down)} fails with what it depends on"
    if outcome is None:
        said += f"; {said_of(parts, verdicts, None)}"
    return rated(outcome, counting.count(True) / len(parts), said, _with(outcome, verdicts))


def _judge_chain(params: Params, reply: str, mended: bool) -> Verdict:
    return _judge_dependent(_linked(params), reply, mended)


def _judge_graph(params: Params, reply: str, mended: bool) -> Verdict:
    return _judge_dependent(_graph_parts(params), reply, mended)


# ---------------------------------------------------------------- selection


def _branches(params: Params) -> tuple[tuple[Part, ...], tuple[Part, ...], tuple[Part, ...]]:
    checked_size(params)
    when, then, otherwise = (parts_of(params[key]) for key in ("when", "then", "otherwise"))
    if not when or not (then or otherwise):
        raise VerifierError(
            "nested:selection: expected a condition (`when`) and a demand in `then` or `otherwise`, found none",
            "Fill in the checks; one of the two branches may stay empty.",
        )
    return when, then, otherwise


def _judge_selection(params: Params, reply: str, mended: bool) -> Verdict:
    """The condition is on the text given as `text`, or, where that is blank, on the reply."""
    when, then, otherwise = _branches(params)
    given = params["text"] if params["text"].strip() else reply
    conditions = judged_parts(when, given, mended)
    condition = both(verdict.passed for verdict in conditions)
    branches = [judged_parts(branch, reply, mended) for branch in (then, otherwise)]
    first, second = (both(verdict.passed for verdict in branch) for branch in branches)
    outcome = chosen(condition, first, second)
    if condition is None:
        said = f"the condition is not judged: {said_of(when, conditions, None)}"
        both_ways = [verdict for branch in branches for verdict in branch]
        return rated(outcome, min(map(_share, branches)), said, _with(outcome, both_ways))
    parts, verdicts = (then, branches[0]) if condition else (otherwise, branches[1])
    said = f"the condition {'holds' if condition else 'does not hold'}"
    if not parts:
        return Verdict(True, 1.0, f"{said}, and then nothing is asked", vacuous=True)
    said += f"; {said_of(parts, verdicts, outcome)}"
    return rated(outcome, _share(verdicts), said, _with(outcome, verdicts))


def _repair_selection(params: Params, reply: str) -> str | None:
    """The branch in force is repaired; a repair that turns the condition over is tried on the other branch once."""
    _, then, otherwise = _branches(params)
    for branch in (then, otherwise):
        fixed = repaired(branch, reply) if branch else reply
        if fixed is not None and _judge_selection(params, fixed, False).passed:
            return fixed
    return None


def _selection_words(params: Params) -> dict[str, str]:
    when, then, otherwise = _branches(params)
    condition = said_condition(when)
    if params["text"].strip():
        condition = f"for the text <<{params['text'].strip()}>> {condition}"
    return {
        "when": condition,
        "then": said_parts(then) if then else _NOTHING,
        "otherwise": said_parts(otherwise) if otherwise else _NOTHING,
    }


# ---------------------------------------------------------------- repair and words of the others


def _repair_all(params: Params, reply: str) -> str | None:
    return repaired(_some_parts(params), reply)


def _repair_some(params: Params, reply: str) -> str | None:
    """What holds already is kept, and as many others are repaired as are missing; the next ones where that fails."""
    parts, count = _some_parts(params), params.get("count", 1)
    verdicts = judged_parts(parts, reply)
    holding = [part for part, verdict in zip(parts, verdicts, strict=True) if verdict.passed]
    others = [part for part, verdict in zip(parts, verdicts, strict=True) if not verdict.passed]
    missing = max(count - len(holding), 0)
    for at in range(len(others) - missing + 1):
        fixed = repaired([*holding, *others[at : at + missing]], reply)
        if fixed is not None:
            return fixed
    return None


def _parts_words(params: Params) -> dict[str, str]:
    return {"parts": said_parts(_some_parts(params))}


def _at_least_words(params: Params) -> dict[str, str]:
    return {"parts": said_parts(_some_parts(params)), **counted(params["count"])}


def _graph_words(params: Params) -> dict[str, str]:
    said = []
    for at, part in enumerate(_graph_parts(params), 1):
        needs = " and ".join(f"({index + 1})" for index in part.depends_on)
        said.append(f"({at}) {said_part(part.check)}" + (f" This needs {needs}." if needs else ""))
    return {"parts": " ".join(said)}


# ---------------------------------------------------------------- drawing


def _light(rng: random.Random, drawing: Drawing, count: int) -> list[Check] | None:
    """Checks of different light types that go together, or None."""
    from adhere.verify.catalogue import ALL_TYPES
    from adhere.verify.conflicts import compatible

    found: list[Check] = []
    for name in rng.sample(_LIGHT, len(_LIGHT)):
        params = ALL_TYPES[name].draw(rng, drawing)
        if params is None:
            continue
        check = ALL_TYPES[name].write(rng, params)
        if compatible([*found, check]):
            found.append(check)
        if len(found) == count:
            return found
    return None


def _draw_parts(low: int, high: int) -> Draw:
    def draw(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
        found = _light(rng, drawing, rng.randint(low, high))
        return {"checks": [as_part(check) for check in found]} if found else None

    return draw


def _draw_at_least(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
    found = _light(rng, drawing, 3)
    return {"count": 2, "checks": [as_part(check) for check in found]} if found else None


def _draw_graph(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
    found = _light(rng, drawing, 3)
    if not found:
        return None
    needs = rng.choice((((), (0,), (0,)), ((), (), (0, 1)), ((), (0,), (0, 1))))
    return {"checks": [as_part(check, after) for check, after in zip(found, needs, strict=True)]}


def _long(rng: random.Random, drawing: Drawing) -> Check:
    """A condition on the length of the answer, in words that follow "if"."""
    bound = max(10, round(drawing.answer_words * rng.choice((0.5, 0.8, 1.0)) / 10) * 10)
    said = rng.choice(("your answer has {} words or more", "your answer is {} or more words long"))
    return Check("length_constraints:number_words", {"relation": "at least", "num_words": bound}, said.format(bound))


def _draw_none(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
    options = [
        Check("startend:quotation", {}, "your answer stands in quotation marks as a whole"),
        Check("detectable_format:title", {}, "your answer has a title in double angle brackets"),
        Check("detectable_content:postscript", {"postscript_marker": "P.S."}, "your answer has a part marked P.S."),
    ]
    count = rng.randint(1, 3)
    said = f"your answer highlights {spelled(count)} or more parts with *asterisks*"
    options.append(Check("detectable_format:number_highlighted_sections", {"num_highlights": count}, said))
    found = rng.sample(options, rng.randint(2, 3))
    return {"checks": [as_part(check) for check in found]}


def _draw_selection(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
    found = _light(rng, drawing, 2)
    if not found:
        return None
    then, otherwise = ([as_part(check)] for check in found)
    return {"when": [as_part(_long(rng, drawing))], "text": "", "then": then, "otherwise": otherwise}


# ---------------------------------------------------------------- the types


def _nested(  # one row of a table rather than logic
    name: str,
    judge: Judge,
    wording: tuple[tuple[str, ...], tuple[str, ...]],
    draw: Draw,
    repair: Callable[[Params, str], str | None] | None,
    examples: tuple[Example, ...],
    words: Callable[[Params], dict[str, str]] = _parts_words,
) -> ConstraintType:
    parameters: dict[str, type | tuple[type, ...]] = {"checks": (list, tuple)}
    if name == "nested:at_least":
        parameters = {"count": int, **parameters}
    elif name == "nested:selection":
        parameters = {"when": (list, tuple), "text": str, "then": (list, tuple), "otherwise": (list, tuple)}
    together = name in ("nested:all", "nested:chain", "nested:graph")
    return ConstraintType(
        id=name,
        family="nested",
        parameters=parameters,
        phrasings=wording[0],
        heldout_phrasings=wording[1],
        verify=lambda params, reply: judge(params, reply, False),
        mended=lambda params, reply: judge(params, reply, True),
        draw=draw,
        repair=repair,
        words=words,
        excludes=_EXCLUDED,
        demands=lambda params: demanded(_some_parts(params)) if together else (),
        least_words=lambda params: words_needed(_some_parts(params)) if together else 0,
        examples=examples,
    )


def _has(word: str, *after: int) -> dict[str, Any]:
    return as_part(Check("keywords:existence", {"keywords": [word]}, f'Use the word "{word}".'), after)


_NO_COMMA = as_part(Check("punctuation:no_comma", {}, "Write without commas."))
_FIVE_WORDS = as_part(
    Check(
        "length_constraints:number_words", {"relation": "at least", "num_words": 5}, "your answer has at least 5 words"
    )
)

TYPES: tuple[ConstraintType, ...] = (
    _nested(
        "nested:all",
        _judge_all,
        (say.ALL, say.ALL_HELDOUT),
        _draw_parts(2, 3),
        _repair_all,
        (
            Example(
                {"checks": [_has("rain"), _NO_COMMA]}, "The rain falls.", ("The sun shines.", "The rain, it falls.")
            ),
        ),
    ),
    _nested(
        "nested:any",
        _judge_any,
        (say.ANY, say.ANY_HELDOUT),
        _draw_parts(2, 3),
        _repair_some,
        (Example({"checks": [_has("rain"), _has("snow")]}, "Soon snow falls.", ("Hail falls.", "It r-ains.")),),
    ),
    _nested(
        "nested:none",
        _judge_none,
        (say.NONE, say.NONE_HELDOUT),
        _draw_none,
        None,
        (Example({"checks": [_has("rain"), _has("snow")]}, "Hail falls.", ("Rain falls.", "Hail and snow fall.")),),
    ),
    _nested(
        "nested:at_least",
        _judge_at_least,
        (say.AT_LEAST, say.AT_LEAST_HELDOUT),
        _draw_at_least,
        _repair_some,
        (
            Example(
                {"count": 2, "checks": [_has("rain"), _has("snow"), _has("hail")]},
                "After rain comes hail.",
                ("After rain comes sun.", "Sun."),
            ),
        ),
        _at_least_words,
    ),
    _nested(
        "nested:chain",
        _judge_chain,
        (say.CHAIN, say.CHAIN_HELDOUT),
        _draw_parts(2, 3),
        _repair_all,
        (
            Example(
                {"checks": [_has("rain"), _has("snow"), _NO_COMMA]},
                "After rain comes snow.",
                ("After sun comes snow.", "After rain comes sun.", "After rain, there comes snow."),
            ),
        ),
    ),
    _nested(
        "nested:graph",
        _judge_graph,
        (say.GRAPH, say.GRAPH_HELDOUT),
        _draw_graph,
        _repair_all,
        (
            Example(
                {"checks": [_has("rain"), _has("snow", 0), _has("hail", 0, 1)]},
                "Rain, snow and hail.",
                ("Snow and hail.", "Rain and hail.", "Rain and snow."),
            ),
        ),
        _graph_words,
    ),
    _nested(
        "nested:selection",
        _judge_selection,
        (say.SELECTION, say.SELECTION_HELDOUT),
        _draw_selection,
        _repair_selection,
        (
            Example(
                {"when": [_FIVE_WORDS], "text": "", "then": [_NO_COMMA], "otherwise": [_has("rain")]},
                "The long answer has no such mark.",
                ("The long answer, however, has one.", "Short answer.", "Snow."),
            ),
            Example(
                {"when": [_has("rain")], "text": "Does rain help?", "then": [_has("yes")], "otherwise": [_has("no")]},
                "Yes.",
                ("No.", "Rain."),
            ),
        ),
        _selection_words,
    ),
)
"""Seven ways of putting constraints together."""
