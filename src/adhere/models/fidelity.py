"""How far each engine is from fp32, as measured, and what that lets it be used for.

The figures are means over next-token distributions of given text, compared with a forward pass in fp32:
`python bench/fidelity.py` measures them, `docs/engines.md` tells how. The thresholds were set before the first
measurement, with one change after it:

- *Scoring*: mean KL at most 1e-3 nats per token. That is an error of about sqrt(2e-3) = 0.045 nats in the
  log-probability of one token, 0.005 in the mean over a reply of a hundred: a tenth of the smallest difference (0.05
  nats per token) that methods here rank replies by.
- *Exact*: scoring, and the likeliest token the same at 99 % of the positions. It was part of scoring at first; no
  engine that computes in bf16 reaches it, since replies drawn at temperature 1 hold many near ties, and scoring never
  asks which token is the likeliest. It is for what takes the argmax.
- *Generation*: mean KL at most 1e-2 nats, the likeliest token the same at 96 %. Replies are not those of fp32 word for
  word, but drawn from nearly the same distribution. What is further off is *rough*: it answers, and a run says so.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

from adhere.core.errors import ModelError

Use = Literal["exact", "scoring", "generation", "rough"]


class Threshold(msgspec.Struct, frozen=True):
    """The largest mean KL (nats per token) and the least share of equal likeliest tokens."""

    mean_kl: float
    top1: float


EXACT = Threshold(1e-3, 0.99)
SCORING = Threshold(1e-3, 0.0)
GENERATION = Threshold(1e-2, 0.96)
_USES: tuple[tuple[Use, Threshold], ...] = (("exact", EXACT), ("scoring", SCORING), ("generation", GENERATION))


class Fidelity(msgspec.Struct, frozen=True):
    """One row of the table: engine and precision, mean KL in nats per token, share of equal likeliest tokens."""

    engine: str
    mean_kl: float
    top1: float

    @property
    def use(self) -> Use:
        """What the engine is good enough for."""
        return kind_of(self.mean_kl, self.top1)


MEASURED: tuple[Fidelity, ...] = (
    Fidelity("adhere-f32", 0.0, 1.0),
    Fidelity("adhere-bf16", 7.5e-4, 0.973),
    Fidelity("openvino-f32", 3.3e-6, 0.999),
    Fidelity("openvino-bf16", 7.4e-4, 0.981),
    Fidelity("openvino-bf16-kvu8", 8.3e-4, 0.982),
    Fidelity("openvino-bf16-q8_0", 6.5e-3, 0.943),
    Fidelity("llamacpp-f32", 4.5e-6, 0.999),
    Fidelity("llamacpp-f16", 9.1e-6, 0.997),
    Fidelity("llamacpp-q8_0", 5.3e-3, 0.950),
    Fidelity("llamacpp-q4_1", 7.2e-2, 0.807),
    Fidelity("llamacpp-q4_0", 4.4e-1, 0.600),
    Fidelity("transformers-f32", 0.0, 1.0),
    Fidelity("transformers-bf16", 1.3e-3, 0.967),
)
_PACKAGES = {"openvino-genai": "openvino", "xllamacpp": "llamacpp"}


def kind_of(mean_kl: float, top1: float) -> Use:
    """The use that the thresholds allow."""
    for use, threshold in _USES:
        if mean_kl <= threshold.mean_kl and top1 >= threshold.top1:
            return use
    return "rough"


def fidelity_of(engine: str) -> Fidelity | None:
    """The row of an engine with its precision (`openvino-bf16`), or None where it was not measured."""
    return next((one for one in MEASURED if one.engine == engine), None)


def engine_of(label: str) -> str:
    """What the table calls an engine, from its label: `openvino-genai-2026.4.1.0-bf16` is `openvino-bf16`."""
    precision = label.rpartition("-")[2]
    package = next((one for one in _PACKAGES if label.startswith(f"{one}-")), label.partition("-")[0])
    return f"{_PACKAGES.get(package, package)}-{precision}"


def described(label: str) -> dict[str, Any]:
    """An engine for a run's `run.json`: its label, what it is good enough for, and the measured figures."""
    found = fidelity_of(engine_of(label))
    if found is None:
        return {"label": label, "fidelity": "not measured"}
    return {"label": label, "fidelity": found.use, "mean_kl": found.mean_kl, "top1": found.top1}


def engine_note(fingerprint: str) -> dict[str, Any]:
    """What `run.json` keeps beside the plan about the engine of a local model; nothing for other models."""
    found = re.fullmatch(r"[0-9a-f]{64}/(.+)", fingerprint)
    return {"engine": described(found[1])} if found else {}


def require_scoring(engine: str) -> None:
    """Refuse with a `ModelError` an engine that is too far from fp32 for scoring, or was never measured."""
    found = fidelity_of(engine)
    if found is not None and found.mean_kl <= SCORING.mean_kl and found.top1 >= SCORING.top1:
        return
    told = "was not measured" if found is None else f"has a mean KL of {found.mean_kl:.1e} nats from fp32"
    raise ModelError(
        f"scoring needs a mean KL of at most {SCORING.mean_kl:g} nats from fp32, {engine} {told}",
        "Open the model with a higher precision; the table is in docs/engines.md.",
    )
