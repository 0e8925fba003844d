"""BAGEL: explore a world, name what was done, do what was named, and go round until both agree.

Paper: Murty, Manning, Shaw, Joshi, Lee, "BAGEL: Bootstrapping Agents by Guiding Exploration with Language", ICML 2024
(arXiv 2403.08140).

The idea in five numbered lines:
1. A trajectory without an instruction is cheap: explore. An instruction without a trajectory is cheap too: ask for one.
2. A labeller (a prompted model) says which instruction a trajectory carries out.
3. An instruction-following agent (the same model) carries out that instruction in a fresh world: a new trajectory.
4. The new one is labelled again, and so on for a few rounds: noise leaves, because both directions pull towards what
   the model can say and do; a scorer ends it as soon as instruction and trajectory agree.
5. The pairs that agree are demonstrations; at test time those nearest to an instruction are shown to the agent.

What the paper says (from memory): both starts, trajectory-first (explore with a zero-shot prompt) and instruction-
first; a handful of rounds; a prompted model scores a pair 0 or 1; retrieval by likeness of sentence embeddings. What
its released code does: not looked at. What we do: trajectory-first. The explorer draws the world's random actions,
which costs no tokens (our deviation; the paper explores with the model); labeller, agent and scorer are the given
model, with prompts of our own. A pair is scored after each labelling, and the first that agrees is kept. With `guided`
the agent can write nothing but plans in the world of tool graphs: a small model seldom finds their form by itself,
and round trips would end there. The planners of the proof are guided alike.
A record is a place to start from: `notes["seed"]` (its position where there is none) is the seed of the world.
Left out: instruction-first, and retrieval: the agent of the proof is shown demonstrations drawn at random.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from adhere.core.method import Card
from adhere.core.model import Ask, Generates, Guide, Reply, Sampling, replies
from adhere.core.progress import Progress, silent
from adhere.core.record import Record, assistant, system, user
from adhere.core.step import Dropped
from adhere.core.world import Situation, WorldKind
from adhere.methods.act import tool_graph_planning as planning
from adhere.worlds.controls import wandering
from adhere.worlds.play import Episode, play
from adhere.worlds.speaking import Speaking
from adhere.worlds.tool_graph import ToolGraph

if TYPE_CHECKING:
    from adhere.core.proof import Proof
    from adhere.evals.lab import Lab

CARD = Card(
    summary="Explore, label, re-execute and relabel until instruction and trajectory agree.",
    version="1",
    family="generation",
    paper="arXiv:2403.08140",
    seed=61,
    needs=("Generates",),
    builds_on=("tool-graph-planning",),
    claim="An agent shown demonstrations that went round until both agreed plans better than the same agent shown the "
    "same explorations with their first labels.",
    metric="F1 of the tools in the plan, mean over requests",
)
MADE_BY = "bagel@1"

LABEL = """Here is what somebody did:
{trajectory}

Which instruction were they given? State every value that they used, word for word. Answer with the instruction
alone."""
SCORE = """Instruction: {instruction}

What was done:
{trajectory}

Was exactly the instruction carried out? Answer yes or no."""
LONGEST = 2000  # characters of a trajectory in a prompt


@dataclass(frozen=True)
class Settings:
    """How long to go round.

    `rounds` of executing and labelling again at most (paper, from memory: 5); `steps` is the length of a trajectory
    at most; `max_tokens` ends what the model says; `temperature` is that of labeller and agent (ours: 0.7); the
    scorer is greedy. Without `only_agreeing` a pair that never agreed is kept too, with its last label. With `guided`
    the agent's actions are plans in their form where the world is the tool graph (ours); in other worlds it does
    nothing.
    """

    rounds: int = 5
    steps: int = 15
    max_tokens: int = 160
    temperature: float = 0.7
    only_agreeing: bool = True
    guided: bool = False


class Pair(msgspec.Struct, frozen=True):
    """Where a round trip stands: the episode, what it was named, whether they agree, how many rounds it took."""

    episode: Episode
    label: str = ""
    agree: bool = False
    rounds: int = 0
    trouble: str = ""

    @property
    def is_open(self) -> bool:
        """Whether another round may mend it."""
        return not self.agree and not self.trouble


def synth(
    records: Sequence[Record],
    model: Generates,
    settings: Settings,
    seed: int = 0,
    progress: Progress = silent,
    *,
    world: WorldKind,
) -> Iterator[Record | Dropped]:
    """One demonstration for each record: the instruction, and the actions in their order as the reply.

    `notes["rounds"]` says how often it was executed again, `notes["actions"]` holds the actions one by one.
    """
    if not records:
        return
    seeds = [_seed_of(record, at) for at, record in enumerate(records)]
    explored = play(world, wandering(world), _salted(seeds, seed), most_steps=settings.steps)
    pairs = _labelled(model, [Pair(one) for one in explored], settings, seed)
    for number in range(1, settings.rounds + 1):
        if not any(one.is_open for one in pairs):
            break
        progress("bagel: rounds", number, settings.rounds)
        again = _executed(model, world, pairs, settings, seed + number)
        pairs = _labelled(model, again, settings, seed + number)
    for record, pair in zip(records, pairs, strict=True):
        yield _row(record, pair, settings.only_agreeing)


def _seed_of(record: Record, at: int) -> int:
    said = record.notes.get("seed", at)
    return said if isinstance(said, int) and not isinstance(said, bool) else at


def _salted(seeds: Sequence[int], seed: int) -> list[int]:
    """Other beginnings of the world for another seed of the method."""
    return [one + 1_000_003 * seed for one in seeds]


def told(episode: Episode) -> str:
    """A trajectory in words: each action, and what was seen after it."""
    steps = (f"Action: {act}\nSeen: {turn.text}" for act, turn in zip(episode.actions, episode.turns[1:], strict=False))
    return "\n".join(steps)[:LONGEST]


def _labelled(model: Generates, pairs: Sequence[Pair], settings: Settings, seed: int) -> list[Pair]:
    """Open pairs with a new label, scored; a label that could not be had ends the trip."""
    sampling = Sampling(settings.max_tokens, settings.temperature, seed=seed)
    named = _asked(model, pairs, lambda one: LABEL.format(trajectory=told(one.episode)), sampling)
    pairs = [_named(one, named[at]) if at in named else one for at, one in enumerate(pairs)]

    def question(one: Pair) -> str:
        return SCORE.format(instruction=one.label, trajectory=told(one.episode))

    scored = _asked(model, pairs, question, Sampling(8))
    return [
        msgspec.structs.replace(one, agree=agrees(scored[at].text)) if at in scored else one
        for at, one in enumerate(pairs)
    ]


def _asked(
    model: Generates, pairs: Sequence[Pair], prompt: Callable[[Pair], str], sampling: Sampling
) -> dict[int, Reply]:
    open_ones = [at for at, one in enumerate(pairs) if one.is_open]
    asks = [Ask((user(prompt(pairs[at])),), sampling) for at in open_ones]
    return dict(zip(open_ones, replies(model, asks), strict=True))


def _named(pair: Pair, reply: Reply) -> Pair:
    label = " ".join(reply.text.split())
    trouble = f"not answered: {reply.error}" if reply.finish == "error" else "" if label else "empty: no label"
    if reply.finish == "length":
        trouble = "cut: a label without an end"
    return msgspec.structs.replace(pair, label=label, trouble=trouble)


def agrees(reply: str) -> bool:
    """Whether the scorer says yes; anything else is no."""
    return reply.strip().lower().lstrip("\"'*").startswith("yes")


def _executed(model: Generates, world: WorldKind, pairs: Sequence[Pair], settings: Settings, seed: int) -> list[Pair]:
    """Open pairs carried out again, side by side; those that share a beginning one after another."""
    found = list(pairs)
    waiting = [at for at, one in enumerate(pairs) if one.is_open]
    guide = planning.plan_guide() if settings.guided and world.name == ToolGraph.name else None
    acting = agent(model, settings, seed, guide)
    while waiting:
        wave = {pairs[at].episode.seed: at for at in reversed(waiting)}
        waiting = [at for at in waiting if at not in wave.values()]
        labels = {begun: pairs[at].label for begun, at in wave.items()}
        played = play(world, acting, list(wave), told=_from(labels), most_steps=settings.steps)
        for episode in played:
            at = wave[episode.seed]
            trouble = f"{episode.end}: {episode.trouble}" if episode.trouble else ""
            found[at] = msgspec.structs.replace(
                pairs[at], episode=episode, rounds=pairs[at].rounds + 1, trouble=trouble
            )
    return found


def _from(labels: Mapping[int, str]) -> Callable[[int, str], str]:
    return lambda seed, instruction: labels[seed]


def agent(model: Generates, settings: Settings, seed: int, guide: Guide | None = None) -> Speaking:
    """The instruction-following agent, without demonstrations: what it sees, what it did, what it is told."""
    sampling = Sampling(settings.max_tokens, settings.temperature, seed=seed, guide=guide)

    def ask(one: Situation) -> Ask:
        head = "Carry out the instruction: answer with the next action alone."
        if one.choices:
            head += " Actions: " + ", ".join(one.choices) + "."
        past = [
            part for turn, act in zip(one.turns, one.actions, strict=False) for part in (*turn.seen, assistant(act))
        ]
        return Ask((system(f"{head}\nInstruction: {one.told}"), *past, *one.turns[-1].seen, user(one.told)), sampling)

    fixed = [settings.max_tokens, settings.temperature, seed]
    return Speaking(model, MADE_BY, [*fixed, guide.text] if guide else fixed, ask)


def _row(record: Record, pair: Pair, only_agreeing: bool) -> Record | Dropped:
    actions = "\n".join(pair.episode.actions)
    made = record.derive(MADE_BY, messages=(user(pair.label or "(none)"),), checks=(), rejected=None)
    made = made.noted(rounds=pair.rounds, world=pair.episode.world, world_seed=pair.episode.seed)
    if pair.trouble or (only_agreeing and not pair.agree):
        return Dropped(made, pair.trouble or f"disagree: after {pair.rounds} rounds")
    if not actions.strip() or any(turn.refused for turn in pair.episode.turns):
        return Dropped(made, "refused: it holds what is no action")
    return made.with_reply(actions).noted(actions=list(pair.episode.actions))


def prove(lab: Lab) -> Proof:
    """The planner shown explorations with their first labels against the one shown as many that went round.

    Three, or as many as both ways made, drawn anew for every six requests of each seed: which are shown matters more
    than which are asked, so a draw is the unit. All planners and agents are guided to the form of a plan.
    """
    from adhere.core.step import divided
    from adhere.evals.lab import Outcome

    world, seeds = ToolGraph(), range(2000, 2000 + lab.count(48))
    groups = [seeds[at : at + 6] for at in range(0, len(seeds), 6)]
    begun = [Record((user("Explore."),), notes={"seed": at}) for at in range(lab.count(24))]
    longest = planning.GUIDED_TOKENS
    sides = {
        "base": Settings(rounds=0, max_tokens=longest, only_agreeing=False, guided=True),
        "treated": Settings(rounds=2, max_tokens=longest, guided=True),
    }
    scores: dict[str, list[float | None]] = {side: [] for side in sides}
    made: dict[str, list[Record]] = {side: [] for side in sides}
    counts: list[int] = []
    for seed in lab.seeds:
        kept: dict[str, list[Record]] = {}
        for side, settings in sides.items():
            with lab.at(side):
                kept[side], _ = divided(synth(begun, lab.model, settings, seed, lab.progress, world=world))
            made[side] += kept[side]
        counts.append(min(3, *map(len, kept.values())))  # else the number of demonstrations would differ too
        shown = planning.Settings(demonstrations=counts[-1], max_tokens=longest, temperature=0.7, guided=True)
        for side in sides:
            with lab.at(side):
                for draw, group in enumerate(groups):
                    policy = planning.act(lab.model, shown, 100 * seed + draw, records=kept[side])
                    scores[side] += [planning.tools_named(world, one) for one in play(world, policy, group)]
    with lab.at("no demonstrations"):
        alone = planning.Settings(demonstrations=0, max_tokens=longest, temperature=0.7, guided=True)
        played = play(world, planning.act(lab.model, alone, lab.seeds[0]), seeds)
        unshown = [planning.tools_named(world, one) or 0.0 for one in played]
    units = [(seed, draw) for seed in lab.seeds for draw, group in enumerate(groups) for _ in group]
    numbers = {f"demonstrations made, {side}": len(rows) / len(lab.seeds) for side, rows in made.items()}
    numbers["no demonstrations at all"] = sum(unshown) / len(unshown)
    numbers["demonstrations shown on both sides"] = sum(counts) / len(counts)
    rounds = [int(one.notes["rounds"]) for one in made["treated"]]
    numbers["mean rounds of kept pairs"] = sum(rounds) / max(1, len(rounds))
    numbers["share of kept pairs that agreed at once"] = sum(one == 0 for one in rounds) / max(1, len(rounds))
    names = ("explorations, first labels", "as many of BAGEL's")
    remark = (
        "Agents and planners are guided to the form of a plan. Pairs of no rounds agreed with their first labels: they "
        "were chosen by the scorer and not carried out again. An exploration of this world is a plan drawn at random "
        "that can be carried out; a round puts the model's own in its place."
    )
    outcome = Outcome(
        scores["base"], scores["treated"], units, names, "draws of demonstrations", numbers=numbers, remark=remark
    )
    return lab.proof("bagel", CARD, outcome)
