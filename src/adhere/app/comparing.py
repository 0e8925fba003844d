"""`adhere compare`: methods side by side on one model, one benchmark, one budget, the same seeds.

Each method makes a model of the one given, by its arrow: `steer` at once, `tune` from the replies of the lab's pool
that pass their checks, `select` by choosing from all replies of the pool, `synth` by making rows. What `select` and
`synth` give is tuned on by the shared tuning. Then all are asked the same prompts. Cost is one number whatever it was
spent on: tokens read and written, and twice the tokens trained on, since a step through an adapter takes twice the
arithmetic of reading. The pool is made once for all, and its cost is stated beside. Of a budget, what the model as it
is took for the prompts, and half as much again, is kept for the answers; rows are left out until training fits into the
rest, and what is not answered when the budget is used up is not judged.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from adhere.app.asking import open_generator
from adhere.app.caching import through_cache
from adhere.app.comparison_page import write_comparison_page
from adhere.app.display import TerminalProgress, say
from adhere.app.output import check_folder, print_json
from adhere.app.proving import forget_models, shared_tuning
from adhere.app.session import MODEL_INPUTS, begin_run, model_inputs, model_of, plan_of, working
from adhere.app.workers import executor_for
from adhere.core.comparison import Compared, Duel, Member, duel_of
from adhere.core.errors import EXIT_FINE, SettingsError, StoreError, did_you_mean
from adhere.core.executor import Executor, in_order
from adhere.core.model import Generates
from adhere.core.record import Record
from adhere.core.statistics import Share, paired_difference
from adhere.core.step import divided
from adhere.evals.grade import Row, all_followed, followed, sound
from adhere.evals.lab import WARM, Lab
from adhere.methods.calling import call
from adhere.methods.catalogue import Entry, entry, load
from adhere.models.budget import Budget, Ledger, metered, parse_budget
from adhere.models.distributed import Opening, anywhere, opened
from adhere.models.scoring import encode_pair
from adhere.store.files import explained, write_atomically
from adhere.store.run import Plan, Run

ARROWS = ("synth", "select", "steer", "tune")
BENCHMARKS = ("seen", "plain")
NOTHING = "none"  # the model as it is
TRAINED_COSTS = 2  # forward passes that a trained token costs
POOL = (120, 4)  # instructions and replies to each that `tune`, `select` and `steer` may learn from
EPOCHS = 2
RESERVED = 1.5  # times what the model as it is takes for its answers


class Race(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The plan of a comparison: methods, benchmark, prompts, tokens per method and seed (None: no limit), seeds."""

    methods: tuple[str, ...]
    on: str
    prompts: int
    budget: int | None
    seeds: int


class MemberJob(msgspec.Struct, frozen=True):
    """A member of a race for a worker: its name, how many tokens its answers are kept, and the model."""

    race: Race
    name: str
    answers: int
    opening: Opening
    use_cache: bool


class Ran(msgspec.Struct, frozen=True):
    """What a member said, for all prompts and seeds, and what that cost."""

    rows: tuple[Row, ...]
    tokens: int
    seconds: float


def compare_command(names: Sequence[str], **options: Any) -> int:
    """Compare methods with one another and with the model as it is."""
    race = _race(names, options)
    check_folder(options["runs_folder"], "--runs")
    model = open_generator(options["model_name"])
    plan = Plan("compare", msgspec.to_builtins(race), model_inputs(options["model_name"], model))
    with executor_for(options["workers"], options["ray"]) as executor:
        run = begin_run(options["runs_folder"], plan, {})
        return _work(run, race, model, options["as_json"], not options["no_cache"], executor)


def go_on(folder: Path, as_json: bool, use_cache: bool, executor: Executor | None = None) -> int:
    """`adhere resume` of a comparison: walk it again, asking only for what is missing."""
    plan = plan_of(folder, "compare", lambda one: msgspec.convert(one.settings, Race), MODEL_INPUTS)
    race = msgspec.convert(plan.settings, Race)
    return _work(Run.open(folder), race, model_of(plan), as_json, use_cache, executor)


def read_comparison(folder: Path) -> Compared:
    """What the comparison in a run folder found; a `StoreError` when it has not ended."""
    path = folder / "comparison.json"
    with explained(path):
        data = path.read_bytes()
    try:
        return msgspec.json.decode(data, type=Compared)
    except msgspec.MsgspecError as error:
        raise StoreError(f"{path} is not a comparison: {error}", "Run it again with: adhere compare") from None


def _race(names: Sequence[str], options: dict[str, Any]) -> Race:
    if len(names) < 1:
        raise SettingsError("expected methods to compare", "For example: adhere compare best-of-n sft --on seen")
    chosen = [entry(name) for name in names]
    for one in chosen:
        if one.arrow not in ARROWS:
            raise SettingsError(
                f"{one.name} is of the arrow {one.arrow}, which makes no model", f"Compared are: {', '.join(ARROWS)}"
            )
    if options["on"] not in BENCHMARKS:
        raise SettingsError(f"no benchmark {options['on']!r}", did_you_mean(options["on"], BENCHMARKS))
    budget = parse_budget(options["budget"]).tokens if options["budget"] else None
    if options["budget"] and budget is None:
        raise SettingsError(f"expected a budget in tokens, found {options['budget']!r}", "For example: 200k tokens")
    return Race(tuple(one.name for one in chosen), options["on"], options["limit"] or 60, budget, options["seeds"])


def _work(run: Run, race: Race, model: Generates, as_json: bool, use_cache: bool, executor: Executor | None) -> int:
    run.stage = "compare"
    opening = Opening(anywhere(run.plan.inputs["model_name"]), model.fingerprint)

    def elsewhere(names: Sequence[str], answers: int) -> Iterator[Ran]:
        assert executor is not None
        jobs = [MemberJob(race, one, answers, opening, use_cache) for one in names]
        return in_order(executor.run(run_elsewhere, jobs, named=lambda job: job.name))

    with working(run), TerminalProgress() as progress, through_cache(model, use_cache) as asked:
        place, seeds = run.folder / "models", range(race.seeds)
        lab = Lab(run.remember(asked), place, tuner=shared_tuning(progress), seeds=seeds, progress=progress)
        found = compare(lab, race, elsewhere if executor is not None else None)
    write_atomically(run.folder / "comparison.json", [msgspec.json.encode(found), b"\n"])
    write_comparison_page(found, run.folder / "report.html")
    run.finish()
    forget_models(run)
    say(f"Report: {run.folder / 'report.html'}")
    print_json(found) if as_json else print(found.in_words())
    return EXIT_FINE


def compare(lab: Lab, race: Race, elsewhere: Callable[[Sequence[str], int], Iterator[Ran]] | None = None) -> Compared:
    """Run every method for every seed, grade what it made, and pair all with one another.

    `elsewhere` runs members in other processes, given their names and the tokens that are kept for answers; the pool
    and the model as it is are asked here, so that those find the replies in the call cache (without one, or on another
    machine, each asks for the pool anew).
    """
    bench = lab.benchmark(race.on, race.prompts)
    metric = followed if race.on == "seen" else sound
    with lab.at("pool"):
        if any(entry(name).arrow != "synth" for name in race.methods):
            lab.pool(*POOL)
    runs = [ran(lab, race, NOTHING, 0)]
    answers = int(runs[0].tokens * RESERVED) // len(lab.seeds)
    runs += elsewhere(race.methods, answers) if elsewhere else [ran(lab, race, one, answers) for one in race.methods]
    names = (NOTHING, *race.methods)
    scores = {name: [metric(row) for row in one.rows] for name, one in zip(names, runs, strict=True)}
    units = [record.id for _ in lab.seeds for record in bench.records]
    return Compared(
        on=bench.name,
        measured="constraints followed" if race.on == "seen" else "sound replies",
        prompts=len(bench.records),
        seeds=len(lab.seeds),
        budget=race.budget,
        pool=lab.tokens("pool"),
        model=lab.model.name,
        members=tuple(_member(name, scores[name], one) for name, one in zip(names, runs, strict=True)),
        duels=tuple(_duels(names, scores, units)),
    )


def ran(lab: Lab, race: Race, name: str, answers: int) -> Ran:
    """What a member says to all prompts, seed by seed; about `answers` tokens of a budget are left for that."""
    bench, began, ledger, rows = lab.benchmark(race.on, race.prompts), time.monotonic(), Ledger(), list[Row]()
    for number, seed in enumerate(lab.seeds, 1):
        limit = Budget(None if race.budget is None else race.budget * number)
        model = _made(lab, None if name == NOTHING else entry(name), seed, ledger, limit, answers)
        rows += lab.grade(model, bench, WARM, [seed]).rows
    return Ran(tuple(rows), ledger.total.tokens, time.monotonic() - began)


def run_elsewhere(job: MemberJob) -> Iterator[Ran]:
    """What a member of a race did; what a worker does."""
    with tempfile.TemporaryDirectory() as place, through_cache(opened(job.opening), job.use_cache) as model:
        lab = Lab(model, Path(place), tuner=shared_tuning(), seeds=range(job.race.seeds))
        yield ran(lab, job.race, job.name, job.answers)


def _made(lab: Lab, found: Entry | None, seed: int, ledger: Ledger, limit: Budget, answers: int) -> Generates:
    """The model that a method makes; its tokens are booked in `ledger`, and about `answers` are left of the limit."""

    def left() -> int | None:
        return None if limit.tokens is None else limit.tokens - ledger.total.tokens - answers

    model = metered(lab.model, ledger, limit)
    if found is None:
        return model
    module = load(found)
    offered = {"model": model, "settings": module.Settings(), "seed": seed, "progress": lab.progress}
    if found.arrow == "steer":
        return call(module, "steer", {**offered, "records": _passing(lab)})  # type: ignore[no-any-return]
    place = lab.folder(found.name, seed)
    if found.arrow == "tune":
        rows = _within(_passing(lab), lab, left())
        tuned = call(module, "tune", {**offered, "records": rows, "place": place, "should_stop": lambda: False})
        ledger.book_training(tuned.tokens * TRAINED_COSTS)
        return tuned.model  # type: ignore[no-any-return]
    pool = lab.rows(*POOL) if found.arrow == "select" else lab.composed(POOL[0])
    kept, _ = divided(call(module, found.arrow, {**offered, "records": pool, "target": _passing(lab), "place": place}))
    rows = _within([one for one in kept if one.reply], lab, left())
    before = lab.ledger.total.trained
    tuned = lab.tuned(rows, found.name, seed)
    ledger.book_training((lab.ledger.total.trained - before) * TRAINED_COSTS)
    return metered(tuned, ledger, limit)


def _passing(lab: Lab) -> list[Record]:
    """The replies of the pool that pass all of their checks; with one to the same prompt that fails some, if any."""
    losing = {one.instruction: one.rejected for one in lab.pairs(*POOL)}
    rows = lab.rows(*POOL, keep=lambda row: all_followed(row) == 1.0)
    return [msgspec.structs.replace(one, rejected=losing.get(one.instruction)) for one in rows]


def _within(rows: Iterable[Record], lab: Lab, limit: int | None) -> list[Record]:
    """As many rows, from the first on, as the shared tuning can go through within `limit` tokens of cost.

    A rejected reply counts as well, whether or not the method looks at it.
    """
    kept = list(rows)
    if limit is None:
        return kept
    from adhere.models.chat import ChatTokenizer

    chat, left = ChatTokenizer(lab.trainable.weights), limit // (EPOCHS * TRAINED_COSTS)
    for place, row in enumerate(kept):
        said = [row.reply or "", *([] if row.rejected is None else [row.rejected])]
        left -= sum(len(encode_pair(row.prompt, one, chat)[0]) for one in said)
        if left < 0:
            return kept[:place]
    return kept


def _member(name: str, scores: Sequence[Share], done: Ran) -> Member:
    judged = [score for score in scores if score is not None]
    return Member(
        name=name,
        score=sum(judged) / len(judged) if judged else None,
        tokens=done.tokens,
        seconds=round(done.seconds, 1),
        not_judged=len(scores) - len(judged),
    )


def _duels(names: Sequence[str], scores: dict[str, list[Share]], units: Sequence[str]) -> Iterable[Duel]:
    for place, first in enumerate(names):
        for second in names[place + 1 :]:
            yield duel_of(first, second, paired_difference(scores[first], scores[second], units))
