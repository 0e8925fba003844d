"""The main job: synthesise, verify, select, tune, evaluate, and keep the new model only if it is better.

A run is a pure walk over its folder: everything that decides the result is in `run.json` and the sealed seeds,
every reply is in the journal, so going on after a crash is walking the same path again.
"""

from __future__ import annotations

import contextlib
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from adhere.app.accounts import Account, beside_plan, chosen_price
from adhere.app.asking import open_generator
from adhere.app.caching import is_worth_caching, through_cache
from adhere.app.display import TerminalProgress, print_result, say
from adhere.app.estimate import estimate_improve, tell_estimate
from adhere.app.outcome import GREEDY, RoundResult, Rows, compared, slices_for_json, summarise
from adhere.app.output import check_folder, encoded, print_json, tell_rejected
from adhere.app.recipe import Recipe, read_recipe, recipe_from
from adhere.app.report import write_report
from adhere.app.session import (
    MODEL_INPUTS,
    begin_run,
    model_inputs,
    model_of,
    plan_of,
    read_rows,
    released,
    sealed_seeds,
    working,
)
from adhere.app.summary import write_summary
from adhere.core.errors import EXIT_FINE, EXIT_NOT_MET, DataError, ModelError
from adhere.core.executor import Executor
from adhere.core.model import Generates, Model, Sampling, Scores, Trains
from adhere.core.progress import Progress
from adhere.core.record import Record, content_hash
from adhere.core.step import Dropped, divided
from adhere.data.decontaminate import NgramIndex
from adhere.data.read import read_records
from adhere.data.seeds import shipped_seeds
from adhere.evals.grade import Graded, grade
from adhere.evals.heldout import overlap_finder, refuse_overlap
from adhere.evals.quality import QualityGuard, guard_quality
from adhere.methods.calling import call
from adhere.methods.catalogue import entry, load
from adhere.models.budget import BUDGET_SPENT, Budget, Spent, parse_budget
from adhere.models.distributed import distributed
from adhere.models.resolve import EMBEDDED
from adhere.store.files import explained
from adhere.store.run import Plan, Run
from adhere.training.adapt import CHECKPOINT_STEPS, Tuned

# How much of a budget may be gone at the end of each stage, so that every run ends with an evaluation.
SHARES = {"synth": 0.35, "tune": 0.7, "base": 0.85, "tuned": 1.0}


class Job:
    """One `improve` run at work: the folder, the recipe, and what is spent."""

    def __init__(self, account: Account, recipe: Recipe, progress: Progress) -> None:
        self.account, self.run = account, account.run
        self.recipe = recipe
        self.now = recipe  # with the changes of the round at work
        self.progress = progress
        self.number = 1
        self.ledger, self.budget = account.ledger, account.budget
        self.benchmarks = recipe.benchmarks()

    @property
    def name(self) -> str:
        """That of the round at work."""
        return f"round-{self.number}"

    def limit(self, share: str) -> Budget:
        """How much may be spent in all when this stage of the round ends; each round has an equal part."""
        return self.budget.part((self.number - 1 + SHARES[share]) / self.recipe.rounds)

    @contextlib.contextmanager
    def at(self, stage: str, limit: Budget) -> Iterator[None]:
        """Journal and book everything inside the block under `stage`, which may spend up to `limit`."""
        self.account.round = self.name
        with self.account.at(stage, limit):
            yield

    # -- stages -----------------------------------------------------------------------------------------

    def synthesise(self, model: Generates, seeds: Sequence[Record], name: str) -> Rows:
        """Composed rows with verified replies; sealed as `NAME/synth.jsonl`."""
        sealed = self._sealed(name, "synth")
        if sealed is not None:
            return sealed
        stage = self.now.synth
        arrow = load(entry(stage.method, "synth")).synth
        seed = self.recipe.seed + 1000 * (self.number - 1)  # other prompts in each round
        with self.at("synthesise", self.limit("synth")):
            asked = self.account.remembered(model)
            rows = Rows(*divided(arrow(seeds, asked, stage.settings, seed, self.progress)))
        return self._seal(name, "synth", rows)

    def choose(self, model: Generates, made: Sequence[Record], name: str) -> Rows:
        """Verified, novel, balanced rows, none of which overlaps with held-out prompts."""
        sealed = self._sealed(name, "select")
        if sealed is not None:
            return sealed
        stage = self.now.select
        offered = {
            "records": made,
            "settings": stage.settings,
            "seed": self.recipe.seed,
            "progress": self.progress,
            "model": model,
            "place": self.run.folder / "models" / name,
        }
        rows = Rows(*divided(call(load(entry(stage.method, "select")), "select", offered)))
        refuse_overlap(rows.kept, list(self.benchmarks.values()))
        return self._seal(name, "select", rows)

    def tune(self, model: Trains, rows: Sequence[Record], name: str) -> Tuned:
        """The tuned model in `NAME/tuned`; training goes on from its newest checkpoint."""
        stage = self.now.tune
        arrow = load(entry(stage.method, "tune")).tune
        _rest(model)  # the engine's memory is needed for training
        with self.at("tune", self.limit("tune")), self.ledger.timed() as lap:
            tuned: Tuned = arrow(
                model,
                rows,
                self.run.folder / "out" / name / "tuned",
                stage.settings,
                self.recipe.seed,
                self.progress,
                TrainingLimit(self.account, lap),
            )
        self.run.log("tuned", round=name)
        return tuned

    def evaluate(self, model: Generates, which: str) -> dict[str, Graded]:
        """Gradings of all slices, one row per prompt and sampling seed; under `GREEDY` the greedy plain replies."""
        settings = self.recipe.evaluate
        seeds = [1000 * self.recipe.seed + number for number in range(settings.seeds)]
        sampling = Sampling(settings.max_tokens, settings.temperature, settings.top_p, settings.top_k)
        progress = _named(self.progress, f"{which} model")
        wanted = [(name, one, sampling) for name, one in self.benchmarks.items()]
        wanted.append((GREEDY, self.benchmarks["plain"], Sampling(settings.max_tokens)))
        # The tuned model has to be graded as well, and the greedy replies of both to be scored.
        parts = len(wanted) * (2 if which == "base" else 1) + 1
        found = {}
        for number, (name, one, how) in enumerate(wanted):
            limit = self._slice_limit(f"{self.name}/{which}/{name}", parts - number)
            with self.at(f"evaluate {which}", limit):
                found[name] = grade(self.account.remembered(model), one, seeds, how, progress)
        _rest(model)  # the other model's engine comes next
        return found

    def _slice_limit(self, part: str, parts: int) -> Budget:
        """The limit of one slice: an equal part of what is left when it begins, the same again after a resume."""
        if not self.budget:
            return self.budget
        for line in self.run.logged("limit"):
            with contextlib.suppress(msgspec.ValidationError):
                found = msgspec.convert(line, _LimitLine)
                if found.part == part:
                    return found.limit
        limit = self.ledger.part_of_rest(self.limit("tuned"), parts)
        self.run.log("limit", part=part, limit=msgspec.to_builtins(limit))
        return limit

    def _seal(self, name: str, stage: str, rows: Rows) -> Rows:
        self.run.seal(f"{name}/{stage}.jsonl", encoded(rows.kept))
        self.run.seal(f"{name}/{stage}.dropped.jsonl", encoded(rows.dropped))
        return rows

    def _sealed(self, name: str, stage: str) -> Rows | None:
        """The rows of a stage that an earlier session finished: later stages rest on them, whatever failed then."""
        kept, dropped = f"{name}/{stage}.jsonl", f"{name}/{stage}.dropped.jsonl"
        if not (self.run.is_sealed(kept) and self.run.is_sealed(dropped)):
            return None
        self.run.pass_over(dropped)
        out = self.run.folder / "out"
        return Rows(read_rows(out / kept, Record), read_rows(out / dropped, Dropped))

    # -- the loop ---------------------------------------------------------------------------------------

    def work(self, model: Generates, seeds: Sequence[Record]) -> tuple[dict[str, Graded], list[RoundResult]]:
        """All rounds: each goes on from the newest kept model and must be better than it."""
        base: dict[str, Graded] = {}
        best: dict[str, Graded] = {}
        results: list[RoundResult] = []
        current = model
        for number in range(1, self.recipe.rounds + 1):
            self.number, name = number, f"round-{number}"
            self.now = self.recipe.at(number)
            made = self.synthesise(current, seeds, name)
            chosen = self.choose(current, made.kept, name)
            if not chosen.kept and results:
                break
            if not chosen.kept and any(BUDGET_SPENT in row.reason for row in made.dropped):
                return base, [RoundResult(name, made, chosen)]
            refuse_nothing(made, chosen)
            tuned = self.tune(trainable(current), chosen.kept, name)
            base = base or self.evaluate(model, "base")
            best = best or base
            after = self.evaluate(tuned.model, "tuned")
            guard = self.guard(model, base, after)
            step = compared(best["seen"], after["seen"])
            results.append(RoundResult(name, made, chosen, tuned, after, guard, step))
            if not results[-1].kept:
                break
            current, best = tuned.model, after
        return base, results

    def guard(self, model: Generates, base: Mapping[str, Graded], tuned: Mapping[str, Graded]) -> QualityGuard:
        """Whether ordinary answers survived; greedy replies are compared by likelihood under the original model."""
        greedy = (base[GREEDY], tuned[GREEDY])
        with self.at("evaluate tuned", self.limit("tuned")):
            scored = Spent(tokens_in=sum(row.tokens + 2 for graded in greedy for row in graded.rows))
            fits = not self.ledger.shortfall(self.limit("tuned"), scored)
            original = model if fits and isinstance(model, Scores) else None
            return guard_quality(base["plain"], tuned["plain"], self.benchmarks["plain"], original, greedy=greedy)


class TrainingLimit:
    """Says when the next step of training would pass its share of the budget, and books the tokens of each step.

    Tokens are those since the first step of the round: steps that are done again after a crash count once, and are
    always allowed. Time is up when a step as long as the longest so far would pass the limit.
    """

    def __init__(self, account: Account, lap: Callable[[], None]) -> None:
        self._account, self._lap, self._steps = account, lap, 0
        self._ends: Sequence[int] = ()  # tokens from the first step to the end of each
        self._at = 0  # tokens behind the step that was done last
        self._longest_s = 0.0
        self._began_s: float | None = None  # when the step at work did

    def __call__(self) -> bool:
        """Whether to stop before the next step."""
        account = self._account
        paid = account.trained.get(account.round, 0)
        end = next((end for end in self._ends if end > self._at), self._at)
        if end <= paid and self._ends:
            return False
        ahead = Spent(trained=end - paid, seconds=self._longest_s)
        is_spent = bool(account.ledger.shortfall(account.ledger.limit, ahead))
        if is_spent:
            self._lap()
            account.note()
        self._began_s = account.ledger.elapsed_s
        return is_spent

    def planned(self, tokens: Sequence[int]) -> None:
        """Take in, before the first step, how many tokens training will have gone through after each."""
        self._ends = tokens

    def trained(self, tokens: int) -> None:
        """Book how many tokens this training went through so far."""
        account, before = self._account, self._account.trained.get(self._account.round, 0)
        if tokens > before:
            account.ledger.book_training(tokens - before)
            account.trained[account.round] = tokens
        self._at = tokens
        if self._began_s is not None:
            self._longest_s = max(self._longest_s, account.ledger.elapsed_s - self._began_s)
        self._lap()
        self._steps += 1
        if self._steps % CHECKPOINT_STEPS == 0:
            account.note()


def _rest(model: Model) -> None:
    """Free what the model holds in memory until it is asked again."""
    close = getattr(model, "close", None)
    if close is not None:
        close()


def refuse_nothing(made: Rows, chosen: Rows) -> None:
    """Say why no row is left to tune on: a model that answers nothing is another matter than rows that fail."""
    if chosen.kept:
        return
    reasons = Counter(row.reason[:160] for row in (*made.dropped, *chosen.dropped))
    shown = "".join(f"\n  {number} x {reason}" for reason, number in reasons.most_common(3))
    what = (
        f"no row is left to tune on; {len(made.dropped)} were dropped by synthesis, {len(chosen.dropped)} by selection"
    )
    if made.dropped and all(row.reason.startswith("not answered") for row in made.dropped):
        raise ModelError(f"{what}:{shown}", "See whether the model answers at all, then go on with: adhere resume")
    raise DataError(f"{what}:{shown}", "Compose more prompts (synth.count=600) or give other --seeds.", EXIT_NOT_MET)


def trainable(model: Generates, verb: str = "improve") -> Trains:
    """`model`, or a `ModelError` when it has no weights to tune."""
    if not isinstance(model, Trains):
        raise ModelError(
            f"{verb} needs a model that can be tuned, found {model.name!r}",
            "Choose a local model (--model smollm2-135m, or a folder). An endpoint can make data: adhere synth",
        )
    return model


def begin(**options: Any) -> int:
    """`adhere improve`: resolve the plan, make the run folder, work."""
    recipe = _recipe(options)
    check_folder(options["runs_folder"])
    name = options["model_name"]
    if options["dry_run"]:
        price = chosen_price(options["prices"], recipe.budget, name)
        seeds = _seeds(options["seeds_file"], options["held_out"], recipe)
        if not name.startswith((EMBEDDED, "hub:")):  # these may have to be fetched, which a dry run does not
            trainable(open_generator(name))
        return tell_estimate(estimate_improve(recipe, seeds, name, options["runs_folder"], price), options["as_json"])
    model = distributed(open_generator(name), name, options["executor"])
    trainable(model)
    beside = beside_plan(chosen_price(options["prices"], recipe.budget, name, model.name))
    seeds = _seeds(options["seeds_file"], options["held_out"], recipe)
    inputs = model_inputs(name, model) | {"seeds": content_hash([record.id for record in seeds])}
    plan = Plan("improve", recipe.as_values(), inputs)
    run = begin_run(options["runs_folder"], plan, {"seeds.jsonl": encoded(seeds)}, beside)
    return _finish(run, model, seeds, options["as_json"], not options["no_cache"])


def _recipe(options: dict[str, Any]) -> Recipe:
    """The recipe file, `stage.key=value` words over it, and options over both; all of it in bounds."""
    values = read_recipe(options["recipe"], options["assignments"])
    for key in ("rounds", "budget", "seed"):
        if options[key] is not None:
            values[key] = options[key]
    where = str(options["recipe"] or "the command line")
    recipe = recipe_from(values, where)
    if options["limit"] is not None:
        recipe = recipe_from(_limited(recipe, values, options["limit"]), where)
    if recipe.budget:
        parse_budget(recipe.budget)
    return recipe


def _limited(recipe: Recipe, values: dict[str, Any], limit: int) -> dict[str, Any]:
    """`values` with at most `limit` composed prompts in every round."""
    limited = dict(values)
    if getattr(recipe.synth.settings, "count", 0) > limit:
        limited["synth"] = {**values.get("synth", {}), "count": limit}
    for name, table in recipe.later.items():
        if int(table.get("synth", {}).get("count", 0)) > limit:
            limited[name] = {**table, "synth": {**table["synth"], "count": limit}}
    return limited


def go_on(folder: Path, as_json: bool, use_cache: bool, executor: Executor | None = None) -> int:
    """`adhere resume`: walk the path of a stopped run again, asking only for what is missing."""
    plan = plan_of(folder, "improve", lambda one: recipe_from(one.settings, "the run's plan"), MODEL_INPUTS | {"seeds"})
    model = model_of(plan, executor)
    seeds = sealed_seeds(folder)
    return _finish(Run.open(folder), model, seeds, as_json, use_cache)


def _finish(run: Run, model: Generates, seeds: Sequence[Record], as_json: bool, use_cache: bool) -> int:
    recipe = recipe_from(run.plan.settings, "the run's plan")
    with released(run):
        account = Account(run, recipe.budget)
    use_cache = use_cache and is_worth_caching(model)
    with working(run), through_cache(account.metered(model), use_cache) as asked, TerminalProgress() as progress:
        job = Job(account, recipe, progress)
        base, results = job.work(asked, seeds)
    summary = summarise(job, model, base, results)
    write_summary(summary, run.folder / "summary.json")
    write_report(summary, run.folder / "report.html")
    chosen = next((one.tuned.folder for one in reversed(results) if one.kept and one.tuned), None)
    with released(run):
        _link(run.folder, chosen)
    run.finish()
    _tidy(run.folder, results, chosen)
    print_result(summary)
    for line in summary.bill.in_words():
        say(line)
    for one in summary.unmeasured:
        say(f"{one.name}: not measured")
    if summary.stopped:
        say(f"Stopped early: {summary.stopped}")
    say(f"Report: {run.folder / 'report.html'}")
    if as_json:
        print_json(slices_for_json(summary))
    return EXIT_FINE


def _link(run: Path, chosen: Path | None) -> None:
    """Let `kept` point to the last kept model, before the run counts as finished."""
    link = run / "kept"
    with explained(run):
        if link.is_symlink():  # of a session that was cut short after this
            link.unlink()
        if chosen is not None:
            link.symlink_to(chosen.relative_to(run))


def _tidy(run: Path, results: Sequence[RoundResult], chosen: Path | None) -> None:
    """Of the models that were not kept leave only the adapter; they were needed until now to go on after a crash."""
    with explained(run):
        for one in results:
            if one.tuned is not None and one.tuned.folder != chosen:
                shutil.rmtree(one.tuned.folder / "merged", ignore_errors=True)
                (one.tuned.folder / "model.gguf").unlink(missing_ok=True)


def _seeds(source: Path | None, held_out: Sequence[Path], recipe: Recipe) -> list[Record]:
    """Seed instructions that share nothing with held-out prompts; says how many were left out."""
    if source is None:
        found = shipped_seeds()
    else:
        result = read_records(source)
        tell_rejected(source, result.rejected)
        found = [msgspec.structs.replace(one, messages=one.prompt) for one in result.records]
    offence_of = overlap_finder(list(recipe.benchmarks().values()))
    index = NgramIndex(8, (one.instruction for path in held_out for one in read_records(path).records))
    kept = [one for one in found if offence_of(one) is None and index.overlaps(one.instruction) is None]
    if len(kept) < len(found):
        say(f"{len(found) - len(kept)} seeds left out: they overlap with held-out prompts")
    if not kept:
        raise DataError("no seed instruction is left", "Give more with --seeds FILE.")
    return kept


def _named(progress: Progress, who: str) -> Progress:
    def report(task: str, done: int, total: int | None = None, note: str = "") -> None:
        progress(f"{task}, {who}", done, total, note)

    return report


class _LimitLine(msgspec.Struct):
    part: str
    limit: Budget
