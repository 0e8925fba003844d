"""What an `improve` run will cost, before it runs."""

from __future__ import annotations

from pathlib import Path

from adhere.app.recipe import Recipe
from adhere.app.summary import read_summary
from adhere.core.errors import AdhereError
from adhere.store.run import find_runs

# Where no earlier run on this machine says better: two cores of a current server CPU.
GENERATED_PER_S = 800.0
TRAINED_PER_S = 500.0
PROMPT_TOKENS = 110
REPLY_TOKENS = 190


def estimate(recipe: Recipe, seeds: int, model: str, runs: Path) -> str:
    """The plan with its estimated calls, tokens and minutes, for people."""
    generated, trained, source = _rates(runs)
    count = int(getattr(recipe.synth.settings, "count", seeds))
    samples = int(getattr(recipe.synth.settings, "samples", 1))
    asked = count * samples
    again = int(0.35 * count) * int(getattr(recipe.synth.settings, "ask_again", 0))
    limit = int(getattr(recipe.select.settings, "limit", 0)) or count
    rows = min(limit, int(0.65 * count))
    epochs = float(getattr(recipe.tune.settings, "epochs", 1))
    graded = recipe.evaluate
    held_out = 2 * graded.seeds * (graded.seen + graded.unseen + graded.plain)
    tuned = int(rows * epochs * (PROMPT_TOKENS + REPLY_TOKENS))
    lines = [f"Plan: improve {model}, seed {recipe.seed}, rounds {recipe.rounds}, {seeds} seed instructions"]
    minutes = 0.0
    for name, calls in (("synthesise", asked + again), ("evaluate", held_out)):
        tokens = calls * (PROMPT_TOKENS + REPLY_TOKENS)
        spent = calls * REPLY_TOKENS / generated / 60
        minutes += spent
        lines.append(f"  {name:11} {calls:7,} calls  {tokens:10,} tokens  {spent:6.1f} min")
    minutes += tuned / trained / 60
    lines.insert(2, f"  {'tune':11} {rows:7,} rows   {tuned:10,} tokens  {tuned / trained / 60:6.1f} min")
    lines.append(f"  {'in all':11} {'':14}{'':10}         {recipe.rounds * minutes:6.1f} min")
    lines.append(f"Rates: {generated:.0f} generated and {trained:.0f} trained tokens a second ({source}).")
    lines.append(f"Budget: {recipe.budget or 'none'}. Nothing was asked.")
    return "\n".join(lines)


def _rates(runs: Path) -> tuple[float, float, str]:
    """Tokens per second of the newest finished run in `runs`, else assumed ones."""
    for folder in reversed(find_runs(runs)):
        try:
            summary = read_summary(folder / "summary.json")
        except AdhereError:
            continue
        rates = [cost.tokens_per_s for cost in summary.costs if cost.tokens_per_s]
        tuned = summary.tuning.tokens_per_s if summary.tuning else None
        if rates and tuned:
            return sum(rates) / len(rates), tuned, f"measured in {folder.name}"
    return GENERATED_PER_S, TRAINED_PER_S, "assumed: no finished run here yet"
