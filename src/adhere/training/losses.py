"""Losses as functions of per-token log-probabilities: one loop, many losses.

A loss says what the sum over a step is divided by (`measure`), and gives the undivided sum of a row (`__call__`).
The loop divides by the measure of the *whole* optimiser step, so several small passes give the gradient of one
large one, whatever the sizes of their rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from adhere.core.errors import TrainingError
from adhere.training.encode import Example, Unit


@dataclass(frozen=True)
class Seen:
    """What a loss sees of one row.

    `logprobs` `[targets]` are the log-probabilities of the supervised tokens in stream order, `owners` `[targets]`
    the index in `examples` of the example each belongs to, `widths` how many examples each unit has.
    """

    examples: tuple[Example, ...]
    logprobs: Tensor
    owners: Tensor
    widths: tuple[int, ...]

    def sums(self, values: Tensor | None = None) -> Tensor:
        """Sum over the supervised tokens of each example, `[examples]`."""
        values = self.logprobs if values is None else values
        return values.new_zeros(len(self.examples)).index_add(0, self.owners, values)

    def counts(self) -> Tensor:
        """Supervised tokens of each example, `[examples]`."""
        return torch.bincount(self.owners, minlength=len(self.examples)).to(self.logprobs.dtype)

    def weights(self) -> Tensor:
        """Weight of each example, `[examples]`."""
        return self.logprobs.new_tensor([example.weight for example in self.examples])

    def reference_sums(self) -> Tensor:
        """Sum of the frozen model's log-probabilities of each example, `[examples]`."""
        sums = []
        for example in self.examples:
            if example.reference is None or len(example.reference) != len(example.targets):
                raise TrainingError(
                    "expected the frozen model's log-probabilities of every example, some are missing",
                    "Call with_reference(trainee, units) before planning batches.",
                )
            sums.append(sum(example.reference))
        return self.logprobs.new_tensor(sums)


class Loss(Protocol):
    """A training objective."""

    def measure(self, units: Sequence[Unit]) -> float:
        """What the sum over a whole optimiser step is divided by; above 0 when there is something to learn."""
        ...

    def __call__(self, seen: Seen) -> Tensor:
        """The undivided sum over one row, a scalar that carries the gradient."""
        ...


@dataclass(frozen=True)
class Nll:
    """Negative log-likelihood, a mean over all labelled tokens of the step, weighted by example.

    L = sum_i w_i sum_t -log p(y_it) / sum_i w_i n_i
    """

    def measure(self, units: Sequence[Unit]) -> float:
        """Weighted count of labelled tokens."""
        return sum(example.weight * len(example.targets) for unit in units for example in unit)

    def __call__(self, seen: Seen) -> Tensor:
        """Weighted sum of negative log-probabilities."""
        return -(seen.logprobs * seen.weights()[seen.owners]).sum()


@dataclass(frozen=True)
class Dpo:
    """Direct preference optimisation (Rafailov et al., 2023), sigmoid form, a weighted mean over pairs.

    With d = beta * ((log pi - log ref)(chosen) - (log pi - log ref)(rejected)):
    L = -(1 - smoothing) log sigmoid(d) - smoothing * log sigmoid(-d) + sft * mean-token NLL(chosen).
    `smoothing` is the share of labels taken to be wrong (conservative DPO); `sft` adds the likelihood of the
    chosen reply per pair and per token, which keeps it from falling.
    """

    beta: float = 0.1
    smoothing: float = 0.0
    sft: float = 0.0

    def measure(self, units: Sequence[Unit]) -> float:
        """Weighted count of pairs."""
        return sum(unit[0].weight for unit in units)

    def __call__(self, seen: Seen) -> Tensor:
        """Weighted sum over pairs."""
        if any(width != 2 for width in seen.widths):
            raise TrainingError("expected units of a chosen and a rejected example", "Use encode_preferences.")
        gains = seen.sums() - seen.reference_sums()
        terms = dpo_terms(gains[0::2], gains[1::2], self.beta, self.smoothing)
        if self.sft:
            terms = terms - self.sft * (seen.sums() / seen.counts())[0::2]
        return (terms * seen.weights()[0::2]).sum()


def dpo_terms(chosen: Tensor, rejected: Tensor, beta: float, smoothing: float = 0.0) -> Tensor:
    """The DPO term of each pair from the log-ratios `log pi - log ref` of both replies, `[pairs]` each."""
    logits = beta * (chosen - rejected)
    return -(1 - smoothing) * functional.logsigmoid(logits) - smoothing * functional.logsigmoid(-logits)
