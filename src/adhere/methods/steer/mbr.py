"""Minimum Bayes risk decoding: of several replies give the one that is most like the others.

Paper: Wu, Fernandes, Bertsch, Kim, Pakazad, Neubig, "Better Instruction-Following Through Minimum Bayes Risk",
ICLR 2025 (arXiv 2410.02902), sections 2 and 3.

The idea in five lines:
1. N replies are drawn; each is a candidate, and each is a reference for the others.
2. A utility says how well a candidate agrees with a reference.
3. The candidate with the highest mean utility over all references wins.
4. A reply that many draws agree on is likely to be a good one; one odd draw is not.
5. Training on the winners against the losers (their section 4) moves the gain into the weights.

What the paper says: N = 30 at temperature 0.3 for most models; utilities are ROUGE-1, BERTScore, a sentence embedder
and an LLM judge (Prometheus) that is shown the reference; the judge is best, ROUGE gives small gains over greedy.
What its released code does: the same with vLLM (from the paper's description; not looked at).
What we do: ROUGE-L F over words of every script, because a 135M model cannot judge; N = 8 at 0.8, the candidates of
`best-of-n`, so that the two can be compared at one cost. The ordinary reply is the first candidate and wins ties. In
the proof it is the baseline too; greedy decoding, which the paper compares with, is a number beside.
Left out: the LLM judge, BERTScore, and self-training by DPO on the winners (section 4; `tune dpo` does it from rows).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from adhere.core.method import Card
from adhere.core.model import Ask, Generates, Reply
from adhere.core.progress import Progress, silent
from adhere.core.record import Record
from adhere.data.novelty import rouge_l
from adhere.models.steered import Steered, drawn, in_groups

if TYPE_CHECKING:
    from adhere.core.proof import Proof
    from adhere.evals.lab import Lab

CARD = Card(
    summary="Draw n replies and give the one that agrees most with the others.",
    version="1",
    family="decoding",
    paper="arXiv:2410.02902",
    seed=12,
    needs=("Generates",),
    claim="The reply that agrees most with seven others follows more constraints than one reply.",
    metric="share of constraints followed, strict",
)


@dataclass(frozen=True)
class Settings:
    """`samples` is N (30 in section 3.1), `temperature` that of the draws (0.3 there); ours are those of best-of-n."""

    samples: int = 8
    temperature: float = 0.8


def steer(
    model: Generates, records: Sequence[Record], settings: Settings, seed: int = 0, progress: Progress = silent
) -> Steered:
    """The model that answers with the most agreed of `settings.samples` replies; learns nothing from `records`."""

    def answer(asks: Sequence[Ask]) -> Iterator[tuple[int, Reply]]:
        groups = [drawn(ask, settings.samples, settings.temperature, seed) for ask in asks]
        yield from in_groups(model, groups, lambda at, candidates: candidates[most_agreed(candidates)])

    return Steered(model, f"mbr@{CARD.version}", [asdict(settings), seed], answer)


def most_agreed(candidates: Sequence[Reply]) -> int:
    """The place of the candidate with the highest mean ROUGE-L over the others; the first among equals."""
    utilities = [0.0] * len(candidates)
    for place, one in enumerate(candidates):
        for other in range(place):  # the utility is symmetric
            agreement = rouge_l(one.text[:_READ], candidates[other].text[:_READ], unicode=True)
            utilities[place] += agreement
            utilities[other] += agreement
    return max(range(len(candidates)), key=lambda place: utilities[place])


_READ = 8_000  # characters: a reply of a megabyte would be compared for minutes


def prove(lab: Lab) -> Proof:
    """One sampled reply against the most agreed of eight of which it is the first; greedy decoding beside them."""
    from adhere.evals.grade import followed
    from adhere.evals.lab import WARM

    bench = lab.benchmark("seen", 40)
    with lab.at("base"):
        base = lab.grade(lab.model, bench, WARM)
    with lab.at("treated"):
        treated = lab.grade(steer(lab.model, [], Settings()), bench, WARM)
    with lab.at("greedy"):
        greedy = lab.grade(lab.model, bench)
    outcome = lab.graded_outcome(bench.records, base, treated, ("one reply", "most agreed of 8"))
    outcome.numbers["greedy decoding"] = greedy.mean(followed) or 0.0
    return lab.proof("mbr", CARD, outcome)
