"""Several replies to each of many prompts, for methods that tune a model on what it says itself."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from adhere.core.errors import ModelError
from adhere.core.model import Ask, Generates, Reply, Sampling, replies
from adhere.core.progress import Progress, silent
from adhere.core.record import Message

SEEDS_APART = 1000  # draws of two runs with seeds one apart never meet


def answering(model: object, method: str) -> Generates:
    """The model as one that answers; a `ModelError` where it cannot."""
    if not isinstance(model, Generates):
        raise ModelError(f"{method} asks the model that it tunes, and this one does not answer", "Use a local model.")
    return model


def draws(
    model: Generates,
    prompts: Sequence[tuple[Message, ...]],
    sampling: Sampling,
    count: int,
    progress: Progress = silent,
) -> list[list[Reply]]:
    """`count` replies to each prompt, in order; the k-th is drawn with the seed `SEEDS_APART * sampling.seed + k`.

    All are asked for in one call. A reply that failed or never came stands there with `finish` `error`.
    """
    first = SEEDS_APART * sampling.seed
    seeded = [msgspec.structs.replace(sampling, seed=first + k) for k in range(count)]
    asks = [Ask(prompt, one) for prompt in prompts for one in seeded]
    found = replies(model, asks, "tune: replies", progress)
    return [found[at : at + count] for at in range(0, len(found), count)] if count else [[] for _ in prompts]
