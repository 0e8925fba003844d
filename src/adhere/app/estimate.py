"""What a run will cost, before it runs.

The methods are walked with a stand-in for the model (`rehearsal`), so that calls and prompts are the real ones; how
long replies are, how fast they come and how many rows are accepted is taken from earlier runs (`history`), or from
stated defaults. Nothing is asked, fetched or loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from adhere.app.history import PARAMETERS, YIELD, History, history, kind_of
from adhere.app.output import print_json
from adhere.app.recipe import Recipe
from adhere.app.rehearsal import Asked, Rehearsal, counter_of
from adhere.core.cleaning import clean
from adhere.core.errors import EXIT_FINE, DataError
from adhere.core.model import Ask, Sampling
from adhere.core.record import Record
from adhere.core.step import divided
from adhere.evals.grade import grade
from adhere.methods.calling import takes
from adhere.methods.catalogue import entry, load
from adhere.models.budget import Budget, Ledger, Spent, parse_budget
from adhere.models.prices import Price, money_in_words

PAIRED = frozenset({"dpo"})  # what trains on the chosen and the rejected reply of a row


class StageEstimate(msgspec.Struct, frozen=True):
    """What a stage will take, all rounds together: units are calls to the model, or rows of training.

    `minutes` is None where no rate is known, `money` where no price is given.
    """

    stage: str
    units: int
    unit: str
    tokens: int
    minutes: float | None
    tokens_in: int = 0
    tokens_out: int = 0
    money: float | None = None


class Estimate(msgspec.Struct, frozen=True):
    """The plan of a run with what it will cost; the object of `--dry-run --json`."""

    verb: str
    model: str
    seed: int
    budget: str
    minutes: float | None
    tokens: int
    calls: int
    stages: tuple[StageEstimate, ...]
    generated_per_s: float | None
    trained_per_s: float
    rates: str
    prompts: str
    currency: str = ""
    money: float | None = None
    beyond: str = ""
    rounds: int = 1
    seeds: int = 0

    def in_words(self) -> str:
        """The plan for people."""
        more = f", rounds {self.rounds}" if self.verb == "improve" else ""
        more += f", {self.seeds} seed instructions" if self.seeds else ""
        lines = [f"Plan: {self.verb} {self.model}, seed {self.seed}{more}"]
        rows = [(one.stage, one.units, one.unit, one.tokens, one.minutes, one.money) for one in self.stages]
        for stage, units, unit, tokens, minutes, money in (
            *rows,
            ("in all", self.calls, "calls", self.tokens, self.minutes, self.money),
        ):
            shown = "     ? min" if minutes is None else f"{minutes:6.1f} min"
            price = f"  {money_in_words(money, self.currency)}" if self.currency else ""
            lines.append(f"  {stage:11} {units:7,} {unit:6} {tokens:11,} tokens  {shown}{price}")
        speed = "no rate is known" if self.generated_per_s is None else f"{self.generated_per_s:.0f} generated"
        trained = f" and {self.trained_per_s:.0f} trained" if self.verb == "improve" else ""
        lines.append(f"Rates: {speed}{trained} tokens a second ({self.rates}). Prompts: {self.prompts}.")
        lines.append("" if self.currency else "Money: no price given (--prices FILE).")
        lines.append(f"Budget: {self.budget or 'none'}.{f' {self.beyond}.' if self.beyond else ''} Nothing was asked.")
        return "\n".join(line for line in lines if line)


def tell_estimate(plan: Estimate, as_json: bool) -> int:
    """Print the plan, as one line of JSON or in words."""
    if as_json:
        print_json(plan)
    else:
        print(clean(plan.in_words()))
    return EXIT_FINE


class _Planner:
    """What all estimates share: the rehearsal, what is known, and the price."""

    def __init__(self, model: str, runs: Path, price: Price | None) -> None:
        self.model, self.price = model, price
        self.count, stand_in, self.prompts, size = counter_of(model)
        self.known: History = history(runs, model, size / PARAMETERS if size else 1.0)
        self.is_itself = stand_in is not None
        self.rehearsal = Rehearsal(self.count, self._expected, stand_in)

    def _expected(self, stage: str, ask: Ask) -> float:
        return self.known.reply_share(kind_of(stage)) * ask.sampling.max_tokens

    def asking(self, stage: str, times: int = 1) -> StageEstimate:
        """What the asks that were rehearsed under `stage` will take, `times` over."""
        asked = self.rehearsal.asked.get(stage, Asked())
        rate = self.known.generated_per_s(kind_of(stage))
        read, written = asked.tokens_in * times, round(asked.tokens_out * times)
        minutes = None if rate is None else written / rate / 60
        money = None if self.price is None else self.price.money(read, written, 0, 60 * (minutes or 0.0))
        return StageEstimate(stage, asked.calls * times, "calls", read + written, minutes, read, written, money)

    def reply_tokens(self, sampling: Sampling) -> float:
        """The expected length of a synthesised reply."""
        return self.known.reply_share("synth") * sampling.max_tokens

    def estimate(
        self, verb: str, stages: Sequence[StageEstimate], budget: str, seed: int, rounds: int = 1, seeds: int = 0
    ) -> Estimate:
        """The sums of all stages, and whether they are within the budget."""
        minutes = [one.minutes for one in stages]
        money = [one.money for one in stages if one.money is not None]
        known = None if None in minutes else sum(one for one in minutes if one is not None)
        found = Estimate(
            verb=verb,
            model=self.model,
            seed=seed,
            budget=budget,
            minutes=known,
            tokens=sum(one.tokens for one in stages),
            calls=sum(one.units for one in stages if one.unit == "calls"),
            stages=tuple(stages),
            generated_per_s=self.known.generated_per_s("evaluate" if verb == "evaluate" else "synth"),
            trained_per_s=self.known.trained_per_s,
            rates=self.known.source,
            prompts=self.prompts,
            currency="" if self.price is None else self.price.currency,
            money=sum(money) if len(money) == len(stages) else None,
            rounds=rounds,
            seeds=seeds,
        )
        return msgspec.structs.replace(found, beyond=_beyond(found, parse_budget(budget)) if budget else "")


def _beyond(found: Estimate, budget: Budget) -> str:
    """What of the budget the run would need more of, in words."""
    ledger = Ledger(clock=lambda: 0.0)
    spent = Spent(trained=found.tokens, seconds=60 * (found.minutes or 0.0))
    over = ledger.shortfall(Budget(budget.tokens, budget.minutes), spent)
    if not over and budget.money is not None and (found.money or 0.0) > budget.money:
        over = "money"
    return "The run needs more and will be cut short" if over else ""


def estimate_improve(
    recipe: Recipe, seeds: Sequence[Record], model: str, runs: Path, price: Price | None = None
) -> Estimate:
    """Calls, tokens, minutes and money of `adhere improve`, stage by stage."""
    planner = _Planner(model, runs, price)
    rows, trained = 0, 0
    for number in range(1, recipe.rounds + 1):
        chosen, tokens = _round(planner, recipe.at(number), seeds, recipe.seed, number)
        rows, trained = rows + chosen, trained + tokens
    graded = recipe.evaluate
    sampling = Sampling(graded.max_tokens, graded.temperature, graded.top_p, graded.top_k)
    rehearsal, benchmarks = planner.rehearsal, recipe.benchmarks()
    rehearsal.stage, rehearsal.silent = "evaluate", True
    for benchmark in benchmarks.values():
        grade(rehearsal, benchmark, range(graded.seeds), sampling)
    grade(rehearsal, benchmarks["plain"], range(1), Sampling(graded.max_tokens))
    minutes = trained / planner.known.trained_per_s / 60
    money = None if price is None else price.money(0, 0, 0, 60 * minutes)
    stages = (
        planner.asking("synthesise"),
        StageEstimate("tune", rows, "rows", trained, minutes, money=money),
        planner.asking("evaluate", 1 + recipe.rounds),  # the model at the start is graded once
    )
    return planner.estimate("improve", stages, recipe.budget, recipe.seed, recipe.rounds, len(seeds))


def _round(planner: _Planner, recipe: Recipe, seeds: Sequence[Record], seed: int, number: int) -> tuple[int, int]:
    """Rehearse one round; returns the rows that will be tuned on, and the tokens of training."""
    planner.rehearsal.stage, planner.rehearsal.silent = "synthesise", False
    synth, select, tune = recipe.synth, recipe.select, recipe.tune
    made, dropped = divided(
        load(entry(synth.method, "synth")).synth(seeds, planner.rehearsal, synth.settings, seed + 1000 * (number - 1))
    )
    chooser, chosen = load(entry(select.method, "select")), made
    if "model" not in takes(chooser, "select"):  # what a model would choose is not known before it is asked
        chosen, _ = divided(chooser.select(made, select.settings, seed))
    composed = len(made) + len(dropped)
    share = planner.known.selected
    if share is None or planner.is_itself:
        share = (1.0 if planner.is_itself else YIELD) * len(chosen) / max(composed, 1)
    rows = round(share * composed)
    if not chosen or not rows:
        return 0, 0
    room = Sampling(int(getattr(synth.settings, "max_tokens", 320)))
    replies = 2 if tune.method in PAIRED else 1
    prompt = sum(planner.count(row.prompt) for row in chosen) / len(chosen)
    tokens = replies * (prompt + planner.reply_tokens(room)) * float(getattr(tune.settings, "epochs", 1))
    return rows, round(rows * tokens)


def estimate_synth(
    module: ModuleType, settings: Any, records: Sequence[Record], options: dict[str, Any], price: Price | None
) -> Estimate:
    """Calls, tokens, minutes and money of `adhere synth`."""
    planner = _Planner(options["model_name"], options["runs_folder"], price)
    planner.rehearsal.stage = "synth"
    for _ in module.synth(records, planner.rehearsal, settings, options["seed"]):
        pass
    return planner.estimate(
        "synth", [planner.asking("synth")], options["budget"] or "", options["seed"], seeds=len(records)
    )


def estimate_evaluate(module: ModuleType, settings: Any, options: dict[str, Any], price: Price | None) -> Estimate:
    """Calls, tokens, minutes and money of `adhere evaluate`."""
    planner = _Planner(options["model_name"], options["runs_folder"], price)
    planner.rehearsal.stage, planner.rehearsal.silent = "evaluate", True
    try:
        module.evaluate(planner.rehearsal, settings, options["data"], options["seed"], options["limit"])
    except DataError:
        if not planner.rehearsal.asked:  # a report over nothing but silence may be refused, a bad file as well
            raise
    return planner.estimate("evaluate", [planner.asking("evaluate")], options["budget"] or "", options["seed"])
