"""`adapt`: what every tune method shares: plan the steps, train an adapter, export, and hand back the model."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from adhere.core.errors import TrainingError
from adhere.core.model import Generates, Trains
from adhere.core.progress import Progress, silent
from adhere.core.record import content_hash
from adhere.models.memory import release_freed
from adhere.store.files import explained, write_atomically
from adhere.training.checkpoints import Checkpoints
from adhere.training.encode import Counts, Encoded, Unit
from adhere.training.export import Agreement, check_export, export
from adhere.training.loop import FitReport, fit
from adhere.training.lora import LoraTrainee
from adhere.training.losses import Loss
from adhere.training.packing import Batch, fingerprint, plan_batches
from adhere.training.schedule import Schedule

CHECKED_ROWS = 8  # a matrix that is merged or written wrongly shows in each of them
CHECKPOINT_STEPS = 25
FILES = ("adapter", "merged", "model.gguf")


@dataclass(frozen=True)
class Tuned:
    """A tuned model, where it lies, and how it came about.

    `folder` holds `adapter/` (PEFT), `merged/` (safetensors) and `model.gguf`; `agreements` says how far the
    three differ in log-probability.
    """

    model: Generates
    folder: Path
    method: str
    counts: Counts
    report: FitReport
    agreements: tuple[Agreement, ...]
    files: tuple[str, ...] = FILES

    @property
    def tokens(self) -> int:
        """Tokens that training went through."""
        return self.report.tokens


def untouched(trainee: LoraTrainee, units: Sequence[Unit]) -> list[Unit]:
    """Units as they are: the default of `Objective.prepare`."""
    return list(units)


@dataclass(frozen=True)
class Objective:
    """What a tune method brings: its name, its data, its loss, its numbers.

    `prepare` may add to the units what the loss needs and only the model knows, such as reference
    log-probabilities.
    """

    method: str
    encoded: Encoded
    loss: Loss
    schedule: Schedule
    prepare: Callable[[LoraTrainee, Sequence[Unit]], list[Unit]] = untouched


@runtime_checkable
class CountsTokens(Protocol):
    """A `should_stop` that wants to know what training will use and has used."""

    def planned(self, tokens: Sequence[int]) -> None:
        """Take in, before the first step, how many tokens this training will have gone through after each."""
        ...

    def trained(self, tokens: int) -> None:
        """Take in after each step how many tokens this training went through since its first step."""
        ...


def adapt(
    model: Trains,
    objective: Objective,
    place: Path,
    progress: Progress = silent,
    should_stop: Callable[[], bool] = lambda: False,
) -> Tuned:
    """Train a LoRA adapter and leave adapter, merged model and GGUF in `place`.

    Goes on from the newest checkpoint in `place`; a finished `place` is only read. `should_stop` is told the tokens
    of all steps to come, and of each one done, when it `CountsTokens`. Raises `TrainingError` when there is nothing to
    learn, when a loss is not finite, when the three exports disagree, or when `place` holds a model tuned on other rows
    or settings.
    """
    counts = objective.encoded.counts
    progress("tune: rows", counts.kept, counts.rows, counts.describe())
    done = place / "tuned.json"
    identity = _identify(model, objective)
    if not done.is_file():
        told = {"identity": identity, **_train(model, objective, place, progress, should_stop)}
        write_atomically(done, [json.dumps(told, indent=1).encode()])
    with explained(place):
        shutil.rmtree(place / "checkpoints", ignore_errors=True)
    told = _finished(done, identity)
    report = {**told["report"], "losses": tuple(told["report"]["losses"])}
    report["gradient_norms"] = tuple(told["report"]["gradient_norms"])
    return Tuned(
        model.with_weights(place / "merged", f"{model.name}+{objective.method}"),
        place,
        objective.method,
        Counts(**told["counts"]),
        FitReport(**report),
        tuple(Agreement(**one) for one in told["agreements"]),
    )


def _identify(model: Trains, objective: Objective) -> str:
    """A hash of what the tuned model follows from: weights, rows as encoded, loss and numbers; not where it runs."""
    numbers = asdict(objective.schedule)
    numbers.pop("device")
    rows = fingerprint([Batch((tuple(objective.encoded.units),))])
    return content_hash([model.fingerprint, objective.method, repr(objective.loss), numbers, rows])


def _finished(done: Path, identity: str) -> dict[str, Any]:
    """What an earlier training told, if it is the one with this `identity`."""
    try:
        told = json.loads(done.read_bytes())
        found = told["identity"]
    except (ValueError, KeyError, TypeError):
        found = ""
    if found != identity:
        raise TrainingError(
            f"{done.parent} holds a model that was tuned from other rows, settings or weights",
            "Delete this folder to tune again, or choose another one.",
        )
    return dict(told)


def _counting(batches: Sequence[Batch], progress: Progress, should_stop: Callable[[], bool]) -> Progress:
    """`progress`, which also tells `should_stop` the tokens of all steps so far, where that wants to know."""
    if not isinstance(should_stop, CountsTokens):
        return progress
    counter = should_stop
    steps = (sum(len(one.ids) for unit in batch.units for one in unit) for batch in batches)
    so_far = list(itertools.accumulate(steps))
    counter.planned(so_far)

    def report(task: str, done: int, total: int | None = None, note: str = "") -> None:
        if task == "tune" and 0 < done <= len(so_far):
            counter.trained(so_far[done - 1])
        progress(task, done, total, note)

    return report


def _train(
    model: Trains, objective: Objective, place: Path, progress: Progress, should_stop: Callable[[], bool]
) -> dict[str, Any]:
    schedule, encoded = objective.schedule, objective.encoded
    trainee = LoraTrainee.open(model.weights, schedule)
    units = objective.prepare(trainee, encoded.units)
    batches = plan_batches(units, schedule.max_length, schedule.tokens_per_step, schedule.epochs, schedule.seed)
    checkpoints = Checkpoints(place / "checkpoints", every=CHECKPOINT_STEPS)
    counted = _counting(batches, progress, should_stop)
    report = fit(trainee, batches, objective.loss, schedule, checkpoints, counted, should_stop)
    release_freed()  # activations and optimiser, before three exports are held beside each other
    rows = [(unit[0].ids, unit[0].supervised) for unit in encoded.units[:CHECKED_ROWS]]
    export(trainee, model.weights, place)
    agreements = check_export(trainee, place, rows, model.weights)
    del trainee
    release_freed()
    return {
        "counts": asdict(encoded.counts),
        "report": {**asdict(report), "checkpoint": None},
        "agreements": [asdict(one) for one in agreements],
    }
