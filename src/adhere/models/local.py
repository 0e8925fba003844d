"""`LocalModel`: a weights folder that generates, scores and can be trained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from adhere.core.model import Ask, Reply, Scored
from adhere.core.record import Message
from adhere.models.chat import ChatTokenizer
from adhere.models.engine_choice import (
    EngineName,
    Precision,
    best_engine,
    check_choice,
    make_engine,
    named_engine,
)
from adhere.models.fidelity import require_scoring
from adhere.models.memory import LOADED, release_freed
from adhere.models.prepared import PreparedWeights
from adhere.models.weights import check_weights, read_note

if TYPE_CHECKING:
    from adhere.models.engine import Engine
    from adhere.models.llama import Shift
    from adhere.models.scoring import Scorer
    from adhere.models.stepping import Stepping
    from adhere.models.white_box import Hidden, WhiteBox


class LocalModel:
    """A model on this machine: `Generates`, `Scores`, `Steps` and `Trains`.

    The engine is loaded on the first `generate` and freed by `close`, at the end of a `with` block, or when several
    other models were asked since (`memory.Loaded`); the model can be asked again afterwards.
    """

    def __init__(
        self,
        folder: Path,
        name: str = "",
        *,
        engine: EngineName | None = None,
        precision: Precision = "auto",
        adapter: Path | None = None,
    ) -> None:
        """`folder` is a weights folder, `name` is for people (default: what the folder calls itself).

        `engine` is by default what ADHERE_ENGINE names, and where that is not set the best one that can be imported
        (`best_engine`); `precision` is one of those that `engine_choice.PRECISIONS` has for it. `adapter` is a folder
        with a LoRA adapter that PEFT or `adhere tune` wrote; engines that can add it while computing do. Raises
        `ModelError` for a folder that is incomplete or of an unsupported architecture, `SettingsError` for an
        engine or precision that there is not.
        """
        engine = engine or named_engine()
        check_choice(engine, precision)
        check_weights(folder)
        self._folder = folder
        self._prepared = PreparedWeights(folder, adapter)
        self._name = name or str(read_note(folder).get("name") or folder.resolve().name)
        self._engine_name = engine
        self._precision: Precision = precision
        self._engine: Engine | None = None
        self._scorer: Scorer | None = None
        self._box: WhiteBox | None = None
        self._asked = 0  # calls of `generate` that go on
        self.chat = ChatTokenizer(folder)

    @property
    def name(self) -> str:
        """The name for people; it says where the weights came from when that matters."""
        return self._name

    @property
    def weights(self) -> Path:
        """The weights folder, in Hugging Face layout; with an adapter it is merged into one in the cache, once."""
        return self._prepared.merged()

    @property
    def fingerprint(self) -> str:
        """`sha256 of the weights/engine-version-precision`."""
        return f"{self._prepared.fingerprint}/{self._running().label}"

    def generate(self, asks: Sequence[Ask]) -> Iterator[tuple[int, Reply]]:
        """Yield `(position, reply)` as replies finish."""
        if not asks:
            return
        LOADED.enter(self)
        self._asked += 1
        try:
            yield from self._running().generate(asks)
        finally:
            self._asked -= 1

    @property
    def is_idle(self) -> bool:
        """Whether no call of `generate` goes on."""
        return not self._asked

    def score(self, pairs: Sequence[tuple[tuple[Message, ...], str]]) -> list[Scored]:
        """Log-probabilities of replies in nats, computed with torch; the end-of-turn token counts.

        Raises `ModelError` where engine and precision are too far from fp32 for it.
        """
        if not pairs:
            return []
        return self._scoring().score(pairs, self.chat)

    def score_tokens(self, rows: Sequence[tuple[Sequence[int], Sequence[bool]]]) -> list[list[float]]:
        """Log-probability of every marked token of each row `(ids, marked)`; the first token is never scored."""
        return self._scoring().score_tokens(rows)

    def step(self, contexts: Sequence[tuple[Message, ...]], shift: Shift | None = None) -> Stepping:
        """Prompts stepped side by side; see `WhiteBox.step`."""
        return self.white_box().step(contexts, shift)

    def step_tokens(self, contexts: Sequence[Sequence[int]], shift: Shift | None = None) -> Stepping:
        """The same for contexts given as tokens."""
        return self.white_box().step_tokens(contexts, shift)

    def hidden_states(
        self, dialogues: Sequence[tuple[Message, ...]], layers: Sequence[int], shift: Shift | None = None
    ) -> list[Hidden]:
        """The residual stream after `layers`; see `WhiteBox.hidden_states`."""
        return self.white_box().hidden_states(dialogues, layers, shift)

    def white_box(self) -> WhiteBox:
        """The model with its inside open, computed with torch; scoring uses the same weights."""
        LOADED.enter(self)
        if self._box is None:
            from adhere.models.llama import llama_from_state, read_shape
            from adhere.models.white_box import WhiteBox, context_of

            llama = llama_from_state(read_shape(self._folder), self._prepared.state())
            self._box = WhiteBox(llama, self.chat, context_of(self._folder))
        return self._box

    def with_weights(self, folder: Path, name: str) -> LocalModel:
        """The same engine and precision on other weights."""
        return LocalModel(folder, name, engine=self._engine_name, precision=self._precision)

    def with_adapter(self, adapter: Path) -> LocalModel:
        """The same weights, engine and precision, with a LoRA adapter."""
        name = f"{self._name} + {adapter.name}"
        return LocalModel(self._folder, name, engine=self._engine_name, precision=self._precision, adapter=adapter)

    def close(self) -> None:
        """Free the memory of engine and scorer."""
        self._scorer = self._box = None
        if self._engine is not None:
            self._engine.close()
        release_freed()

    def __enter__(self) -> LocalModel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _scoring(self) -> Scorer:
        LOADED.enter(self)
        if self._scorer is None:
            from adhere.models.scoring import Scorer

            if self._engine_name is not None and self._precision.startswith("q"):
                require_scoring(f"{self._engine_name}-{self._precision}")
            llama = self.white_box().llama
            require_scoring(f"adhere-{'bf16' if llama.embeddings.element_size() == 2 else 'f32'}")
            self._scorer = Scorer(llama)
        return self._scorer

    def _running(self) -> Engine:
        if self._engine is None:
            self._engine = self._make_engine()
        return self._engine

    def _make_engine(self) -> Engine:
        if self._engine_name is None:  # decided here, since it takes the import of a large library
            self._engine_name = best_engine()
        return make_engine(self._engine_name, self._precision, self._prepared, self.chat)
