"""What an `improve` run will cost, before it runs."""

from __future__ import annotations

from pathlib import Path

import msgspec

from adhere.app.recipe import Recipe
from adhere.app.summary import read_summary
from adhere.core.errors import AdhereError
from adhere.store.run import find_runs, read_about

# Where no earlier run on this machine says better: two cores of a current server CPU.
GENERATED_PER_S = 800.0
TRAINED_PER_S = 500.0
PROMPT_TOKENS = 110
REPLY_TOKENS = 190


class StageEstimate(msgspec.Struct, frozen=True):
    """What a stage will take, all rounds together: units are calls to the model, or rows of training."""

    stage: str
    units: int
    unit: str
    tokens: int
    minutes: float


class Estimate(msgspec.Struct, frozen=True):
    """The plan of a run with what it will cost; the object of `adhere improve --dry-run --json`."""

    model: str
    seeds: int
    seed: int
    rounds: int
    budget: str
    minutes: float
    tokens: int
    calls: int
    stages: tuple[StageEstimate, ...]
    generated_per_s: float
    trained_per_s: float
    rates: str

    def in_words(self) -> str:
        """The plan for people."""
        lines = [f"Plan: improve {self.model}, seed {self.seed}, rounds {self.rounds}, {self.seeds} seed instructions"]
        lines += [
            f"  {one.stage:11} {one.units:7,} {one.unit:6} {one.tokens:11,} tokens  {one.minutes:6.1f} min"
            for one in self.stages
        ]
        lines.append(f"  {'in all':11} {self.calls:7,} {'calls':6} {self.tokens:11,} tokens  {self.minutes:6.1f} min")
        lines.append(
            f"Rates: {self.generated_per_s:.0f} generated and {self.trained_per_s:.0f} trained tokens a second "
            f"({self.rates})."
        )
        lines.append(f"Budget: {self.budget or 'none'}. Nothing was asked.")
        return "\n".join(lines)


def estimate(recipe: Recipe, seeds: int, model: str, runs: Path) -> Estimate:
    """Calls, tokens and minutes of a run, from its settings and the rates of the newest run of that model in `runs`."""
    generated, trained, source = _rates(runs, model)
    rounds = [recipe.at(number) for number in range(1, recipe.rounds + 1)]
    graded = recipe.evaluate
    replies = graded.seeds * (graded.seen + graded.unseen + graded.plain)
    rows, trained_tokens = sum(_rows(one, seeds) for one in rounds), sum(_trained_tokens(one, seeds) for one in rounds)

    def asking(stage: str, calls: int) -> StageEstimate:
        minutes = calls * REPLY_TOKENS / generated / 60
        return StageEstimate(stage, calls, "calls", calls * (PROMPT_TOKENS + REPLY_TOKENS), minutes)

    stages = (
        asking("synthesise", sum(_asks(one, seeds) for one in rounds)),
        StageEstimate("tune", rows, "rows", trained_tokens, trained_tokens / trained / 60),
        asking("evaluate", (1 + recipe.rounds) * replies),  # the model at the start is graded once
    )
    return Estimate(
        model=model,
        seeds=seeds,
        seed=recipe.seed,
        rounds=recipe.rounds,
        budget=recipe.budget,
        minutes=sum(one.minutes for one in stages),
        tokens=sum(one.tokens for one in stages),
        calls=sum(one.units for one in stages if one.unit == "calls"),
        stages=stages,
        generated_per_s=generated,
        trained_per_s=trained,
        rates=source,
    )


def _asks(recipe: Recipe, seeds: int) -> int:
    settings = recipe.synth.settings
    count = int(getattr(settings, "count", seeds))
    return count * int(getattr(settings, "samples", 1)) + int(0.35 * count) * int(getattr(settings, "ask_again", 0))


def _rows(recipe: Recipe, seeds: int) -> int:
    count = int(getattr(recipe.synth.settings, "count", seeds))
    return min(int(getattr(recipe.select.settings, "limit", 0)) or count, int(0.65 * count))


def _trained_tokens(recipe: Recipe, seeds: int) -> int:
    epochs = float(getattr(recipe.tune.settings, "epochs", 1))
    return int(_rows(recipe, seeds) * epochs * (PROMPT_TOKENS + REPLY_TOKENS))


def _rates(runs: Path, model: str) -> tuple[float, float, str]:
    """Tokens per second of the newest finished run of the same model in `runs`, else assumed ones."""
    for folder in reversed(find_runs(runs)):
        try:
            used = read_about(folder)["plan"]["inputs"]["model_name"]
            summary = read_summary(folder / "summary.json")
        except (AdhereError, KeyError, TypeError):
            continue
        rates = [cost.tokens_per_s for cost in summary.costs if cost.tokens_per_s]
        tuned = summary.tuning.tokens_per_s if summary.tuning else None
        if used == model and rates and tuned:
            return sum(rates) / len(rates), tuned, f"measured in {folder.name}"
    return GENERATED_PER_S, TRAINED_PER_S, "assumed: no finished run of this model here yet"
