"""Clone what was done by chance, under the instruction that names it afterwards.

Paper: Sumers, Marino, Ahuja, Fergus, Dasgupta, "Distilling Internet-Scale Vision-Language Models into Embodied Agents",
ICML 2023 (arXiv 2301.12507).

The idea in five numbered lines:
1. Instruction-conditioned cloning needs trajectories with instructions; an agent's own trajectories have none that fit.
2. So each is named in hindsight: a pretrained, prompted model looks at where it ended and says what was achieved.
3. Trajectories with these names are demonstrations of them: the policy is cloned from them.
4. What is taught is chosen by the prompt of the captioner alone: names of things, their colours, or a category.
5. At test time the policy is given instructions in the same words.

What the paper says (from memory): a large vision-language model captions the last frames of an agent in a simulated
house, zero- or few-shot; the policy is trained by behavioural cloning on the relabelled episodes. What its released
code does: not looked at. What we do: worlds in text (`worlds/babyai.py`); the episodes are random walks; the
captioner is a rule over what is seen (`captioner="rule"`: a thing one step ahead was gone to) or the given model with
one prompt for each of `teaches`; the policy is the given model, cloned by SFT on rows (instruction, sight, action).
Episodes are cut into the last `window` actions before a thing was reached. Left out: images, few-shot captions,
categories that group several things, and episodes of a trained agent.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from adhere.core.errors import SettingsError
from adhere.core.method import Card
from adhere.core.model import Ask, Generates, Sampling, Trains, replies
from adhere.core.progress import Progress, silent
from adhere.core.record import Message, Record, assistant, system, user
from adhere.core.world import Policy, Situation, WorldKind
from adhere.worlds.controls import wandering
from adhere.worlds.play import Episode, play
from adhere.worlds.speaking import Speaking

if TYPE_CHECKING:
    from adhere.core.proof import Proof
    from adhere.evals.lab import Lab

CARD = Card(
    summary="Relabel an agent's own episodes in hindsight and clone them under their new names.",
    version="1",
    family="embodied",
    paper="arXiv:2301.12507",
    seed=32,
    needs=("Generates", "Trains"),
    builds_on=("sft",),
    claim="Cloning episodes renamed in hindsight passes more often than cloning them under what they were told to do.",
    metric="share of episodes passed",
)
MADE_BY = "hindsight-cloning@1"

HEAD = "You move in a room. Answer with one action: {choices}."
CAPTIONS = {
    "name": "What thing is one step ahead of the agent? Answer with its name alone.",
    "colour": "Which colour does the thing one step ahead of the agent have? Answer with the colour alone.",
    "both": "What thing is one step ahead of the agent? Answer with its colour and name alone.",
}
SAID = {"name": "go to a {}", "colour": "go to a {} thing", "both": "go to the {}"}
AHEAD = re.compile(r"\b(\w+) (\w+) 1 ahead(?! and)")
RIGHT_WORDS = re.compile(r"[a-z]+( [a-z]+)?")


@dataclass(frozen=True)
class Settings:
    """What is gathered and how it is named.

    `episodes` random walks of at most `steps`; `window` actions before a thing
    was reached become rows; `captioner` is rule or model; `teaches` what the captions name: name, colour or both;
    with `relabel` off the walks keep the world's own instruction, which is the baseline; `most_rows` bounds the rows.
    `learning_rate` and `epochs` are those of the cloning.
    """

    episodes: int = 60
    steps: int = 24
    window: int = 4
    captioner: str = "rule"
    teaches: str = "both"
    relabel: bool = True
    most_rows: int = 400
    learning_rate: float = 1e-3
    epochs: float = 1.0


def act(
    model: Trains,
    settings: Settings,
    seed: int = 0,
    progress: Progress = silent,
    *,
    world: WorldKind,
    place: Path,
) -> Policy:
    """A policy cloned from relabelled walks in `world`; the tuned model lies in `place`."""
    from adhere.methods.tune import sft

    if settings.captioner not in ("rule", "model") or settings.teaches not in CAPTIONS:
        raise SettingsError(
            f"expected captioner rule or model and teaches of {sorted(CAPTIONS)}, "
            f"found {settings.captioner!r} and {settings.teaches!r}"
        )
    first = 1_000_000 * (seed + 1)  # beginnings that nobody is judged on
    walks = play(world, wandering(world), range(first, first + settings.episodes), most_steps=settings.steps)
    rows = demonstrations(walks, model, settings, world)
    if not rows:
        raise SettingsError("nothing was reached in any walk, so there is nothing to clone", "Raise episodes or steps.")
    chosen = sft.Settings(learning_rate=settings.learning_rate, epochs=settings.epochs)
    tuned = sft.tune(model, rows, place, chosen, seed, progress)

    def ask(one: Situation) -> Ask:
        return Ask(prompt(one.told, one.turns[-1].text, one.choices), Sampling(8))

    return Speaking(tuned.model, MADE_BY, [asdict(settings), seed], ask, read)


def prompt(told: str, sight: str, choices: Sequence[str]) -> tuple[Message, ...]:
    """What the policy is asked, in training as in acting."""
    return (system(HEAD.format(choices=", ".join(choices))), user(f"Task: {told}\n{sight}"))


def read(situation: Situation, reply: str) -> str:
    """The action that a reply is: its first line without a full stop; the world refuses what is none."""
    lines = reply.strip().splitlines()
    return lines[0].strip().rstrip(".").lower() if lines else ""


def demonstrations(walks: Sequence[Episode], model: object, settings: Settings, world: WorldKind) -> list[Record]:
    """Rows (task, sight, action) of the stretches that reached a thing, under their names."""
    stretches = [(walk, first, last) for walk in walks for first, last in reached(walk, settings.window)]
    sights = [walk.turns[last].text for walk, _, last in stretches]
    names = named(sights, model, settings) if settings.relabel else [walk.instruction for walk, _, _ in stretches]
    choices = _choices(world, walks)
    rows = [
        Record((*prompt(name, walk.turns[at].text, choices), assistant(walk.actions[at])), made_by=MADE_BY)
        for (walk, first, last), name in zip(stretches, names, strict=True)
        if name
        for at in range(first, last)
    ]
    return rows[: settings.most_rows]


def _choices(world: WorldKind, walks: Sequence[Episode]) -> tuple[str, ...]:
    if not walks:
        return ()
    one = world.make()
    one.begin(walks[0].seed)
    choices = one.choices()
    one.close()
    return choices


def reached(walk: Episode, window: int) -> list[tuple[int, int]]:
    """(first, last) turn of each stretch that ends with another thing one step ahead than the turn before had."""
    found, since = [], 0
    for at in range(1, len(walk.turns)):
        now, before = AHEAD.search(walk.turns[at].text), AHEAD.search(walk.turns[at - 1].text)
        if now is not None and (before is None or now.group() != before.group()):
            found.append((max(since, at - window), at))
            since = at
    return found


def named(sights: Sequence[str], model: object, settings: Settings) -> list[str]:
    """The instruction that each sight fulfils; empty where the captioner gives no words for one."""
    if settings.captioner == "rule":
        return [_by_rule(one, settings.teaches) for one in sights]
    assert isinstance(model, Generates)
    asks = [Ask((user(f"{one}\n\n{CAPTIONS[settings.teaches]}"),), Sampling(8)) for one in sights]
    said = [reply.text.strip().lower().rstrip(".") for reply in replies(model, asks)]
    return [SAID[settings.teaches].format(one) if RIGHT_WORDS.fullmatch(one) else "" for one in said]


def _by_rule(sight: str, teaches: str) -> str:
    found = AHEAD.search(sight)
    if found is None:
        return ""
    words = {"name": found[2], "colour": found[1], "both": f"{found[1]} {found[2]}"}
    return SAID[teaches].format(words[teaches])


def prove(lab: Lab) -> Proof:
    """The same walks and rows, cloned under the world's own instructions against those found in hindsight."""
    from adhere.evals.lab import Outcome
    from adhere.worlds.babyai import BabyAI

    world, seeds = BabyAI("GoToLocal"), range(3000, 3000 + lab.count(50))
    shares: dict[str, list[float | None]] = {"base": [], "treated": []}
    blind: list[bool] = []
    for seed in lab.seeds:
        for side, relabel in (("base", False), ("treated", True)):
            settings = Settings(episodes=lab.count(60), relabel=relabel)
            with lab.at(side):
                policy = act(lab.trainable, settings, seed, world=world, place=lab.folder("hindsight", side, seed))
                played = play(world, policy, seeds)
            shares[side] += [None if one.passed is None else float(one.passed) for one in played]
        with lab.at("blind"):
            blind += [one.passed is True for one in play(world, policy, seeds, told=lambda *_: "")]
    units = [seed for _ in lab.seeds for seed in seeds]
    outcome = Outcome(
        shares["base"], shares["treated"], units, ("own instructions", "hindsight"), "episodes",
        remark="Training tokens are the same on both sides and not counted in the costs.",
        numbers={"treated, told nothing": sum(blind) / len(blind)},
    )  # fmt: skip
    return lab.proof("hindsight-cloning", CARD, outcome)
