"""`Model`: something that answers, as small capability protocols.

A method names in its signature what it needs (`Generates`, `Scores`, `Trains`), so a model that cannot do
it is refused before anything is paid.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import msgspec

from adhere.core.record import Message, content_hash


class Sampling(msgspec.Struct, frozen=True):
    """How to draw a reply. `temperature` 0 is greedy; `top_k` 0 and `top_p` 1 switch those off."""

    max_tokens: int = 512
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    stop: tuple[str, ...] = ()
    seed: int = 0


class Ask(msgspec.Struct, frozen=True, dict=True):
    """One request: the conversation, how to sample, and which sample of it (0, 1, 2, ...)."""

    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    sample: int = 0

    @property
    def key(self) -> str:
        """sha256 of everything that can change the reply, the model apart."""
        return content_hash([self.messages, self.sampling, self.sample])


class Reply(msgspec.Struct, frozen=True):
    """What came back. `finish` is `stop` (the model ended), `length` (cut at the limit) or `error`.

    A failed ask is a reply too: `text` is empty, `error` says why, and nobody scores it as zero. `cached` says that it
    was paid for before, by this run or another one: its tokens cost nothing now.
    """

    text: str
    finish: str = "stop"
    tokens_in: int = 0
    tokens_out: int = 0
    error: str = ""
    cached: bool = False


class Scored(msgspec.Struct, frozen=True):
    """Log-probability of a given reply: the sum over its tokens in nats, and how many tokens."""

    logprob: float
    tokens: int

    @property
    def mean(self) -> float:
        """Nats per token; 0.0 for an empty reply."""
        return self.logprob / self.tokens if self.tokens else 0.0


@runtime_checkable
class Model(Protocol):
    """What every model has: a name for people and a fingerprint for caches."""

    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever replies could: weight hash, or endpoint and model name."""
        ...


@runtime_checkable
class Generates(Model, Protocol):
    """Answers asks."""

    def generate(self, asks: Sequence[Ask]) -> Iterator[tuple[int, Reply]]:
        """Yield `(position in asks, reply)` exactly once per ask, in the order they finish."""
        ...


@runtime_checkable
class Scores(Model, Protocol):
    """Gives log-probabilities of replies it did not write."""

    def score(self, pairs: Sequence[tuple[tuple[Message, ...], str]]) -> list[Scored]:
        """Score each `(prompt, reply)`; the end-of-turn token counts as part of the reply."""
        ...


@runtime_checkable
class Trains(Model, Protocol):
    """Has weights on disk that can be tuned."""

    @property
    def weights(self) -> Path:
        """A folder in Hugging Face layout: config.json, model.safetensors, tokenizer.json."""
        ...

    def with_weights(self, folder: Path, name: str) -> Generates:
        """The same kind of model with the weights in `folder`."""
        ...


def replies(model: Generates, asks: Sequence[Ask]) -> list[Reply]:
    """All replies in the order of the asks."""
    found: list[Reply | None] = [None] * len(asks)
    for position, reply in model.generate(asks):
        found[position] = reply
    return [reply if reply is not None else Reply("", "error", error="no reply came") for reply in found]
