"""AutoIF's verifier machinery: reading drafts, cross-validation, mutation testing, voting, agreement by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from autoif_drafts import DRAFTED, Drafted, replies_of, scripted
from hypothesis import given, settings
from hypothesis import strategies as st

from adhere.core.errors import VerifierError
from adhere.core.model import Ask, Reply
from adhere.core.record import Record, user
from adhere.core.verifier import Verifier
from adhere.models.scripted import HOSTILE, ScriptedModel
from adhere.verify.autoif import (
    GeneratedVerifier,
    Made,
    Settings,
    agreement_with_check,
    by_hand,
    describe,
    make_verifier,
    make_verifiers,
    relation_by,
)
from adhere.verify.catalogue import IFEVAL_TYPES
from adhere.verify.cross_validation import (
    Bars,
    Function,
    Validated,
    cross_validate,
    mutation_test,
    run_all,
    run_together,
)
from adhere.verify.drafts import Case, read_draft
from adhere.verify.mutation import MUTATORS, mutants
from adhere.verify.sandbox import Execution, Limits, Sandbox, mechanisms

AVAILABLE = mechanisms()
SOURCE = "def evaluate(response):\n    return 'oak' in response"
CASES = [{"input": "an oak", "output": True}, {"input": "an elm", "output": False}]
BULLETS = DRAFTED[4]
GOOD, BAD = [f"oak number {n} stands here" for n in range(6)], [f"elm number {n} stands here" for n in range(6)]
OAK_CASES = [*(Case(text, True) for text in GOOD), *(Case(text, False) for text in BAD)]
OAKS = (SOURCE, SOURCE + "  # found", "def evaluate(response):\n    return response.find('oak') >= 0")


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    if "available" not in AVAILABLE.values():
        pytest.skip(f"no sandbox on this machine: {AVAILABLE}")
    with Sandbox(workers=2, limits=Limits(wall_s=1.0, cpu_s=1.0)) as made:
        yield made


# --- drafts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "```json\n" + json.dumps({"func": SOURCE, "cases": CASES}) + "\n```",
        json.dumps({"func": SOURCE, "cases": CASES}),
        "Here you are: " + json.dumps({"function": SOURCE, "cases": CASES}) + " Bye!",
        json.dumps({"func": SOURCE.replace("\n", "\\n"), "cases": CASES}),
        json.dumps({"func": f"```python\n{SOURCE}\n```", "cases": CASES}),
        json.dumps({"func": SOURCE, "cases": CASES}).replace("\\n", "\n"),
        f"```python\n{SOURCE}\n```\n```json\n{json.dumps(CASES)}\n```",
        f"```\n{SOURCE}\n```\nCases: {json.dumps(CASES)}",
        f"```py\r\n{SOURCE}\r\n```\r\n" + json.dumps({"cases": CASES}),
        "```json\n" + json.dumps({"func": SOURCE, "cases": CASES}),
        json.dumps({"func": SOURCE, "cases": [{**case, "output": str(case["output"])} for case in CASES]}),
        json.dumps({"func": SOURCE, "cases": [{**case, "output": f" {case['output']}".lower()} for case in CASES]}),
    ],
)
def test_drafts_are_read_in_any_dress(text: str) -> None:
    draft = read_draft(Reply(text))
    assert draft.source == SOURCE
    assert draft.cases == (Case("an oak", True), Case("an elm", False))
    assert draft.problems == ()


def test_an_escape_in_a_one_line_function_stays() -> None:
    source = "def evaluate(response): return '\\n' not in response"
    assert read_draft(Reply(json.dumps({"func": source, "cases": CASES}))).source == source


@pytest.mark.parametrize(
    "case",
    [
        {"input": 3, "output": True},
        {"input": "x", "output": "yes"},
        {"input": "x", "output": 1},
        {"input": "x"},
        "x",
        7,
    ],
)
def test_cases_that_say_nothing_are_counted(case: object) -> None:
    draft = read_draft(Reply(json.dumps({"func": SOURCE, "cases": [*CASES, case]})))
    assert len(draft.cases) == 2
    assert len(draft.problems) == 1


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_drafts_hold_nothing(name: str) -> None:
    said = HOSTILE[name](Ask((user("Name a tree."),)))
    draft = read_draft(said if isinstance(said, Reply) else Reply(said))
    assert (draft.source, draft.cases) == ("", ())
    assert draft.problems


@settings(max_examples=100)
@given(st.text(alphabet='{}[]":,`\n\\ abdef()input', max_size=300))
def test_no_draft_crashes_the_reader(text: str) -> None:
    read_draft(Reply(text))


def test_long_drafts_are_read_in_linear_time() -> None:
    for text in ("{" * 10**6, '{"a":' * 10**6, "```" * 10**6, "def evaluate(" * 10**5, "[{}" * 10**6, "```\n" * 10**6):
        read_draft(Reply(text))


# --- mutants --------------------------------------------------------------------------------------------------


@settings(max_examples=200)
@given(st.text(max_size=200))
def test_mutants_differ_from_the_text_and_each_other(text: str) -> None:
    found = mutants(text, ["bad"])
    texts = [mutant.text for mutant in found]
    assert len(set(texts)) == len(texts)
    assert text not in texts
    assert bool(found) == bool(text.strip())


def test_every_mutator_changes_something() -> None:
    text = 'One "first" item, with 3 words. It goes on.\n\nA second line: the end'
    assert {mutant.change for mutant in mutants(text)} == set(MUTATORS)


def test_mutants_break_most_hand_written_checks() -> None:
    """On every type's gold text some mutant must fail, or the mutators are too tame for it."""
    missed = []
    for kind in IFEVAL_TYPES.values():
        example = kind.examples[0]
        if all(kind.verify(example.params, mutant.text).passed for mutant in mutants(example.gold) if mutant.text):
            missed.append(kind.id)
    # What must not occur comes in with a bad text only.
    assert set(missed) <= {"keywords:forbidden_words"}
    kind = IFEVAL_TYPES["keywords:forbidden_words"]
    example = kind.examples[0]
    added = mutants(example.gold, example.near_misses)
    assert any(not kind.verify(example.params, mutant.text).passed for mutant in added)


# --- cross-validation ------------------------------------------------------------------------------------------


def reasons(found: Validated) -> dict[str, str]:
    return {refused.source: refused.reason for refused in found.refused}


def test_too_few_functions_or_cases(box: Sandbox) -> None:
    few = cross_validate(box, OAKS[:2], OAK_CASES, Bars())
    assert (few.functions, few.reason) == ((), "2 functions that run and 12 cases, wanted at least 3 and 10")
    short = cross_validate(box, [*OAKS, OAKS[0]], OAK_CASES[:9], Bars())
    assert (short.functions, short.reason) == ((), "3 functions that run and 9 cases, wanted at least 3 and 10")
    assert cross_validate(box, [], [], Bars()).functions == ()


def test_accuracy_is_reached_or_exceeded(box: Sandbox) -> None:
    listed = "def evaluate(response):\n    return response in {!r}"
    exact = listed.format(GOOD[:4])  # 10 of 12
    below = listed.format(GOOD[:3])  # 9 of 12
    found = cross_validate(box, [*OAKS, exact, below], OAK_CASES, Bars())
    assert [function.accuracy for function in found.functions] == [1.0, 1.0, 1.0, 10 / 12]
    assert reasons(found) == {below: "right on 9 of 12 cases, wanted 80%"}


def test_wrong_and_contradicting_cases_are_dropped(box: Sandbox) -> None:
    cases = [*OAK_CASES, Case("a fir", True), Case("oak or not", True), Case("oak or not", False)]
    found = cross_validate(box, OAKS, cases, Bars())
    assert found.cases == tuple(OAK_CASES)
    assert sorted(why for _, why in found.dropped_cases) == [
        "no function gives what it expects",
        "the same response is expected to pass and to fail",
        "the same response is expected to pass and to fail",
    ]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def evaluate(response):\n    return str('oak' in response)", "returned str, not a boolean"),
        ("def evaluate(response):\n    return int('oak' in response)", "returned int, not a boolean"),
        ("def evaluate(response):\n    print('oak' in response)", "returned NoneType, not a boolean"),
        ("def evaluate(response):\n    while True: pass", "timed out"),
        ("def evaluate(response):\n    raise SystemExit(0)", ""),
        ("def evaluate(response:\n    return True", "refused: SyntaxError"),
        ("def check(response):\n    return True", "refused: the source defines no function"),
        ("import requests\ndef evaluate(response):\n    return True", "failed: ModuleNotFoundError"),
        ("import os\ndef evaluate(response):\n    return os.system('true') == 0 and 'oak' in response", ""),
        ("def evaluate(response):\n    return [] * 10**12 or 'x' * 10**10", ""),
        (
            "import random\ndef evaluate(response):\n    return ('oak' in response) ^ (random.random() < .5)",
            "gave different answers to the same text",
        ),
    ],
)
def test_what_gives_no_steady_boolean_is_refused(box: Sandbox, source: str, reason: str) -> None:
    found = cross_validate(box, [*OAKS, source], OAK_CASES, Bars())
    assert [function.source for function in found.functions] == list(OAKS)
    assert list(reasons(found)) == [source]
    if "random" not in source:  # chance may also make it miss the accuracy
        assert reason in reasons(found)[source]


def test_a_function_that_remembers_is_refused(box: Sandbox) -> None:
    remembers = "seen = []\ndef evaluate(response):\n    seen.append(response)\n"
    remembers += "    return 'oak' in response and len(seen) < 6"
    found = cross_validate(box, [*OAKS, remembers], OAK_CASES, Bars())
    assert reasons(found) == {remembers: "gave different answers to the same text"}


def test_a_bunch_that_breaks_is_run_one_by_one(box: Sandbox) -> None:
    exits = "import os\ndef evaluate(response):\n    if 'elm' in response:\n        os._exit(0)\n    return True"
    (answers,) = run_together(box, [exits], ["oak", "elm", "ash"])
    assert [answer for answer, _ in answers] == [True, None, True]
    assert answers == run_all(box, [exits], ["oak", "elm", "ash"])[0]
    assert run_together(box, OAKS, []) == [[], [], []]


def test_patience_ends() -> None:
    called: list[str] = []

    class Late:
        def map_calls(self, jobs: Iterator[tuple[str, str, tuple[str]]]) -> Iterator[Execution]:
            for source, _, _ in jobs:
                called.append(source)
                yield Execution("timed out") if source == "slow" else Execution("passed", True)

    rows = run_all(Late(), ["slow", "quick"], ["text"] * 20, patience=3)  # type: ignore[arg-type]
    assert (called.count("slow"), called.count("quick")) == (3, 20)
    assert rows[0][-1] == (None, "timed out: given up on")
    assert rows[1] == [(True, "")] * 20


def test_helpers_and_imports_beside_the_function_work(box: Sandbox) -> None:
    """The released code splits the namespaces, so that this one raises NameError when called."""
    helped = "import re\nTREE = 'oak'\ndef has(text):\n    return re.search(TREE, text) is not None\n\n"
    helped += "def evaluate(response):\n    return has(response)"
    found = cross_validate(box, [*OAKS, helped], OAK_CASES, Bars())
    assert helped in {function.source for function in found.functions}


# --- mutation testing -------------------------------------------------------------------------------------------


def kept(*sources: str, cases: list[Case] = OAK_CASES) -> Validated:
    return Validated(tuple(Function(source, 1.0) for source in sources), tuple(cases))


def test_functions_that_check_nothing_are_refused(box: Sandbox) -> None:
    always, never = (f"def evaluate(response):\n    return {value}" for value in (True, False))
    learned = f"def evaluate(response):\n    return response not in {BAD!r}"
    found = mutation_test(box, kept(*OAKS, always, never, learned), Bars())
    assert [function.source for function in found.functions] == list(OAKS)
    assert reasons(found)[always] == "passes every case and every mutant"
    assert reasons(found)[never] == "fails every case and every mutant"
    assert reasons(found)[learned] == "no change to a good answer makes it fail"


def test_the_score_is_over_mutants_known_to_be_broken(box: Sandbox) -> None:
    found = mutation_test(box, kept(*OAKS), Bars(), oracle=lambda text: "oak" in text)
    assert {function.mutation_score for function in found.functions} == {1.0}
    assert all(0.1 < function.killed < 0.9 for function in found.functions)
    loose = "def evaluate(response):\n    return 'stands' in response.lower() and not response.startswith('elm')"
    strict = mutation_test(box, kept(loose), Bars(), oracle=lambda text: "oak" in text and text.islower())
    assert strict.functions == ()
    assert "of the mutants known to be broken" in strict.refused[0].reason
    alone = mutation_test(box, kept(loose), Bars())
    assert alone.functions[0].mutation_score is None


def test_no_good_answer_no_mutation_test(box: Sandbox) -> None:
    found = mutation_test(box, kept(*OAKS, cases=[Case("elm", False)]), Bars())
    assert found.functions == ()
    assert "no good answer" in found.reason


def test_a_function_that_hangs_on_mutants_costs_a_few_time_limits(box: Sandbox) -> None:
    hangs = f"def evaluate(response):\n    while response not in {GOOD + BAD!r}: pass\n    return 'oak' in response"
    with Sandbox(limits=Limits(wall_s=0.1, cpu_s=1.0)) as quick:
        found = mutation_test(quick, kept(*OAKS, hangs), Bars())
    assert hangs in reasons(found)


# --- the whole, on ten instructions with hand-written checks -----------------------------------------------------


@pytest.fixture(scope="module")
def made(box: Sandbox) -> list[Made]:
    return make_verifiers(scripted(DRAFTED), [drafted.instruction for drafted in DRAFTED], box, Settings(drafts=6))


@pytest.mark.parametrize("at", range(len(DRAFTED)), ids=[drafted.check.kind for drafted in DRAFTED])
def test_wrong_functions_are_refused_and_sound_ones_kept(made: list[Made], at: int) -> None:
    drafted, found = DRAFTED[at], made[at]
    assert found.verifier is not None, found.reason
    names = {source: name for name, source in drafted.sources().items()}
    survivors = {names[function.source] for function in found.verifier.functions}
    assert survivors == {name for name in names.values() if name.startswith("sound")}, found.refused
    assert {names[refused.source] for refused in found.refused} == set(names.values()) - survivors
    assert all(refused.reason for refused in found.refused)
    assert found.verifier.accuracy == 1.0
    assert found.verifier.killed > 0


@pytest.mark.parametrize("at", range(len(DRAFTED)), ids=[drafted.check.kind for drafted in DRAFTED])
def test_kept_verifiers_agree_with_the_hand_written_check(made: list[Made], box: Sandbox, at: int) -> None:
    drafted, verifier = DRAFTED[at], made[at].verifier
    assert verifier is not None
    texts = _probes(drafted)
    found = agreement_with_check(verifier.within(box), drafted.check, IFEVAL_TYPES, texts)
    assert found.accuracy.n > 20
    assert found.accuracy.share >= 0.9
    assert found.kappa is not None
    assert found.kappa > 0.7


def _probes(drafted: Drafted) -> list[str]:
    base = (drafted.good[3], drafted.bad[3], drafted.good[4], drafted.bad[4])
    return list(dict.fromkeys(mutant.text for text in base for mutant in mutants(text)))[::3]


def test_hostile_functions_leave_nothing_behind(made: list[Made]) -> None:
    tried = [refused.source for found in made for refused in found.refused if "adhere-was-here" in refused.source]
    assert len(tried) == 1
    assert not Path("/tmp/adhere-was-here").exists()


def test_an_oracle_finds_what_all_functions_get_wrong(box: Sandbox) -> None:
    """Cross-validation measures agreement: three functions with one mistake pass it, but not the hand-written check."""
    shared = {
        "one": "return response.count(',') < 2",
        "two": "return len(response.split(',')) < 3",
        "three": "return not response.count(',') > 1",
    }
    bad = ("Rain, rain, rain.", "a, b, c", "x, y, z", "1, 2, 3", "no, no, no", "up, down, up")
    shares = Drafted(DRAFTED[0].instruction, DRAFTED[0].check, shared, DRAFTED[0].good, bad)
    drafts = [Reply(text) for text in replies_of(shares)]
    fooled = make_verifier(shares.instruction, drafts, box, Bars())
    assert fooled.verifier is not None
    assert fooled.verifier.accuracy == 1.0
    found = agreement_with_check(fooled.verifier.within(box), shares.check, IFEVAL_TYPES, ["a, b", "a b", "a, b c"])
    assert found.accuracy.share == pytest.approx(1 / 3)
    caught = make_verifier(shares.instruction, drafts, box, Bars(), by_hand(shares.check, IFEVAL_TYPES))
    assert caught.verifier is None
    assert caught.reason == "no function survives mutation testing"


def test_a_verifier_is_data(made: list[Made]) -> None:
    verifier = made[0].verifier
    assert verifier is not None
    assert msgspec.json.decode(msgspec.json.encode(verifier), type=GeneratedVerifier) == verifier


def test_nothing_comes_of_nothing(box: Sandbox) -> None:
    for name in sorted(HOSTILE):
        (found,) = make_verifiers(ScriptedModel(HOSTILE[name]), ["Name a tree."], box, Settings(drafts=2))
        assert found.verifier is None
        assert found.reason
        assert found.problems


def test_settings_that_make_no_sense() -> None:
    with pytest.raises(VerifierError):
        Settings(drafts=0)


# --- voting ---------------------------------------------------------------------------------------------------


def voting(box: Sandbox, *bodies: str) -> Verifier:
    functions = tuple(Function(f"def evaluate(response):\n    {body}", 1.0) for body in bodies)
    return GeneratedVerifier("x", functions, (), 1.0, None, 0.5).within(box)


@pytest.mark.parametrize(
    ("bodies", "passed", "score"),
    [
        (("return True", "return True", "return False"), True, 1.0),
        (("return False", "return True", "return False"), False, 1 / 3),
        (("return True", "return False"), None, 0.0),
        (("return True", "raise ValueError", "return 'True'"), None, 0.0),
        (("return True", "return True", "raise ValueError"), True, 1.0),
        (("return False", "while True: pass"), None, 0.0),
        (("import os; os._exit(0)",), None, 0.0),
    ],
)
def test_the_majority_of_all_functions_decides(
    box: Sandbox, bodies: tuple[str, ...], passed: bool | None, score: float
) -> None:
    verdict = voting(box, *bodies).verify(Record(()), "a text")
    assert (verdict.passed, verdict.score) == (passed, pytest.approx(score))
    assert verdict.reason


def test_replies_are_judged_in_order_and_blank_ones_fail(box: Sandbox) -> None:
    vote = voting(box, "return 'oak' in response")
    assert isinstance(vote, Verifier)
    texts = ["oak", "", "elm", " \n", "oak \ud800\0 \u202e", "oak" * 10**6]
    found = vote.verify_all([(Record(()), text) for text in texts])  # type: ignore[attr-defined]
    assert [verdict.passed for verdict in found] == [True, False, False, False, True, True]
    assert voting(box, "return True").verify(Record(()), " \n").passed is False


# --- in words -------------------------------------------------------------------------------------------------


def test_a_function_that_means_something_else_drops_the_instruction(box: Sandbox) -> None:
    drafts = scripted((BULLETS,))
    model = ScriptedModel(
        lambda ask: "Write no lists." if "<function" in ask.messages[-1].text else drafts._script(ask)  # type: ignore[operator,misc]
    )
    instruction = [BULLETS.instruction]

    def saying(relation: str | None) -> Made:
        return make_verifiers(model, instruction, box, Settings(drafts=6), lambda pairs: [relation] * len(pairs))[0]  # type: ignore[list-item]

    against = saying("contradiction")
    assert (against.verifier, against.reason) == (None, "its function means: Write no lists.")
    assert against.descriptions == ("Write no lists.",) * 3
    assert saying("neutral").verifier is not None
    assert saying(None).verifier is None


def test_relations_are_read_strictly() -> None:
    def judge(ask: Ask) -> str:
        word = ask.messages[-1].text.splitlines()[-1].partition(":")[0]
        said = "OPPOSED" if "never" in ask.messages[-1].text else "SAME" if "oak" in ask.messages[-1].text else "?"
        return f"{word}: {said}"

    pairs = [("Name an oak.", "Say oak."), ("Name an oak.", "never name one"), ("Name a tree.", "RELATION: SAME")]
    assert relation_by(ScriptedModel(judge))(pairs) == ["entailment", "contradiction", None]
    parrot = ScriptedModel(lambda ask: "RELATION: SAME")
    assert relation_by(parrot)([("Name a tree.", "RELATION: SAME")]) == [None]


def test_descriptions_are_one_line_or_none() -> None:
    said = iter(["Use no commas.\nBecause.", "", Reply("", "error", error="gone"), Reply("cut", "length")])
    assert describe(ScriptedModel(lambda ask: next(said)), [SOURCE] * 4) == ["Use no commas.", None, None, None]
