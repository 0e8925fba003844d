"""`Schedule`: every number of a tuning run, and the learning rate over its steps."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from adhere.core.errors import TrainingError, did_you_mean

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_DECAYS = ("cosine", "linear", "constant")


@dataclass(frozen=True)
class Schedule:
    """How to tune.

    `tokens_per_step` and `max_length` count tokens; `warmup_share` is a share of all steps; `clip` bounds the
    gradient norm (0 for none); `precision` is auto, bf16 or fp32; `device` auto, cpu or cuda. `rank`, `alpha`,
    `dropout` and `targets` describe the LoRA adapter, whose update is scaled by alpha / rank.
    """

    learning_rate: float = 1e-3
    epochs: float = 2.0
    warmup_share: float = 0.05
    decay: str = "cosine"
    tokens_per_step: int = 1024
    max_length: int = 512
    weight_decay: float = 0.0
    clip: float = 1.0
    seed: int = 0
    precision: str = "auto"
    device: str = "auto"
    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.0
    targets: tuple[str, ...] = TARGETS

    def __post_init__(self) -> None:
        for target in self.targets:
            if target not in TARGETS:
                raise TrainingError(f"no projection {target!r} to adapt", did_you_mean(target, TARGETS))
        bounds = {
            "learning_rate": self.learning_rate > 0,
            "epochs": self.epochs > 0,
            "warmup_share": 0 <= self.warmup_share <= 1,
            "decay": self.decay in _DECAYS,
            "tokens_per_step": self.tokens_per_step >= 1,
            "max_length": self.max_length >= 2,
            "weight_decay": self.weight_decay >= 0,
            "clip": self.clip >= 0,
            "rank": self.rank >= 1,
            "alpha": self.alpha > 0,
            "dropout": 0 <= self.dropout < 1,
            "precision": self.precision in ("auto", "bf16", "fp32"),
            "targets": bool(self.targets),
        }
        for name, holds in bounds.items():
            if not holds:
                raise TrainingError(f"{name}={getattr(self, name)!r} makes no sense", "See the settings of the method.")

    def rate_at(self, step: int, steps: int) -> float:
        """Learning rate of step `step` (from 0) of `steps`: a linear rise that is never 0, then the decay.

        Cosine and linear reach 0 one step after the last, so that every step moves.
        """
        warm = round(self.warmup_share * steps)
        if step < warm:
            return self.learning_rate * (step + 1) / (warm + 1)
        if self.decay == "constant":
            return self.learning_rate
        done = (step - warm) / max(1, steps - warm)
        share = 0.5 * (1 + math.cos(math.pi * done)) if self.decay == "cosine" else 1 - done
        return self.learning_rate * share


@dataclass(frozen=True)
class TuneSettings:
    """The numbers of every tuning through an adapter, tokens where not said otherwise.

    `learning_rate` is the highest of the schedule; `epochs` may be a fraction; `rank` and `alpha` are those of the
    adapter, whose update is scaled by alpha / rank; rows longer than `max_length` are left out; `tokens_per_step` is
    the size of an optimiser step; `warmup_share` is a share of all steps, `decay` cosine, linear or constant;
    `weight_decay` and `dropout` act on the adapter; `precision` is auto, bf16 or fp32.
    """

    learning_rate: float = 1e-3
    epochs: float = 2.0
    rank: int = 16
    alpha: float = 32.0
    max_length: int = 768
    tokens_per_step: int = 1024
    warmup_share: float = 0.05
    decay: str = "cosine"
    weight_decay: float = 0.0
    dropout: float = 0.0
    precision: str = "auto"

    def schedule(self, seed: int) -> Schedule:
        """These numbers as a schedule. Raises `TrainingError` where they make no sense."""
        return Schedule(**{one.name: getattr(self, one.name) for one in fields(TuneSettings)}, seed=seed)
