import random
from collections import Counter

import pytest

from adhere.core.errors import VerifierError
from adhere.core.record import Check, Record, assistant, system, user
from adhere.verify.catalogue import (
    ALL_TYPES,
    FURTHER_TYPES,
    IFEVAL_TYPES,
    SEEN_FAMILIES,
    UNSEEN_FAMILIES,
    UNSEEN_TYPES,
    constraint_type,
)
from adhere.verify.compose import compose
from adhere.verify.conflicts import compatible, conflict

SEED = Record((system("Be kind."), user("Describe a walk along the sea."), assistant("It was windy.")))


def made(seed: int, count: int, **more: object) -> Record | None:
    return compose(random.Random(seed), SEED, count, tuple(IFEVAL_TYPES.values()), **more)  # type: ignore[arg-type]


def test_the_catalogue_is_whole() -> None:
    assert len(IFEVAL_TYPES) == 25
    assert len(SEEN_FAMILIES) == 9
    assert len(UNSEEN_TYPES) >= 8
    assert len(UNSEEN_FAMILIES) == 4
    assert not SEEN_FAMILIES & UNSEEN_FAMILIES
    assert all(key == kind.id and kind.family == key.partition(":")[0] for key, kind in ALL_TYPES.items())
    assert len(ALL_TYPES) == len(IFEVAL_TYPES) + len(UNSEEN_TYPES) + len(FURTHER_TYPES)


def test_an_unknown_type_gets_a_suggestion() -> None:
    assert constraint_type("startend:quotation").id == "startend:quotation"
    with pytest.raises(VerifierError, match="startend:quotation"):
        constraint_type("startend:quotations")


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_composed_records_are_derived_from_their_seed(count: int) -> None:
    found = [record for seed in range(40) if (record := made(seed, count))]
    assert len(found) >= 35
    for record in found:
        assert len(record.checks) == count
        assert record.parents == (SEED.id,)
        assert record.made_by == "compose@1"
        assert record.reply is None
        assert record.messages[0] == SEED.messages[0]
        assert SEED.instruction in record.instruction
        assert record.notes["instruction"] == SEED.instruction
        for check in record.checks:
            IFEVAL_TYPES[check.kind].validated(check.params)
    assert len({record.instruction for record in found}) >= len(found) - 2


def test_the_same_seed_gives_the_same_record() -> None:
    assert made(5, 3) == made(5, 3)


def test_heldout_phrasings_stay_apart() -> None:
    kind = IFEVAL_TYPES["startend:quotation"]
    for seed in range(30):
        train = compose(random.Random(seed), SEED, 1, (kind,))
        held = compose(random.Random(seed), SEED, 1, (kind,), heldout=True)
        assert train is not None
        assert held is not None
        assert train.checks[0].phrase in kind.phrasings
        assert held.checks[0].phrase in kind.heldout_phrasings


def test_families_are_balanced_by_default_and_weights_are_obeyed() -> None:
    families = Counter(record.checks[0].kind.partition(":")[0] for seed in range(450) if (record := made(seed, 1)))
    families.pop("language", None)  # draws itself seldom, since small models hardly answer in other languages
    assert set(families) == SEEN_FAMILIES - {"language"}
    assert max(families.values()) < 4 * min(families.values())
    only = [made(seed, 1, weights={"startend:quotation": 1.0}) for seed in range(5)]
    assert all(record is not None and record.checks[0].kind == "startend:quotation" for record in only)


def test_what_cannot_be_composed_is_none_or_an_error() -> None:
    assert compose(random.Random(0), Record((user("  "),)), 1, tuple(IFEVAL_TYPES.values())) is None
    assert compose(random.Random(0), SEED, 2, (IFEVAL_TYPES["startend:quotation"],)) is None
    assert compose(random.Random(0), SEED, 1, ()) is None
    with pytest.raises(VerifierError, match="1 to 4"):
        made(0, 5)


def test_the_repeated_request_is_what_stands_above_or_below() -> None:
    types = tuple(IFEVAL_TYPES[kind] for kind in ("combination:repeat_prompt", "detectable_format:title"))
    places = set()
    for seed in range(60):
        alone = compose(random.Random(seed), SEED, 1, types[:1])
        assert alone is not None
        assert alone.checks[0].params["prompt_to_repeat"] == SEED.instruction
        both = compose(random.Random(seed), SEED, 2, types)
        assert both is not None
        repeat = next(check for check in both.checks if check.kind == types[0].id)
        request = repeat.params["prompt_to_repeat"]
        assert "<" in request
        assert repeat.phrase not in request
        places.add("below" if both.instruction.endswith(request) else "above")
        assert ("below" in repeat.phrase) == both.instruction.endswith(request)
    assert places == {"above", "below"}


def test_input_texts_do_not_run_into_constraints() -> None:
    seed = Record((user("Summarise this text:\n\nThe sea was calm and the air was cold"),))
    for number in range(80):
        record = compose(random.Random(number), seed, 2, tuple(IFEVAL_TYPES.values()))
        if record and "combination:repeat_prompt" not in {check.kind for check in record.checks}:
            after = record.instruction.partition("the air was cold")[2]
            assert after == "" or after.startswith("\n")


TABLE = [
    ("startend:quotation", "startend:quotation", {}, {}),
    ("detectable_format:json_format", "startend:end_checker", {}, {"end_phrase": "Bye."}),
    ("change_case:english_lowercase", "change_case:capital_word_frequency", {}, {}),
    ("detectable_format:constrained_response", "punctuation:no_comma", {}, {}),
    ("startend:quotation", "detectable_format:title", {}, {}),
    ("punctuation:no_comma", "combination:repeat_prompt", {}, {"prompt_to_repeat": "One, two."}),
    ("keywords:forbidden_words", "startend:end_checker", {"forbidden_words": ["end"]}, {"end_phrase": "The end."}),
    (
        "length_constraints:number_words",
        "length_constraints:number_sentences",
        {"num_words": 300, "relation": "at least"},
        {"num_sentences": 3, "relation": "less than"},
    ),
    ("lipogram:avoid_letter", "keywords:existence", {"letter": "z"}, {"keywords": ["maze"]}),
    (
        "change_case:english_lowercase",
        "detectable_format:multiple_sections",
        {},
        {"section_spliter": "Part", "num_sections": 2},
    ),
    ("lines:line_count", "lines:numbered_steps", {"num_lines": 2}, {"num_steps": 3}),
]


@pytest.mark.parametrize(("one", "other", "first", "second"), TABLE)
def test_conflicts_are_symmetric(one: str, other: str, first: dict[str, object], second: dict[str, object]) -> None:
    a, b = Check(one, first), Check(other, second)
    assert conflict(a, b)
    assert conflict(b, a)
    assert not compatible((a, b))


def test_structure_has_to_fit_into_a_word_limit() -> None:
    limit = Check("length_constraints:number_words", {"num_words": 40, "relation": "less than"})
    few = Check("detectable_format:number_bullet_lists", {"num_bullets": 3})
    many = Check("detectable_format:number_bullet_lists", {"num_bullets": 8})
    assert compatible((limit, few))
    assert not compatible((limit, many))


def test_ordinary_pairs_go_together() -> None:
    assert compatible((Check("punctuation:no_comma"), Check("detectable_format:title")))
    assert compatible((Check("combination:repeat_prompt", {"prompt_to_repeat": "One."}), Check("punctuation:no_comma")))
    assert compatible((Check("detectable_format:json_format"), Check("keywords:existence", {"keywords": ["sun"]})))


def test_kinds_that_nobody_knows_conflict_only_with_themselves() -> None:
    strange = Check("made:up", {"end_phrase": "No, never.", "num_sections": 3})
    assert conflict(strange, strange)
    for kind in ALL_TYPES:
        known = Check(kind, dict(ALL_TYPES[kind].examples[0].params))
        assert conflict(strange, known) is None
        assert conflict(known, strange) is None
    assert compatible((strange, Check("punctuation:no_comma")))


def test_conflicts_are_symmetric_over_all_types() -> None:
    checks = [Check(kind.id, dict(kind.examples[0].params)) for kind in ALL_TYPES.values()]
    for one in checks:
        for other in checks:
            assert (conflict(one, other) is None) == (conflict(other, one) is None), (one.kind, other.kind)


def test_what_a_type_excludes_names_types_or_families_that_exist() -> None:
    families = {kind.family for kind in ALL_TYPES.values()}
    for kind in ALL_TYPES.values():
        assert {*kind.excludes, *(kind.only_with or ())} <= {*ALL_TYPES, *families, "*"}, kind.id


DEMANDED = [
    ("keywords:frequency", {"relation": "less than", "keyword": "end", "frequency": 2}, "The end of the end.", True),
    ("keywords:frequency", {"relation": "at least", "keyword": "end", "frequency": 5}, "The end.", False),
    ("keywords:letter_frequency", {"let_relation": "less than", "letter": "e", "let_frequency": 2}, "The end.", True),
    ("keywords:letter_frequency", {"let_relation": "at least", "letter": "z", "let_frequency": 2}, "The end.", False),
    ("length_constraints:number_words", {"relation": "less than", "num_words": 3}, "One two three.", True),
    ("length_constraints:number_words", {"relation": "at least", "num_words": 30}, "One two three.", False),
    ("lipogram:no_digits", {}, "Call 112.", True),
    ("lipogram:no_contractions", {}, "That's all.", True),
    ("lipogram:no_contractions", {}, "That is all.", False),
    ("punctuation:no_comma", {}, "Well, no.", True),
]


@pytest.mark.parametrize(("kind", "params", "phrase", "clashes"), DEMANDED)
def test_a_demanded_text_must_not_hold_what_is_forbidden(
    kind: str, params: dict[str, object], phrase: str, clashes: bool
) -> None:
    ending = Check("startend:end_checker", {"end_phrase": phrase})
    assert bool(conflict(Check(kind, params), ending)) is clashes
    assert bool(conflict(ending, Check(kind, params))) is clashes


def test_parameters_without_sense_tell_nothing() -> None:
    odd = Check("startend:end_checker", {"end_phrase": 3})
    assert conflict(odd, Check("punctuation:no_comma")) is None
    assert compatible((odd, Check("keywords:letter_frequency", {"letter": "ab"})))
    assert compatible((Check("keywords:existence", {"keywords": [""]}), Check("punctuation:no_comma")))


def test_a_huge_count_needs_more_words_than_any_limit_leaves() -> None:
    limit = Check("length_constraints:number_words", {"num_words": 90_000, "relation": "less than"})
    assert not compatible((limit, Check("detectable_format:number_bullet_lists", {"num_bullets": 1_000_000})))
