"""The reference engine: transformers in fp32, eight replies at a time. Slow, and right by definition.

It serves where OpenVINO is missing, and in tests as what the fast engine is compared with.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adhere.core.errors import ModelError
from adhere.core.model import Ask, Reply
from adhere.models.chat import ChatTokenizer
from adhere.models.engine import Prepared, draw_seed, ended_reply, prepare, stop_position
from adhere.models.weights import check_weights

if TYPE_CHECKING:
    import torch

_DEFAULT_CONTEXT = 2048


class TorchEngine:
    """Generates with transformers on the CPU. Nothing is loaded before the first `generate`."""

    def __init__(self, folder: Path, chat: ChatTokenizer, *, batch: int = 8) -> None:
        """`folder` is a weights folder; `batch` replies are computed at a time."""
        self._folder = folder
        self._chat = chat
        self._batch = batch
        self._context = int(check_weights(folder).get("max_position_embeddings") or _DEFAULT_CONTEXT)
        self._model: Any = None

    @property
    def label(self) -> str:
        """Engine, versions and precision; replies may change when this does."""
        return f"transformers-{version('transformers')}-torch-{version('torch')}-f32"

    def generate(self, asks: Sequence[Ask]) -> Iterator[tuple[int, Reply]]:
        """Yield `(position, reply)` batch by batch, in order. Asks that cannot be run get an error reply."""
        ready: list[Prepared] = []
        for position, ask in enumerate(asks):
            one = prepare(position, ask, self._chat, self._context)
            if isinstance(one, Reply):
                yield position, one
            else:
                ready.append(one)
        for begin in range(0, len(ready), self._batch):
            yield from self._run(ready[begin : begin + self._batch])

    def close(self) -> None:
        """Free the weights; the next `generate` loads again."""
        self._model = None
        gc.collect()

    def _run(self, batch: Sequence[Prepared]) -> Iterator[tuple[int, Reply]]:
        """Left-padded, one shared cache; each row leaves off at its own end but is carried along."""
        import torch

        model = self._loaded()
        width = max(len(one.ids) for one in batch)
        ids = torch.tensor([[self._chat.eos_ids[0]] * (width - len(one.ids)) + one.ids for one in batch])
        mask = torch.tensor([[0] * (width - len(one.ids)) + [1] * len(one.ids) for one in batch])
        generators = [torch.Generator().manual_seed(draw_seed(one.ask)) for one in batch]
        written: list[list[int]] = [[] for _ in batch]
        ended = [False] * len(batch)
        cache, step = None, ids
        with torch.inference_mode():
            while not all(ended):
                places = (mask.cumsum(1) - 1).clamp(min=0)[:, -step.shape[1] :]
                out = model(step, attention_mask=mask, position_ids=places, past_key_values=cache, logits_to_keep=1)
                cache = out.past_key_values
                chosen = [
                    next_token(out.logits[row, -1], one, written[row], generators[row]) for row, one in enumerate(batch)
                ]
                for row, token in enumerate(chosen):
                    if not ended[row]:
                        written[row].append(token)
                        ended[row] = self._is_over(batch[row], written[row])
                step = torch.tensor(chosen)[:, None]
                mask = torch.cat([mask, torch.ones_like(step)], dim=1)
        for one, tokens in zip(batch, written, strict=True):
            yield one.position, ended_reply(one, tokens, tokens[-1] not in self._chat.eos_ids, self._chat)

    def _is_over(self, one: Prepared, tokens: Sequence[int]) -> bool:
        if len(tokens) >= one.room or tokens[-1] in self._chat.eos_ids:
            return True
        stops = one.ask.sampling.stop
        return bool(stops) and stop_position(self._chat.decode(tokens), stops) is not None

    def _loaded(self) -> Any:
        if self._model is None:
            import torch
            from transformers import AutoModelForCausalLM
            from transformers.utils import logging

            logging.disable_progress_bar()  # it would write into our own
            try:
                self._model = AutoModelForCausalLM.from_pretrained(
                    self._folder, dtype=torch.float32, local_files_only=True, use_safetensors=True
                ).eval()
            except (OSError, ValueError, RuntimeError) as error:
                raise ModelError(f"cannot load {self._folder}: {str(error)[:200]}", "Fetch it again.") from None
        return self._model


def next_token(logits: torch.Tensor, one: Prepared, written: Sequence[int], generator: torch.Generator) -> int:
    """Draw from `logits` (vocabulary,): penalties, then temperature, `top_k` and `top_p` in that order.

    The repetition penalty of CTRL (Keskar et al. 2019) divides positive and multiplies negative logits of every token
    in prompt and reply; the presence penalty is taken off those in the reply.
    """
    import torch

    sampling = one.ask.sampling
    logits = logits.float().clone()
    if sampling.repetition_penalty != 1.0:
        seen = torch.tensor(sorted({*one.ids, *written}))
        values = logits[seen]
        logits[seen] = torch.where(
            values > 0, values / sampling.repetition_penalty, values * sampling.repetition_penalty
        )
    if sampling.presence_penalty and written:
        logits[torch.tensor(sorted(set(written)))] -= sampling.presence_penalty
    if sampling.temperature == 0:
        return int(logits.argmax())
    logits, order = (logits / sampling.temperature).sort(descending=True)
    if sampling.top_k:
        logits, order = logits[: sampling.top_k], order[: sampling.top_k]
    shares = logits.softmax(0)
    shares = shares.masked_fill(shares.cumsum(0) - shares >= sampling.top_p, 0.0)
    return int(order[torch.multinomial(shares, 1, generator=generator)])
