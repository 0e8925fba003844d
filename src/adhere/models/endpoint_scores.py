"""Log-probabilities of given replies from an endpoint, where the server offers them.

Two ways, each tried once with a short pair before anything is scored:

- the chat route with `prompt_logprobs` (vLLM): nothing is needed here, the server renders its own template;
- the completions route with `echo` and token ids (vLLM, SGLang and others): needs the model's `ChatTokenizer`, and
  gives exactly the tokens that local scoring counts.

Servers that offer neither (llama.cpp, Ollama, most hosted providers) are refused with a `ModelError`, so that nothing
is scored by guesses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import httpx2
import msgspec

from adhere.core.errors import ModelError
from adhere.core.model import Scored
from adhere.core.record import Message, assistant, user
from adhere.models.endpoint import Endpoint
from adhere.models.endpoint_pace import Passing, Patience, Refused
from adhere.models.endpoint_reading import read_json
from adhere.models.endpoint_wire import refuse_blobs, wire_messages

Pair = tuple[tuple[Message, ...], str]
_PROBE: Pair = ((user("Say hello."),), "Hello.")


class Dialogues(Protocol):
    """What the completions way needs of a chat tokenizer."""

    def encode_dialogue(self, messages: Sequence[Message]) -> tuple[list[int], list[bool]]: ...  # noqa: D102
    def encode_prompt(self, messages: Sequence[Message]) -> list[int]: ...  # noqa: D102


class ScoringEndpoint(Endpoint):
    """An endpoint that also implements `Scores`. Made by `scoring`, which has made sure that it can."""

    def __init__(
        self,
        url: str,
        model: str,
        key: str | None = None,
        patience: Patience | None = None,
        chat: Dialogues | None = None,
    ) -> None:
        super().__init__(url, model, key, patience)
        self._chat = chat

    def score(self, pairs: Sequence[Pair]) -> list[Scored]:
        """Score each `(prompt, reply)`; the end-of-turn token counts as part of the reply.

        Raises `ModelError` when the endpoint gives no log-probabilities for one of them.
        """
        for messages, _ in pairs:
            refuse_blobs(messages)

        async def work(client: httpx2.AsyncClient, position: int) -> Scored:
            try:
                return await self._score(client, *pairs[position])
            except Refused as refusal:
                raise ModelError(
                    f"{self.name} gives no log-probabilities for pair {position}: {refusal}",
                    "Score with a local model, or serve this one with vLLM.",
                ) from None

        found = dict(self._crewed(len(pairs), work)) if pairs else {}
        return [found[position] for position in range(len(pairs))]

    async def _score(self, client: httpx2.AsyncClient, prompt: tuple[Message, ...], reply: str) -> Scored:
        if self._chat is not None:
            return await self._echoed(client, self._chat, prompt, reply)
        before = await self._rendered(client, prompt, True)
        whole = await self._rendered(client, (*prompt, assistant(reply)), False)
        if [token for token, _, _ in whole[: len(before)]] != [token for token, _, _ in before]:
            raise Refused("the server's chat template does not continue the prompt with the reply")
        written = whole[len(before) :]
        while written and not written[-1][2].strip():
            written.pop()  # what templates write after the end of turn: a line break
        if not written:
            raise Refused("the server gives no tokens of the reply")
        return Scored(sum(logprob for _, logprob, _ in written), len(written), len(before))

    async def _rendered(
        self, client: httpx2.AsyncClient, messages: Sequence[Message], opens: bool
    ) -> list[tuple[str, float, str]]:
        """Token id, log-probability and text of each token of the conversation as the server renders it."""
        body = {
            "model": self._model,
            "messages": wire_messages(messages),
            "max_tokens": 1,
            "temperature": 0.0,
            "prompt_logprobs": 0,
            "add_generation_prompt": opens,
        }
        return await self.exchange(client, "chat/completions", body, parse_prompt_logprobs)

    async def _echoed(
        self, client: httpx2.AsyncClient, chat: Dialogues, prompt: tuple[Message, ...], reply: str
    ) -> Scored:
        ids, written = chat.encode_dialogue((*prompt, assistant(reply)))
        start = len(chat.encode_prompt(prompt))
        body = {"model": self._model, "prompt": ids, "echo": True, "logprobs": 1, "max_tokens": 1, "temperature": 0.0}
        numbers = await self.exchange(client, "completions", body, parse_echo)
        if len(numbers) not in (len(ids), len(ids) + 1):
            raise Refused(f"sent {len(ids)} tokens, got log-probabilities of {len(numbers)}")
        wanted = [numbers[at] for at, is_written in enumerate(written) if is_written and at >= start]
        known = [number for number in wanted if number is not None]
        if len(known) < len(wanted):
            raise Refused("the server leaves out the log-probability of a token of the reply")
        return Scored(sum(known), len(known), start)


def scoring(
    url: str, model: str, key: str | None = None, patience: Patience | None = None, chat: Dialogues | None = None
) -> ScoringEndpoint:
    """The endpoint as a model that scores, after one trial. Raises `ModelError` when it offers no way to."""
    found = ScoringEndpoint(url, model, key, patience, chat)
    try:
        (trial,) = found.score([_PROBE])
    except ModelError as error:
        if "gives no log-probabilities" not in error.message:
            raise
        raise ModelError(
            f"{found.name} does not offer log-probabilities of given text", "Score with a local model, or serve vLLM."
        ) from None
    if not (trial.tokens and trial.logprob < 0):
        raise ModelError(f"{found.name} gives log-probabilities that cannot be: {trial.logprob} nats")
    return found


class _Token(msgspec.Struct):
    logprob: float
    decoded_token: str | None = ""


class _Prompted(msgspec.Struct):
    prompt_logprobs: list[dict[str, _Token] | None] | None = None


class _EchoLogprobs(msgspec.Struct):
    token_logprobs: list[float | None] | None = None


class _EchoChoice(msgspec.Struct):
    logprobs: _EchoLogprobs | None = None


class _Echo(msgspec.Struct):
    choices: list[_EchoChoice] | None = None


def parse_prompt_logprobs(content_type: str, body: bytes) -> list[tuple[str, float, str]]:
    """Id, log-probability (0 for the first, which nothing predicts) and text of the prompt's tokens, as vLLM says.

    The token itself is the first in each entry. Raises `Refused` when there are none: the server does not offer them.
    """
    found: Any = read_json(content_type, body, _Prompted).prompt_logprobs
    if not found or any(not entry for entry in found[1:]):
        raise Refused("the answer holds no prompt_logprobs")
    rows = [next(iter(entry.items())) if entry else ("", _Token(0.0)) for entry in found]
    return [(number, token.logprob, token.decoded_token or "") for number, token in rows]


def parse_echo(content_type: str, body: bytes) -> list[float | None]:
    """Log-probabilities of the tokens sent and written; `Refused` when there are none."""
    choices = read_json(content_type, body, _Echo).choices
    if not choices:
        raise Passing("the answer holds no choice")
    if choices[0].logprobs is None or not choices[0].logprobs.token_logprobs:
        raise Refused("the answer holds no log-probabilities")
    numbers: list[float | None] = choices[0].logprobs.token_logprobs
    return numbers
