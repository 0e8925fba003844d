"""Given text through the engines that write replies: the same kernels and caches, the tokens chosen by us.

- OpenVINO: the graph that GenAI builds from the GGUF file and saves, turned into paged attention as GenAI turns it, and
  compiled with the same properties. `fidelity.py --engines` names precision of arithmetic, key-value cache, weights.
- llama.cpp: `llama_decode` of the very library in the wheel xllamacpp, which exports its C interface. The first four
  fields of `llama_context_params` are patched; their defaults are checked first, so that another layout is refused.
- vLLM: `prompt_logprobs` in a process of its own, since it needs other versions of torch than we do.
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

BATCH = 64
TOP = 64
Feed = tuple[int, Sequence[int], int]
"""Slot, ids to compute, and how many ids are in the slot's cache already."""


class Stepper(Protocol):
    """An engine with `BATCH` slots of key-value cache."""

    def feed(self, parts: Sequence[Feed]) -> Any:
        """Logits `[parts, vocabulary]` after the last id of each part."""
        ...


def step_through(engine: Stepper, text: Any) -> Iterator[Any]:
    """Prompts at once, then a token of each reply at a time, up to `BATCH` replies together."""
    order = sorted(range(len(text.rows)), key=lambda one: len(text.rows[one][1]))
    for begin in range(0, len(order), BATCH):
        group = order[begin : begin + BATCH]
        for slot, one in enumerate(group):
            yield [text.starts[one]], engine.feed([(slot, text.rows[one][0], 0)]), None
        for step in range(max(len(text.rows[one][1]) for one in group) - 1):
            going = [(slot, one) for slot, one in enumerate(group) if step + 1 < len(text.rows[one][1])]
            parts = [(slot, [text.rows[one][1][step]], len(text.rows[one][0]) + step) for slot, one in going]
            yield [text.starts[one] + step + 1 for _, one in going], engine.feed(parts), None


def with_openvino(folder: Path, text: Any, weights: str, precision: str, cache: str) -> Iterator[Any]:
    """OpenVINO over a GGUF of these weights; an empty `cache` leaves its precision to OpenVINO."""
    with tempfile.TemporaryDirectory() as place:
        yield from step_through(_OpenVino(_saved_graph(folder, Path(place), weights), text, precision, cache), text)


def _saved_graph(folder: Path, place: Path, weights: str) -> Path:
    import openvino_genai

    from adhere.models.gguf_file import write_gguf

    file = write_gguf(folder, place / "model.gguf", weights)
    properties = {"INFERENCE_PRECISION_HINT": "f32", "enable_save_ov_model": True}
    openvino_genai.ContinuousBatchingPipeline(str(file), openvino_genai.SchedulerConfig(), "CPU", properties)
    return place / "openvino_model.xml"


def with_openvino_echo(folder: Path, text: Any, precision: str) -> Iterator[Any]:
    """The pipeline itself, asked to echo the text with log-probabilities: of the written token only, text at once."""
    import openvino
    import openvino_genai
    import torch

    from adhere.models.gguf_file import write_gguf

    with tempfile.TemporaryDirectory() as place:
        file = write_gguf(folder, Path(place) / "model.gguf")
        scheduler = openvino_genai.SchedulerConfig()
        scheduler.max_num_batched_tokens, scheduler.dynamic_split_fuse, scheduler.cache_size = 4096, False, 1
        pipeline = openvino_genai.ContinuousBatchingPipeline(
            str(file), scheduler, "CPU", {"INFERENCE_PRECISION_HINT": precision}
        )
        config = openvino_genai.GenerationConfig()
        config.max_new_tokens, config.echo, config.logprobs, config.ignore_eos = 1, True, 1, True
        for start, (prompt, reply) in zip(text.starts, text.rows, strict=True):
            ids = openvino.Tensor(np.array([prompt + reply], np.int64))
            handle = pipeline.add_request(start, ids, config)
            while pipeline.has_non_finished_requests():
                pipeline.step()
            told = handle.read_all()[0].generated_log_probs[len(prompt) : len(prompt) + len(reply)]
            yield range(start, start + len(reply)), torch.tensor(told)[:, None], torch.tensor(reply)[:, None]


class _OpenVino:
    def __init__(self, graph: Path, text: Any, precision: str, cache: str) -> None:
        import openvino
        from openvino._offline_transformations import paged_attention_transformation

        self._openvino = openvino
        core = openvino.Core()
        model = core.read_model(str(graph))
        paged_attention_transformation(model)
        properties = {"INFERENCE_PRECISION_HINT": precision} | ({"KV_CACHE_PRECISION": cache} if cache else {})
        compiled = core.compile_model(model, "CPU", properties)
        self._request = compiled.create_infer_request()
        caches = [port for port in compiled.inputs if "_cache." in port.any_name]
        self._block = next(port.partial_shape[2].get_length() for port in caches if port.any_name == "value_cache.0")
        longest = max(len(prompt) + len(reply) for prompt, reply in text.rows)
        self._blocks = -(-longest // self._block)
        for port in caches:
            shape = [BATCH * self._blocks, *(side.get_length() for side in list(port.partial_shape)[1:])]
            self._request.set_tensor(port.any_name, openvino.Tensor(port.element_type, openvino.Shape(shape)))

    def feed(self, parts: Sequence[Feed]) -> Any:
        """See `Stepper`."""
        ids = [one for _, some, _ in parts for one in some]
        places = [past + step for _, some, past in parts for step in range(len(some))]
        ends = np.cumsum([len(some) for _, some, _ in parts])
        used = [-(-(past + len(some)) // self._block) for _, some, past in parts]
        blocks = [slot * self._blocks + one for (slot, _, _), n in zip(parts, used, strict=True) for one in range(n)]
        values = {
            "input_ids": np.array(ids, np.int64),
            "position_ids": np.array(places, np.int64),
            "past_lens": np.array([past for _, _, past in parts], np.int32),
            "subsequence_begins": np.array([0, *ends], np.int32),
            "block_indices_begins": np.array([0, *np.cumsum(used)], np.int32),
            "block_indices": np.array(blocks, np.int32),
            "max_context_len": np.array(max(past + len(some) for _, some, past in parts), np.int32),
        }
        for name, value in values.items():
            self._request.set_tensor(name, self._openvino.Tensor(value))
        self._request.infer()
        logits = self._request.get_tensor("logits").data
        return logits.reshape(-1, logits.shape[-1])[ends - 1].copy()


class _Batch(ctypes.Structure):
    _fields_ = (
        ("n_tokens", ctypes.c_int32),
        ("token", ctypes.POINTER(ctypes.c_int32)),
        ("embd", ctypes.POINTER(ctypes.c_float)),
        ("pos", ctypes.POINTER(ctypes.c_int32)),
        ("n_seq_id", ctypes.POINTER(ctypes.c_int32)),
        ("seq_id", ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))),
        ("logits", ctypes.POINTER(ctypes.c_int8)),
    )


class _Opaque(ctypes.Structure):
    """A struct of llama.cpp whose size is not known here: larger ones pass by value all the same."""

    _fields_ = (("head", ctypes.c_uint32 * 4), ("rest", ctypes.c_uint8 * 1008))


def with_llamacpp(folder: Path, text: Any, kind: str) -> Iterator[Any]:
    """llama.cpp over a GGUF of these weights."""
    from adhere.models.gguf_file import write_gguf

    with tempfile.TemporaryDirectory() as place:
        file = write_gguf(folder, Path(place) / "model.gguf", kind)
        yield from step_through(_LlamaCpp(file, text), text)


class _LlamaCpp:
    _BATCH_TOKENS = 2048

    def __init__(self, file: Path, text: Any) -> None:
        import xllamacpp

        self._c = ctypes.CDLL(str(next(Path(xllamacpp.__file__).parent.glob("xllamacpp*.so"))))
        for name, result in (
            ("llama_model_default_params", _Opaque), ("llama_context_default_params", _Opaque),
            ("llama_model_load_from_file", ctypes.c_void_p), ("llama_init_from_model", ctypes.c_void_p),
            ("llama_get_memory", ctypes.c_void_p), ("llama_batch_init", _Batch),
            ("llama_get_logits_ith", ctypes.POINTER(ctypes.c_float)), ("llama_memory_seq_rm", ctypes.c_bool),
        ):  # fmt: skip
            getattr(self._c, name).restype = result
        self._silent = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(lambda *_: None)
        self._c.llama_log_set(self._silent, None)
        settings = self._c.llama_context_default_params()
        if list(settings.head) != [512, 2048, 512, 1]:
            raise RuntimeError("this build of llama.cpp has another llama_context_params")
        longest = max(len(prompt) + len(reply) for prompt, reply in text.rows)
        settings.head[:] = [BATCH * (-(-longest // 256) * 256), self._BATCH_TOKENS, 512, BATCH]
        weights = self._c.llama_model_load_from_file(str(file).encode(), self._c.llama_model_default_params())
        self._context = ctypes.c_void_p(self._c.llama_init_from_model(ctypes.c_void_p(weights), settings))
        self._c.llama_set_n_threads(self._context, 2, 2)
        self._memory = ctypes.c_void_p(self._c.llama_get_memory(self._context))
        self._batch = self._c.llama_batch_init(self._BATCH_TOKENS, 0, 1)
        self._width = json.loads((text.folder / "config.json").read_bytes())["vocab_size"]

    def feed(self, parts: Sequence[Feed]) -> Any:
        """See `Stepper`."""
        at, last = 0, []
        for slot, ids, past in parts:
            if not past:
                self._c.llama_memory_seq_rm(self._memory, slot, -1, -1)
            for step, one in enumerate(ids):
                self._batch.token[at], self._batch.pos[at] = one, past + step
                self._batch.n_seq_id[at], self._batch.seq_id[at][0] = 1, slot
                self._batch.logits[at] = step == len(ids) - 1
                at += 1
            last.append(at - 1)
        self._batch.n_tokens = at
        if self._c.llama_decode(self._context, self._batch):
            raise RuntimeError("llama_decode failed")
        found = [self._c.llama_get_logits_ith(self._context, one) for one in last]
        return np.stack([np.ctypeslib.as_array(one, (self._width,)).copy() for one in found])


def with_vllm(folder: Path, text: Any, python: str) -> Iterator[Any]:
    """vLLM in bf16: the `TOP` likeliest tokens at each place, and the written one."""
    import torch

    with tempfile.TemporaryDirectory() as place:
        given, taken = Path(place) / "rows.json", Path(place) / "found.npz"
        given.write_text(json.dumps(text.rows), encoding="utf-8")
        script = Path(__file__).with_name("fidelity_vllm.py")
        command = [python, str(script), str(folder), str(given), str(taken), str(TOP)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr.strip() or f"{python} ended with {done.returncode}")
        with np.load(taken) as found:
            values, ids = torch.from_numpy(found["values"]), torch.from_numpy(found["ids"])
    for begin in range(0, len(ids), BATCH):
        part = slice(begin, begin + BATCH)
        yield list(range(text.tokens))[part], values[part], ids[part]
