"""Log-probabilities of given replies, exact against fp32 within a stated tolerance.

Replies travel as one flat stream without padding, and the head is computed only at the positions that
predict a token of a reply. What rows begin with in common (the prompt of several replies, a few-shot block, a system
prompt) is found and computed once. The end-of-turn token counts as part of the reply.

Tolerance: in fp32 the mean log-probability per token of a reply equals the plain forward pass to 1e-4 nats;
in bf16 it stays within 0.02 nats for replies of 20 tokens and more (`BF16_TOLERANCE`; a trial on the embedded
model found 0.005 at most, where the usual bf16 forward pass was 0.026 off).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from adhere.core.errors import ModelError
from adhere.core.model import Scored
from adhere.core.record import Message, assistant
from adhere.models.llama import Llama, Project, Shift, load_llama, placed
from adhere.models.prefixes import LEAST_SAVED, Stream, streams

BF16_TOLERANCE = 0.02
_HEAD_ROWS = 256  # rows of logits at a time: enough for a full-speed product, 25 MB in bf16 at 49,152 words
_WIDE_ROWS = 16  # rows normalised at a time in fp32: 3 MB, which stay in cache over all passes
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
    return _TokenLogprobs.apply(hidden, targets, model.centred[0])  # type: ignore[no-any-return, no-untyped-call]


class _TokenLogprobs(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, targets: Tensor, head: Tensor) -> Tensor:
        rows = hidden.to(head.dtype)
        out = torch.empty(len(targets), dtype=torch.float32, device=hidden.device)
        slopes = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        # Both buffers serve all chunks: fresh ones would cost more in page faults than the exponentials do.
        held = torch.empty(min(_HEAD_ROWS, len(targets)), len(head), dtype=head.dtype, device=head.device)
        wide = torch.empty(min(_WIDE_ROWS, len(held)), len(head), dtype=torch.float32, device=head.device)
        for start in range(0, len(targets), _HEAD_ROWS):
            part = slice(start, start + _HEAD_ROWS)
            logits = torch.mm(rows[part], head.T, out=held[: len(rows[part])])
            # The product is rounded to bf16; the target's own logit is made exact, before it is normalised.
            exact = (rows[part].float() * head[targets[part]].float()).sum(-1)
            for at in range(0, len(logits), _WIDE_ROWS):
                few = slice(at, at + _WIDE_ROWS)
                out[part][few] = _normalise(logits[few], targets[part][few], exact[few], wide, slopes is not None)
            if slopes is not None:
                slopes[part] = (logits @ head).neg_()
        if slopes is not None:
            ctx.save_for_backward(slopes)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (slopes,) = ctx.saved_tensors
        return slopes * grads[0][:, None], None, None


def _normalise(logits: Tensor, targets: Tensor, exact: Tensor, buffer: Tensor, wants_slopes: bool) -> Tensor:
    """Log-probabilities `[rows]` of the targets, whose logits are given in fp32 as `exact`.

    Turns `logits` `[rows, vocabulary]` into share less one at the target where `wants_slopes`. The one is subtracted
    before rounding: where the target is near certain nothing cancels.
    """
    wanted, exact = targets[:, None], exact[:, None]
    wide = buffer[: len(logits)].copy_(logits).scatter_(1, wanted, exact)
    top = wide.amax(1, keepdim=True)
    total = wide.sub_(top).exp_().sum(1, keepdim=True)
    if wants_slopes:
        wide.div_(total).scatter_add_(1, wanted, torch.full_like(exact, -1.0))
        logits.copy_(wide)
    return (exact - top - total.log()).squeeze(1)


class Scorer:
    """Scores replies with one loaded model. Reusable; holds the weights in memory.

    `computed` counts the tokens that went through the model so far, which is what scoring costs. `shift` changes the
    residual stream; then every row is computed alone, since a change may differ between rows that begin alike.
    """

    def __init__(
        self,
        model: Llama,
        project: Project | None = None,
        stream_tokens: int = _STREAM_TOKENS,
        shift: Shift | None = None,
    ) -> None:
        self.model = model
        self.computed = 0
        self._project, self._shift = project, shift
        self._stream_tokens = stream_tokens

    @classmethod
    def open(cls, folder: Path, precision: str = "auto", device: str = "auto") -> Scorer:
        """Load the weights folder and be ready to score."""
        return cls(load_llama(folder, precision, device))

    def score_tokens(self, rows: Sequence[tuple[Sequence[int], Sequence[bool]]]) -> list[list[float]]:
        """Log-probability of every marked token of each row `(ids, marked)`; the first token is never scored.

        Raises `ModelError` for ids that are not in the vocabulary.
        """
        targets = [[at for at in range(1, len(ids)) if marked[at]] for ids, marked in rows]
        found: list[list[float]] = [[] for _ in rows]
        # What comes after the last scored token changes nothing, and that token itself predicts nothing.
        read = [ids[: at[-1]] if at else [] for (ids, _), at in zip(rows, targets, strict=True)]
        self._check_ids([ids for ids, _ in rows])
        for stream in streams(read, self._stream_tokens, LEAST_SAVED if self._shift is None else None):
            wanted: dict[tuple[int, int], int] = {}  # rows may predict the same token at the same place
            chosen: dict[int, list[int]] = {}
            for row in stream.paths:
                places, ids = stream.places(row), rows[row][0]
                pairs = [(places[at - 1], ids[at]) for at in targets[row]]
                chosen[row] = [wanted.setdefault(pair, len(wanted)) for pair in pairs]
            values = self._run(stream, read, list(wanted))
            for row, numbers in chosen.items():
                found[row] = [values[number] for number in numbers]
        return found

    def score(self, pairs: Sequence[tuple[tuple[Message, ...], str]], chat: Dialogues) -> list[Scored]:
        """Score each `(prompt, reply)`; the end-of-turn token counts as part of the reply."""
        rows = [encode_pair(prompt, reply, chat) for prompt, reply in pairs]
        before = [marked.index(True) if any(marked) else len(ids) for ids, marked in rows]
        found = zip(self.score_tokens(rows), before, strict=True)
        return [Scored(sum(values), len(values), read) for values, read in found]

    def _run(self, stream: Stream, rows: Sequence[Sequence[int]], wanted: list[tuple[int, int]]) -> list[float]:
        """Log-probabilities of the targets in `wanted` `(place, target)`."""
        device = self.model.device
        ids = [token for piece in stream.pieces for token in rows[piece.row][piece.start : piece.end]]
        self.computed += len(ids)
        with torch.inference_mode():
            layout = self.model.lay_out(
                [piece.end - piece.start for piece in stream.pieces], [piece.parent for piece in stream.pieces]
            )
            spans = [(piece.row, piece.start, piece.end - piece.start) for piece in stream.pieces]
            change = placed(self._shift, spans, device)
            hidden = self.model.hidden(torch.tensor(ids, device=device), layout, self._project, change)
            chosen = hidden[torch.tensor([place for place, _ in wanted], device=device)]
            targets = torch.tensor([target for _, target in wanted], device=device)
            return token_logprobs(self.model, chosen, targets).tolist()

    def _check_ids(self, rows: Sequence[Sequence[int]]) -> None:
        known = self.model.shape.vocabulary
        for ids in rows:
            if ids and not 0 <= min(ids) <= max(ids) < known:
                raise ModelError(
                    f"expected token ids from 0 to below {known}, found {max(ids) if max(ids) >= known else min(ids)}",
                    "Use the tokeniser that belongs to the weights.",
                )


def encode_pair(prompt: tuple[Message, ...], reply: str, chat: Dialogues) -> tuple[list[int], list[bool]]:
    """Ids of the dialogue and a mark on the tokens of this reply only, end of turn included."""
    ids, written = chat.encode_dialogue((*prompt, assistant(reply)))
    before = len(chat.encode_prompt(prompt))
    return ids, [is_written and index >= before for index, is_written in enumerate(written)]
