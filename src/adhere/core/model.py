"""`Model`: something that answers, as small capability protocols.

A method names in its signature what it needs (`Generates`, `Scores`, `Trains`), so a model that cannot do
it is refused before anything is paid.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import msgspec

from adhere.core.progress import Progress, silent
from adhere.core.record import Message, ToolCall, content_hash

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Guide(msgspec.Struct, frozen=True):
    """What the whole reply must be: an instance of a JSON Schema, a match of a regular expression, a word of a grammar.

    `text` is the schema as JSON, the expression, or a grammar in EBNF as xgrammar, vLLM and llama.cpp read it (GBNF:
    one rule `name ::= ...` a line, beginning with `root`). A guided reply that is cut at `max_tokens` is not yet one.
    """

    kind: Literal["json_schema", "regex", "ebnf"]
    text: str


class Tool(msgspec.Struct, frozen=True):
    """A tool that the model may call: `parameters` is the JSON Schema of its arguments, an object."""

    name: str
    description: str = ""
    parameters: dict[str, Any] = {}


class Sampling(msgspec.Struct, frozen=True):
    """How to draw a reply. `temperature` 0 is greedy; `top_k` 0, `top_p` 1 and `min_p` 0 switch those off.

    `min_p` keeps the tokens that are at least that share as likely as the likeliest one (Nguyen et al. 2024, arXiv
    2407.01082), looked at beside `top_p`: a token must pass both.
    """

    max_tokens: int = 512
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    stop: tuple[str, ...] = ()
    seed: int = 0
    min_p: float = 0.0
    guide: Guide | None = None


# Settings that came after the first keys were written. While one does nothing it is no part of a key: adding a setting
# neither forgets what was paid for nor changes the draws of asks that do not use it.
_LATER: dict[str, Any] = {"min_p": 0.0, "guide": None}


class Ask(msgspec.Struct, frozen=True, dict=True):
    """One request: the conversation, how to sample, which sample of it (0, 1, 2, ...), and the tools on offer."""

    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    sample: int = 0
    tools: tuple[Tool, ...] = ()

    @property
    def key(self) -> str:
        """sha256 of everything that can change the reply, the model apart."""
        settings = msgspec.structs.asdict(self.sampling)
        decided = {name: value for name, value in settings.items() if name not in _LATER or value != _LATER[name]}
        return content_hash([self.messages, decided, self.sample, *([self.tools] if self.tools else [])])


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came back. `finish` is `stop` (the model ended), `length` (cut at the limit) or `error`.

    `text` is the answer alone: what the model thought aloud before it is in `thinking`, the tool calls it asks for are
    in `calls`. A failed ask is a reply too: `text` is empty, `error` says why, and nobody scores it as zero. `cached`
    says that it was paid for before, by this run or another one: its tokens cost nothing now. Of `tokens_in` the server
    had `tokens_kept` in a prompt cache of its own, which some providers bill at another price. `retries` counts the
    further attempts that it took.
    """

    text: str
    finish: str = "stop"
    tokens_in: int = 0
    tokens_out: int = 0
    error: str = ""
    cached: bool = False
    thinking: str = ""
    calls: tuple[ToolCall, ...] = ()
    tokens_kept: int = 0
    retries: int = 0


class Scored(msgspec.Struct, frozen=True):
    """Log-probability of a given reply: the sum over its tokens in nats, how many tokens, and how many came before.

    `prompt_tokens` are those of the rendered prompt, also where a shared start was computed once.
    """

    logprob: float
    tokens: int
    prompt_tokens: int = 0

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
class Steps(Model, Protocol):
    """Shows its inside: what each of several contexts would say next, and the residual stream.

    `shift(stream, layer, places) -> stream` changes that stream (`models.llama.Shift`); the other types are those of
    `models.white_box` and `models.stepping`.
    """

    @property
    def chat(self) -> Any:
        """The tokenizer: `encode_prompt`, `encode_dialogue`, `encode_text`, `decode`, `eos_ids`."""
        ...

    def step(self, contexts: Sequence[tuple[Message, ...]], shift: Any = None) -> Any:
        """A `Stepping` over the prompts: `logits`, `take`, `extend`, `keep`, `fork`, `add`."""
        ...

    def step_tokens(self, contexts: Sequence[Sequence[int]], shift: Any = None) -> Any:
        """The same for contexts given as tokens."""
        ...

    def hidden_states(
        self, dialogues: Sequence[tuple[Message, ...]], layers: Sequence[int], shift: Any = None
    ) -> list[Any]:
        """Of each dialogue a `Hidden`: the stream `[layers, tokens, hidden]`, the tokens, which are the reply's."""
        ...


@runtime_checkable
class Embeds(Model, Protocol):
    """Turns texts into vectors whose inner product is their likeness."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Rows of length one, `[texts, width]`, in the order of the texts; an empty text has a row like any other."""
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


INSIDE = ("chat", "step", "step_tokens", "hidden_states")
CAPABILITIES = (*INSIDE, "score", "score_tokens", "embed", "weights", "with_weights", "close")


def pass_on(wrapper: Any, model: Model, names: Sequence[str] = CAPABILITIES) -> None:
    """Give a wrapper what its model can do besides answering, so that `isinstance(wrapper, Scores)` tells the truth.

    As attributes of its own: from Python 3.12 on such a check does not see what `__getattr__` would give.
    """
    for name in names:
        if hasattr(model, name):
            setattr(wrapper, name, getattr(model, name))


def replies(model: Generates, asks: Sequence[Ask], task: str = "", progress: Progress = silent) -> list[Reply]:
    """All replies in the order of the asks, from one call of `generate`; an ask that got none has failed.

    `progress` is told `task`, how many came and how many there are. Without asks nothing is asked.
    """
    found: list[Reply | None] = [None] * len(asks)
    for done, (position, reply) in enumerate(model.generate(asks) if asks else (), 1):
        found[position] = reply
        if task:
            progress(task, done, len(asks))
    return [reply if reply is not None else Reply("", "error", error="no reply came") for reply in found]
