"""The main job: synthesise, verify, select, tune, evaluate, and keep the new model only if it is better.

A run is a pure walk over its folder: everything that decides the result is in `run.json` and the sealed seeds,
every reply is in the journal, so going on after a crash is walking the same path again.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from adhere.app.asking import open_generator
from adhere.app.display import TerminalProgress, print_result, say
from adhere.app.estimate import estimate
from adhere.app.outcome import RoundResult, Rows, slices_for_json, summarise
from adhere.app.output import check_folder, encoded, print_json, tell_rejected
from adhere.app.recipe import Recipe, read_recipe, recipe_from
from adhere.app.report import write_report
from adhere.app.session import MODEL_INPUTS, begin_run, model_inputs, model_of, plan_of, sealed_seeds, working
from adhere.app.summary import write_summary
from adhere.core.errors import EXIT_FINE, EXIT_NOT_MET, DataError, ModelError
from adhere.core.model import Generates, Sampling, Scores, Trains
from adhere.core.progress import Progress
from adhere.core.record import Record, content_hash
from adhere.core.step import divided
from adhere.data.decontaminate import NgramIndex
from adhere.data.read import read_records
from adhere.data.seeds import shipped_seeds
from adhere.evals.grade import Graded, compare_graded, grade
from adhere.evals.heldout import overlap_finder, refuse_overlap
from adhere.evals.quality import QualityGuard, guard_quality
from adhere.methods.catalogue import entry, load
from adhere.models.budget import Budget, Ledger, Spent, metered, parse_budget
from adhere.models.resolve import EMBEDDED
from adhere.store.files import explained
from adhere.store.run import Plan, Run
from adhere.training.adapt import Tuned

# How much of a budget may be gone at the end of each stage, so that every run ends with an evaluation.
SHARES = {"synth": 0.35, "tune": 0.7, "base": 0.85, "tuned": 1.0}


class Job:
    """One `improve` run at work: the folder, the recipe, and what is spent."""

    def __init__(self, run: Run, progress: Progress) -> None:
        plan = run.plan
        self.run = run
        self.recipe = recipe_from(plan.settings, "the run's plan")
        self.now = self.recipe  # with the changes of the round at work
        self.progress = progress
        self.budget = parse_budget(self.recipe.budget) if self.recipe.budget else Budget()
        self.ledger = Ledger(_spent_before(run), earlier_s=run.elapsed_s)
        self.benchmarks = self.recipe.benchmarks()

    def asked(self, model: Generates, stage: str, share: str) -> Generates:
        """`model` journaled, metered, and stopped when the stage's share of the budget is gone."""
        part = SHARES[share]
        limit = Budget(
            None if self.budget.tokens is None else int(part * self.budget.tokens),
            None if self.budget.minutes is None else part * self.budget.minutes,
        )
        self.run.stage = stage
        return self.run.remember(metered(model, self.ledger, limit))

    def tune_must_stop(self) -> bool:
        """Whether training has used up its share of the minutes."""
        minutes = self.budget.minutes
        return minutes is not None and self.ledger.elapsed_s / 60 >= SHARES["tune"] * minutes

    # -- stages -----------------------------------------------------------------------------------------

    def synthesise(self, model: Generates, seeds: Sequence[Record], name: str) -> Rows:
        """Composed rows with verified replies; sealed as `NAME/synth.jsonl`."""
        stage = self.now.synth
        arrow = load(entry(stage.method, "synth")).synth
        with self.ledger.at("synthesise"):
            asked = self.asked(model, "synthesise", "synth")
            rows = Rows(*divided(arrow(seeds, asked, stage.settings, self.recipe.seed, self.progress)))
        self._seal(name, "synth", rows)
        return rows

    def choose(self, made: Sequence[Record], name: str) -> Rows:
        """Verified, novel, balanced rows, none of which overlaps with held-out prompts."""
        stage = self.now.select
        arrow = load(entry(stage.method, "select")).select
        rows = Rows(*divided(arrow(made, stage.settings, self.recipe.seed, self.progress)))
        refuse_overlap(rows.kept, list(self.benchmarks.values()))
        self._seal(name, "select", rows)
        return rows

    def tune(self, model: Trains, rows: Sequence[Record], name: str) -> Tuned:
        """The tuned model in `NAME/tuned`; training goes on from its newest checkpoint."""
        stage = self.now.tune
        arrow = load(entry(stage.method, "tune")).tune
        close = getattr(model, "close", None)
        if close is not None:
            close()  # the engine's memory is needed for training
        self.run.stage = "tune"
        with self.ledger.at("tune"), self.ledger.timed():
            tuned: Tuned = arrow(
                model,
                rows,
                self.run.folder / "out" / name / "tuned",
                stage.settings,
                self.recipe.seed,
                self.progress,
                self.tune_must_stop,
            )
        self.run.log("tuned", round=name)
        return tuned

    def evaluate(self, model: Generates, which: str) -> dict[str, Graded]:
        """Gradings of all slices, one row per prompt and sampling seed."""
        settings = self.recipe.evaluate
        seeds = [1000 * self.recipe.seed + number for number in range(settings.seeds)]
        sampling = Sampling(settings.max_tokens, settings.temperature, settings.top_p, settings.top_k)
        with self.ledger.at(f"evaluate {which}"):
            asked = self.asked(model, f"evaluate {which}", which)
            return {
                name: grade(asked, one, seeds, sampling, _named(self.progress, f"{which} model"))
                for name, one in self.benchmarks.items()
            }

    def _seal(self, name: str, stage: str, rows: Rows) -> None:
        self.run.seal(f"{name}/{stage}.jsonl", encoded(rows.kept))
        self.run.seal(f"{name}/{stage}.dropped.jsonl", encoded(rows.dropped))

    # -- the loop ---------------------------------------------------------------------------------------

    def work(self, model: Generates, seeds: Sequence[Record]) -> tuple[dict[str, Graded], list[RoundResult]]:
        """All rounds: each goes on from the newest kept model and must be better than it."""
        base: dict[str, Graded] = {}
        best: dict[str, Graded] = {}
        results: list[RoundResult] = []
        current = model
        for number in range(1, self.recipe.rounds + 1):
            name = f"round-{number}"
            self.now = self.recipe.at(number)
            made = self.synthesise(current, seeds, name)
            chosen = self.choose(made.kept, name)
            if not chosen.kept and results:
                break
            refuse_nothing(made, chosen)
            tuned = self.tune(trainable(current), chosen.kept, name)
            base = base or self.evaluate(model, "base")
            best = best or base
            after = self.evaluate(tuned.model, "tuned")
            guard = self.guard(model, base["plain"], after["plain"])
            step = compare_graded(best["seen"], after["seen"])
            results.append(RoundResult(name, made, chosen, tuned, after, guard, step))
            if not results[-1].kept:
                break
            current, best = tuned.model, after
        return base, results

    def guard(self, model: Generates, base: Graded, tuned: Graded) -> QualityGuard:
        """Whether ordinary answers survived, with likelihoods under the original model."""
        original = model if isinstance(model, Scores) else None
        with self.ledger.at("evaluate tuned"):
            return guard_quality(base, tuned, self.benchmarks["plain"], original)


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
    seeds = _seeds(options["seeds_file"], options["held_out"], recipe)
    name = options["model_name"]
    if options["dry_run"]:
        if not name.startswith((EMBEDDED, "hub:")):  # these may have to be fetched, which a dry run does not
            trainable(open_generator(name))
        plan = estimate(recipe, len(seeds), name, options["runs_folder"])
        if options["as_json"]:
            print_json(plan)
        else:
            print(plan.in_words())
        return EXIT_FINE
    model = open_generator(name)
    trainable(model)
    inputs = model_inputs(name, model) | {"seeds": content_hash([record.id for record in seeds])}
    run = begin_run(
        options["runs_folder"], Plan("improve", recipe.as_values(), inputs), {"seeds.jsonl": encoded(seeds)}
    )
    return _finish(run, model, seeds, options["as_json"])


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


def go_on(folder: Path, as_json: bool) -> int:
    """`adhere resume`: walk the path of a stopped run again, asking only for what is missing."""
    plan = plan_of(folder, "improve", lambda one: recipe_from(one.settings, "the run's plan"), MODEL_INPUTS | {"seeds"})
    model = model_of(plan)
    seeds = sealed_seeds(folder)
    return _finish(Run.open(folder), model, seeds, as_json)


def _finish(run: Run, model: Generates, seeds: Sequence[Record], as_json: bool) -> int:
    with working(run), TerminalProgress() as progress:
        job = Job(run, progress)
        base, results = job.work(model, seeds)
    summary = summarise(job, model, base, results)
    write_summary(summary, run.folder / "summary.json")
    write_report(summary, run.folder / "report.html")
    run.finish()
    _keep(run.folder, results)
    print_result(summary)
    say(f"Report: {run.folder / 'report.html'}")
    if as_json:
        print_json(slices_for_json(summary))
    return EXIT_FINE


def _keep(run: Path, results: Sequence[RoundResult]) -> None:
    """Link `kept` to the last kept model; of the models that were not kept only the adapter stays."""
    chosen = next((one.tuned.folder for one in reversed(results) if one.kept), None)
    with explained(run):
        if chosen is not None and not (run / "kept").is_symlink():
            (run / "kept").symlink_to(chosen.relative_to(run))
        for one in results:
            if one.tuned.folder != chosen:
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


def _spent_before(run: Run) -> dict[str, Spent]:
    """What earlier sessions of the run paid for, from its journal."""
    stages: dict[str, Spent] = {}
    for line in run.logged("reply"):
        spent = stages.setdefault(line["stage"], Spent())
        spent.calls += 1
        spent.tokens_in += line["reply"].get("tokens_in", 0)
        spent.tokens_out += line["reply"].get("tokens_out", 0)
    return stages
