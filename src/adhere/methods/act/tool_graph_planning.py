"""Plan tool calls from the tools' documentation, from demonstrations, or from both.

Paper: Hsieh, Chen, Li, Fujii, Ratner, Lee, Krishna, Pfister, "Tool Documentation Enables Zero-Shot Tool-Usage with
Large Language Models", 2023 (arXiv 2308.00675).

The idea in five numbered lines:
1. Tools are usually taught by demonstrations, which must be written, chosen, and cannot cover every tool.
2. Documentation says what each tool does, covers all of them, and exists already.
3. So the prompt holds the documentation and the request, and no demonstration at all.
4. Where the documentation is too long, only the documents nearest to the request are shown.
5. Plans from documentation alone equal those from demonstrations without it, and demonstrations add little to it.

What the paper says (abstract read, details from memory): six tasks with large models; on its set of hundreds of
command-line tools the measure is the F1 of the plan, documents are retrieved by TF-IDF, and demonstrations from 0 to
10 and more are compared with and without documentation. What its released code does: not looked at. What we do: the
prompt parts of the paper as settings, over a world that shows its documentation as a system message
(`worlds/tool_graph.py`); the F1 of tools in the plan, mean over requests. With `guided` a JSON Schema leaves nothing
but plans: a small model learns the form from demonstrations alone, and the proof, where both sides are guided, is
about the choice of tools. The guide names the tools but not what they take, on both sides. Demonstrations are the
records, drawn at random once per policy, as the paper draws subsets. TF-IDF is written out: the sum over the request's
words of their inverse document frequency, in the documents that hold them. Left out: the paper's vision tasks and its
unseen tools.
"""

from __future__ import annotations

import json
import math
import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from adhere.core.method import Card
from adhere.core.model import Ask, Generates, Guide, Sampling
from adhere.core.progress import Progress, silent
from adhere.core.record import Record, assistant, system, user
from adhere.core.world import Policy, Situation
from adhere.worlds.speaking import Speaking
from adhere.worlds.tool_graph import SHAPES, ToolGraph
from adhere.worlds.tool_plans import read_plan, score_plan, written
from adhere.worlds.toolbox import TOOLS

if TYPE_CHECKING:
    from adhere.core.proof import Proof
    from adhere.evals.lab import Lab
    from adhere.worlds.play import Episode

CARD = Card(
    summary="Plan tool calls from documentation against demonstrations.",
    version="1",
    family="agents",
    paper="arXiv:2308.00675",
    seed=140,
    needs=("Generates",),
    claim="Plans from documentation alone name the tools no worse than plans from demonstrations without it.",
    metric="F1 of the tools in the plan, mean over requests",
    relation="not lower",
    margin=0.05,
)
MADE_BY = "tool-graph-planning@1"
MOST_CALLS = 4  # in a guided plan; the world's plans have as many at most
GUIDED_TOKENS = 320

HEAD = "You plan which tools to call for a request, and in which order."
HEAD_WITH_TOOLS = HEAD + " These are the tools:\n{documents}"


@dataclass(frozen=True)
class Settings:
    """What the prompt holds.

    With `documentation` the documents that the world shows are in it, the `documents` nearest to the request of
    them (0: all; the paper retrieves some where there are hundreds); `demonstrations` records are shown before the
    request (paper: 0 with documentation); `max_tokens` ends a plan; `temperature` 0 is greedy. `guided` replies are
    plans in their form (ours; the engine has to support guides).
    """

    documentation: bool = True
    documents: int = 0
    demonstrations: int = 0
    max_tokens: int = 160
    temperature: float = 0.0
    guided: bool = False


def plan_guide() -> Guide:
    """The form of a plan as JSON Schema: calls of tools that exist, with arguments of any name and fitting types.

    The bounds (ours) hold the world's own plans and keep others short: a plan that is cut by `max_tokens` is none.
    """
    text = {"type": "string", "maxLength": 60}
    number = {"type": "integer", "minimum": 0, "maximum": 999}
    words = {"type": "array", "items": {"type": "string", "maxLength": 12}, "maxItems": 5}
    numbers = {"type": "array", "items": number, "minItems": 1, "maxItems": 5}
    arguments = {
        "type": "object", "propertyNames": {"type": "string", "maxLength": 8}, "minProperties": 1, "maxProperties": 3,
        "additionalProperties": {"anyOf": [text, number, words, numbers]},
    }  # fmt: skip
    properties = {"tool": {"enum": list(TOOLS)}, "arguments": {"$ref": "#/$defs/arguments"}}
    call = {
        "type": "object", "properties": properties, "required": list(properties), "additionalProperties": False,
    }  # fmt: skip
    plan = {"type": "array", "items": call, "minItems": 1, "maxItems": MOST_CALLS, "$defs": {"arguments": arguments}}
    return Guide("json_schema", json.dumps(plan))


def act(
    model: Generates,
    settings: Settings,
    seed: int = 0,
    progress: Progress = silent,
    *,
    records: Sequence[Record] = (),
) -> Policy:
    """A policy that answers the request with a plan; `records` are demonstrations (request, plan)."""
    able = [record for record in records if record.reply]
    rng = random.Random(f"{MADE_BY}/{seed}")
    shown = rng.sample(able, min(settings.demonstrations, len(able)))
    guide = plan_guide() if settings.guided else None
    sampling = Sampling(settings.max_tokens, settings.temperature, seed=seed, guide=guide)

    def ask(one: Situation) -> Ask:
        documents = _documents(one) if settings.documentation else []
        if 0 < settings.documents < len(documents):
            documents = nearest(one.told, documents, settings.documents)
        head = HEAD_WITH_TOOLS.format(documents="\n".join(documents)) if documents else HEAD
        form = "\n".join(message.text for message in one.turns[0].seen if message.role == "user")
        pairs = [message for record in shown for message in (user(record.instruction), assistant(record.reply or ""))]
        return Ask((system(f"{head}\n\n{form}"), *pairs, user(one.told)), sampling)

    return Speaking(model, MADE_BY, [asdict(settings), seed, [record.id for record in shown]], ask)


def _documents(one: Situation) -> list[str]:
    text = "\n".join(message.text for message in one.turns[0].seen if message.role == "system")
    return [line for line in text.splitlines() if line.strip()]


def nearest(request: str, documents: Sequence[str], count: int) -> list[str]:
    """The `count` documents that share the rarest words with the request, in the order they stand in."""
    words = [set(_words(one)) for one in documents]
    seen_in = Counter(word for one in words for word in one)
    asked = set(_words(request))
    weights = [sum(math.log(len(documents) / seen_in[word]) for word in sorted(asked & one)) for one in words]
    best = sorted(range(len(documents)), key=lambda at: (-weights[at], at))[:count]
    return [documents[at] for at in sorted(best)]


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())


def demonstrations(world: ToolGraph, seeds: Sequence[int]) -> list[Record]:
    """Requests of a world with the plans that they were written from."""
    tasks = [world.task(seed) for seed in seeds]
    return [Record((user(one.request), assistant(written(one.plan)))) for one in tasks]


def tools_named(world: ToolGraph, episode: Episode) -> float | None:
    """The F1 of the tools in the plan of an episode: 0 where it is no plan, None where it was not judged."""
    if episode.passed is None:
        return None
    plan = read_plan(episode.actions[-1])
    return 0.0 if isinstance(plan, str) else score_plan(world.task(episode.seed).plan, plan).nodes


def prove(lab: Lab) -> Proof:
    """Eight demonstrations without documentation against documentation without demonstrations, on the same requests.

    Both sides are guided to the form of a plan.
    """
    from adhere.evals.lab import Outcome
    from adhere.worlds.play import play

    world, seeds = ToolGraph(SHAPES), range(1000, 1000 + lab.count(60))
    shown = demonstrations(world, range(lab.count(48)))
    shared = Settings(max_tokens=GUIDED_TOKENS, temperature=0.7, guided=True)
    sides = {
        "base": replace(shared, documentation=False, demonstrations=8),
        "treated": replace(shared, documentation=True, demonstrations=0),
    }
    scores: dict[str, list[float | None]] = {side: [] for side in sides}
    numbers: dict[str, float] = {}
    for side, settings in sides.items():
        with lab.at(side):
            played = [
                one
                for seed in lab.seeds
                for one in play(world, act(lab.model, settings, seed, records=shown), seeds, progress=lab.progress)
            ]
        scores[side] = [tools_named(world, one) for one in played]
        numbers[f"{side}: executed with the right result"] = sum(one.passed is True for one in played) / len(played)
        numbers[f"{side}: readable as a plan"] = sum(not one.refused for one in played) / len(played)
    units = [seed for _ in lab.seeds for seed in seeds]
    names = ("8 demonstrations", "documentation")
    remark = "Both sides are guided to the form of a plan, whose schema names the tools: the choice of tools differs."
    outcome = Outcome(scores["base"], scores["treated"], units, names, "requests", numbers=numbers, remark=remark)
    return lab.proof("tool-graph-planning", CARD, outcome)
