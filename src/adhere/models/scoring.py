"""Log-probabilities of given replies, exact against fp32 within a stated tolerance.

Replies travel as one flat stream without padding, and the head is computed only at the positions that
predict a token of a reply. The end-of-turn token counts as part of the reply.

Tolerance: in fp32 the mean log-probability per token of a reply equals the plain forward pass to 1e-4 nats;
in bf16 it stays within 0.02 nats for replies of 20 tokens and more (`BF16_TOLERANCE`; a trial on the embedded
model found 0.005 at most, where the usual bf16 forward pass was 0.026 off).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from adhere.core.errors import ModelError
from adhere.core.model import Scored
from adhere.core.record import Message, assistant
from adhere.models.llama import Llama, Project, load_llama

BF16_TOLERANCE = 0.02
_HEAD_ROWS = 64  # rows of logits at a time: 64 x 49,152 in fp32 are 13 MB, which stay in the last-level cache
_STREAM_TOKENS = 2048


class Dialogues(Protocol):
    """What scoring and encoding need of a chat tokeniser."""

    def encode_dialogue(self, messages: Sequence[Message]) -> tuple[list[int], list[bool]]:
        """Token ids, and which of them an assistant wrote (its end-of-turn token included)."""
        ...

    def encode_prompt(self, messages: Sequence[Message]) -> list[int]:
        """Token ids up to where the assistant's reply begins."""
        ...


def token_logprobs(model: Llama, hidden: Tensor, targets: Tensor) -> Tensor:
    """Log-probability in fp32 of each target `[rows]` after the hidden state `[rows, hidden]` that predicts it.

    Differentiable in `hidden`. The gradient of a log-probability by its hidden state does not depend on the
    loss, so it is computed here, chunk by chunk, and no logits outlive their chunk.
    """
    return _TokenLogprobs.apply(hidden, targets, _centred_head(model))  # type: ignore[no-any-return, no-untyped-call]


def _centred_head(model: Llama) -> Tensor:
    """The head less its mean row, which shifts all logits of a row alike and so no probability.

    Logits of small models stand far from zero (about +17 here), where bf16 steps are 0.125; centred they are
    around zero and the rounding is some four times finer. Kept on the model, made once.
    """
    held: Tensor | None = model.__dict__.get("_centred")
    if held is None:
        wide = model.head.float()
        held = wide.sub_(wide.mean(0)).to(model.dtype) if model.dtype != torch.float32 else wide - wide.mean(0)
        model.__dict__["_centred"] = held
    return held


class _TokenLogprobs(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, targets: Tensor, head: Tensor) -> Tensor:
        rows = hidden.to(head.dtype)
        out = torch.empty(len(targets), dtype=torch.float32, device=hidden.device)
        slopes = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        for start in range(0, len(targets), _HEAD_ROWS):
            part = slice(start, start + _HEAD_ROWS)
            wanted = targets[part, None]
            logits = (rows[part] @ head.T).float()
            # The product is rounded to bf16; the target's own logit is made exact, before it is normalised.
            exact = (rows[part].float() * head[targets[part]].float()).sum(-1, keepdim=True)
            logged = logits.scatter_(1, wanted, exact).log_softmax(-1)
            out[part] = logged.gather(1, wanted).squeeze(1)
            if slopes is not None:
                # share less one at the target, before rounding: where the target is near certain nothing cancels
                excess = logged.exp_().scatter_add_(1, wanted, torch.full_like(exact, -1.0))
                slopes[part] = (excess.to(head.dtype) @ head).neg_()
        if slopes is not None:
            ctx.save_for_backward(slopes)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (slopes,) = ctx.saved_tensors
        return slopes * grads[0][:, None], None, None


class Scorer:
    """Scores replies with one loaded model. Reusable; holds the weights in memory."""

    def __init__(self, model: Llama, project: Project | None = None, stream_tokens: int = _STREAM_TOKENS) -> None:
        self.model = model
        self._project = project
        self._stream_tokens = stream_tokens

    @classmethod
    def open(cls, folder: Path, precision: str = "auto", device: str = "auto") -> Scorer:
        """Load the weights folder and be ready to score."""
        return cls(load_llama(folder, precision, device))

    def score_tokens(self, rows: Sequence[tuple[Sequence[int], Sequence[bool]]]) -> list[list[float]]:
        """Log-probability of every marked token of each row `(ids, marked)`; the first token is never scored."""
        found: list[list[float]] = [[] for _ in rows]
        for batch in self._streams([len(ids) for ids, _ in rows]):
            places, targets, counts, lengths = [], [], [], []
            stream: list[int] = []
            for position in batch:
                ids, marked = rows[position]
                at = [index for index in range(1, len(ids)) if marked[index]]
                places += [len(stream) + index - 1 for index in at]
                targets += [ids[index] for index in at]
                counts.append(len(at))
                lengths.append(len(ids))
                stream += ids
            values = self._run(stream, lengths, places, targets)
            start = 0
            for position, count in zip(batch, counts, strict=True):
                found[position] = values[start : start + count]
                start += count
        return found

    def score(self, pairs: Sequence[tuple[tuple[Message, ...], str]], chat: Dialogues) -> list[Scored]:
        """Score each `(prompt, reply)`; the end-of-turn token counts as part of the reply."""
        rows = [encode_pair(prompt, reply, chat) for prompt, reply in pairs]
        return [Scored(sum(values), len(values)) for values in self.score_tokens(rows)]

    def _run(self, stream: list[int], lengths: list[int], places: list[int], targets: list[int]) -> list[float]:
        if not targets:
            return []
        if max(stream) >= self.model.shape.vocabulary or min(stream) < 0:
            raise ModelError(
                f"expected token ids below {self.model.shape.vocabulary}, found {max(stream)}",
                "Use the tokeniser that belongs to the weights.",
            )
        device = self.model.device
        with torch.inference_mode():
            layout = self.model.lay_out(lengths)
            hidden = self.model.hidden(torch.tensor(stream, device=device), layout, self._project)
            chosen = hidden[torch.tensor(places, device=device)]
            return token_logprobs(self.model, chosen, torch.tensor(targets, device=device)).tolist()

    def _streams(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        """Positions grouped to streams; near lengths go together, which keeps padded kernels full too."""
        batch: list[int] = []
        held = 0
        for position in sorted(range(len(lengths)), key=lambda index: lengths[index]):
            if lengths[position] < 2:
                continue
            if batch and held + lengths[position] > self._stream_tokens:
                yield batch
                batch, held = [], 0
            batch.append(position)
            held += lengths[position]
        if batch:
            yield batch


def encode_pair(prompt: tuple[Message, ...], reply: str, chat: Dialogues) -> tuple[list[int], list[bool]]:
    """Ids of the dialogue and a mark on the tokens of this reply only, end of turn included."""
    ids, written = chat.encode_dialogue((*prompt, assistant(reply)))
    before = len(chat.encode_prompt(prompt))
    return ids, [is_written and index >= before for index, is_written in enumerate(written)]
