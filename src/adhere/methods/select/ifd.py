"""IFD: keep the rows whose reply is hard for the model even though it knows the instruction.

Papers: Li, Zhang, Li, Chen, Chen, Cheng, Wang, Zhou, Xiao, "From Quantity to Quality: Boosting LLM Performance with
Self-Guided Data Selection for Instruction Tuning", NAACL 2024 (arXiv 2308.12032; "Cherry"), sections 2.2 and 2.3; Li,
Zhang, He, Li, Zhao, Wang, Cheng, Zhou, "Superfiltering: Weak-to-Strong Data Filtering for Fast Instruction-Tuning",
ACL 2024 (arXiv 2402.00530), section 3. Code: tianyi-lab/Cherry_LLM and tianyi-lab/Superfiltering.

The idea in five lines:
1. s(A|Q) is the model's mean loss over the reply's tokens after the instruction, s(A) that of the reply by itself.
2. IFD = s(A|Q) / s(A): how little the instruction helps to say the reply, whatever the reply's own difficulty.
3. At 1 and above the instruction does not help at all: reply and instruction do not belong together; dropped.
4. Of the rest the highest are kept: the instruction helps, and there is still something to learn.
5. A much weaker model ranks rows almost like the strong one that is to be tuned, so a small one can choose.

What the papers say: IFD is a ratio, in the first of mean losses (equations 1 to 3), in the second of perplexities.
What their code does: Cherry divides mean token losses, with "### Response:" before the bare reply, and scores with a
model that was tuned for an epoch on 1,000 rows (100 clusters of instructions, 10 of each); Superfiltering divides
exp(mean loss) of GPT-2, as it comes, with nothing before the bare reply, whose first token then has no loss. What we
do: `ratio=loss` and `ratio=perplexity`. They drop the same rows, for both are below 1 when s(A|Q) < s(A), and rank the
others differently: the first by the quotient of the losses, the second by their difference. The model given scores as
it is, as in Superfiltering; both prompts have the chat template, the bare reply's with an empty instruction; the end of
turn counts as a token.
Left out: the clustering that chooses rows for the model's first epoch (tune it before, and give the tuned one), the
facility-location diversity that Superfiltering has as an option.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from adhere.core.errors import SettingsError
from adhere.core.method import Card
from adhere.core.model import Scored, Scores
from adhere.core.progress import Progress, silent
from adhere.core.record import Record, user
from adhere.core.step import Dropped
from adhere.data.ranking import kept_highest

if TYPE_CHECKING:
    from adhere.core.proof import Proof
    from adhere.evals.lab import Lab

CARD = Card(
    summary="Keep rows whose reply the instruction makes least likelier, yet likelier (IFD).",
    version="1",
    family="selection",
    paper="arXiv:2308.12032",
    needs=("Scores",),
    claim="Tuning on the rows of highest IFD follows more constraints than tuning on as many drawn at random.",
    metric="share of constraints followed, strict",
)
RATIOS = ("loss", "perplexity")


@dataclass(frozen=True)
class Settings:
    """What is kept.

    `ratio` is loss (Cherry) or perplexity (Superfiltering); `limit` rows, or at 0 the share `keep` of those that have a
    score below `most` (0.05 of Alpaca in the first paper's abstract and section 3; 1: section 2.3).
    """

    ratio: str = "loss"
    limit: int = 0
    keep: float = 0.05
    most: float = 1.0


def ifd(conditioned: Scored, alone: Scored, ratio: str = "loss") -> float:
    """The score from the reply's log-probabilities after the instruction and without it; NaN where it has none."""
    if not conditioned.tokens or not alone.tokens:
        return math.nan
    if ratio == "perplexity":
        return math.exp(min(alone.mean - conditioned.mean, 700.0))
    return conditioned.mean / alone.mean if alone.mean else math.nan


def scores(records: Sequence[Record], model: Scores, ratio: str = "loss") -> list[float | str]:
    """IFD of each row, or why it has none."""
    if ratio not in RATIOS:
        raise SettingsError(f"expected ratio {' or '.join(RATIOS)}, found {ratio!r}", "For example: ratio=loss")
    able = [at for at, one in enumerate(records) if (one.reply or "").strip() and one.instruction.strip()]
    asked = [(records[at].prompt, records[at].reply or "") for at in able]
    bare = [((user(""),), reply) for _, reply in asked]
    found: list[float | str] = [_missing(one) for one in records]
    for at, conditioned, alone in zip(able, model.score(asked), model.score(bare), strict=True):
        found[at] = ifd(conditioned, alone, ratio)
    return found


def _missing(record: Record) -> str:
    return "no reply" if not (record.reply or "").strip() else "no instruction"


def select(
    records: Sequence[Record], settings: Settings, seed: int = 0, progress: Progress = silent, *, model: Scores
) -> Iterator[Record | Dropped]:
    """The rows of highest IFD below `most`, in their order; the others with the reason."""
    progress("score", 0, len(records))
    found = scores(records, model, settings.ratio)
    progress("score", len(records), len(records))
    below = [f"ifd: {one:.4g}, the instruction does not help" if _above(one, settings.most) else one for one in found]
    yield from kept_highest(records, below, settings.limit, settings.keep, "ifd: lower than that of those kept")


def _above(score: float | str, most: float) -> bool:
    return not isinstance(score, str) and score >= most


def prove(lab: Lab) -> Proof:
    """Short replies of the pool, right and wrong: the 48 of highest IFD against 48 at random, SFT on each per seed."""
    from adhere.core.step import divided
    from adhere.evals.subsets import drawn, graded_after

    bench = lab.benchmark("seen", 48)
    rows = lab.rows(160, keep=lambda row: row.tokens <= 96 and row.finish == "stop")
    count = min(lab.count(48), max(1, len(rows) // 2))
    with lab.at("treated"):
        settings = Settings(limit=count)
        kept, _ = divided(select(rows, settings, model=lab.model))  # type: ignore[arg-type]  # needs Scores
        kept = kept or (rows[:count] if lab.smoke else [])  # the scores of a scripted model are made up
        treated = graded_after(lab, "chosen", lambda _: kept, bench)
    with lab.at("base"):
        base = graded_after(lab, "random", lambda n: drawn(rows, len(kept), n), bench)
    outcome = lab.graded_outcome(bench.records, base, treated, ("drawn at random", "highest IFD"))
    numbers = {**outcome.numbers, "rows": len(rows), "kept": len(kept), **_numbers(rows, kept, scores(rows, lab.model))}  # type: ignore[arg-type]
    remark = "The rows are the model's own replies, not Alpaca's; it scores as it is, in the form of mean losses."
    return lab.proof("ifd", CARD, msgspec.structs.replace(outcome, numbers=numbers, remark=remark))


def _numbers(rows: Sequence[Record], kept: Sequence[Record], found: Sequence[float | str]) -> dict[str, float]:
    """What the choice is like: rows whose instruction does not help, and how right the chosen and all rows are."""
    from statistics import fmean

    def right(some: Sequence[Record]) -> float:
        return fmean(float(one.notes.get("followed") or 0) for one in some) if some else 0.0

    return {
        "above 1": sum(_above(one, 1.0) for one in found),
        "followed in the rows": right(rows),
        "followed in those kept": right(kept),
    }
