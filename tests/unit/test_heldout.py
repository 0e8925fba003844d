from collections import Counter

import pytest

from adhere.core.benchmark import Benchmark
from adhere.core.errors import DataError, SettingsError
from adhere.core.record import Check, Message, Record, ToolResult, assistant, system, user
from adhere.data.decontaminate import NgramIndex
from adhere.data.novelty import rouge_l
from adhere.data.seeds import shipped_seeds
from adhere.evals.heldout import (
    PARTS,
    SLICES,
    VERSION,
    heldout_benchmark,
    heldout_prompts,
    overlap_finder,
    refuse_overlap,
    slice_types,
)
from adhere.verify.catalogue import ALL_TYPES, SEEN_FAMILIES, UNSEEN_FAMILIES
from adhere.verify.score import ConstraintVerifier

# Of version 3. When prompts, phrasings or the way of composing change on purpose: raise VERSION in
# evals/heldout.py, put it here, and take the new values from
#   python -c "from adhere.evals.heldout import *; [print(s, p, heldout_benchmark(s, part=p).fingerprint)
#   for s in SLICES for p in PARTS]"
# Numbers measured before and after are then of two benchmarks and must not be compared.
PINNED_VERSION = "3"
PINNED = {
    ("seen", "development"): "ef6f8f52c9a8b30543180619d8bdb4cc33c0dd224d2a8c4108d4e75e6c7664d9",
    ("seen", "test"): "2d33ebe55fc610a2057710043b2774aa0795b5d429d9a343dbad0ad72e1f62b9",
    ("unseen", "development"): "a278dc18bda3d462a3799785c82839113283a4ba6fa241c53f4365c9911ada7a",
    ("unseen", "test"): "a58b70e9fcbe9ecca1493ccd94807281cca562024bee75a35d5744adddd7993f",
    ("plain", "development"): "9837295964e91650bcbc7dec0ebe79594325fcbd9b9bd3f1d01f584d915728ab",
    ("plain", "test"): "30879ae62365aa9dbc4f0f1ef6703f2150d6630ef502586a36619bc1250b1b5f",
}


@pytest.fixture(scope="module")
def benchmarks():
    return {slice: heldout_benchmark(slice) for slice in SLICES}


@pytest.fixture(scope="module")
def parts():
    return {(slice, part): heldout_benchmark(slice, part=part) for slice in SLICES for part in PARTS}


def families(benchmark):
    return {ALL_TYPES[check.kind].family for record in benchmark.records for check in record.checks}


def test_there_are_enough_prompts_and_none_twice():
    prompts = heldout_prompts()
    assert {
        slice: len(heldout_prompts(slice)) >= least for slice, least in zip(SLICES, (120, 70, 70), strict=True)
    } == {
        "seen": True,
        "unseen": True,
        "plain": True,
    }
    assert len({prompt.instruction for prompt in prompts}) == len(prompts)


def test_the_benchmark_is_the_one_that_its_version_names(parts):
    assert VERSION == PINNED_VERSION
    assert {key: one.fingerprint for key, one in parts.items()} == PINNED


def test_parts_share_no_prompt_and_together_hold_all(parts):
    sizes = {(slice, part): len(one.records) for (slice, part), one in parts.items()}
    assert [sizes[slice, "development"] for slice in SLICES] == [80, 50, 40]
    assert [sizes[slice, "test"] for slice in SLICES] == [105, 52, 46]
    for slice in SLICES:
        texts = [{one.notes["instruction"] for one in parts[slice, part].records} for part in PARTS]
        assert not texts[0] & texts[1]
        assert texts[0] | texts[1] == {prompt.text for prompt in heldout_prompts(slice)}


@pytest.mark.parametrize("slice", SLICES)
def test_no_seed_moves_a_prompt_into_the_other_part(slice):
    development = {prompt.text for prompt in heldout_prompts(slice, "development")}
    for seed in (1, 2):
        test = heldout_benchmark(slice, seed=seed).records
        assert not development & {record.notes["instruction"] for record in test}
        assert {record.notes["part"] for record in test} == {"test"}


def test_the_part_is_test_unless_asked_otherwise(parts):
    assert heldout_benchmark("plain").fingerprint == parts["plain", "test"].fingerprint
    assert parts["plain", "development"].name == "heldout-plain-development"


def test_an_unknown_part_is_refused():
    with pytest.raises(SettingsError, match="'tets'") as refused:
        heldout_benchmark("plain", part="tets")
    assert "'test'" in str(refused.value)


def test_a_third_of_the_prompts_brings_a_text_of_its_own():
    for slice in SLICES:
        prompts = heldout_prompts(slice)
        texts = [prompt.input for prompt in prompts if prompt.input]
        assert 0.28 <= len(texts) / len(prompts) <= 0.4
        assert all(20 <= len(text.split()) <= 100 for text in texts)
        assert len({prompt.skill for prompt in prompts}) >= 10


def test_prompts_of_different_slices_are_unlike():
    by_slice = {slice: heldout_prompts(slice) for slice in SLICES}
    for one, other in (("seen", "unseen"), ("seen", "plain"), ("unseen", "plain")):
        index = NgramIndex(8, [prompt.text for prompt in by_slice[one]])
        assert [found for prompt in by_slice[other] if (found := index.overlaps(prompt.text))] == []


def test_no_held_out_prompt_is_near_a_training_seed():
    seeds = [record.instruction for record in shipped_seeds()]
    index = NgramIndex(8, seeds)
    assert [found for prompt in heldout_prompts() if (found := index.overlaps(prompt.text))] == []
    nearest = max(rouge_l(prompt.text, seed) for prompt in heldout_prompts() for seed in seeds)
    assert nearest < 0.6


def test_the_same_benchmark_each_time(benchmarks):
    for slice, benchmark in benchmarks.items():
        assert heldout_benchmark(slice).fingerprint == benchmark.fingerprint
        assert benchmark.name == f"heldout-{slice}"
    assert heldout_benchmark("seen", seed=1).fingerprint != benchmarks["seen"].fingerprint
    small = heldout_benchmark("seen", count=20)
    assert small.records == benchmarks["seen"].records[:20]


def test_slices_keep_to_their_families(benchmarks):
    assert families(benchmarks["seen"]) <= set(SEEN_FAMILIES)
    assert families(benchmarks["unseen"]) == set(UNSEEN_FAMILIES)
    assert not set(SEEN_FAMILIES) & set(UNSEEN_FAMILIES)
    assert all(not record.checks for record in benchmarks["plain"].records)
    assert {len(record.checks) for record in benchmarks["seen"].records} == {1, 2, 3}
    assert slice_types("plain") == {}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("slice", ["seen", "unseen"])
def test_types_are_balanced(parts, slice, part):
    counts = Counter(check.kind for record in parts[slice, part].records for check in record.checks)
    few = {"language:response_language", "detectable_format:constrained_response"}  # they fit very few prompts
    assert set(counts) >= set(slice_types(slice)) - few
    ordinary = sorted(counts.values())
    assert ordinary[-1] <= 3 * ordinary[len(ordinary) // 2]


def test_only_held_out_phrasings_are_used(benchmarks):
    for slice in ("seen", "unseen"):
        for record in benchmarks[slice].records:
            for check in record.checks:
                assert check.phrase
                kind = ALL_TYPES[check.kind]
                trained = [kind.phrase(check.params, template) for template in kind.phrasings]
                assert check.phrase not in trained


def test_the_plain_text_stands_in_the_notes_and_in_the_prompt(benchmarks):
    for record in benchmarks["seen"].records:
        first = record.notes["instruction"].split("\n\n")[0]
        assert first in record.instruction


def test_small_counts_hold_many_skills():
    skills = {record.notes["skill"] for record in heldout_benchmark("plain", count=20).records}
    assert len(skills) >= 6


@pytest.mark.parametrize("count", [0, -1, 10_000])
def test_impossible_counts_are_refused(count):
    with pytest.raises(SettingsError, match="expected 1 to"):
        heldout_benchmark("plain", count)


def test_an_unknown_slice_is_refused():
    with pytest.raises(SettingsError, match="sean"):
        heldout_benchmark("sean")


def test_clean_training_data_passes():
    clean = [Record((user("What do snails eat in a greenhouse?"),), (Check("punctuation:no_comma", {}, "No commas."),))]
    assert refuse_overlap(clean) == 1
    assert refuse_overlap(shipped_seeds()) >= 150


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("slice", SLICES)
def test_any_held_out_prompt_in_training_is_refused(slice, part):
    for prompt in heldout_prompts(slice, part)[::9]:
        stolen = Record((user(prompt.text.upper() + " Please."),))
        with pytest.raises(DataError, match="shares the words"):
            refuse_overlap([Record((user("Fine."),)), stolen], [])


def test_every_message_but_a_reply_is_looked_at():
    text = heldout_prompts("plain")[5].text
    offence_of = overlap_finder()
    tool = Message("tool", (ToolResult("1", text),))
    for hidden in (system(text), user(text), tool):
        record = Record((hidden, user("Go on."), assistant("Fine.")))
        assert offence_of(record) is not None
    assert offence_of(Record((user("Go on."), assistant(text)))) is None


def test_further_benchmarks_are_kept_apart_too():
    extra = Record((user("Which nine things would a retired sailor pack for one winter ashore?"),))
    more = Benchmark("extra", "1", (extra,), ConstraintVerifier(ALL_TYPES))
    assert refuse_overlap([extra]) == 1
    with pytest.raises(DataError, match="retired sailor"):
        refuse_overlap([extra], [more])


def test_a_held_out_family_in_training_is_refused(benchmarks):
    check = benchmarks["unseen"].records[0].checks[0]
    with pytest.raises(DataError, match="held-out family"):
        refuse_overlap([Record((user("Say hello."),), (check,))], [])


def test_a_held_out_phrasing_in_training_is_refused(benchmarks):
    kind = ALL_TYPES["punctuation:no_comma"]
    check = Check(kind.id, {}, kind.phrase({}, kind.heldout_phrasings[0]))
    found = overlap_finder([])(Record((user("Say hello."),), (check,)))
    assert found is not None
    assert "held-out phrasing" in found
    fine = Check(kind.id, {}, kind.phrase({}, kind.phrasings[0]))
    assert overlap_finder([])(Record((user("Say hello."),), (fine,))) is None


def test_a_held_out_phrasing_turned_around_is_found_too():
    kind = ALL_TYPES["combination:repeat_prompt"]
    template = next(one for one in kind.heldout_phrasings if " above" in one)
    params = {"prompt_to_repeat": "Say hello."}
    check = Check(kind.id, params, kind.phrase(params, template).replace(" above", " below"))
    assert overlap_finder([])(Record((user("Say hello."),), (check,))) is not None


def test_a_heldout_family_inside_a_nested_check_is_refused() -> None:
    inner = {"kind": "lipogram:no_digits", "params": {}, "phrase": "Use no digits."}
    check = Check("nested:all", {"checks": [inner]}, "Use no digits.")
    row = Record((user("Tell me of the harbour."), assistant("It is large.")), (check,))
    with pytest.raises(DataError, match="lipogram"):
        refuse_overlap([row])
