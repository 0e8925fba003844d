"""Ruler: a meta length token in front of every reply says how long it will be, and a user may set it.

Paper: Li, Zhang, Li, Liu, Bai, Luo, Chen, Yang, "Ruler: A Model-Agnostic Method to Control Generated Length for Large
Language Models", Findings of EMNLP 2024 (arXiv 2409.18943), sections 3 and 4; code: Geaming2002/Ruler.

The idea in five lines:
1. Nine meta length tokens, [MLT:10] to [MLT:>800], stand for about so many words.
2. Each reply of the training data is labelled with the token of its own length; those between two labels are left out.
3. Supervised tuning on token and reply together: the model learns to say how long, and to keep to it.
4. With a target length the token is given; without one the model writes a fitting token itself.
5. Precise match and flexible match ask whether the word count falls into a narrow or a wide band around the target.

What the paper says: as above; words are runs of word characters; bands of the metrics in its table. What its code does:
labels rows by narrower bands than those of the metrics ((5, 15] for 10, (135, 155] for 150), equal numbers of rows per
token, new vocabulary entries, and puts a target's token at the beginning of the reply; its vanilla model is tuned on
the same rows without tokens and asked for a word count in words. What we do: the same labels and bands. The tokens are
plain text (an adapter adds no vocabulary) followed by a line break. A request cannot begin the model's reply here, so
a target's token stands at the end of the user's turn and the reply repeats it: what comes after the assistant's header
is as in the paper. `auto` of the rows come without the token in the user's turn. `ordered` asks for a length,
`untagged` takes the token out of a reply.
Left out: balancing the rows over the tokens (choose rows for that), multi-turn and self-generated-token experiments.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from adhere.core.errors import DataError
from adhere.core.method import Card
from adhere.core.model import Ask, Generates, Sampling, Trains, replies
from adhere.core.progress import Progress, silent
from adhere.core.proof import Shown
from adhere.core.record import Message, Record, user
from adhere.training.schedule import TuneSettings
from adhere.verify.text import sentence_spans, words

if TYPE_CHECKING:
    from adhere.core.proof import Proof
    from adhere.evals.lab import Lab
    from adhere.training.adapt import Tuned

CARD = Card(
    summary="Tune with a length token before every reply; a user may set the token.",
    version="1",
    family="tuning",
    paper="arXiv:2409.18943",
    seed=214,
    needs=("Trains",),
    builds_on=("sft",),
    claim="Meta length tokens meet more target lengths than SFT on the same replies asked for a number of words.",
    metric="precise match (PM), share of replies",
)
MADE_BY = "ruler@1"
# Target: the band that labels rows, that of precise match, that of flexible match; low < words <= high.
BANDS: dict[str, tuple[tuple[float, float], tuple[float, float], tuple[float, float]]] = {
    "10": ((5, 15), (0, 20), (0, 20)),
    "30": ((25, 35), (20, 40), (20, 40)),
    "50": ((45, 55), (40, 60), (40, 60)),
    "80": ((75, 85), (70, 90), (60, 100)),
    "150": ((135, 155), (130, 170), (100, 200)),
    "300": ((295, 305), (280, 320), (200, 400)),
    "500": ((495, 505), (450, 550), (400, 600)),
    "700": ((695, 705), (630, 770), (600, 800)),
    ">800": ((800, math.inf), (800, math.inf), (800, math.inf)),
}
LABEL, PRECISE, FLEXIBLE = range(3)
IN_WORDS = "{instruction}\nWrite the answer in about {target} words."  # how the model without tokens is asked
_TAG = re.compile(r"\A\s*(?:\[MLT:(?:>?\d+)\]\s*)+")


@dataclass(frozen=True)
class Settings(TuneSettings):
    """Numbers of the training run.

    `auto` is the share of rows whose token only the reply has, for requests without a target. Beside
    it the numbers of every tuning (`TuneSettings`).
    """

    auto: float = 0.25
    max_length: int = 1280


def within(text: str, target: str, band: int) -> bool:
    """Whether the words of a text fall into a band of a target: `LABEL`, `PRECISE` or `FLEXIBLE`."""
    low, high = BANDS[target][band]
    return low < len(words(text)) <= high


def target_of(reply: str) -> str | None:
    """The target whose label a reply bears; None between two of them."""
    return next((target for target in BANDS if within(reply, target, LABEL)), None)


def tag(target: str) -> str:
    """The meta length token of a target."""
    return f"[MLT:{target}]"


def untagged(reply: str) -> str:
    """A reply without the token that it begins with."""
    return _TAG.sub("", reply)


def ordered(prompt: Sequence[Message], target: str) -> tuple[Message, ...]:
    """The prompt with the token of a target at the end of the user's last turn."""
    last = max(place for place, message in enumerate(prompt) if message.role == "user")
    return (*prompt[:last], user(f"{prompt[last].text}\n{tag(target)}"), *prompt[last + 1 :])


def labelled(record: Record, is_auto: bool = False) -> Record | None:
    """A row with the token of its reply's length before the reply and, unless `is_auto`, in the prompt; or None."""
    target = target_of(record.reply or "")
    if target is None or not any(message.role == "user" for message in record.prompt):
        return None
    prompt = record.prompt if is_auto else ordered(record.prompt, target)
    made = record.derive(MADE_BY, messages=prompt, rejected=None)
    return made.with_reply(f"{tag(target)}\n{(record.reply or '').strip()}")


def tune(
    model: Trains,
    records: Sequence[Record],
    place: Path,
    settings: Settings,
    seed: int = 0,
    progress: Progress = silent,
    should_stop: Callable[[], bool] = lambda: False,
) -> Tuned:
    """The model tuned on the replies of `records` with their tokens; its files in `place`."""
    from adhere.models.chat import ChatTokenizer
    from adhere.training.adapt import Objective, adapt
    from adhere.training.encode import encode_records
    from adhere.training.losses import Nll

    found = [labelled(one, random.Random(f"ruler/{seed}/{one.id}").random() < settings.auto) for one in records]
    rows = [one for one in found if one is not None]
    if not rows:
        raise DataError(
            f"ruler needs replies of about 10, 30, 50, 80, 150 ... words, found none in {len(records)} rows",
            "Lengths between these targets are left out, as in the paper's code.",
        )
    encoded = encode_records(rows, ChatTokenizer(model.weights), settings.max_length)
    objective = Objective("ruler", encoded, Nll(), settings.schedule(seed))
    return adapt(model, objective, place, progress, should_stop)


def cut_to(record: Record, target: str) -> Record | None:
    """The row with its reply cut after the sentence that brings it into the label of a target; None where none does."""
    reply = record.reply or ""
    ends = (stop for _, stop in sentence_spans(reply))
    cut = next((reply[:stop].strip() for stop in ends if within(reply[:stop], target, LABEL)), None)
    plain = str(record.notes.get("instruction") or record.instruction)
    return Record((user(plain),)).with_reply(cut) if cut else None


def prove(lab: Lab) -> Proof:
    """The paper's vanilla model against Ruler: the same replies of 10 to 80 words, the same targets."""
    from adhere.methods.tune import sft

    targets = list(BANDS)[:4]
    rows, asked = _rows(lab, targets, lab.count(24)), lab.instructions(20, "probe")
    pairs = [(one, target) for one in asked for target in targets]
    in_words = [(user(IN_WORDS.format(instruction=one.instruction, target=target)),) for one, target in pairs]
    with lab.at("base"):
        plain = lab.tune_each("plain", lambda place, n: sft.tune(lab.trainable, rows, place, sft.Settings(), n))
        base = [_said(one.model, in_words, n) for one, n in zip(plain, lab.seeds, strict=True)]
    with lab.at("treated"):
        made = lab.tune_each("ruler", lambda place, n: tune(lab.trainable, rows, place, Settings(), n))
        tagged = [ordered(one.prompt, target) for one, target in pairs]
        treated = [_said(one.model, tagged, n) for one, n in zip(made, lab.seeds, strict=True)]
    return _proof(lab, pairs, base, treated)


def _rows(lab: Lab, targets: Sequence[str], each: int) -> list[Record]:
    """`each` replies of the pool per target, cut to its length at the end of a sentence."""
    rows: list[Record] = []
    for target in targets:
        cut = (cut_to(one, target) for one in lab.rows(160))
        rows += [one for one in cut if one is not None][:each]
    return rows


def _said(model: Generates, prompts: Sequence[tuple[Message, ...]], seed: int) -> list[str | None]:
    sampling = Sampling(max_tokens=160, temperature=0.8, top_p=0.95, seed=seed)
    found = replies(model, [Ask(prompt, sampling) for prompt in prompts])
    return [None if one.finish == "error" else untagged(one.text) for one in found]


def _proof(
    lab: Lab,
    pairs: Sequence[tuple[Record, str]],
    base: Sequence[Sequence[str | None]],
    treated: Sequence[Sequence[str | None]],
) -> Proof:
    from adhere.evals.lab import Outcome

    asked = list(pairs) * len(lab.seeds)
    before, after = ([text for one in side for text in one] for side in (base, treated))
    numbers = {}
    for name, band in (("PM", PRECISE), ("FM", FLEXIBLE)):
        for side, found in (("vanilla", before), ("ruler", after)):
            for target in dict.fromkeys(target for _, target in pairs):
                met = [said for said, (_, wanted) in zip(found, asked, strict=True) if said and wanted == target]
                share = sum(within(said, target, band) for said in met) / max(len(met), 1)
                numbers[f"{name} {side} {target}"] = round(share, 4)

    def matched(texts: Sequence[str | None]) -> list[float | None]:
        met = zip(texts, asked, strict=True)
        return [None if text is None else float(within(text, target, PRECISE)) for text, (_, target) in met]

    old, new = matched(before), matched(after)
    shown = [
        Shown(f"{one.instruction}\n({target} words)", before[at] or "", after[at] or "", old[at], new[at])
        for at, (one, target) in enumerate(asked)
        if old[at] != new[at]
    ]
    outcome = Outcome(
        old,
        new,
        [one.id for one, _ in asked],
        ("SFT, length asked in words", "Ruler, length asked by token"),
        examples=tuple(shown),
        numbers=numbers,
        remark="Targets of 10 to 80 words; training replies are the model's own, cut at the end of a sentence.",
    )
    return lab.proof("ruler", CARD, outcome)
