from collections import Counter

import pytest

from adhere.core.errors import DataError, SettingsError
from adhere.core.record import Check, Record, user
from adhere.data.decontaminate import NgramIndex
from adhere.data.novelty import rouge_l
from adhere.data.seeds import shipped_seeds
from adhere.evals.heldout import (
    SLICES,
    heldout_benchmark,
    heldout_prompts,
    overlap_finder,
    refuse_overlap,
    slice_types,
)
from adhere.verify.catalogue import ALL_TYPES, SEEN_FAMILIES, UNSEEN_FAMILIES


@pytest.fixture(scope="module")
def benchmarks():
    return {slice: heldout_benchmark(slice) for slice in SLICES}


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


@pytest.mark.parametrize("slice", ["seen", "unseen"])
def test_types_are_balanced(benchmarks, slice):
    counts = Counter(check.kind for record in benchmarks[slice].records for check in record.checks)
    assert set(counts) >= set(slice_types(slice)) - {"language:response_language"}
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


def test_clean_training_data_passes(benchmarks):
    clean = [Record((user("What do snails eat in a greenhouse?"),), (Check("punctuation:no_comma", {}, "No commas."),))]
    assert refuse_overlap(clean, list(benchmarks.values())) == 1
    assert refuse_overlap(shipped_seeds(), list(benchmarks.values())) >= 150


def test_a_held_out_prompt_in_training_is_refused(benchmarks):
    stolen = benchmarks["plain"].records[3]
    text = stolen.instruction.upper() + " Please."
    with pytest.raises(DataError, match="shares the words"):
        refuse_overlap([Record((user("Fine."),)), Record((user(text),))], list(benchmarks.values()))


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
