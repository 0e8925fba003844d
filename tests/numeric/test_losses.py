"""Losses against their closed forms, computed here with plain floats."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from adhere.core.errors import TrainingError  # noqa: E402
from adhere.models.scripted import tiny_weights  # noqa: E402
from adhere.training.encode import Example  # noqa: E402
from adhere.training.lora import LoraTrainee, with_reference  # noqa: E402
from adhere.training.losses import Dpo, Nll, Seen, dpo_terms  # noqa: E402
from adhere.training.packing import join  # noqa: E402
from adhere.training.schedule import Schedule  # noqa: E402


def example(length, weight=1.0, reference=None):
    return Example(tuple(range(length)), (False,) + (True,) * (length - 1), weight, reference=reference)


def seen(units, logprobs):
    stream = join(units)
    return Seen(stream.examples, torch.tensor(logprobs), torch.tensor(stream.owners), tuple(map(len, units)))


def log_sigmoid(value):
    return -math.log1p(math.exp(-value))


def test_nll_is_a_mean_over_tokens_not_over_rows():
    units = [(example(2),), (example(4),)]
    loss = Nll()
    found = loss(seen(units, [-1.0, -2.0, -3.0, -4.0])) / loss.measure(units)
    assert float(found) == pytest.approx(10 / 4)


def test_nll_weights_examples():
    units = [(example(2, weight=3.0),), (example(3),)]
    loss = Nll()
    found = loss(seen(units, [-1.0, -2.0, -5.0])) / loss.measure(units)
    assert float(found) == pytest.approx((3 * 1 + 2 + 5) / (3 + 2))


@pytest.mark.parametrize(("beta", "smoothing", "sft"), [(0.1, 0.0, 0.0), (0.5, 0.1, 0.0), (0.1, 0.0, 1.0)])
def test_dpo_equals_its_closed_form(beta, smoothing, sft):
    units = [
        (example(3, reference=(-1.0, -1.5)), example(2, reference=(-0.5,))),
        (example(2, weight=2.0, reference=(-2.0,)), example(3, weight=2.0, reference=(-1.0, -1.0))),
    ]
    values = [-0.9, -1.2, -0.8, -1.7, -1.4, -1.1]
    loss = Dpo(beta, smoothing, sft)
    found = float(loss(seen(units, values)) / loss.measure(units))
    wanted = 0.0
    for weight, chosen, ref_chosen, rejected, ref_rejected, tokens in (
        (1.0, -2.1, -2.5, -0.8, -0.5, 2),
        (2.0, -1.7, -2.0, -2.5, -2.0, 1),
    ):
        logit = beta * ((chosen - ref_chosen) - (rejected - ref_rejected))
        term = -(1 - smoothing) * log_sigmoid(logit) - smoothing * log_sigmoid(-logit)
        wanted += weight * (term - sft * chosen / tokens)
    assert found == pytest.approx(wanted / 3, rel=1e-6)


def test_dpo_starts_at_log_two_and_its_gradient_is_half_beta():
    chosen = torch.zeros(1, requires_grad=True)
    value = dpo_terms(chosen, torch.zeros(1), beta=0.2).sum()
    value.backward()
    assert value.item() == pytest.approx(math.log(2))
    assert float(chosen.grad) == pytest.approx(-0.1)


def test_dpo_does_not_overflow():
    assert float(dpo_terms(torch.tensor([-1e4]), torch.tensor([1e4]), 0.1)) == pytest.approx(2000)
    assert float(dpo_terms(torch.tensor([1e4]), torch.tensor([-1e4]), 0.1)) == 0.0


def test_dpo_refuses_units_that_are_no_pairs_and_pairs_without_reference():
    with pytest.raises(TrainingError, match="chosen and a rejected"):
        Dpo()(seen([(example(2),)], [-1.0]))
    with pytest.raises(TrainingError, match="frozen model"):
        Dpo()(seen([(example(2), example(2))], [-1.0, -1.0]))


def test_the_reference_is_the_model_without_its_adapter(tmp_path):
    trainee = LoraTrainee.open(tiny_weights(tmp_path), Schedule(precision="fp32", rank=4, device="cpu"))
    units = [(example(9), example(5)), (example(30), example(2))]
    fresh = with_reference(trainee, units)
    loss = Dpo()
    stream = join([fresh[0], fresh[1]])
    at_start = Seen(stream.examples, trainee.logprobs(stream), torch.tensor(stream.owners), (2, 2))
    assert float(loss(at_start)) / loss.measure(fresh) == pytest.approx(math.log(2), abs=1e-5)
    with torch.no_grad():
        for parameter in trainee.parameters:
            parameter.add_(0.1)
    again = with_reference(trainee, units)
    flat = [value for unit in fresh for one in unit for value in one.reference]
    assert flat == pytest.approx([value for unit in again for one in unit for value in one.reference], abs=1e-5)
    moved = Seen(stream.examples, trainee.logprobs(stream), torch.tensor(stream.owners), (2, 2))
    assert abs(float(loss(moved)) / loss.measure(fresh) - math.log(2)) > 1e-4


def test_examples_refuse_marks_that_do_not_fit():
    with pytest.raises(TrainingError, match="each of 3 tokens"):
        replace(example(3), supervised=(True,))
