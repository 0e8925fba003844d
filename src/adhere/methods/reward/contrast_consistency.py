"""Contrast consistency: a reward should prefer a reply under its own instruction to the same under one much like it.

Paper: Shen, Chen, Song, Jin, Peng, Mi, Khashabi, Yu, "The Trickle-down Impact of Reward (In-)consistency on RLHF",
ICLR 2024 (arXiv 2309.16155), section 3 (Contrast Instructions).

The idea in five lines:
1. Two instructions that look alike and want different replies are found by similarity.
2. A reward that understands them gives a reply more under its own instruction than under the other one.
3. Instruction consistency is how often it does; response consistency, how often the own reply beats the other's reply.
4. Rewards that agree well with people on ordinary pairs do little better than chance on these.
5. What a reward has not told apart, training by it cannot teach.

What the paper says: pairs of instructions with similar sentence embeddings, from data with written replies; reward
models trained by ranking are close to chance on them, people are not; ConvexDA (extrapolation in training) and
RewardFusion (at inference, over similar examples) raise consistency without more training.
What we do: the reward is the mean log-likelihood of the reply's tokens, so that what is compared is how much the
instruction explains it. A verdict is the consistency of one reply: the share of the instructions of `records` most like
its own that it beats. Likeness is the share of common words (Jaccard), which needs no further model.
Left out: response consistency (it needs a reply to each of the two), ConvexDA and RewardFusion (both mend a trained
reward model, which this one is not), embeddings.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from adhere.core.errors import ModelError, SettingsError
from adhere.core.method import Card
from adhere.core.model import Generates, Scores
from adhere.core.progress import Progress, silent
from adhere.core.record import Record, content_hash, user
from adhere.core.verifier import Verdict
from adhere.data.novelty import words

if TYPE_CHECKING:
    from adhere.core.proof import Proof
    from adhere.evals.lab import Lab

CARD = Card(
    summary="Whether a reply is likelier under its own instruction than under others that look like it.",
    version="1",
    family="rewards",
    paper="arXiv:2309.16155",
    seed=401,
    needs=("Generates", "Scores"),
    claim="Likelihood as a reward prefers the own instruction to a similar one less often than to an arbitrary one.",
    metric="instruction consistency",
    relation="lower",
)


@dataclass(frozen=True)
class Settings:
    """A reply is compared under the `neighbours` instructions most like its own, each with a likeness of at least
    `low` and at most `high` (our own numbers, for words in common; the paper's are for embeddings), won by more
    than `margin` nats per token.
    """

    neighbours: int = 3
    low: float = 0.2
    high: float = 0.95
    margin: float = 0.0


class ContrastReward(msgspec.Struct, frozen=True):
    """The `Verifier`: passed when a reply is likelier under its own instruction than under all those like it.

    `score` is the share of them; not judged where nothing is like it, or the reply is blank.
    """

    model: Scores
    records: tuple[Record, ...]
    settings: Settings

    def verify(self, record: Record, reply: str) -> Verdict:
        """Judge a reply to a record."""
        others = self.like(record)
        if not others or not reply.strip():
            return Verdict(None, 0.0, "the reply is blank" if others else "no instruction is like this one")
        own, *rewards = (one.mean for one in self.model.score([(one.prompt, reply) for one in (record, *others)]))
        won = sum(own - one > self.settings.margin for one in rewards)
        said = (
            f"{own:.3f} nats per token under its own instruction, {max(rewards):.3f} under the best of {len(rewards)}"
        )
        return Verdict(won == len(rewards), won / len(rewards), said)

    def like(self, record: Record) -> list[Record]:
        """The instructions most like the record's own, nearest first; among equals in the order given."""
        found = [(likeness(record, one), -at) for at, one in enumerate(self.records)]
        near = [one for one in found if self.settings.low <= one[0] <= self.settings.high]
        return [self.records[-at] for _, at in sorted(near, reverse=True)[: self.settings.neighbours]]


def reward(
    records: Sequence[Record],
    settings: Settings,
    seed: int = 0,
    progress: Progress = silent,
    *,
    model: Generates | Scores,
) -> ContrastReward:
    """The reward that compares with the instructions of `records`; a prompt that comes twice counts once."""
    if not isinstance(model, Scores):
        raise ModelError(f"contrast-consistency needs likelihoods of {model.name}", "Choose a local model.")
    if settings.neighbours < 1 or not 0 <= settings.low <= settings.high <= 1:
        raise SettingsError(
            f"expected neighbours from 1 on and 0 <= low <= high <= 1, found {settings}", "See: adhere show."
        )
    prompts = {one.prompt: one for one in reversed(records) if one.instruction.strip()}
    return ContrastReward(model, tuple(reversed(prompts.values())), settings)


def likeness(first: Record, second: Record) -> float:
    """Words in common as a share of those in either instruction, from 0 to 1."""
    mine, other = (frozenset(words(one.instruction, unicode=True)) for one in (first, second))
    return len(mine & other) / len(mine | other) if mine | other else 0.0


def contrast(record: Record, seed: int) -> Record | None:
    """The plain instruction of a composed record with other constraints, of which its reply fails some."""
    from adhere.verify.catalogue import ALL_TYPES, IFEVAL_TYPES
    from adhere.verify.compose import compose
    from adhere.verify.score import ConstraintVerifier

    plain = Record((user(str(record.notes.get("instruction") or record.instruction)),))
    draw, verifier = random.Random(f"contrast/{seed}/{record.id}"), ConstraintVerifier(ALL_TYPES)
    for _ in range(8):
        made = compose(draw, plain, max(1, len(record.checks)), tuple(IFEVAL_TYPES.values()))
        if made is not None and verifier.verify(made, record.reply or "").passed is False:
            return made
    return None


def prove(lab: Lab) -> Proof:
    """Replies that follow their prompt: is it told from an arbitrary one, and from the most similar one?"""
    from adhere.evals.lab import Outcome

    model = lab.model
    rows = lab.rows(160, keep=lambda row: row.tokens <= 160 and (lab.smoke or bool(row.strict)))
    found: dict[str, list[bool]] = {"base": [], "treated": []}
    units: list[str] = []
    alike: list[float] = []
    for seed in lab.seeds:
        pairs = [(row, made) for row in rows if (made := contrast(row, seed)) is not None]
        others = [made for _, made in pairs]
        for at, (row, own) in enumerate(pairs):
            far = [one for one in others if likeness(row, one) < 0.2] or others
            arbitrary = random.Random(f"{seed}/{at}").choice(far)
            for side, some in (("base", [arbitrary]), ("treated", [own])):
                with lab.at(side):
                    verdict = reward(some, Settings(neighbours=1, low=0.0, high=1.0), seed, model=model)
                    found[side].append(verdict.verify(row, row.reply or "").passed is True)
            alike.append(likeness(row, own))
            units.append(content_hash(row.prompt))
    numbers = {"replies": len(rows), "likeness of the similar instruction": sum(alike) / max(1, len(alike))}
    remark = "A similar instruction is the same task with other constraints, which the reply fails; chance is one half."
    names = ("arbitrary instruction", "similar instruction")
    outcome = Outcome(found["base"], found["treated"], units, names, numbers=numbers, remark=remark)
    return lab.proof("contrast-consistency", CARD, outcome)
