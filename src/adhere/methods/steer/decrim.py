"""DeCRIM: decompose the instruction into constraints, criticise the reply constraint by constraint, refine, repeat.

Paper: Ferraz, Mehta, Lin, Chang, Oraby, Liu, Subramanian, Chung, Bansal, Peng, "LLM Self-Correction with DeCRIM:
Decompose, Critique, and Refine for Enhanced Following of Instructions with Multiple Constraints", Findings of EMNLP
2024 (arXiv 2410.06458), section 5.

The idea in five lines:
1. The instruction is decomposed into the list of constraints that it states.
2. A critic looks at the reply and says, for each of them, whether it is met.
3. Where some are not, the model is told which, and writes the reply again.
4. This goes on until all are met or the rounds are used up.
5. How good the critic is decides most of the gain: feedback from a weak one helps little.

What the paper says: the model decomposes, a critic (the model itself, a finetuned one, or an oracle) judges each
constraint, up to 10 rounds; a reply that passes is final, else the last one is.
What its released code does: no code was found to compare with.
What we do: the finder by grammar decomposes and running the checks criticises (`critic = checks`, the strong critic),
or the model is asked about each constraint in turn, yes or no (`critic = model`, the weak one); `critic = none` is
plain self-refinement: the model is told to improve without being told what, in every round; `critic = unnamed` is the
same, but a reply that passes the checks is final. That is the baseline of the proof: to know when to stop is worth
something by itself, and there naming alone is to differ. Two rounds, because a 135M model's context is short. Left
out: decomposing by the model, and the finetuned critic.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

import msgspec

from adhere.core.method import Card
from adhere.core.model import Ask, Generates, Reply, Sampling, replies
from adhere.core.progress import Progress, silent
from adhere.core.record import Check, Record, assistant, user
from adhere.models.steered import Steered, paid_for
from adhere.verify.catalogue import ALL_TYPES
from adhere.verify.find import Found, find
from adhere.verify.score import judge

if TYPE_CHECKING:
    from adhere.core.proof import Proof
    from adhere.evals.lab import Lab

CARD = Card(
    summary="Find the constraints, say which the reply misses, let the model write it again.",
    version="1",
    family="decoding",
    paper="arXiv:2410.06458",
    seed=29,
    needs=("Generates",),
    claim="Two rounds of naming the missed constraints follow more of them than two rounds of plain self-refinement.",
    metric="share of constraints followed, strict",
)

NAMED = """Your answer misses these requirements:
{missed}
Write the whole answer again so that it meets them, and keep to everything else that was asked."""
UNNAMED = "Look at your answer again, improve it where you can, and write the whole answer anew."
ASKED = """Request:
{request}

Answer:
{answer}

Does the answer meet this requirement: "{constraint}"? Say yes or no."""
_SHOWN = 4_000  # characters of a reply that a critic or the next round is shown


@dataclass(frozen=True)
class Settings:
    """`rounds` of refinement at most (10 in section 5.1); `critic` is checks, model, unnamed or none (see above)."""

    rounds: int = 2
    critic: Literal["checks", "model", "unnamed", "none"] = "checks"


def steer(
    model: Generates, records: Sequence[Record], settings: Settings, seed: int = 0, progress: Progress = silent
) -> Steered:
    """The model that refines its replies; learns nothing from `records`."""

    def answer(asks: Sequence[Ask]) -> Iterator[tuple[int, Reply]]:
        stated = [find(_said(ask)) for ask in asks]
        now = replies(model, asks)
        spent = [[one] for one in now]
        for _ in range(settings.rounds):
            missed = _criticised(model, settings, asks, stated, now, spent)
            going = [at for at, (one, wrong) in enumerate(zip(now, missed, strict=True)) if wrong and one.text.strip()]
            again = replies(model, [_again(asks[at], now[at], missed[at], settings) for at in going])
            for at, reply in zip(going, again, strict=True):
                spent[at].append(reply)
                now[at] = reply if reply.text.strip() else now[at]  # a round that gave nothing changes nothing
        yield from enumerate(paid_for(one, all_of) for one, all_of in zip(now, spent, strict=True))

    return Steered(model, f"decrim@{CARD.version}", [asdict(settings), seed], answer)


def _said(ask: Ask) -> str:
    return next((one.text for one in reversed(ask.messages) if one.role == "user"), "")


def _criticised(
    model: Generates,
    settings: Settings,
    asks: Sequence[Ask],
    stated: Sequence[Sequence[Found]],
    now: Sequence[Reply],
    spent: Sequence[list[Reply]],
) -> list[list[str]]:
    """The requirements that each reply misses, in words, by the critic of the settings."""
    if settings.critic == "none":
        return [["it"] if found else [] for found in stated]
    if settings.critic in ("checks", "unnamed"):  # one stop for both; only what is told differs
        return [
            [_words(one) for one in found if _fails(one.check, reply.text)]
            for found, reply in zip(stated, now, strict=True)
        ]
    wanted = [(at, one) for at, found in enumerate(stated) for one in found]
    said = replies(model, [_question(asks[at], one, now[at]) for at, one in wanted])
    missed: list[list[str]] = [[] for _ in asks]
    for (at, one), verdict in zip(wanted, said, strict=True):
        spent[at].append(verdict)
        if verdict.text.strip().lower().startswith("no"):
            missed[at].append(_words(one))
    return missed


def _fails(check: Check, reply: str) -> bool:
    return judge([check], reply, ALL_TYPES).checks[0].strict.passed is False


def _words(one: Found) -> str:
    """The user's own words for a constraint."""
    return " ".join(one.check.phrase.split())


def _question(ask: Ask, one: Found, reply: Reply) -> Ask:
    text = ASKED.format(request=_said(ask)[:_SHOWN], answer=reply.text[:_SHOWN], constraint=_words(one))
    return Ask((user(text),), Sampling(max_tokens=4))


def _again(ask: Ask, reply: Reply, missed: Sequence[str], settings: Settings) -> Ask:
    is_named = settings.critic in ("checks", "model")
    told = NAMED.format(missed="\n".join(f"- {one}" for one in missed)) if is_named else UNNAMED
    messages = (*ask.messages, assistant(reply.text[:_SHOWN]), user(told))
    return Ask(messages, ask.sampling, ask.sample, ask.tools)


def prove(lab: Lab) -> Proof:
    """Self-refinement of replies that fail against the same with what fails named.

    Beside them: the weak critic, self-refinement that does not know when to stop, and no refinement.
    """
    from adhere.evals.grade import followed
    from adhere.evals.lab import WARM

    bench = lab.benchmark("seen", 40)
    graded = {}
    sides = {"base": "unnamed", "treated": "checks", "weak critic": "model", "no stop": "none"}
    for side, critic in sides.items():
        settings = Settings(critic=critic)  # type: ignore[arg-type]  # the four literals
        with lab.at(side):
            graded[side] = lab.grade(steer(lab.model, [], settings), bench, WARM)
    outcome = lab.graded_outcome(
        bench.records, graded["base"], graded["treated"], ("told to improve", "told what is missed")
    )
    plain = lab.grade(lab.model, bench, WARM)
    outcome.numbers.update(
        {
            "no refinement at all": plain.mean(followed) or 0.0,
            "the model as its own critic": graded["weak critic"].mean(followed) or 0.0,
            "told to improve whether or not it passes": graded["no stop"].mean(followed) or 0.0,
        }
    )
    remark = "On both sides the checks end it: a reply that passes is not written again. Only naming differs."
    outcome = msgspec.structs.replace(outcome, remark=remark)
    return lab.proof("decrim", CARD, outcome)
