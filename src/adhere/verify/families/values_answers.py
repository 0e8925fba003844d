"""What the whole reply is: one of some options, a number in a range, a list in order; and sums that hold.

One of some options is what IFEval's family `detectable_format` asks for with its fixed answers, and belongs there.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from adhere.core.errors import VerifierError
from adhere.core.verifier import Verdict
from adhere.verify.constraint import ConstraintType, Drawing, Example, Params, failed, judged_range, passed
from adhere.verify.families import values_wording as say
from adhere.verify.families.given import LISTS, counted_as, names, pick
from adhere.verify.families.markdown_lines import Line, item_text, read
from adhere.verify.spans import first_spans
from adhere.verify.wording import listed

_COUNTS = range(1, 1001)
ABOUT_SUMS = r"\b(?:math|calculat|comput|add up|sum|total|average|budget|equation|arithmetic|multipl|divid)"
"""Instructions that an answer with numbers in it suits."""

# ---------------------------------------------------------------- one of some options

_PAIRS = (("Yes", "No"), ("Yes", "No", "Maybe"), ("True", "False"), ("Agree", "Disagree", "Unsure"))
_CLOSED = re.compile(r"(?:is|are|was|were|does|did|should|can|has|have)\b[^?\n]{1,200}\?$", re.IGNORECASE)


def _verify_option(params: Params, reply: str) -> Verdict:
    options, text = names(params, "options", "detectable_format:one_of"), reply.strip()
    if text in options:
        return passed(f"the whole reply is {text!r:.100}")
    loose = {name.casefold() for name in options}
    if text.rstrip(".!").strip("\"'*").casefold() in loose:
        return failed(f"{text!r:.100} is an option, but not letter for letter", 0.7)
    within = [name for name in options if name in text]
    said = f"{listed(within)} with other text around it" if within else f"none of {listed(options, 'or')}"
    return failed(f"the reply is {said}", 0.3 if len(within) == 1 else 0.0)


def _draw_option(rng: random.Random, drawing: Drawing) -> dict[str, object] | None:
    text = drawing.instruction.strip()
    return {"options": pick(rng, _PAIRS)} if _CLOSED.match(text) and " or " not in text else None


# ---------------------------------------------------------------- a number in a range

_NUMBER = re.compile(r"[+-]?\d{1,15}(?:\.\d{1,15})?")
_ASKS_NUMBER = re.compile(r"\b(?:how many|how much|rate|estimate|guess|percentage|score|how old|number of)\b", re.I)


def _verify_number(params: Params, reply: str) -> Verdict:
    low, high, text = params["low"], params["high"], reply.strip()
    if low > high:
        raise VerifierError(f"values:number_in_range: low {low} is above high {high}", "Give the smaller one first.")
    if not _NUMBER.fullmatch(text):
        within = len(re.findall(r"\d{1,15}", text[:1000])) == 1
        return failed("the reply is not a number alone", 0.4 if within else 0.0)
    value = Fraction(text)
    if low <= value <= high:
        return passed(f"{text} is between {low} and {high}")
    over = value - high if value > high else value - low
    score = 0.4 + 0.5 / (1 + float(abs(over)) / (high - low + 1))
    return failed(f"{text} is not between {low} and {high}", score, miss=int(over) or (1 if over > 0 else -1))


def _draw_number(rng: random.Random, drawing: Drawing) -> dict[str, object] | None:
    if not _ASKS_NUMBER.search(drawing.instruction):
        return None
    low, high = rng.choice(((1, 10), (0, 100), (1, 5), (1, 1000)))
    return {"low": low, "high": high}


# ---------------------------------------------------------------- a list in order

_ORDERS = ("alphabetical", "reverse alphabetical", "ascending", "descending")
_FIRST_NUMBER = re.compile(r"-?\d{1,15}(?:,\d{3}){0,4}(?:\.\d{1,15})?")


def _items(reply: str) -> list[tuple[Line, str]]:
    found = ((line, item_text(line.text)) for line in read(reply)[0])
    return [(line, text.strip(" *_`\"'")) for line, text in found if text is not None]


def _verify_sorted(params: Params, reply: str) -> Verdict:
    order, items = params["order"], _items(reply)
    spans = first_spans(line.span for line, _ in items)
    if len(items) < 2:
        return failed(f"{len(items)} list items, wanted at least two in {order} order", 0.1 * len(items), spans)
    keys: list[str] | list[Fraction]
    if order.endswith("alphabetical"):
        keys = [text.casefold() for _, text in items]
    else:
        numbers = [_FIRST_NUMBER.search(text) for _, text in items]
        if not all(numbers):
            return failed(f"{numbers.count(None)} of {len(items)} list items have no number", 0.2, spans)
        keys = [Fraction(found.group().replace(",", "")) for found in numbers if found]
    falls = order.startswith(("reverse", "desc"))
    wrong = [
        items[at + 1][0].span
        for at, (one, other) in enumerate(itertools.pairwise(keys))
        if (one < other if falls else one > other)  # type: ignore[operator]
    ]
    if not wrong:
        return passed(f"{len(items)} list items in {order} order", spans)
    said = f"{len(wrong)} of {len(items)} list items are out of {order} order"
    return failed(said, 0.3 + 0.6 * (1 - len(wrong) / (len(items) - 1)), first_spans(wrong), len(wrong))


def _repair_sorted(params: Params, reply: str) -> str | None:
    order = params["order"]
    lines = reply.split("\n")
    places = [at for at, line in enumerate(lines) if item_text(line) is not None]
    adjacent = len(places) >= 2 and places[-1] - places[0] == len(places) - 1
    # Numbered items keep their numbers' order, and sorting by numbers says too much about the content.
    if not adjacent or not order.endswith("alphabetical") or "```" in reply:
        return None
    if any(lines[at][:1].isspace() or lines[at][:1].isdigit() for at in places):
        return None
    texts = sorted(
        (lines[at] for at in places),
        key=lambda line: (item_text(line) or "").strip(" *_`\"'").casefold(),
        reverse=order.startswith("reverse"),
    )
    return "\n".join([*lines[: places[0]], *texts, *lines[places[-1] + 1 :]])


# ---------------------------------------------------------------- sums that hold

_AMOUNT = r"[$€£]?\d{1,12}(?:,\d{3}){0,3}(?:\.\d{1,9})?%?"
_TOKEN = re.compile(rf"(?P<amount>{_AMOUNT})(?![\w]|[.,]\d)|(?P<operator>\s?[-+*×·÷/−–]\s?| x )|(?P<equals>\s?=\s?)")
_MOST_TERMS = 20


class _Equation(NamedTuple):
    """Amounts and the operators between them, what they are said to be, and where all of it stands."""

    amounts: list[str]
    operators: list[str]
    stated: str
    span: tuple[int, int]


def _equations(reply: str) -> Iterator[_Equation]:
    """The equations of a reply in one walk over its numbers and signs; those of over twenty amounts are left out."""
    amounts: list[str] = []
    operators: list[str] = []
    start = stop = -1
    last = ""
    for found in _TOKEN.finditer(reply):
        kind, text = str(found.lastgroup), found.group().strip()
        joined = found.start() == stop
        stop = found.end()
        if kind == "amount" and joined and last in ("equals", "minus"):
            if operators and len(amounts) <= _MOST_TERMS:
                yield _Equation(amounts, operators, "-" * (last == "minus") + text, (start, stop))
            amounts, operators, start = [text], [], found.start()
        elif kind == "amount" and joined and last == "operator":
            amounts.append(text)
        elif kind == "amount" and not re.match(r"[\w.,]", reply[max(found.start() - 1, 0) : found.start()]):
            amounts, operators, start = [text], [], found.start()
        elif kind == "operator" and joined and last == "amount":
            operators.append(text)
        elif kind == "operator" and joined and last == "equals" and text in "-−–":
            kind = "minus"
        elif not (kind == "equals" and joined and last == "amount"):
            kind = ""
        last = kind


def _value(text: str) -> Fraction:
    return Fraction(text.strip("$€£%").replace(",", ""))


def _computed(equation: _Equation) -> tuple[Fraction, bool] | None:
    """The value of the amounts, products first, and whether something is divided; None for a division by zero."""
    terms, divides = [_value(equation.amounts[0])], False
    for operator, amount in zip(equation.operators, equation.amounts[1:], strict=True):
        value = _value(amount)
        if operator in "+-−–":
            terms.append(value if operator == "+" else -value)
        elif operator in "÷/":
            if not value:
                return None
            terms[-1] /= value
            divides = True
        else:
            terms[-1] *= value
    return sum(terms, Fraction(0)), divides


def _holds(equation: _Equation) -> bool:
    computed = _computed(equation)
    if computed is None:
        return False
    value, divides = computed
    stated = equation.stated.strip("$€£%")
    places = len(stated.partition(".")[2])
    # A quotient may be rounded to the digits that are written.
    slack = Fraction(1, 2 * 10**places) if divides else Fraction(0)
    return abs(value - _value(stated)) <= slack


def _verify_sums(params: Params, reply: str) -> Verdict:
    wanted = params["num_equations"]
    good: list[tuple[int, int]] = []
    bad: list[tuple[int, int]] = []
    for equation in _equations(reply):
        (good if _holds(equation) else bad).append(equation.span)
    if bad:
        said = f"{len(bad)} equations do not hold, the first is {reply[slice(*bad[0])]!r:.100}; {len(good)} do"
        share = len(good) / (len(good) + len(bad))
        return failed(said, 0.8 * share * min(len(good), wanted) / wanted, first_spans(bad), len(bad))
    return judged_range(len(good), wanted, None, "equations that hold", first_spans(good))


TYPES: tuple[ConstraintType, ...] = (
    ConstraintType(
        id="detectable_format:one_of",
        family="detectable_format",
        parameters={"options": LISTS},
        phrasings=say.OPTION,
        heldout_phrasings=say.OPTION_HELDOUT,
        verify=_verify_option,
        draw=_draw_option,
        words=lambda params: {"options": listed(names(params, "options", "detectable_format:one_of"), "or")},
        only_with=frozenset(),
        examples=(
            Example(
                {"options": ["Yes", "No", "It depends"]},
                "It depends",
                ("It depends.", "yes", "Yes, it does", "Yes or No", '"No"'),
            ),
        ),
    ),
    ConstraintType(
        id="values:number_in_range",
        family="values",
        parameters={"low": int, "high": int},
        phrasings=say.NUMBER,
        heldout_phrasings=say.NUMBER_HELDOUT,
        verify=_verify_number,
        draw=_draw_number,
        words=lambda params: {"low": str(params["low"]), "high": str(params["high"])},
        only_with=frozenset(),
        examples=(Example({"low": 1, "high": 10}, "7.5", ("10.5", "0", "seven", "7 of 10", "I say 7")),),
    ),
    ConstraintType(
        id="values:sorted_list",
        family="values",
        parameters={"order": str},
        allowed={"order": _ORDERS},
        phrasings=say.SORTED,
        heldout_phrasings=say.SORTED_HELDOUT,
        verify=_verify_sorted,
        draw=lambda rng, drawing: (
            {"order": rng.choice(_ORDERS[:2])}
            if re.search(r"\b(?:list|name|suggest|examples|ideas)\b", drawing.instruction, re.IGNORECASE)
            else None
        ),
        repair=_repair_sorted,
        rank=39,
        words=lambda params: {"order": params["order"]},
        examples=(
            Example(
                {"order": "alphabetical"},
                "Pack:\n- a lamp\n- Bread\n- water",
                ("Pack:\n- Bread\n- a lamp\n- water", "- water\n- Bread\n- a lamp", "a lamp, bread, water"),
            ),
            Example(
                {"order": "descending"},
                "1. Oslo: 1,100\n2. Bergen: 290.5\n3. Voss: 16",
                ("1. Oslo: 1,100\n2. Voss: 16\n3. Bergen: 290.5", "1. Oslo: 1,100\n2. Bergen"),
            ),
        ),
    ),
    ConstraintType(
        id="values:sums",
        family="values",
        parameters={"num_equations": int},
        allowed={"num_equations": _COUNTS},
        phrasings=say.SUMS,
        heldout_phrasings=say.SUMS_HELDOUT,
        verify=_verify_sums,
        draw=lambda rng, drawing: (
            {"num_equations": rng.randint(1, 3)} if re.search(ABOUT_SUMS, drawing.instruction, re.IGNORECASE) else None
        ),
        words=lambda params: counted_as(params, "num_equations"),
        excludes=frozenset({"lipogram:no_digits"}),
        examples=(
            Example(
                {"num_equations": 2},
                "Tickets: 3 × 12.50 = 37.50. With the bus, $37.50 + $4 - 1.5 = $40.",
                (
                    "Tickets: 3 × 12.50 = 36. With the bus, 36 + 4 = 40.",
                    "Tickets: 3 × 12.50 = 37.50.",
                    "Tickets: three times 12.50 is 37.50. With the bus that is 41.50.",
                ),
            ),
            Example({"num_equations": 1}, "Each pays 20 / 3 = 6.67.", ("Each pays 20 / 3 = 6.66.", "20 / 0 = 0")),
        ),
    ),
)
