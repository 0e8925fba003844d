"""In-context vectors: what demonstrations change in the latent states is added to the stream, not to the prompt.

Paper: Liu, Ye, Xing, Zou, "In-context Vectors: Making In Context Learning More Effective and Controllable Through
Latent Space Steering", ICML 2024 (arXiv 2311.06668), section 3.

The idea in five lines:
1. A demonstration is a pair: a text as it is (x) and as it should be (y).
2. The model reads both; d = h(y) - h(x), the latent states of all layers at the last token of each.
3. The direction that the d of all demonstrations have in common is the in-context vector, a piece of it per layer.
4. While a reply comes about, each layer's states are moved along their piece, at every token, and keep their norm.
5. The prompt holds no demonstration, `strength` says how far to go, and vectors can be added and subtracted.

What the paper says: the first principal direction of the d; h + strength * v, scaled back to the norm of h; strength
0.1; five demonstrations; less toxicity and better style transfer than the same demonstrations in the prompt. What its
released code does: the mean of the d plus their centred first principal component; unit vectors per layer, strength
times 1 + max(0, cos(h, -v)); it changes what each MLP adds, not the stream.
What we do: the code's vector and step, on the stream after each layer as in the paper's formula. There it adds up
from layer to layer, so that the default is weaker than the paper's; the experiment chooses it on other instructions
(among strengths of equal style, the strongest that leaves as many replies sound as no steering does), while the
baseline has nothing to choose. Both texts are read as replies to the row's prompt: x is the rejected reply,
or the instruction where there is none, y the reply. The last token is that of the text, not the end of turn.
Left out: several vectors at once; what reading the demonstrations once costs is not booked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from adhere.core.errors import DataError, ModelError, SettingsError
from adhere.core.method import Card
from adhere.core.model import Ask, Generates, Reply, Sampling, Steps, replies
from adhere.core.progress import Progress, silent
from adhere.core.record import Message, Record, assistant, user
from adhere.models.steered import Steered
from adhere.verify.guard import repetition
from adhere.verify.text import sentences, words

if TYPE_CHECKING:
    from torch import Tensor

    from adhere.core.proof import Proof
    from adhere.evals.lab import Lab
    from adhere.models.llama import Places

CARD = Card(
    summary="Add what demonstrations change in the latent states to the residual stream at every token.",
    version="1",
    family="decoding",
    paper="arXiv:2311.06668",
    seed=94,
    needs=("Generates", "Steps"),
    claim="The vector of five demonstrations puts more replies into their style than the same five in the prompt.",
    metric="share of replies in the style that are no loops",
)
STYLES = ("lower case", "exclamation")
STRENGTHS = (0.005, 0.01, 0.02, 0.05, 0.1)  # what the experiment chooses from, by training instructions


@dataclass(frozen=True)
class Settings:
    """`strength` is how far each layer's states are moved (0.1 in section 4.1, on what each MLP adds in the code).

    `direction` is "mean" (with the centred first component, as in the code) or "component" (the first principal
    direction of the differences as they are, as in the formula).
    """

    strength: float = 0.05
    direction: Literal["mean", "component"] = "mean"


def steer(
    model: Generates, records: Sequence[Record], settings: Settings, seed: int = 0, progress: Progress = silent
) -> Steered:
    """The model whose stream is moved by the vector of `records`, each with a reply; nothing is drawn by `seed`."""
    if not isinstance(model, Steps):
        raise ModelError(f"in-context-vectors needs the inside of {model.name}", "Choose a local model.")
    rows = [one for one in records if (one.reply or "").strip() and source_of(one).strip()]
    if not rows:
        raise DataError(
            f"in-context-vectors needs demonstrations with a reply, found none among {len(records)} rows",
            'A row is {"prompt": ..., "chosen": ..., "rejected": ...}; what differs between the two is learnt.',
        )
    if not 0 <= settings.strength < float("inf"):
        raise SettingsError(f"expected a strength from 0 on, found {settings.strength}")
    vector = direction_of(differences(model, rows), settings.direction)

    def shift(stream: Tensor, layer: int, places: Places) -> Tensor:
        return moved(stream, vector[layer - 1], settings.strength) if layer else stream

    def answer(asks: Sequence[Ask]) -> Iterator[tuple[int, Reply]]:
        from adhere.models.decoding import decode

        return decode(model, asks, shift=shift if settings.strength else None)

    learnt = [asdict(settings), [one.id for one in rows]]
    return Steered(model, f"in-context-vectors@{CARD.version}", learnt, answer)


def source_of(record: Record) -> str:
    """The text of a demonstration as it is."""
    return record.rejected if record.rejected is not None else record.instruction


def differences(model: Steps, rows: Sequence[Record]) -> Tensor:
    """h(y) - h(x) of each demonstration at the last token of its texts, `[rows, layers, hidden]`."""
    import torch

    texts = [text for one in rows for text in (source_of(one), one.reply or "")]
    dialogues = [(*rows[at // 2].prompt, assistant(text)) for at, text in enumerate(texts)]
    layers = range(1, _layers(model) + 1)
    last = []
    for hidden in model.hidden_states(dialogues, layers):
        written = hidden.written.nonzero().squeeze(1)
        last.append(hidden.states[:, int(written[-2 if len(written) > 1 else -1])].float())
    states = torch.stack(last)
    return states[1::2] - states[0::2]


def _layers(model: Steps) -> int:
    """How many layers the model has: those that a change of its stream is shown."""
    seen: set[int] = set()

    def watch(stream: Any, layer: int, places: Any) -> Any:
        seen.add(layer)
        return stream

    model.hidden_states([(user("How many?"),)], [0], watch)
    return max(seen)


def direction_of(found: Tensor, direction: str) -> Tensor:
    """The common direction of differences `[rows, layers, hidden]` as unit vectors `[layers, hidden]`."""
    import torch
    from torch.nn import functional

    flat = found.flatten(1)
    mean = flat.mean(0)
    rest = flat if direction == "component" else flat - mean
    _, sizes, axes = torch.linalg.svd(rest, full_matrices=False)
    axis = axes[0]
    if direction == "component":
        axis = axis if float(axis @ mean) >= 0 else -axis
    elif float(sizes[0]) > 1e-6 * float(flat.norm()):
        axis = mean + axis * axis[axis.abs().argmax()].sign()
    else:  # a single demonstration, or all alike: nothing is left beside the mean
        axis = mean
    return functional.normalize(axis.view(found.shape[1:]), dim=-1)


def moved(stream: Tensor, vector: Tensor, strength: float) -> Tensor:
    """States `[tokens, hidden]` turned towards a unit vector; what points away from it is turned further."""
    from torch.nn import functional

    vector = vector.to(stream)
    unit = functional.normalize(stream, dim=-1)
    away = (-(unit @ vector)).clamp_min(0)
    turned = unit + strength * (1 + away)[:, None] * vector
    found: Tensor = functional.normalize(turned, dim=-1) * stream.norm(dim=-1, keepdim=True)
    return found


def restyled(text: str, style: str) -> str:
    """A text put into one of `STYLES`."""
    return text.lower() if style == "lower case" else text.replace(".", "!").replace("?", "!")


def is_sound(reply: str) -> bool:
    """Whether a reply has five words at least and is no loop."""
    return len(words(reply)) >= 5 and not repetition(reply)


def in_style(reply: str, style: str) -> bool:
    """Whether a reply of five words at least is in the style and no loop."""
    if not is_sound(reply):
        return False
    if style == "lower case":
        return reply == reply.lower()
    return "!" in reply and not set(".?") & set(reply)


def prove(lab: Lab) -> Proof:
    """Two styles: five demonstrations in the prompt against their vector; greedy replies to the same instructions.

    The strength is chosen on six instructions of the training part; its tokens are counted apart.
    """
    from adhere.evals.lab import Outcome

    sampling = Sampling(max_tokens=24 if lab.smoke else 64)
    prompts = [one.prompt for one in lab.instructions(24, "probe")]
    plain = _plain_rows(lab, sampling)
    found: dict[str, list[bool]] = {"base": [], "treated": [], "without": []}
    strengths: list[float] = []
    for seed in lab.seeds:
        for style in STYLES:
            rows = plain[5 * seed :][:5] or plain[:5]
            rows = [msgspec.structs.replace(one.with_reply(restyled(one.reply or "", style)), rejected=one.reply)
                    for one in rows]  # fmt: skip
            shots = tuple(turn for one in rows for turn in one.messages)
            with lab.at("base"):
                found["base"] += _styled(lab.model, [(*shots, *one) for one in prompts], sampling, style)
            with lab.at("strength"):
                strengths.append(_chosen_strength(lab, rows, sampling, style))
            with lab.at("treated"):
                steered = steer(lab.model, rows, Settings(strengths[-1]), seed)
                found["treated"] += _styled(steered, prompts, sampling, style)
            with lab.at("without"):
                found["without"] += _styled(lab.model, prompts, sampling, style)
    numbers = {"share without demonstrations": _share(found["without"]), "mean strength": fmean(strengths)}
    for name, end in (("weakest", STRENGTHS[0]), ("strongest", STRENGTHS[-1])):
        numbers[f"choices of the {name} strength"] = strengths.count(end) / len(strengths)
    numbers["tokens to choose the strength"] = lab.tokens("strength")
    for at, style in enumerate(STYLES):
        for side in ("base", "treated"):
            chosen = [one for n, one in enumerate(found[side]) if n // len(prompts) % len(STYLES) == at]
            numbers[f"{style}, {side}"] = _share(chosen)
    units = [at for _ in range(len(lab.seeds) * len(STYLES)) for at in range(len(prompts))]
    names = ("demonstrations in the prompt", "their vector")
    remark = "Styles of our own: no upper-case letter, and sentences that end in an exclamation mark."
    outcome = Outcome(found["base"], found["treated"], units, names, numbers=numbers, remark=remark)
    return lab.proof("in-context-vectors", CARD, outcome)


def _chosen_strength(lab: Lab, rows: Sequence[Record], sampling: Sampling, style: str) -> float:
    """The strength that brings most replies to a few training instructions into the style.

    Of equals, which are common among so few replies, it is the strongest that leaves as many replies sound as no
    steering does, and where none does the weakest: a tie at nothing would otherwise choose next to no steering.
    """
    prompts = [one.prompt for one in lab.instructions(30)[-lab.count(6) :]]  # none of them is a demonstration's
    unsteered = _sound(_said(lab.model, prompts, sampling))
    said = {one: _said(steer(lab.model, rows, Settings(one)), prompts, sampling) for one in STRENGTHS}
    shares = {one: _share([in_style(text, style) for text in texts]) for one, texts in said.items()}
    equals = [one for one in STRENGTHS if shares[one] == max(shares.values())]
    harmless = [one for one in equals if _sound(said[one]) >= unsteered]
    return harmless[-1] if harmless else equals[0]


def _sound(texts: Sequence[str]) -> int:
    return sum(map(is_sound, texts))


def _plain_rows(lab: Lab, sampling: Sampling) -> list[Record]:
    """Instructions with the first two sentences of what the model says to them."""
    found = []
    with lab.at("demonstrations"):
        rows = lab.instructions(24)
        for row, reply in zip(rows, replies(lab.model, [Ask(one.prompt, sampling) for one in rows]), strict=True):
            said = " ".join(" ".join(sentences(reply.text)[:2]).split())
            if len(words(said)) >= 4 and "." in said:
                found.append(row.with_reply(said))
    return found or [row.with_reply("This is a plain reply. It has two sentences.") for row in rows]


def _styled(model: Generates, prompts: Sequence[tuple[Message, ...]], sampling: Sampling, style: str) -> list[bool]:
    return [in_style(text, style) for text in _said(model, prompts, sampling)]


def _said(model: Generates, prompts: Sequence[tuple[Message, ...]], sampling: Sampling) -> list[str]:
    return [one.text for one in replies(model, [Ask(prompt, sampling) for prompt in prompts])]


def _share(values: Sequence[bool]) -> float:
    return sum(values) / max(1, len(values))
