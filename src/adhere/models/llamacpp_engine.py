"""The portable engine: llama.cpp from the wheel xllamacpp, which exists for Linux, macOS and Windows.

The wheel holds llama.cpp's server. It also listens on a port of the loopback interface, which cannot be switched off: a
random key that nobody else knows makes it refuse everyone. Asks do not go through that port.

- *Seeds* are honoured per request. *Company* changes roundings only, as in the engine openvino.
- *Penalties*: both count prompt and reply here; presence_penalty counts the reply only in the other engines.
- *Memory*: a fixed key-value cache for all slots, sized by the longest ask; a call with longer ones loads anew (below
  a second for the embedded model).
- *Text* is what llama.cpp decodes: bytes that never become a character at the end of a cut reply are left out.
- *LoRA* is added while computing, from a file of its own.
"""

from __future__ import annotations

import gc
import os
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path
from typing import Any

from adhere.core.errors import ModelError
from adhere.core.model import Ask, Reply
from adhere.models.chat import ChatTokenizer
from adhere.models.engine import Prepared, draw_seed, prepare, stop_position, text_reply
from adhere.models.guides import Guides
from adhere.models.weights import read_config

HINT = "pip install 'adhere[llamacpp]'"
_LARGEST_CONTEXT = 8192  # tokens
_LEAST_WIDTH = 512
_CACHE_BYTES = 2 << 30
_SAMPLERS = ("penalties", "temperature", "top_k", "top_p", "min_p")


class LlamaCppEngine:
    """Generates with llama.cpp on the CPU. Nothing is loaded before the first `generate`."""

    def __init__(
        self,
        gguf: Callable[[], Path],
        chat: ChatTokenizer,
        *,
        kind: str = "F16",
        lora: Callable[[], Path] | None = None,
        batch: int = 64,
        threads: int = 0,
    ) -> None:
        """`gguf` and `lora` make the files when they are needed; `kind` says how matrices are stored in the first.

        `batch` replies are computed at a time where the key-value cache allows it; `threads` 0 takes the
        cores that this process may use (`usable_cores`).
        """
        self._gguf, self._lora = gguf, lora
        self._chat = chat
        self._kind = kind
        self._batch = batch
        self._threads = threads or usable_cores()
        config = read_config(chat.folder)
        self._context = min(int(config.get("max_position_embeddings") or _LARGEST_CONTEXT), _LARGEST_CONTEXT)
        heads = int(config["num_attention_heads"])
        width = int(config.get("head_dim") or config["hidden_size"] // heads)
        pairs = 2 * int(config["num_hidden_layers"]) * int(config.get("num_key_value_heads") or heads)
        self._token_bytes = 2 * pairs * width  # F16
        self._guides = Guides(chat)
        self._server: Any = None
        self._width = self._slots = 0
        self._lock = threading.RLock()

    @property
    def label(self) -> str:
        """Engine, version and how matrices are stored; replies may change when this does."""
        try:
            found = version("xllamacpp")
        except PackageNotFoundError:
            found = "unknown"
        return f"xllamacpp-{found}-{self._kind.lower()}"

    def generate(self, asks: Sequence[Ask]) -> Iterator[tuple[int, Reply]]:
        """Yield `(position, reply)` as replies finish; asks enter a slot as others leave it.

        An ask that cannot be run gets an error reply. Closing the iterator early ends what is running. Raises
        `ModelError` when the model cannot be loaded, `SettingsError` for a guide that cannot be used.
        """
        self._guides.check(asks)
        ready: list[Prepared] = []
        for position, ask in enumerate(asks):
            one = prepare(position, ask, self._chat, self._context)
            if isinstance(one, Reply):
                yield position, one
            else:
                ready.append(one)
        if not ready:
            return
        requests = ((one, self._request(one)) for one in sorted(ready, key=lambda one: -one.room))
        with self._lock:
            server = self._loaded(max(len(one.ids) + one.room for one in ready))
            stopped = threading.Event()
            with ThreadPoolExecutor(self._slots) as pool:

                def enter(count: int) -> set[Future[tuple[int, Reply]]]:
                    return {pool.submit(self._run, server, *one, stopped) for one in islice(requests, count)}

                running = enter(self._slots)
                try:
                    while running:
                        done, running = wait(running, return_when=FIRST_COMPLETED)
                        running |= enter(len(done))
                        yield from (one.result() for one in done)
                finally:
                    stopped.set()

    def close(self) -> None:
        """Free weights and cache; the next `generate` loads again."""
        with self._lock:
            self._server = None
            self._width = 0
            gc.collect()

    @staticmethod
    def _run(server: Any, ready: Prepared, request: dict[str, Any], stopped: threading.Event) -> tuple[int, Reply]:
        """Ask for one reply and follow it piece by piece, which is how it can be ended early."""
        following = _Following(ready, stopped)
        try:
            server.handle_completions(request, following.take)
        except Exception as error:  # the binding raises RuntimeError and, for text that is no UTF-8, others
            following.error = str(error) or type(error).__name__
        return ready.position, following.reply()

    def _request(self, ready: Prepared) -> dict[str, Any]:
        sampling = ready.ask.sampling
        return {
            "prompt": ready.ids,
            "n_predict": ready.room,
            "temperature": sampling.temperature,
            "top_k": sampling.top_k,
            "top_p": sampling.top_p,
            "min_p": sampling.min_p,
            "repeat_penalty": sampling.repetition_penalty,
            "presence_penalty": sampling.presence_penalty,
            "repeat_last_n": self._context,  # all of it
            "seed": draw_seed(ready.ask),
            "samplers": list(_SAMPLERS),
            "cache_prompt": False,  # what a slot happens to hold would change roundings
            "stream": True,
            "verbose": True,  # says how many tokens there are so far
            **({"grammar": self._guides.gbnf(sampling.guide)} if sampling.guide else {}),
            # Marks of tool calls may be special tokens, which otherwise have no text.
            **({"preserved_tokens": self._chat.control_tokens} if ready.ask.tools else {}),
        }

    def _loaded(self, needed: int) -> Any:
        """The server, with slots of at least `needed` tokens."""
        if self._server is None or needed > self._width:
            self._server = None
            width = min(max(_LEAST_WIDTH, 1 << (needed - 1).bit_length()), -(-self._context // 256) * 256)
            self._slots = max(1, min(self._batch, _CACHE_BYTES // (width * self._token_bytes)))
            self._server = self._load(width)
            self._width = width
        return self._server

    def _load(self, width: int) -> Any:
        import xllamacpp

        wanted = xllamacpp.CommonParams()
        file = self._gguf()
        wanted.model.path = str(file)
        wanted.n_parallel, wanted.n_ctx = self._slots, self._slots * width
        wanted.cpuparams.n_threads = wanted.cpuparams_batch.n_threads = self._threads
        wanted.n_gpu_layers = 0
        wanted.kv_unified = wanted.warmup = wanted.fit_params = wanted.endpoint_slots = wanted.ui = False
        wanted.cache_ram_mib = 0
        wanted.verbosity = -1
        wanted.api_keys = [secrets.token_urlsafe(32)]
        if self._lora is not None:
            wanted.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(self._lora()), 1.0)]
        try:
            return xllamacpp.Server(wanted)
        except RuntimeError as error:
            raise ModelError(f"llama.cpp cannot load {file}: {str(error)[:200]}", "Use the engine torch.") from None


class _Following:
    """One reply as it comes in; `take` says when to end it."""

    def __init__(self, ready: Prepared, stopped: threading.Event) -> None:
        self.error = ""
        self._ready, self._stopped = ready, stopped
        self._stops = ready.ask.sampling.stop
        self._text, self._finish, self._tokens = "", "", 0

    def take(self, piece: dict[str, Any]) -> bool:
        """Add a piece; True ends the request."""
        if "error" in piece:
            self.error = str(piece["error"].get("message", piece["error"]))[:200]
            return True
        choice = piece["choices"][0]
        self._text += choice["text"]
        self._finish = choice["finish_reason"] or ""
        self._tokens = piece.get("__verbose", {}).get("tokens_predicted", self._tokens)
        return self._stopped.is_set() or stop_position(self._text, self._stops) is not None

    def reply(self) -> Reply:
        """What came, cut before the first stop string."""
        was_stopped = stop_position(self._text, self._stops) is not None
        if not was_stopped and (self.error or not self._finish):
            told = self.error or "the reply was ended before it was whole"
            return Reply("", "error", len(self._ready.ids), 0, f"llama.cpp failed: {told}")
        return text_reply(self._ready, self._text, self._tokens, self._finish == "length")


def usable_cores() -> int:
    """How many cores this process may use: by its affinity where the system tells, at most OMP_NUM_THREADS.

    Threads of llama.cpp wait for one another in a loop, so that with more of them than free cores it all but stands.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    named = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores, int(named)) if named.isdigit() and int(named) else cores
