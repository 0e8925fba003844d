"""`Lab`: what a proof works with, by name: the model, instructions, benchmarks, a pool of graded replies, seeds, cost.

Every proof asks the same model with the same prompts, so proofs share their base replies through the call cache. No
proof sees a held-out family or the `test` part of the held-out prompts: records are composed of shipped seeds and
training phrasings, benchmarks come from the part `development` of the slices `seen` and `plain`.
"""

from __future__ import annotations

import contextlib
import datetime
import random
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, Protocol, TypeVar, cast

import msgspec

from adhere.core.benchmark import Benchmark
from adhere.core.errors import ModelError, SettingsError
from adhere.core.method import Card
from adhere.core.model import Ask, Generates, Reply, Sampling, Steps, Trains, pass_on
from adhere.core.progress import Progress, silent
from adhere.core.proof import Proof, Shown, Side, Size, holds
from adhere.core.record import Record
from adhere.core.statistics import Interval, Share, paired_difference
from adhere.data.seeds import shipped_seeds
from adhere.evals.grade import Graded, Metric, Row, followed, grade, joined, paired_rows, sound
from adhere.evals.heldout import heldout_benchmark, overlap_finder
from adhere.models.budget import Ledger, metered
from adhere.verify.catalogue import ALL_TYPES, IFEVAL_TYPES, UNSEEN_FAMILIES
from adhere.verify.compose import compose
from adhere.verify.score import ConstraintVerifier

SEEDS = (0, 1, 2)
GREEDY = Sampling(max_tokens=256)
WARM = Sampling(max_tokens=256, temperature=0.8, top_p=0.95)
SMOKE = 4  # how many of everything a smoke run takes
SMOKE_TOKENS = 24
MOST_SHOWN = 12
_VERSION = "1"


class Trained(Protocol):
    """What a tuning gives, as `training.adapt.Tuned` is: the model, and the tokens that training went through."""

    @property
    def model(self) -> Generates:
        """The tuned model."""
        ...

    @property
    def tokens(self) -> int:
        """Labelled or not, over all epochs."""
        ...


Made = TypeVar("Made", bound=Trained)


class Tuner(Protocol):
    """The tuning that is the same for every proof which needs some and is not about it."""

    def __call__(self, model: Trains, records: Sequence[Record], place: Path, seed: int) -> Trained:
        """The model tuned on the replies of `records`."""
        ...


class Outcome(msgspec.Struct, frozen=True):
    """What an experiment measured, one value per (unit, seed) on each side; None was not judged.

    `units` names what is independent: prompts, tasks, episodes. `names` are those of baseline and treated.
    """

    base: Sequence[Share]
    treated: Sequence[Share]
    units: Sequence[Hashable]
    names: tuple[str, str]
    unit: str = "prompts"
    examples: tuple[Shown, ...] = ()
    numbers: dict[str, float] = {}
    remark: str = ""


class AsIfPaid:
    """A model whose replies count in full wherever they come from: what a method costs is not what the cache held.

    `begun` collects what is stepped: each counts the tokens that it computed.
    """

    def __init__(self, model: Generates, begun: list[Any]) -> None:
        self._model, self._begun = model, begun
        pass_on(self, model)
        for name in ("step", "step_tokens"):
            if hasattr(model, name):
                setattr(self, name, self._counted(getattr(model, name)))
        if isinstance(model, Trains):
            self.with_weights = self._with_weights

    @property
    def name(self) -> str:
        """That of the model."""
        return self._model.name

    @property
    def fingerprint(self) -> str:
        """That of the model."""
        return self._model.fingerprint

    def _counted(self, step: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*contexts: Any, **settings: Any) -> Any:
            self._begun.append(step(*contexts, **settings))
            return self._begun[-1]

        return counted

    def generate(self, asks: Sequence[Ask]) -> Iterator[tuple[int, Reply]]:
        """As the model does."""
        for position, reply in self._model.generate(asks):
            yield position, msgspec.structs.replace(reply, cached=False)

    def _with_weights(self, folder: Path, name: str) -> Generates:
        return AsIfPaid(cast(Trains, self._model).with_weights(folder, name), self._begun)


class Lab:
    """Made by the app (`adhere prove`, `adhere compare`) or by a test; handed to `prove(lab)`."""

    def __init__(
        self,
        model: Generates,
        place: Path,
        *,
        tuner: Tuner | None = None,
        seeds: Sequence[int] = SEEDS,
        progress: Progress = silent,
        smoke: bool = False,
    ) -> None:
        """`place` is where tuned models go. `smoke` takes a handful of everything and one seed: it proves nothing."""
        self.ledger = Ledger()
        self._stepped: list[Any] = []
        self.model = metered(AsIfPaid(model, self._stepped), self.ledger)
        self.place = place
        self.progress = progress
        self.smoke = smoke
        self.seeds = tuple(seeds)[:1] if smoke else tuple(seeds)
        self._tuner = tuner
        self._pools: dict[tuple[int, int, Sampling], Graded] = {}
        self._began = time.monotonic()

    # -- what there is, by name -------------------------------------------------------------------------------

    def count(self, wanted: int) -> int:
        """How many of something to take: `wanted`, or a handful in a smoke run."""
        return min(wanted, SMOKE) if self.smoke else wanted

    def sized(self, sampling: Sampling) -> Sampling:
        """The sampling, with short replies in a smoke run."""
        most = min(sampling.max_tokens, SMOKE_TOKENS) if self.smoke else sampling.max_tokens
        return msgspec.structs.replace(sampling, max_tokens=most)

    @property
    def inside(self) -> Steps:
        """The model, where it shows its inside; a `ModelError` where it does not."""
        if not isinstance(self.model, Steps):
            raise ModelError(f"this proof looks inside, and {self.model.name} is closed", "Choose a local model.")
        return self.model

    @property
    def trainable(self) -> Trains:
        """The model, where it has weights; a `ModelError` where it has none."""
        if not isinstance(self.model, Trains):
            raise ModelError(f"this proof tunes, and {self.model.name} has no weights", "Choose a local model.")
        return self.model

    def instructions(self, count: int, part: str = "train") -> list[Record]:
        """`count` plain instructions without checks; `train` and `probe` never share one."""
        seeds = _seeds(part)
        wanted = self.count(count)
        if wanted > len(seeds):
            raise SettingsError(f"expected at most {len(seeds)} instructions of part {part!r}, found {wanted}")
        return seeds[:wanted]

    def composed(self, count: int, part: str = "train", constraints: Sequence[int] = (1, 2, 3)) -> list[Record]:
        """`count` instructions with that many constraints in turn, of the families that may be trained on."""
        wanted, found = self.count(count), list[Record]()
        for number, record in enumerate(_seeds(part)):
            draw = random.Random(f"lab/{_VERSION}/{part}/{number}")
            made = compose(draw, record, constraints[number % len(constraints)], tuple(IFEVAL_TYPES.values()))
            found += [made] if made is not None else []
            if len(found) == wanted:
                return found
        raise SettingsError(f"only {len(found)} of {wanted} instructions of part {part!r} take constraints")

    def probe(self, count: int, constraints: Sequence[int] = (1, 2, 3)) -> Benchmark:
        """A benchmark of `count` composed instructions that `train` does not hold, in training phrasings."""
        records = tuple(self.composed(count, "probe", constraints))
        return Benchmark("probe", _VERSION, records, ConstraintVerifier(ALL_TYPES))

    def benchmark(self, name: str, count: int) -> Benchmark:
        """`count` prompts of the development part of a held-out slice that proofs may see: `seen` or `plain`."""
        if name not in ("seen", "plain"):
            raise SettingsError(f"a proof may look at the slices seen and plain, found {name!r}")
        return heldout_benchmark("seen" if name == "seen" else "plain", self.count(count), part="development")

    def pool(self, count: int, samples: int = 4, sampling: Sampling = WARM) -> Graded:
        """`samples` replies of the model to each of `count` composed training instructions, graded; asked once."""
        key = (count, samples, sampling)
        if key not in self._pools:
            records = tuple(self.composed(count))
            training = Benchmark("pool", _VERSION, records, ConstraintVerifier(ALL_TYPES))
            self._pools[key] = self.grade(self.model, training, sampling, range(self.count(samples)))
        return self._pools[key]

    def rows(self, count: int, samples: int = 4, keep: Callable[[Row], bool] = lambda row: True) -> list[Record]:
        """The replies of the pool that end by themselves and do not loop, where `keep` says so, as records.

        A model that is tuned on a reply that was cut learns to stop in the middle. Notes hold `followed`.
        """
        records = {one.id: one for one in self.composed(count)}
        return [
            records[row.record].with_reply(row.reply).noted(followed=followed(row))
            for row in self.pool(count, samples).rows
            if self._is_whole(row) and keep(row)
        ]

    def pairs(self, count: int, samples: int = 4) -> list[Record]:
        """Whole replies of the pool that pass all their checks, each with one that fails some; one pair a prompt."""
        records = {one.id: one for one in self.composed(count)}
        found: dict[str, dict[bool, Row]] = {}
        for row in self.pool(count, samples).rows:
            if (row.strict is False and row.reply.strip()) or (row.strict and self._is_whole(row)):
                found.setdefault(row.record, {}).setdefault(row.strict, row)
        return [
            msgspec.structs.replace(records[name].with_reply(both[True].reply), rejected=both[False].reply)
            for name, both in found.items()
            if len(both) == 2 and both[True].reply != both[False].reply
        ]

    def _is_whole(self, row: Row) -> bool:
        return bool(row.reply.strip()) and (sound(row) == 1.0 or (self.smoke and row.judged))

    def folder(self, *names: str | int) -> Path:
        """A folder for a tuned model."""
        return self.place.joinpath(*map(str, names))

    # -- what is done -----------------------------------------------------------------------------------------

    def tuned(self, records: Sequence[Record], name: str, seed: int = 0) -> Generates:
        """The model tuned on `records` by the one tuning that all proofs share (SFT); its tokens are booked."""
        if self._tuner is None:
            raise SettingsError("this lab has no tuner", "Use: adhere prove")
        refuse_heldout_families(records)
        made = self._tuner(self.trainable, records, self.folder(name, seed), seed)
        self.ledger.book_training(made.tokens)
        return made.model

    def tune_each(self, name: str, tune: Callable[[Path, int], Made]) -> list[Made]:
        """What `tune(place, seed)` makes for each seed; what they went through is booked."""
        made = [tune(self.folder(name, seed), seed) for seed in self.seeds]
        self.ledger.book_training(sum(one.tokens for one in made))
        return made

    def grade_each(self, made: Sequence[Trained], benchmark: Benchmark, sampling: Sampling = GREEDY) -> Graded:
        """One tuned model per seed, each asked and judged with its own."""
        pairs = zip(made, self.seeds, strict=True)
        return joined([self.grade(one.model, benchmark, sampling, [seed]) for one, seed in pairs])

    def grade(
        self, model: Generates, benchmark: Benchmark, sampling: Sampling = GREEDY, seeds: Sequence[int] | None = None
    ) -> Graded:
        """Ask and judge; see `evals.grade.grade`. Replies are short in a smoke run."""
        used = self.seeds if seeds is None else seeds
        return grade(model, benchmark, used, self.sized(sampling), self.progress)

    @contextlib.contextmanager
    def at(self, side: str) -> Iterator[None]:
        """Book what is asked inside under `base`, `treated` or another name."""
        with self.ledger.at(side):
            yield
            for one in self._stepped:
                self.ledger.book(Reply("", tokens_in=one.computed))
        self._stepped.clear()

    def tokens(self, side: str) -> int:
        """Tokens read, written and trained on under a name, whether or not the call cache had them."""
        return self.ledger.stages[side].tokens if side in self.ledger.stages else 0

    # -- what comes out ---------------------------------------------------------------------------------------

    def graded_outcome(
        self,
        records: Sequence[Record],
        base: Graded,
        treated: Graded,
        names: tuple[str, str],
        metric: Metric = followed,
    ) -> Outcome:
        """Two gradings of one benchmark as an outcome, with the prompts that changed most as examples."""
        pairs = list(paired_rows(base, treated))
        before, after = [metric(one) for one, _ in pairs], [metric(one) for _, one in pairs]
        return Outcome(
            before,
            after,
            [one.record for _, one in pairs],
            names,
            examples=shown(records, pairs, metric),
            numbers=by_seed([one.seed for _, one in pairs], before, after),
        )

    def proof(self, method: str, card: Card, outcome: Outcome) -> Proof:
        """The proof of a method's claim from what was measured; whether it holds follows from the interval."""
        interval = paired_difference(outcome.base, outcome.treated, outcome.units)
        pairs = _pairs(outcome)
        baseline = fmean(before for before, _ in pairs)
        size: Size = "tiny"
        return Proof(
            method=method,
            version=card.version,
            claim=card.claim,
            metric=card.metric,
            relation=card.relation,
            margin=card.margin,
            baseline=Side(outcome.names[0], baseline, self.tokens("base")),
            treated=Side(outcome.names[1], fmean(after for _, after in pairs), self.tokens("treated")),
            interval=_plain(interval),
            holds=holds(card.relation, card.margin, interval, baseline),
            seeds=self.seeds,
            size=size,
            model=self.model.name,
            weights=self.model.fingerprint,
            unit=outcome.unit,
            pairs=tuple((round(before, 4), round(after, 4)) for before, after in pairs),
            numbers=outcome.numbers,
            remark=outcome.remark,
            examples=outcome.examples[:MOST_SHOWN],
            seconds=round(time.monotonic() - self._began, 1),
            made=datetime.date.today().isoformat(),
        )


def by_seed(seeds: Sequence[int], base: Sequence[Share], treated: Sequence[Share]) -> dict[str, float]:
    """The difference of each seed, by name, where there are several: how far tunings and draws differ shows here only.

    The interval of a proof is over prompts, with the seeds as they were.
    """
    found: dict[int, list[float]] = {}
    for seed, before, after in zip(seeds, base, treated, strict=True):
        if before is not None and after is not None:
            found.setdefault(seed, []).append(after - before)
    return {f"difference, seed {seed}": round(fmean(one), 4) for seed, one in found.items()} if len(found) > 1 else {}


def shown(records: Sequence[Record], pairs: Sequence[tuple[Row, Row]], metric: Metric = followed) -> tuple[Shown, ...]:
    """The prompts whose score moved most, up and down, for a page."""
    by_id = {one.id: one for one in records}
    moved: list[tuple[float, Shown]] = []
    for before, after in pairs:
        record, first, second = by_id[after.record], metric(before), metric(after)
        if first is None or second is None or before.reply == after.reply:
            continue
        moved.append(
            (second - first, Shown(record.instruction, before.reply, after.reply, first, second, record.checks))
        )
    moved.sort(key=lambda one: one[0], reverse=True)
    half = min(MOST_SHOWN, len(moved)) // 2
    return tuple(one for _, one in (*moved[: MOST_SHOWN - half], *moved[len(moved) - half :])[:MOST_SHOWN])


def _seeds(part: str) -> list[Record]:
    """The shipped instructions of a part, in a fixed shuffled order: every fourth is a probe, the others train."""
    if part not in ("train", "probe"):
        raise SettingsError(f"expected the part train or probe, found {part!r}")
    offence_of = overlap_finder()
    found = [one for one in shipped_seeds() if offence_of(one) is None]
    random.Random(f"lab/{_VERSION}").shuffle(found)
    return [one for number, one in enumerate(found) if (number % 4 == 0) == (part == "probe")]


def _pairs(outcome: Outcome) -> list[tuple[float, float]]:
    """The means of each unit on both sides, over what was judged on both."""
    by_unit: dict[Hashable, list[tuple[float, float]]] = {}
    for before, after, unit in zip(outcome.base, outcome.treated, outcome.units, strict=True):
        if before is not None and after is not None:
            by_unit.setdefault(unit, []).append((float(before), float(after)))
    return [(fmean(one[0] for one in found), fmean(one[1] for one in found)) for found in by_unit.values()]


def _plain(interval: Interval) -> Interval:
    """An interval whose ends are finite, as JSON needs them: a single unit gives the whole line."""
    far = 1e9
    return msgspec.structs.replace(interval, low=max(interval.low, -far), high=min(interval.high, far))


def refuse_heldout_families(records: Sequence[Record]) -> None:
    """Raise `SettingsError` when records have a check of a family that is kept for held-out evaluation."""
    for record in records:
        for check in record.checks:
            if check.kind in ALL_TYPES and ALL_TYPES[check.kind].family in UNSEEN_FAMILIES:
                raise SettingsError(f"record {record.id[:12]} has a check of the held-out family of {check.kind}")
