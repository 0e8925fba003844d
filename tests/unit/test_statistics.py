import random
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adhere.core.errors import DataError
from adhere.core.statistics import (
    minimum_detectable_effect,
    paired_difference,
    proportion_interval,
    sign_test,
    t_cdf,
    t_quantile,
    verdict_in_words,
)


@pytest.mark.parametrize(
    ("p", "degrees", "value"),
    [  # printed tables of Student's t
        (0.975, 1, 12.706205),
        (0.975, 10, 2.228139),
        (0.975, 30, 2.042272),
        (0.95, 5, 2.015048),
        (0.999, 2, 22.327125),
        (0.9, 120, 1.288646),
        (0.025, 10, -2.228139),
    ],
)
def test_t_quantile_agrees_with_the_tables(p, degrees, value):
    assert t_quantile(p, degrees) == pytest.approx(value, abs=2e-6)


def test_t_nears_the_normal_with_many_degrees_and_is_cauchy_with_one():
    assert t_quantile(0.975, 1e7) == pytest.approx(NormalDist().inv_cdf(0.975), abs=1e-6)
    assert t_cdf(1.0, 1) == pytest.approx(0.75, abs=1e-12)
    assert t_cdf(-1.0, 1) == pytest.approx(0.25, abs=1e-12)


@pytest.mark.parametrize("p", [0.0, 1.0, -1.0])
def test_impossible_quantiles_are_refused(p):
    with pytest.raises(DataError, match="t quantile"):
        t_quantile(p, 5)


def test_wilson_interval_of_published_examples():
    found = proportion_interval([1] * 15 + [0] * 133)  # 15 of 148: Newcombe 1998, table I
    assert (found.low, found.high) == (pytest.approx(0.0624, abs=5e-5), pytest.approx(0.1605, abs=5e-5))
    nothing = proportion_interval([0] * 20)
    assert (nothing.low, nothing.high) == (0.0, pytest.approx(0.1611, abs=5e-5))


def test_values_that_repeat_within_prompts_do_not_narrow_the_interval():
    once = proportion_interval([1, 0] * 30, list(range(60)))
    copied = proportion_interval([1, 0] * 30 * 5, list(range(60)) * 5)
    assert copied.n == 300
    assert copied.clusters == 60
    assert (copied.low, copied.high) == (pytest.approx(once.low, abs=1e-9), pytest.approx(once.high, abs=1e-9))
    naive = proportion_interval([1, 0] * 150)
    assert naive.high - naive.low < 0.6 * (copied.high - copied.low)


def test_clustered_share_counts_values_and_leaves_out_what_was_not_judged():
    found = proportion_interval([1, 1, 0, None, 1], ["a", "a", "b", "b", "c"])
    assert found.share == 0.75
    assert (found.n, found.clusters) == (4, 3)


def test_clustered_share_at_the_end_still_has_width():
    found = proportion_interval([1.0] * 40, [k // 2 for k in range(40)])
    assert found.high == 1.0
    assert 0.75 < found.low < 0.9  # 20 prompts, not 40 values


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 8)), min_size=1, max_size=60))
def test_a_share_lies_within_its_interval_within_the_unit(pairs):
    values, clusters = [v for v, _ in pairs], [c for _, c in pairs]
    for found in (proportion_interval(values), proportion_interval(values, clusters)):
        assert 0 <= found.low <= found.share <= found.high <= 1


def test_nothing_judged_and_impossible_shares_are_errors():
    with pytest.raises(DataError, match="no value was judged"):
        proportion_interval([None, None])
    with pytest.raises(DataError, match="between 0 and 1"):
        proportion_interval([1.5])


def test_paired_difference_is_the_paired_t_interval():
    # differences 1 2 3 4 5: mean 3, sd sqrt(2.5), t(0.975, 4) = 2.776445
    found = paired_difference([0] * 5, [1, 2, 3, 4, 5], list("abcde"))
    half = 2.776445 * (2.5 / 5) ** 0.5
    assert found.difference == 3
    assert (found.low, found.high) == (pytest.approx(3 - half, abs=1e-5), pytest.approx(3 + half, abs=1e-5))
    assert (found.n, found.pairs, found.wins, found.losses) == (5, 5, 5, 0)
    assert found.p == pytest.approx(2 / 32)


def test_seeds_are_averaged_within_a_prompt_before_anything_else():
    prompts = [k for k in range(40) for _ in range(3)]
    rng = random.Random(3)
    base = [rng.random() for _ in prompts]
    treated = [rng.random() for _ in prompts]
    means = [sum(treated[3 * k + s] - base[3 * k + s] for s in range(3)) / 3 for k in range(40)]
    found = paired_difference(base, treated, prompts)
    direct = paired_difference([0.0] * 40, means, range(40))
    assert (found.n, found.pairs) == (40, 120)
    assert (found.low, found.high) == (pytest.approx(direct.low), pytest.approx(direct.high))


def test_pairs_not_judged_are_left_out_and_counted_never_zero():
    found = paired_difference([0, 0, None, 1], [1, None, 1, 1], ["a", "a", "b", "c"])
    assert found.difference == 0.5  # prompt a moved by 1, c by 0; b has no pair
    assert (found.n, found.pairs, found.not_judged) == (2, 2, 2)


def test_one_prompt_has_no_interval_and_no_difference_has_zero_width():
    one = paired_difference([0], [1], ["a"])
    assert (one.low, one.high, one.minimum_detectable) == (float("-inf"), float("inf"), None)
    same = paired_difference([1, 0], [1, 0], ["a", "b"])
    assert (same.low, same.high, same.minimum_detectable, same.p) == (0, 0, None, 1.0)


@pytest.mark.parametrize(
    ("base", "treated", "clusters", "says"),
    [
        ([1], [1, 0], ["a", "b"], "one length"),
        ([None], [1], ["a"], "no pair"),
        ([], [], [], "no pair"),
        ([float("nan")], [1], ["a"], "finite"),
    ],
)
def test_what_cannot_be_compared_is_refused(base, treated, clusters, says):
    with pytest.raises(DataError, match=says):
        paired_difference(base, treated, clusters)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = random.Random(11)
    covered = 0
    for _ in range(600):
        base, treated, prompts = [], [], []
        for prompt in range(40):
            ease = rng.random()  # shared by the seeds and both models, so pairs are correlated
            for _ in range(3):
                base.append(rng.random() < 0.6 * ease)
                treated.append(rng.random() < 0.6 * ease + 0.2)
                prompts.append(prompt)
        found = paired_difference(base, treated, prompts)
        covered += found.low <= 0.2 <= found.high
    assert 0.925 <= covered / 600 <= 0.975


def test_mcnemar_exact_on_a_worked_table():
    assert sign_test(1, 9) == pytest.approx(2 * (1 + 10) / 1024)
    assert sign_test(9, 1) == sign_test(1, 9)
    assert sign_test(0, 0) == 1.0
    assert sign_test(5, 5) == 1.0


def test_minimum_detectable_effect_by_the_textbook_formula():
    # many prompts: (1.959964 + 0.841621) * sd / sqrt(n)
    assert minimum_detectable_effect(0.5, 1_000_000) == pytest.approx(2.801585 * 0.5 / 1000, rel=1e-5)
    assert minimum_detectable_effect(0.5, 100, power=0.9) > minimum_detectable_effect(0.5, 100, power=0.8)
    with pytest.raises(DataError):
        minimum_detectable_effect(0.5, 1)


def test_a_true_effect_of_the_detectable_size_is_found_four_times_in_five():
    rng = random.Random(5)
    effect = minimum_detectable_effect(1.0, 40)
    found = sum(
        paired_difference([0.0] * 40, [rng.gauss(effect, 1) for _ in range(40)], range(40)).low > 0 for _ in range(600)
    )
    assert 0.74 <= found / 600 <= 0.86


def test_the_verdict_says_which_way_and_what_would_be_missed():
    up = verdict_in_words(paired_difference([0] * 4, [0.5, 0.6, 0.5, 0.6], range(4)))
    assert "higher by 55.0 points" in up
    assert "4 prompts" in up
    down = verdict_in_words(paired_difference([0.5, 0.6, 0.5, 0.6], [0] * 4, range(4)))
    assert "lower by 55.0 points" in down
    none = verdict_in_words(paired_difference([0, 0, 0, 1], [0, 1, 0, 0], range(4)))
    assert "no difference found" in none
    assert "likely to be missed" in none
    assert "missed" not in verdict_in_words(paired_difference([1, 1], [1, 1], range(2)))
