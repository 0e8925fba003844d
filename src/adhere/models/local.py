"""`LocalModel`: a weights folder that generates, scores and can be trained."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast, get_args

from adhere.core.errors import ModelError, SettingsError, did_you_mean
from adhere.core.model import Ask, Reply, Scored
from adhere.core.record import Message
from adhere.models.chat import ChatTokenizer
from adhere.models.memory import release_freed
from adhere.models.weights import cache_folder, check_weights, locked, read_note, weights_fingerprint

if TYPE_CHECKING:
    from adhere.models.engine import Engine
    from adhere.models.scoring import Scorer

EngineName = Literal["openvino", "torch"]
Precision = Literal["auto", "bf16", "f32"]

_KEPT_GGUF_FILES = 6


class LocalModel:
    """A model on this machine: `Generates`, `Scores` and `Trains`.

    The engine is loaded on the first `generate` and freed by `close` or at the end of a `with` block; the model can be
    asked again afterwards.
    """

    def __init__(
        self, folder: Path, name: str = "", *, engine: EngineName | None = None, precision: Precision = "auto"
    ) -> None:
        """`folder` is a weights folder, `name` is for people (default: what the folder calls itself).

        `engine` is openvino or torch; by default what ADHERE_ENGINE names, and where that is not set openvino where
        it can be imported, else torch. `precision` applies to the engine openvino; torch computes in fp32. Raises
        `ModelError` for a folder that is incomplete or of an unsupported architecture, `SettingsError` for an
        engine or precision that there is not.
        """
        engine = engine or _chosen_engine()
        if engine is not None and engine not in get_args(EngineName):
            raise SettingsError(f"unknown engine {engine!r}", did_you_mean(engine, get_args(EngineName)))
        if precision not in get_args(Precision):
            raise SettingsError(f"unknown precision {precision!r}", did_you_mean(precision, get_args(Precision)))
        check_weights(folder)
        self._folder = folder
        self._name = name or str(read_note(folder).get("name") or folder.resolve().name)
        self._engine_name = engine
        self._precision: Precision = precision
        self._engine: Engine | None = None
        self._scorer: Scorer | None = None
        self._weights_fingerprint = weights_fingerprint(folder)
        self.chat = ChatTokenizer(folder)

    @property
    def name(self) -> str:
        """The name for people; it says where the weights came from when that matters."""
        return self._name

    @property
    def weights(self) -> Path:
        """The weights folder, in Hugging Face layout."""
        return self._folder

    @property
    def fingerprint(self) -> str:
        """`sha256 of the weights/engine-version-precision`."""
        return f"{self._weights_fingerprint}/{self._running().label}"

    def generate(self, asks: Sequence[Ask]) -> Iterator[tuple[int, Reply]]:
        """Yield `(position, reply)` as replies finish."""
        if asks:
            yield from self._running().generate(asks)

    def score(self, pairs: Sequence[tuple[tuple[Message, ...], str]]) -> list[Scored]:
        """Log-probabilities of replies in nats, computed with torch; the end-of-turn token counts."""
        if not pairs:
            return []
        if self._scorer is None:
            from adhere.models.scoring import Scorer

            self._scorer = Scorer.open(self._folder)
        return self._scorer.score(pairs, self.chat)

    def with_weights(self, folder: Path, name: str) -> LocalModel:
        """The same engine and precision on other weights."""
        return LocalModel(folder, name, engine=self._engine_name, precision=self._precision)

    def close(self) -> None:
        """Free the memory of engine and scorer."""
        self._scorer = None
        if self._engine is not None:
            self._engine.close()
        release_freed()

    def __enter__(self) -> LocalModel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _running(self) -> Engine:
        if self._engine is None:
            self._engine = self._make_engine()
        return self._engine

    def _make_engine(self) -> Engine:
        if self._engine_name is None:  # decided here, since it takes the import of a large library
            self._engine_name = "openvino" if _has_openvino() else "torch"
        if self._engine_name == "torch":
            from adhere.models.torch_engine import TorchEngine

            return TorchEngine(self._folder, self.chat)
        from adhere.models.openvino_engine import HINT, OpenVinoEngine

        if not _has_openvino():
            raise ModelError("the engine openvino cannot be imported", HINT)
        return OpenVinoEngine(self._gguf, self.chat, precision=self._precision)

    def _gguf(self) -> Path:
        """The weights as F16 GGUF, written once per fingerprint into the cache; the oldest ones are deleted."""
        from adhere.models.gguf_file import write_gguf

        if weights_fingerprint(self._folder) != self._weights_fingerprint:
            raise ModelError(f"the weights in {self._folder} changed while in use", "Open the model again.")
        place = cache_folder() / "gguf"
        file = place / f"{self._weights_fingerprint}-F16.gguf"
        with locked(file):
            if file.is_file():
                file.touch()  # the time of last use, which pruning goes by
                return file
            write_gguf(self._folder, file, "F16")
            by_use = sorted(place.glob("*-F16.gguf"), key=lambda one: one.stat().st_mtime, reverse=True)
            for old in by_use[_KEPT_GGUF_FILES:]:
                old.unlink(missing_ok=True)
        return file


def _chosen_engine() -> EngineName | None:
    """The engine that ADHERE_ENGINE names, or None."""
    named = os.environ.get("ADHERE_ENGINE", "").strip().lower()
    if not named:
        return None
    for known in get_args(EngineName):
        if named == known:
            return cast(EngineName, known)
    raise SettingsError(f"ADHERE_ENGINE names no engine: {named!r}", did_you_mean(named, get_args(EngineName)))


def _has_openvino() -> bool:
    """Whether the default engine can be imported; a package whose libraries do not load on this machine cannot."""
    try:
        import openvino_genai  # noqa: F401
    except (ImportError, OSError):
        return False
    return True
