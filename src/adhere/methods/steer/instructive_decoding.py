"""Instructive decoding: next-token logits under the instruction less a part of those under a noisy one.

Paper: Kim, Kim, Lee, Yun, "Distort, Distract, Decode: Instruction-Tuned Model Can Refine its Response from Noisy
Instructions", ICLR 2024 (arXiv 2311.00233), section 2.

The idea in five lines:
1. The model reads the prompt as it is, and a second prompt whose instruction is distorted.
2. What it would say under both is what it says whatever it is told.
3. So the next token is drawn from z - epsilon * z', with z and z' the logits under the two.
4. Both readings go on with the token that was chosen.
5. The more the noisy instruction deviates (best: the opposite of it), the more the difference is the instruction.

What the paper says: epsilon = 0.3; noise by truncated and shuffled words, no instruction, random words, or a request
for the opposite of what is asked; greedy decoding; gains in ROUGE-L and label adherence on SuperNatInst.
What its released code does: the same on T5-style models, where the instruction is a part of the input of its own.
What we do: the last user message is the instruction, so that an input pasted into it is distorted with it; `opposite`
puts a sentence of our own before it. epsilon = 0 is ordinary decoding. Left out: the paper's data sets.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from adhere.core.errors import ModelError
from adhere.core.method import Card
from adhere.core.model import Ask, Generates, Reply, Steps
from adhere.core.progress import Progress, silent
from adhere.core.record import Message, Record, user
from adhere.models.steered import Steered

if TYPE_CHECKING:
    from adhere.core.proof import Proof
    from adhere.evals.lab import Lab

CARD = Card(
    summary="Subtract the logits under a distorted instruction from those under the instruction.",
    version="1",
    family="decoding",
    paper="arXiv:2311.00233",
    seed=120,
    needs=("Generates", "Steps"),
    claim="Decoding against the opposite instruction follows more constraints than ordinary greedy decoding.",
    metric="share of constraints followed, strict",
)

OPPOSITE = "Whatever is asked of you below, do the very opposite of it."
WORDS = (
    "amber", "basket", "candle", "desert", "engine", "feather", "garden", "hammer", "island", "jacket", "kettle",
    "ladder", "marble", "needle", "orchard", "pepper", "quarry", "ribbon", "saddle", "timber", "umbrella", "valley",
)  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """`epsilon` is the weight of the noisy reading (0.3 in section 3.1), `noise` opposite, words, shuffled or none."""

    epsilon: float = 0.3
    noise: Literal["opposite", "words", "shuffled", "none"] = "opposite"


def steer(
    model: Generates, records: Sequence[Record], settings: Settings, seed: int = 0, progress: Progress = silent
) -> Steered:
    """The model that decodes against a noisy instruction; learns nothing from `records`."""
    if not isinstance(model, Steps):
        raise ModelError(f"instructive-decoding needs the logits of {model.name}", "Choose a local model.")

    def combine(logits: Any) -> Any:
        return logits[0] - settings.epsilon * logits[1]

    def answer(asks: Sequence[Ask]) -> Iterator[tuple[int, Reply]]:
        from adhere.models.decoding import decode

        return decode(model, asks, lambda ask: (ask.messages, distorted(ask.messages, settings.noise, seed)), combine)

    return Steered(model, f"instructive-decoding@{CARD.version}", [asdict(settings), seed], answer)


def distorted(messages: Sequence[Message], noise: str, seed: int) -> tuple[Message, ...]:
    """The conversation with its last user message distorted; the same for the same text and seed."""
    last = max((at for at, one in enumerate(messages) if one.role == "user"), default=None)
    if last is None:
        return tuple(messages)
    text = messages[last].text
    draw = random.Random(f"{seed}/{text}")
    if noise == "opposite":
        noisy = f"{OPPOSITE}\n\n{text}"
    elif noise == "words":
        noisy = " ".join(draw.choice(WORDS) for _ in text.split())
    elif noise == "shuffled":
        words = text.split()
        kept = sorted(draw.sample(range(len(words)), (len(words) + 1) // 2))
        draw.shuffle(kept)
        noisy = " ".join(words[at] for at in kept)
    else:
        noisy = ""
    return (*messages[:last], user(noisy), *messages[last + 1 :])


def prove(lab: Lab) -> Proof:
    """Greedy decoding by the same loop (epsilon = 0) against the opposite instruction; other noises beside them."""
    from adhere.evals.grade import followed

    bench = lab.benchmark("seen", 60)
    plan = {"base": Settings(epsilon=0.0, noise="none"), "treated": Settings(), "words": Settings(noise="words")}
    graded = {}
    for side, settings in plan.items():
        with lab.at(side):
            graded[side] = lab.grade(steer(lab.model, [], settings), bench)
    outcome = lab.graded_outcome(
        bench.records, graded["base"], graded["treated"], ("greedy", "against the opposite instruction")
    )
    outcome.numbers["against random words"] = graded["words"].mean(followed) or 0.0
    return lab.proof("instructive-decoding", CARD, outcome)
