"""Best of n: draw several replies and give the one that follows most of the constraints found in the prompt.

Papers: sampling many and keeping the best by a scorer is as old as reranking; for instruction following see Stiennon et
al. 2020 (arXiv 2009.01325, "best of N" by a reward model). Here the scorer is executed.

The idea in five lines:
1. The constraints are read out of the user's own words by grammar (`verify.find`), no metadata, no model.
2. n replies are drawn; the first is the reply that the model would have given without this method.
3. Each is judged by running the checks that were found.
4. The reply with the largest share of them wins; among equals the first drawn.
5. A prompt in which nothing is found costs nothing more: it gets the first reply.

What the paper says: a learned reward model ranks N samples. What its released code does: the same.
What we do: checks instead of a reward, found in the prompt, so that nothing has to be trained, and what the finder
misses is not followed any better. Left out: ranking by likelihood among equals.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from adhere.core.method import Card
from adhere.core.model import Ask, Generates, Reply
from adhere.core.progress import Progress, silent
from adhere.core.record import Check, Record
from adhere.models.steered import Steered, drawn, in_groups
from adhere.verify.catalogue import ALL_TYPES
from adhere.verify.find import find
from adhere.verify.score import judge

if TYPE_CHECKING:
    from adhere.core.proof import Proof
    from adhere.evals.lab import Lab

CARD = Card(
    summary="Draw n replies, run the checks found in the prompt, give the reply that passes most.",
    version="1",
    family="decoding",
    paper="arXiv:2009.01325",
    needs=("Generates",),
    claim="Choosing among 8 replies by the checks found in the prompt follows more constraints than one reply.",
    metric="share of constraints followed, strict",
)


@dataclass(frozen=True)
class Settings:
    """`samples` are the replies drawn for a prompt, the ordinary one included; `temperature` is that of the others.

    The paper draws up to 64 (section 4.3); 8 is where a small model's gain has mostly come.
    """

    samples: int = 8
    temperature: float = 0.8


def steer(
    model: Generates, records: Sequence[Record], settings: Settings, seed: int = 0, progress: Progress = silent
) -> Steered:
    """The model that answers with the best of `settings.samples` replies; learns nothing from `records`."""

    def answer(asks: Sequence[Ask]) -> Iterator[tuple[int, Reply]]:
        found = [_checks(ask) for ask in asks]
        groups = [
            drawn(ask, settings.samples if checks else 1, settings.temperature, seed)
            for ask, checks in zip(asks, found, strict=True)
        ]

        def choose(at: int, candidates: list[Reply]) -> Reply:
            return max(candidates, key=lambda one: _passed(found[at], one.text))  # the first of equals

        yield from in_groups(model, groups, choose)

    return Steered(model, f"best-of-n@{CARD.version}", [asdict(settings), seed], answer)


def _checks(ask: Ask) -> list[Check]:
    said = next((one.text for one in reversed(ask.messages) if one.role == "user"), "")
    return [one.check for one in find(said)]


def _passed(checks: Sequence[Check], reply: str) -> float:
    """Share of the checks that hold; one that cannot be judged counts as failing, since it shows nothing."""
    return sum(one.strict.passed is True for one in judge(checks, reply, ALL_TYPES).checks) / max(1, len(checks))


def prove(lab: Lab) -> Proof:
    """One sampled reply against the best of eight of which it is the first, on prompts of the development part."""
    from adhere.evals.lab import WARM

    bench = lab.benchmark("seen", 40)
    with lab.at("base"):
        base = lab.grade(lab.model, bench, WARM)
    with lab.at("treated"):
        treated = lab.grade(steer(lab.model, [], Settings()), bench, WARM)
    outcome = lab.graded_outcome(bench.records, base, treated, ("one reply", "best of 8"))
    return lab.proof("best-of-n", CARD, outcome)
