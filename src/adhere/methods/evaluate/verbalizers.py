"""Verbalizer manipulation: does the model follow the instruction, or what it believes the label words mean?

Paper: Li, Yan, Wang, Tang, Ren, Srinivasan, Jin, "Instruction-following Evaluation through Verbalizer Manipulation",
Findings of NAACL 2024 (arXiv 2307.10558), sections 2 and 3.

The idea in five lines:
1. Any classification task has words that stand for its classes; the instruction says which.
2. *Natural* words agree with what a model expects ("positive" for positive), so prior and instruction point one way.
3. *Neutral* words ("north", "south") mean nothing here, so only the instruction tells which is which.
4. *Flipped* words mean the opposite: whoever follows the instruction is right, whoever follows the prior is wrong.
5. Accuracy natural less flipped is how far a model relies on its prior.

What the paper says: nine data sets, twelve verbalizers, four model families; the answer is the label word that the
reply states; all do well on natural words, and the strongest is near chance where the words are flipped.
What its released code does: no code was found to compare with.
What we do: texts with two classes (opinion, question or statement, ...) made by rule, each asked three times in the
same phrasing. The answer is the one label word that the reply states, wherever it stands; a reply that states none or
both is wrong, and the share of them stands beside, with that of replies that are the word alone, as they were asked to
be. Left out: the paper's data sets and its verbalizers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import msgspec

from adhere.core.benchmark import Benchmark
from adhere.core.errors import SettingsError
from adhere.core.method import Card
from adhere.core.model import Generates, Sampling
from adhere.core.progress import Progress, silent
from adhere.core.statistics import proportion_interval
from adhere.evals.grade import Graded, Row, grade
from adhere.evals.report import EvaluationReport, in_words
from adhere.verify.catalogue import ALL_TYPES
from adhere.verify.instances import verbalizer_records
from adhere.verify.score import ConstraintVerifier

if TYPE_CHECKING:
    from adhere.core.proof import Proof
    from adhere.evals.lab import Lab

CARD = Card(
    summary="Accuracy with natural, neutral and flipped label words; the gap is reliance on the prior.",
    version="1",
    family="evaluation",
    paper="arXiv:2307.10558",
    seed=37,
    needs=("Generates",),
    claim="A model labels fewer texts right with flipped label words than with natural ones.",
    metric="accuracy of the label word that the reply states",
    relation="lower",
)
STYLES = ("natural", "neutral", "flipped")


@dataclass(frozen=True)
class Settings:
    """`texts` are classified, each with every style of label words; `max_tokens` ends a reply."""

    texts: int = 100
    max_tokens: int = 16


def evaluate(
    model: Generates,
    settings: Settings,
    data: Path | None = None,
    seed: int = 0,
    limit: int | None = None,
    progress: Progress = silent,
) -> EvaluationReport:
    """Accuracy by style, and natural less flipped; greedy, at most `limit` texts."""
    if data is not None:
        raise SettingsError("verbalizers makes its own texts", "Leave --data out.")
    bench = texts(min(settings.texts, limit or settings.texts), seed)
    graded = grade(model, bench, (0,), Sampling(settings.max_tokens), progress)
    styles = by_style(bench, graded)
    values: dict[str, Any] = {"model": model.name, "texts": len(bench.records) // 3, "styles": {}}
    lines = [f"Verbalizers, {model.name}: {values['texts']} texts, each with three styles of label words"]
    for style in STYLES:
        rows = styles[style]
        share = proportion_interval([right(row, bench) for row in rows])
        found: dict[str, Any] = {
            "accuracy": share.share,
            "interval": [share.low, share.high],
            "no_label": fmean(stated(row, bench) is None for row in rows),
            "word_alone": fmean(_is_alone(row, bench) for row in rows),
        }
        values["styles"][style] = found
        told = f"no label word: {100 * found['no_label']:.1f} %, the word alone: {100 * found['word_alone']:.1f} %"
        lines.append(f"  {style:8} {in_words(share)}   {told}")
    reliance = values["styles"]["natural"]["accuracy"] - values["styles"]["flipped"]["accuracy"]
    values["prior_reliance"] = reliance
    lines.append(
        f"  reliance on the prior (natural less flipped): {100 * reliance:+.1f} points; a constant word gets 50 %"
    )
    return EvaluationReport(values, tuple(lines), (graded,))


def texts(count: int, seed: int) -> Benchmark:
    """`count` texts, each with natural, neutral and flipped label words one after the other."""
    return Benchmark("verbalizers", f"1.{seed}", verbalizer_records(count, seed), ConstraintVerifier(ALL_TYPES))


def by_style(bench: Benchmark, graded: Graded) -> dict[str, list[Row]]:
    """The rows of each style, in the order of the texts."""
    style = {one.id: str(one.checks[0].params["style"]) for one in bench.records}
    return {name: [row for row in graded.rows if style[row.record] == name] for name in STYLES}


def _params(row: Row, bench: Benchmark) -> dict[str, Any]:
    return next(one for one in bench.records if one.id == row.record).checks[0].params


def stated(row: Row, bench: Benchmark) -> str | None:
    """The one label word that the reply states; None where it states none, or more than one."""
    labels = [str(word) for _, word in _params(row, bench)["labels"]]
    found = [one for one in labels if re.search(rf"(?<!\w){re.escape(one)}(?!\w)", row.reply, re.IGNORECASE)]
    return found[0] if len(found) == 1 else None


def right(row: Row, bench: Benchmark) -> float | None:
    """1 where the word that is stated stands for the class of the text, else 0; None where no reply came."""
    params = _params(row, bench)
    return float(stated(row, bench) == str(dict(params["labels"])[params["gold"]])) if row.judged else None


def _is_alone(row: Row, bench: Benchmark) -> bool:
    word = stated(row, bench)
    return word is not None and row.reply.strip().strip(".\"'").lower() == word.lower()


def prove(lab: Lab) -> Proof:
    """Natural against flipped label words on the same texts."""
    from adhere.evals.lab import Outcome

    bench = texts(lab.count(80), 0)
    rows: dict[str, list[Row]] = {}
    for side, style in zip(("base", "neutral", "treated"), STYLES, strict=True):
        asked = tuple(one for one in bench.records if one.checks[0].params["style"] == style)
        with lab.at(side):
            rows[style] = list(lab.grade(lab.model, msgspec.structs.replace(bench, records=asked), Sampling(16)).rows)
    styles = {name: [right(row, bench) for row in some] for name, some in rows.items()}
    every = [row for some in rows.values() for row in some]
    numbers = {
        "accuracy with neutral words": fmean([one or 0.0 for one in styles["neutral"]]),
        "share of replies that state one label word": fmean(stated(row, bench) is not None for row in every),
        "share of replies that are the word alone": fmean(_is_alone(row, bench) for row in every),
        "accuracy of a constant word": 0.5,
    }
    said = [str(_params(row, bench)["text"]) for row in rows["natural"]]  # short tables: a text may come twice
    outcome = Outcome(
        styles["natural"], styles["flipped"], said, ("natural words", "flipped words"),
        unit="texts", numbers=numbers,
    )  # fmt: skip
    return lab.proof("verbalizers", CARD, outcome)
