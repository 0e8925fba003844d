"""Composing, conflicts and repair in detail: the layouts of prompts, numbers that clash, the order of repairs."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from adhere.core.errors import VerifierError
from adhere.core.record import Check, Message, Record, user
from adhere.core.verifier import Verdict
from adhere.verify.catalogue import IFEVAL_TYPES
from adhere.verify.compose import compose, family_weights
from adhere.verify.conflicts import compatible, conflict
from adhere.verify.constraint import ConstraintType, Drawing, Params, failed, passed
from adhere.verify.repair import correct

NUMBER_WORDS, NUMBER_SENTENCES = "length_constraints:number_words", "length_constraints:number_sentences"
LETTER, SECTIONS = "keywords:letter_frequency", "detectable_format:multiple_sections"
SHOUTED, POSTSCRIPT = "change_case:capital_word_frequency", "detectable_content:postscript"


LATER = Check(POSTSCRIPT, {"postscript_marker": "(ps)"})


def words(relation: str, number: int) -> Check:
    return Check(NUMBER_WORDS, {"relation": relation, "num_words": number})


def sentences(relation: str, number: int) -> Check:
    return Check(NUMBER_SENTENCES, {"relation": relation, "num_sentences": number})


def letters(relation: str, letter: str, number: int) -> Check:
    return Check(LETTER, {"let_relation": relation, "letter": letter, "let_frequency": number})


def sections(name: str, number: int = 3) -> Check:
    return Check(SECTIONS, {"section_spliter": name, "num_sections": number})


def shouted(relation: str, number: int) -> Check:
    return Check(SHOUTED, {"capital_relation": relation, "capital_frequency": number})


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        (words("at least", 51), sentences("less than", 3), "51 words do not fit into fewer than 3 sentences"),
        (words("at least", 50), sentences("less than", 3), None),
        (words("at least", 51), sentences("at least", 3), None),
        (words("less than", 51), sentences("less than", 3), None),
        (words("at least", 1), sentences("less than", 1), "1 words do not fit into fewer than 1 sentences"),
        (words("less than", 40), sentences("at least", 5), "5 sentences do not fit into fewer than 40 words"),
        (words("less than", 41), sentences("at least", 5), None),
        (words("at least", 61), letters("less than", "e", 5), "61 words hold the letter 'e' more often than 5 times"),
        (words("at least", 60), letters("less than", "e", 5), None),
        (words("at least", 61), letters("less than", "Q", 5), None),
        (words("less than", 61), letters("less than", "e", 5), None),
        (words("at least", 61), letters("at least", "e", 5), None),
        (Check("change_case:english_lowercase"), sections("Part"), "lower case forbids the heading 'Part'"),
        (Check("change_case:english_lowercase"), sections("part"), None),
        (Check("change_case:english_capital"), sections("Part"), "capitals forbid the heading 'Part'"),
        (Check("change_case:english_capital"), sections("PART"), None),
        (shouted("less than", 3), sections("PART"), "detectable_format:multiple_sections brings 3 words in capitals"),
        (shouted("less than", 4), sections("PART"), None),
        (shouted("less than", 3), sections("Part"), None),
        (shouted("at least", 3), sections("PART"), None),
        (
            shouted("less than", 2),
            LATER,
            f"{POSTSCRIPT} brings 2 words in capitals",
        ),
        (shouted("less than", 3), LATER, None),
        (shouted("less than", 1), Check("detectable_format:title"), None),
    ],
)
def test_numbers_that_clash(one: Check, other: Check, why: str | None) -> None:
    assert conflict(one, other) == why
    assert conflict(other, one) == why


def kind_of(name: str, **fields: Any) -> ConstraintType:
    given: dict[str, Any] = {
        "family": "made_up",
        "parameters": {},
        "phrasings": ("Do it",),
        "heldout_phrasings": ("Have it done",),
        "verify": lambda params, reply: passed("fine"),
        "draw": lambda rng, drawing: {},
        "examples": (),
    }
    return ConstraintType(id=f"made_up:{name}", **{**given, **fields})


def banning(text: str) -> Callable[[Params, str], Verdict]:
    return lambda params, reply: failed("banned") if text in reply else passed("fine")


def puzzled(params: Params, reply: str) -> Verdict:
    raise VerifierError("these parameters make no sense")


def test_what_one_demands_must_not_be_what_the_other_bans() -> None:
    types = {
        kind.id: kind
        for kind in (
            kind_of("ban", verify=banning("x"), forbids=True),
            kind_of("no_ban", verify=banning("x")),
            kind_of("short", verify=lambda params, reply: failed("too short", miss=-1), forbids=True),
            kind_of("demand", demands=lambda params: ("a", "xyz")),
            kind_of("unsure", verify=puzzled, forbids=True),
            kind_of("lonely", excludes=frozenset(("*",))),
            kind_of("long", least_words=lambda params: 10**9),
        )
    }
    ban, no_ban, short, demand, unsure, lonely, long = (Check(name) for name in types)
    assert conflict(ban, demand, types) == "made_up:ban forbids what made_up:demand demands: 'xyz'"
    assert conflict(no_ban, demand, types) is None
    assert conflict(short, demand, types) is None
    assert conflict(unsure, demand, types) is None
    assert conflict(lonely, demand, types) == "made_up:lonely does not go with made_up:demand"
    assert conflict(demand, lonely, types) == "made_up:demand does not go with made_up:lonely"
    seen: list[int] = []

    def limit(params: Params, reply: str) -> Verdict:
        seen.append(len(reply.split()))
        return passed("fine")

    types = {**types, "made_up:limit": kind_of("limit", verify=limit, forbids=True)}
    assert compatible([long, Check("made_up:limit"), demand], types)
    assert seen[-1] == 100_000


# Prompts.

PLAIN = "Write about tea."


def prompts(
    count: int, *types: ConstraintType, instruction: str = PLAIN, number: int = 400, notes: dict[str, Any] | None = None
) -> set[str]:
    found = set()
    for seed in range(number):
        record = compose(
            random.Random(seed), Record(messages=(user(instruction),), notes=notes or {}), count, types, weights=None
        )
        assert record is not None
        found.add(record.instruction)
    return found


ONE = kind_of("one", phrasings=("Say one",))
TWO = kind_of("two", phrasings=("Say two!",))
HEADERS = [
    "Conditions:",
    "Format:",
    "Keep to these rules:",
    "Please follow these points:",
    "Please note:",
    "Requirements:",
    "Rules for the answer:",
    "What I need:",
]


def test_one_constraint_is_laid_out_in_every_way_that_suits_it() -> None:
    assert prompts(1, ONE) == {
        "Write about tea. Say one.",
        "Write about tea.\n\nSay one.",
        "Write about tea.\nSay one.",
        "Say one.\n\nWrite about tea.",
        "Say one.\nWrite about tea.",
        "Write about tea. (Say one.)",
    }


def test_two_constraints_are_listed_too() -> None:
    found = {prompt for prompt in prompts(2, ONE, TWO, number=4000) if "one." in prompt.split("Say two!")[0]}
    marks = ("- ", "- "), ("(1) ", "(2) "), ("1. ", "2. ")
    lists = [f"{header}\n{one}Say one.\n{two}Say two!" for header in HEADERS for one, two in marks]
    assert found == {
        "Write about tea. Say one. Say two!",
        "Write about tea.\n\nSay one. Say two!",
        "Write about tea.\n\nSay one.\nSay two!",
        "Write about tea.\nSay one.\nSay two!",
        "Say one.\nSay two!\n\nWrite about tea.",
        "Say one. Say two!\n\nWrite about tea.",
        "Say one. Say two!\nWrite about tea.",
        "Say one.\n\nWrite about tea.\n\nSay two!",
        "Write about tea. (Say one. Say two!)",
        *(f"Write about tea.\n\n{text}" for text in lists),
    }


def test_three_constraints_stand_around_the_instruction() -> None:
    found = prompts(3, ONE, TWO, kind_of("three", phrasings=("Say three",)), number=2000)
    assert "Say one.\n\nWrite about tea.\n\nSay two! Say three." in found


def test_another_attempt_is_made_when_one_fails() -> None:
    tried: list[int] = []

    def draw(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
        tried.append(1)
        return {} if len(tried) > 7 else None

    late = kind_of("late", draw=draw)
    assert compose(random.Random(0), Record(messages=(user(PLAIN),)), 1, (late,)) is not None
    assert len(tried) == 8
    tried[:] = []
    later = kind_of("later", draw=lambda rng, drawing: tried.append(1))
    assert compose(random.Random(0), Record(messages=(user(PLAIN),)), 1, (later,)) is None
    assert len(tried) == 8


def test_an_instruction_with_an_input_text_keeps_to_lines_of_its_own() -> None:
    assert prompts(1, ONE, instruction="Sum it up:\nTea is good.") == {
        "Sum it up:\nTea is good.\n\nSay one.",
        "Sum it up:\nTea is good.\nSay one.",
        "Say one.\n\nSum it up:\nTea is good.",
        "Say one.\nSum it up:\nTea is good.",
    }


@pytest.mark.parametrize(
    ("instruction", "lead"),
    [
        ("Write about tea", "Write about tea. Say one."),
        ("Why tea?", "Why tea? Say one."),
        ("Write about X", "Write about X. Say one."),
        ("Go!", "Go! Say one."),
        ("Sum up:", "Sum up: Say one."),
        ('Say "tea"', 'Say "tea" Say one.'),
        ("Say 'tea'", "Say 'tea' Say one."),
        ("Tea (hot)", "Tea (hot) Say one."),
    ],
)
def test_the_instruction_is_closed_where_it_would_run_on(instruction: str, lead: str) -> None:
    found = prompts(1, ONE, instruction=instruction)
    assert {prompt for prompt in found if "\n" not in prompt and not prompt.endswith(")")} == {lead}
    assert (f"{instruction} (Say one.)" in found) is (instruction[-1] in ".?!")


@pytest.mark.parametrize(
    ("phrase", "closed"),
    [
        ("Say it", "Say it."),
        ("Say it.", "Say it."),
        ("Say it!", "Say it!"),
        ("Say it?", "Say it?"),
        ("Say:", "Say:"),
        ('Say "it."', 'Say "it."'),
        ('Say "it!"', 'Say "it!"'),
        ('Say "it?"', 'Say "it?"'),
        ("Say (it.)", "Say (it.)"),
        ("Say 'it.'", "Say 'it.'"),
        ('Say "it"', 'Say "it".'),
        ("Say (it)", "Say (it)."),
        ("Say 'it'", "Say 'it'."),
        ("Say\nit", "Say\nit"),
    ],
)
def test_a_phrasing_is_closed_where_it_would_run_on(phrase: str, closed: str) -> None:
    assert f"{PLAIN}\n\n{closed}" in prompts(1, kind_of("any", phrasings=(phrase,)))


def test_words_to_be_used_as_they_are_stand_last_and_nothing_follows_them() -> None:
    ending = kind_of(
        "ending",
        parameters={"words": str},
        phrasings=("End with {words}",),
        heldout_phrasings=("Close with {words}",),
        draw=lambda rng, drawing: {"words": "so be it"},
    )
    found = prompts(2, ONE, ending, number=2000)
    assert all(prompt.index("Say one") < prompt.index("End with so be it") for prompt in found)
    assert {prompt for prompt in found if "\n" not in prompt} == {"Write about tea. Say one. End with so be it."}
    assert f"{PLAIN}\n\nSay one. End with so be it." in found
    assert not any("(Say" in prompt or ("it.\n\nWrite" in prompt and "one. End" in prompt) for prompt in found)
    other = kind_of(
        "other",
        parameters={"words": str},
        phrasings=("Begin with {words}",),
        heldout_phrasings=("Open with {words}",),
        draw=lambda rng, drawing: {"words": "to start"},
    )
    assert all("\n" in prompt for prompt in prompts(2, other, ending))
    assert not any("start. End" in prompt or "it. Begin" in prompt for prompt in prompts(2, other, ending))


def test_phrasings_of_several_lines_stay_apart() -> None:
    block = kind_of("block", phrasings=("Use this:\nabc",))
    found = prompts(2, ONE, block, number=2000)
    assert all("\n" in prompt.replace("this:\nabc", "") for prompt in found)
    assert any("Use this:\n   abc" in prompt for prompt in found)
    assert f"{PLAIN}\nSay one.\nUse this:\nabc" in found


def test_the_request_to_repeat_stands_above_or_below() -> None:
    repeat = IFEVAL_TYPES["combination:repeat_prompt"]
    found = []
    for seed in range(3000):
        record = compose(random.Random(seed), Record(messages=(user(PLAIN),)), 1, (repeat,))
        assert record is not None
        assert record.checks[0].params == {"prompt_to_repeat": PLAIN}
        found.append((record.instruction, record.checks[0].phrase))
    below = [(text, phrase) for text, phrase in found if text.endswith(f"\n\n{PLAIN}")]
    assert 0.05 < len(below) / len(found) < 0.25
    assert all(" below" in phrase and " above" not in phrase and text.startswith(phrase) for text, phrase in below)
    known = {phrase.replace(" above", " below") for phrase in repeat.phrasings}
    assert {phrase for _, phrase in below} <= known
    rest = [(text, phrase) for text, phrase in found if text.startswith(PLAIN)]
    assert len(rest) + len(below) == len(found)
    assert any(" above" in phrase for _, phrase in rest)
    gaps = {text[len(PLAIN) : len(text) - len(text[len(PLAIN) :].lstrip("\n"))] for text, _ in rest}
    assert gaps == {"\n", "\n\n"}


def test_what_is_drawn_knows_the_length_of_the_answer() -> None:
    seen: list[Drawing] = []

    def draw(rng: random.Random, drawing: Drawing) -> dict[str, Any]:
        seen.append(drawing)
        return {}

    kind = kind_of("any", draw=draw)
    for notes, expected in (
        ({"answer_words": 55}, 55),
        ({"answer_words": 55.7}, 55),
        ({"answer_words": 0.5}, 0),
        ({"answer_words": 0}, 120),
        ({"answer_words": -4}, 120),
        ({"answer_words": "many"}, 120),
        ({}, 120),
    ):
        prompts(1, kind, number=1, notes=notes)
        assert seen[-1] == Drawing(PLAIN, expected)
    assert Drawing(PLAIN) == Drawing(PLAIN, 120)


def test_a_type_that_declines_is_passed_over() -> None:
    shy = kind_of("shy", draw=lambda rng, drawing: None)
    for seed in range(40):
        record = compose(random.Random(seed), Record(messages=(user(PLAIN),)), 2, (shy, ONE, TWO))
        assert record is not None
        assert {check.kind for check in record.checks} == {"made_up:one", "made_up:two"}
    assert compose(random.Random(0), Record(messages=(user(PLAIN),)), 1, (shy,)) is None
    assert compose(random.Random(0), Record(messages=(user(PLAIN),)), 3, (ONE, TWO)) is None


def test_families_weigh_as_the_root_of_their_size() -> None:
    kinds = [kind_of(str(at)) for at in range(4)] + [kind_of("alone", family="single")]
    assert family_weights(kinds) == {f"made_up:{at}": 0.5 for at in range(4)} | {"made_up:alone": 1.0}


def test_the_last_question_of_a_conversation_is_the_one_that_grows() -> None:
    talk = (user("Hello."), Message("assistant", "Hi!"), user(PLAIN), Message("assistant", "Tea is good."))
    record = Record(messages=talk, rejected="Tea is bad.")
    made = compose(random.Random(1), record, 1, (ONE,))
    assert made is not None
    assert made.messages[:2] == talk[:2]
    assert len(made.messages) == 3
    assert "Say one." in made.instruction
    assert made.reply is None
    assert made.rejected is None
    assert made.notes["instruction"] == PLAIN


# Repairs.


def adding(text: str, breaks: str = "") -> dict[str, Any]:
    """A type that wants a text in the reply; its repair adds it, and takes another one away."""
    return {
        "verify": lambda params, reply: passed("there") if text in reply else failed("missing"),
        "repair": lambda params, reply: (reply.replace(breaks, "") if breaks else reply) + text,
    }


def corrected(*kinds: ConstraintType, reply: str = "r") -> tuple[str, list[str], list[str]]:
    types = {kind.id: kind for kind in kinds}
    record = Record(messages=(user(PLAIN),), checks=tuple(Check(name) for name in types))
    done = correct(record, reply, types)
    return done.reply, [check.kind[-1] for check in done.repaired], [check.kind[-1] for check in done.failing]


def test_repairs_go_by_rank_and_then_by_place() -> None:
    late, early = kind_of("a", rank=2, **adding("A")), kind_of("a", rank=1, **adding("A"))
    other = kind_of("b", rank=1, **adding("B"))
    assert corrected(late, other) == ("rBA", ["b", "a"], [])
    assert corrected(early, other) == ("rAB", ["a", "b"], [])


def test_a_check_that_another_repair_brought_along_counts_as_repaired() -> None:
    both = kind_of("b", rank=1, **adding("AB"))
    assert corrected(kind_of("a", rank=2, **adding("A")), both, kind_of("c", rank=3, **adding("C"))) == (
        "rABC",
        ["b", "a", "c"],
        [],
    )


def test_what_a_repair_breaks_is_repaired_in_turn() -> None:
    a = kind_of("a", rank=1, **adding("A"))
    b = kind_of("b", rank=2, **adding("B", breaks="A"))
    assert corrected(a, b, reply="rA") == ("rBA", ["b"], [])
    c = kind_of("c", rank=0, **adding("C"))
    d = kind_of("d", rank=3, verify=banning("B"), repair=None)
    assert corrected(c, b, d, reply="rA") == ("rAC", ["c"], ["b"])


def test_lost_checks_come_back_in_the_order_of_their_ranks() -> None:
    first = kind_of("a", rank=5, **adding("A"))
    second = kind_of("b", rank=4, **adding("B"))

    def strip(params: Params, reply: str) -> str:
        return reply.replace("A", "").replace("B", "") + "C"

    third = kind_of("c", rank=9, verify=adding("C")["verify"], repair=strip)
    assert corrected(first, second, third, reply="rAB") == ("rCBA", ["c"], [])


def test_another_order_is_tried_when_the_first_leaves_something() -> None:
    def in_vain_at_first(params: Params, reply: str) -> str | None:
        return "rA" if reply == "rB" else None

    def changed(params: Params, reply: str) -> Verdict:
        return passed("in") if reply != "r" else failed("out")

    first = kind_of("a", rank=1, verify=adding("A")["verify"], repair=in_vain_at_first)
    second = kind_of("b", rank=2, verify=changed, repair=lambda params, reply: "rB")
    assert corrected(first, second) == ("rA", ["b", "a"], [])


def test_the_first_of_equally_good_orders_is_kept() -> None:
    one = kind_of("a", rank=1, verify=adding("A")["verify"], repair=lambda params, reply: "rA")
    two = kind_of("b", rank=2, verify=adding("B")["verify"], repair=lambda params, reply: "rB")
    assert corrected(one, two) == ("rA", ["a"], ["b"])


def test_the_number_of_orders_is_bounded() -> None:
    tried: list[int] = []

    def stubborn(name: str) -> ConstraintType:
        def repair(params: Params, reply: str) -> None:
            tried.append(1)

        return kind_of(name, verify=adding(name.upper())["verify"], repair=repair)

    kinds = [stubborn(name) for name in "abcde"]
    corrected(*kinds)
    assert len(tried) == 24 * 5
    tried.clear()
    corrected(*kinds[:2])
    assert len(tried) == 2 * 2


def test_no_further_order_is_tried_when_nothing_is_left() -> None:
    tried: list[int] = []

    def repair(params: Params, reply: str) -> str:
        tried.append(1)
        return reply + "A"

    corrected(kind_of("a", verify=adding("A")["verify"], repair=repair), kind_of("b", **adding("B")))
    assert len(tried) == 1


def test_titles_are_taken_from_the_plain_instruction() -> None:
    record = Record(
        messages=(user("Describe the harbour of Genoa. Put a title on it."),),
        checks=(Check("detectable_format:title"),),
        notes={"instruction": "Describe the lighthouse of Genoa."},
    )
    done = correct(record, "It stands on a rock.", IFEVAL_TYPES)
    assert "ighthouse" in done.reply.split("\n")[0]
    assert done.passes
