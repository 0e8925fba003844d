"""Instructions with one right answer that code computes: rewriting, membership, labels, sums, chains of steps.

The wording of such a constraint states the whole task, and the whole reply is the answer. So they go with no other
constraint, and parameters are drawn only where there is no instruction to answer besides (a blank one);
`adhere.verify.instances` makes records of them.
"""

from __future__ import annotations

import json
import random
import reprlib
from collections.abc import Callable
from typing import Any

import msgspec

from adhere.core.errors import VerifierError
from adhere.core.verifier import Verdict
from adhere.verify import formal
from adhere.verify.constraint import ConstraintType, Drawing, Example, Params, failed, passed
from adhere.verify.families import tasks_wording as say
from adhere.verify.families.task_answers import answer_spans, judged_choice, judged_number, judged_text
from adhere.verify.families.task_draws import (
    draw_chain,
    draw_count_items,
    draw_count_letter,
    draw_generate,
    draw_label,
    draw_membership,
    draw_rewriting,
    draw_rules,
    draw_steps,
    draw_total,
    step_words,
    stepped,
)
from adhere.verify.sequence import KIND as CHAIN
from adhere.verify.sequence import TASKS, chain_verdict, judge_chain
from adhere.verify.wording import counted, listed

STYLES = ("natural", "neutral", "flipped")
"""Label words that say what they mean, that mean nothing here, and that mean the opposite."""
_RANK = 10
_MOST_LETTERS = 200
_MOST_ITEMS = 500
_LARGEST = 10**12

Words = dict[str, str]
Draw = Callable[[random.Random], dict[str, Any]]
Verify = Callable[[Params, str], Verdict]


def gold_answer(kind: str, params: Params) -> str | None:
    """A right answer of a task type (for `membership:generate` one of several), or None for another type.

    Raises `VerifierError` where the parameters make no sense.
    """
    return _GOLD[kind](params) if kind in _GOLD else None


def is_noop(params: Params) -> bool:
    """Whether a rewriting rule finds nothing to rewrite, so that the string itself is the answer."""
    return str(params["find"]) not in str(params["string"])


def _alone(draw: Draw) -> Callable[[random.Random, Drawing], dict[str, Any] | None]:
    """A task is an instruction of its own: it is drawn only where there is no other to answer."""
    return lambda rng, drawing: None if drawing.instruction.strip() else draw(rng)


def _task(  # one row of a table rather than logic
    name: str,
    parameters: dict[str, type | tuple[type, ...]],
    wording: tuple[tuple[str, ...], tuple[str, ...]],
    verify: Verify,
    draw: Draw,
    words: Callable[[Params], Words],
    examples: tuple[Example, ...],
) -> ConstraintType:
    return ConstraintType(
        id=name,
        family=name.partition(":")[0],
        parameters=parameters,
        phrasings=wording[0],
        heldout_phrasings=wording[1],
        verify=verify,
        draw=_alone(draw),
        words=words,
        repair=lambda params, reply: gold_answer(name, params),
        allowed={"style": STYLES} if name == "label:verbalizer" else {"task": TASKS} if name == CHAIN else {},
        rank=_RANK,
        excludes=frozenset({"*"}),
        examples=examples,
    )


# ---------------------------------------------------------------- rewriting


def _answerable(gold: str) -> str:
    if not gold.strip():
        raise VerifierError("the right answer would be blank, which no reply can give", "Choose another string.")
    return gold.strip()


def _leftmost(params: Params) -> str:
    return _answerable(formal.rewritten_once(params["string"], (params["find"], params["put"])))


def _everywhere(params: Params) -> str:
    return _answerable(formal.rewritten_everywhere(params["string"], (params["find"], params["put"])))


def _in_order(params: Params) -> str:
    return _answerable(formal.rewritten_in_order(params["string"], _rules(params)))


def _rules(params: Params) -> list[tuple[str, str]]:
    found = [tuple(rule) for rule in params["rules"] if isinstance(rule, list | tuple)]
    if len(found) != len(params["rules"]) or not all(
        len(rule) == 2 and all(isinstance(side, str) for side in rule) for rule in found
    ):
        raise VerifierError(
            f"expected rules as pairs of texts, found {reprlib.repr(params['rules'])}", 'Write [["x", "y"]].'
        )
    return [(rule[0], rule[1]) for rule in found]


def _quoted(text: str) -> str:
    return f'"{text}"' if text else "nothing"


def _rule_words(params: Params) -> Words:
    return {key: _quoted(params[key]) for key in ("find", "put", "string")}


def _rules_words(params: Params) -> Words:
    rules = _rules(params)
    said = ", ".join(f"({n}) {_quoted(find)} becomes {_quoted(put)}" for n, (find, put) in enumerate(rules, 1))
    return {"rules": said, "string": _quoted(params["string"]), "n": str(len(rules))}


# ---------------------------------------------------------------- membership


def _is_member(params: Params) -> str:
    if len(params["string"]) > formal.MOST_STRING:
        raise VerifierError(f"expected at most {formal.MOST_STRING} characters, found {len(params['string'])}")
    return str(formal.language(params["pattern"]).holds(params["string"]))


def _verify_membership(params: Params, reply: str) -> Verdict:
    gold = _is_member(params)
    start, stop = answer_spans(reply)[-1]
    given = reply[start:stop].capitalize() if stop - start <= len("False") else ""
    if given == gold:
        return passed(f"the answer is {gold}", ((start, stop),))
    if given in ("True", "False"):
        return failed(f"the answer is {given}, wanted {gold}", spans=((start, stop),))
    return failed(f"the answer is neither True nor False: {reply[start : min(stop, start + 60)]!r}; wanted {gold}")


def _wanted_language(params: Params) -> tuple[formal.Language, int]:
    found, length = formal.language(params["pattern"]), params["length"]
    if not 1 <= length <= _MOST_LETTERS:
        raise VerifierError(f"membership:generate: expected 1 to {_MOST_LETTERS} letters, found {length}")
    if not found.has_length(length):
        raise VerifierError(
            f"no string of {length} letters matches {params['pattern'][:80]!r}", "Choose another length or pattern."
        )
    return found, length


def _member(params: Params) -> str:
    found, length = _wanted_language(params)
    return found.sample(random.Random(0), length) or ""


def _verify_generated(params: Params, reply: str) -> Verdict:
    found, wanted = _wanted_language(params)
    start, stop = answer_spans(reply)[-1]
    given = reply[start:stop]
    belongs, length = found.holds(given), len(given)
    said = f"{length} letters, wanted {wanted}; {'it matches' if belongs else 'it does not match'} {found.pattern!r}"
    if belongs and length == wanted:
        return passed(said, ((start, stop),))
    near = min(length, wanted) / max(length, wanted)
    return failed(said, 0.5 * belongs + 0.4 * near * (belongs or not set(given) - set("ab")), miss=length - wanted)


# ---------------------------------------------------------------- labels


def _labels(params: Params) -> dict[str, str]:
    """The label word of each class, checked: two or more, no word twice, the gold class among them."""
    pairs = params["labels"]
    sound = all(
        isinstance(pair, list | tuple)
        and len(pair) == 2
        and all(isinstance(side, str) and side.strip() for side in pair)
        for pair in pairs
    )
    found = {pair[0]: pair[1].strip() for pair in pairs} if sound else {}
    if len(found) < 2 or len({word.casefold() for word in found.values()}) < len(pairs):
        raise VerifierError(
            f"label:verbalizer: expected two or more classes, each with a word of its own, found {reprlib.repr(pairs)}",
            'Write [["the number is even", "foo"], ["the number is odd", "bar"]].',
        )
    if params["gold"] not in found:
        raise VerifierError(
            f"label:verbalizer: gold should be one of {reprlib.repr(list(found))}, found {params['gold']!r:.80}"
        )
    return found


def _label(params: Params) -> str:
    return _labels(params)[params["gold"]]


def _verify_label(params: Params, reply: str) -> Verdict:
    labels = _labels(params)
    others = {word: name for name, word in labels.items() if name != params["gold"]}
    return judged_choice(labels[params["gold"]], others, reply)


def _label_words(params: Params) -> Words:
    labels = _labels(params)
    cases = listed([f'"{word}" if {name}' for name, word in labels.items()], "or", "")
    rules = "; ".join(f'if {name}, the word is "{word}"' for name, word in labels.items())
    return {"text": params["text"], "cases": cases, "rules": rules, "Rules": rules[0].upper() + rules[1:]}


# ---------------------------------------------------------------- sums and counts


def _one_letter(params: Params) -> str:
    letter = str(params["letter"]).lower()
    if len(letter) != 1 or not letter.isalpha():
        raise VerifierError(f"expected one letter, found {params['letter']!r:.80}", "Use one of a to z.")
    return letter


def _counted_items(params: Params) -> str:
    items, letter = params["items"], _one_letter(params)
    if not 1 <= len(items) <= _MOST_ITEMS or not all(isinstance(item, str) and item.strip() for item in items):
        raise VerifierError(f"expected 1 to {_MOST_ITEMS} words, found {reprlib.repr(items)}")
    return str(sum(item.strip().lower().startswith(letter) for item in items))


def _counted_letter(params: Params) -> str:
    return str(params["string"].lower().count(_one_letter(params)))


def _total(params: Params) -> str:
    numbers = params["numbers"]
    sound = all(isinstance(number, int) and not isinstance(number, bool) for number in numbers)
    if not sound or not 1 <= len(numbers) <= _MOST_ITEMS or any(abs(number) > _LARGEST for number in numbers):
        raise VerifierError(
            f"expected 1 to {_MOST_ITEMS} whole numbers up to {_LARGEST}, found {reprlib.repr(numbers)}"
        )
    return str(sum(numbers))


def _after_steps(params: Params) -> str:
    return str(stepped(params["start"], params["steps"])[-1])


def _number(gold: Callable[[Params], str]) -> Verify:
    return lambda params, reply: judged_number(int(gold(params)), reply)


def _text(gold: Callable[[Params], str]) -> Verify:
    return lambda params, reply: judged_text(gold(params), reply)


# ---------------------------------------------------------------- chains


def _chain_gold(params: Params) -> str:
    gold = list(params["gold"])
    judge_chain("-", gold, params["task"])  # refuses what is no chain
    return json.dumps(gold, ensure_ascii=False)


def _chain_words(params: Params) -> Words:
    steps = [f"Instruction_{n}: {step}" for n, step in enumerate(params["steps"], 1)]
    if len(steps) != len(params["gold"]) or not all(isinstance(step, str) for step in params["steps"]):
        raise VerifierError(f"expected one gold answer for each step, found {len(params['gold'])} for {len(steps)}")
    return {"steps": "\n".join(steps), "n": str(len(steps))}


def _chain_type() -> ConstraintType:
    made = _task(
        CHAIN,
        {"steps": (list, tuple), "gold": (list, tuple), "task": str},
        (say.CHAIN, say.CHAIN_HELDOUT),
        lambda params, reply: chain_verdict(judge_chain(reply, params["gold"], params["task"])),
        draw_chain,
        _chain_words,
        (
            Example(
                {"steps": ["Add 2 to 3.", "Double it."], "gold": ["5", "10"], "task": "math"},
                '["5", "10"]',
                ('["5", "11"]', '["5"]', "Instruction_1: 5\nInstruction_2: five"),
            ),
        ),
    )
    return msgspec.structs.replace(
        made, mended=lambda params, reply: chain_verdict(judge_chain(reply, params["gold"], params["task"], "repaired"))
    )


_GOLD: dict[str, Callable[[Params], str]] = {
    "rewriting:leftmost": _leftmost,
    "rewriting:everywhere": _everywhere,
    "rewriting:apply_all": _in_order,
    "membership:regular": _is_member,
    "membership:generate": _member,
    "label:verbalizer": _label,
    "arithmetic:count_items": _counted_items,
    "arithmetic:count_letter": _counted_letter,
    "arithmetic:total": _total,
    "arithmetic:apply_steps": _after_steps,
    CHAIN: _chain_gold,
}

_ONE_RULE: dict[str, type | tuple[type, ...]] = {"find": str, "put": str, "string": str}

TYPES: tuple[ConstraintType, ...] = (
    _task(
        "rewriting:leftmost",
        _ONE_RULE,
        (say.LEFTMOST, say.LEFTMOST_HELDOUT),
        _text(_leftmost),
        draw_rewriting,
        _rule_words,
        (
            Example({"find": "ab", "put": "c", "string": "xabab"}, "xcab", ("xcc", "xabab", "The result is xcab")),
            Example({"find": "q", "put": "c", "string": "xab"}, "xab", ("cab", "xabc")),
        ),
    ),
    _task(
        "rewriting:everywhere",
        _ONE_RULE,
        (say.EVERYWHERE, say.EVERYWHERE_HELDOUT),
        _text(_everywhere),
        draw_rewriting,
        _rule_words,
        (Example({"find": "aa", "put": "b", "string": "aaaxaa"}, "baxb", ("baxaa", "abxb", "aaaxaa")),),
    ),
    _task(
        "rewriting:apply_all",
        {"rules": (list, tuple), "string": str},
        (say.IN_ORDER, say.IN_ORDER_HELDOUT),
        _text(_in_order),
        draw_rules,
        _rules_words,
        (Example({"rules": [["a", "b"], ["bb", "c"], ["z", "y"]], "string": "abba"}, "cba", ("bbba", "abba", "cbb")),),
    ),
    _task(
        "membership:regular",
        {"pattern": str, "string": str},
        (say.MEMBERSHIP, say.MEMBERSHIP_HELDOUT),
        _verify_membership,
        draw_membership,
        lambda params: {"pattern": params["pattern"], "string": _quoted(params["string"])},
        (
            Example({"pattern": "(a|b)*ab", "string": "bbab"}, "True", ("False", "Yes", "True or False")),
            Example({"pattern": "(a|b)*ab", "string": "bba"}, "**False**", ("True", "It is False")),
        ),
    ),
    _task(
        "membership:generate",
        {"pattern": str, "length": int},
        (say.GENERATE, say.GENERATE_HELDOUT),
        _verify_generated,
        draw_generate,
        lambda params: {"pattern": params["pattern"], **counted(params["length"])},
        (Example({"pattern": "a(ba)*", "length": 5}, "ababa", ("aba", "abaab", "ababa ababa", "For example ababa")),),
    ),
    _task(
        "label:verbalizer",
        {"text": str, "labels": (list, tuple), "gold": str, "style": str},
        (say.VERBALIZER, say.VERBALIZER_HELDOUT),
        _verify_label,
        draw_label,
        _label_words,
        (
            Example(
                {
                    "text": "14",
                    "labels": [["the number is even", "odd"], ["the number is odd", "even"]],
                    "gold": "the number is even",
                    "style": "flipped",
                },
                "odd",
                ("even", "Odd", "odd number", "odd even"),
            ),
        ),
    ),
    _task(
        "arithmetic:count_items",
        {"items": (list, tuple), "letter": str},
        (say.COUNT_ITEMS, say.COUNT_ITEMS_HELDOUT),
        _number(_counted_items),
        draw_count_items,
        lambda params: {"items": ", ".join(map(str, params["items"])), "letter": params["letter"]},
        (Example({"items": ["barn", "lamp", "Boat"], "letter": "b"}, "2", ("1", "two", "2 words", "3")),),
    ),
    _task(
        "arithmetic:count_letter",
        {"string": str, "letter": str},
        (say.COUNT_LETTER, say.COUNT_LETTER_HELDOUT),
        _number(_counted_letter),
        draw_count_letter,
        lambda params: {"string": params["string"], "letter": params["letter"]},
        (Example({"string": "banana", "letter": "a"}, "3", ("2", "three", "aaa", "3 times")),),
    ),
    _task(
        "arithmetic:total",
        {"numbers": (list, tuple)},
        (say.TOTAL, say.TOTAL_HELDOUT),
        _number(_total),
        draw_total,
        lambda params: {"numbers": listed([str(number) for number in params["numbers"]], quote="")},
        (Example({"numbers": [700, 300, 45]}, "1,045", ("1044", "1.045", "700 + 300 + 45 = 1045")),),
    ),
    _task(
        "arithmetic:apply_steps",
        {"start": int, "steps": (list, tuple)},
        (say.STEPS, say.STEPS_HELDOUT),
        _number(_after_steps),
        draw_steps,
        lambda params: {"start": str(params["start"]), "steps": step_words(params["steps"])},
        (Example({"start": 4, "steps": [["multiply", 3], ["subtract", 20]]}, "-8", ("8", "12", "4 * 3 - 20 = -8")),),
    ),
    _chain_type(),
)
"""Tasks whose whole reply is one right answer."""
