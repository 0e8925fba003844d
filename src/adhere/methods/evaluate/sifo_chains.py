"""Chains of dependent instructions: each step works on what the one before has left, and the last one stands for all.

Paper: Chen, Liao, Qi, Eustratiadis, Monz, Bisazza, de Rijke, "The SIFo Benchmark: Investigating the Sequential
Instruction Following Ability of Large Language Models", Findings of EMNLP 2024 (arXiv 2406.19999), sections 3 and 4.

The idea in five lines:
1. Several instructions in one prompt measure little when they have nothing to do with each other.
2. So each step needs the result of the one before, in four kinds of task: changing a text, questions about a text that
   is revised on the way, arithmetic, and commands under rules of who may do what.
3. Whoever gets the last step right has got all of them right, so one comparison judges the chain, without a judge.
4. The answers are asked for as JSON, one per step, and compared by rule.
5. Accuracy at the last step, the mean over steps, and depth: how many steps are right before the first wrong one.

What the paper says (abstract and summaries read, numbers from memory): 3 to 6 steps, about 200 chains of each kind,
made from existing data sets and by rule; accuracy falls with the position of the step. What its released code does: an
output is right when it holds the normalised gold answer (`register=faithful`; by that rule 1 stands in 10).
What we do: all four kinds are made by rule, so that the state after each step is known; answers are compared as whole
words (`register=repaired`). For the proof a small model, which writes hardly any right answer, chooses by likelihood
between the right answer and three that come out when one of the steps is another one, after one step and after all of
the same chain. What is given is no option at either depth, so chains that come back to it are left out there.
Left out: the paper's data.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal

from adhere.core.benchmark import Benchmark
from adhere.core.errors import ModelError, SettingsError
from adhere.core.method import Card
from adhere.core.model import Generates, Sampling, Scores
from adhere.core.progress import Progress, silent
from adhere.core.record import Check, Record, user
from adhere.core.statistics import proportion_interval
from adhere.evals.grade import Graded, grade
from adhere.evals.report import EvaluationReport, in_words
from adhere.verify.catalogue import ALL_TYPES
from adhere.verify.chains import KINDS, Drawn, drawn, options
from adhere.verify.score import ConstraintVerifier
from adhere.verify.sequence import KIND, Chain, judge_chain

if TYPE_CHECKING:
    from adhere.core.proof import Proof
    from adhere.evals.lab import Lab

CARD = Card(
    summary="Chains of instructions that build on each other: last step, mean over steps, depth.",
    version="1",
    family="evaluation",
    paper="arXiv:2406.19999",
    seed=43,
    needs=("Generates",),
    claim="The result of a whole chain of instructions is right less often than that of its first instruction.",
    metric="accuracy of the answer to the last instruction",
    relation="lower",
)
PROMPT = """{given}

{steps}

Carry out the {n} instructions in order; each one works on what the one before has left. Reply with a JSON list of \
{n} texts, one result for each instruction, and nothing else. For two instructions it could be ["red", "blue"]."""
FINAL = """{given}

{steps}

Carry out the instructions in order; each one works on what the one before has left. Reply with the last result only."""
WRONG = 3


@dataclass(frozen=True)
class Settings:
    """`chains` are made, of four kinds in turn, each of `fewest` to `most` steps (3 and 6 in section 3).

    `register` is how answers are compared (see above); `max_tokens` ends a reply.
    """

    chains: int = 120
    fewest: int = 3
    most: int = 6
    register: Literal["repaired", "faithful"] = "repaired"
    max_tokens: int = 128


def benchmark(found: Sequence[Drawn], version: str) -> Benchmark:
    """The chains as records whose check holds the right answer to every step."""
    records = []
    for at, chain in enumerate(found):
        said = [one.said for one in chain.steps]
        prompt = PROMPT.format(given=KINDS[chain.kind].given(chain.begun), steps=_numbered(said), n=len(said))
        gold = [chain.answer(chain.steps[: n + 1]) for n in range(len(said))]
        params = {"steps": said, "gold": gold, "task": KINDS[chain.kind].task}
        notes = {"kind": chain.kind, "chain": at}
        records.append(Record((user(prompt),), (Check(KIND, params, prompt),), notes=notes))
    return Benchmark("chains", version, tuple(records), ConstraintVerifier(ALL_TYPES))


def _numbered(said: Sequence[str]) -> str:
    return "\n".join(f"Instruction_{n}: {one}" for n, one in enumerate(said, 1))


def judged(bench: Benchmark, graded: Graded, register: str) -> list[Chain | None]:
    """What was found of each chain, in the order of the records; None where no reply came."""
    rows = {row.record: row for row in graded.rows}
    return [
        judge_chain(rows[one.id].reply, one.checks[0].params["gold"], one.checks[0].params["task"], register)
        if rows[one.id].judged
        else None
        for one in bench.records
    ]


def measures(found: Sequence[Chain]) -> dict[str, Any]:
    """The benchmark's three numbers, and the accuracy of the first, second, ... step where there is one."""
    longest = max((len(one.steps) for one in found), default=0)
    at_step = [[bool(one.steps[at]) for one in found if at < len(one.steps)] for at in range(longest)]
    return {
        "chains": len(found),
        "last_step": fmean(bool(one.last) for one in found) if found else None,
        "mean_over_steps": fmean(one.mean or 0.0 for one in found) if found else None,
        "depth": fmean(one.depth for one in found) if found else None,
        "by_step": [fmean(one) for one in at_step],
    }


def evaluate(
    model: Generates,
    settings: Settings,
    data: Path | None = None,
    seed: int = 0,
    limit: int | None = None,
    progress: Progress = silent,
) -> EvaluationReport:
    """Last step, mean over steps and depth, by kind and in all; greedy, at most `limit` chains."""
    if data is not None:
        raise SettingsError("sifo-chains makes its own chains", "Leave --data out.")
    found_chains = drawn(min(settings.chains, limit or settings.chains), settings.fewest, settings.most, seed)
    bench = benchmark(found_chains, f"1.{seed}.{settings.fewest}.{settings.most}")
    graded = grade(model, bench, (0,), Sampling(settings.max_tokens), progress)
    found = judged(bench, graded, settings.register)
    answered = [one for one in found if one is not None]
    kinds = {
        kind: measures([one for at, one in enumerate(found) if one is not None and at % len(KINDS) == place])
        for place, kind in enumerate(KINDS)
    }
    values = {"model": model.name, "register": settings.register, **measures(answered), "kinds": kinds}
    return EvaluationReport(values, _words(values, answered), (graded,))


def _words(values: dict[str, Any], answered: Sequence[Chain]) -> tuple[str, ...]:
    lines = [f"Chains of instructions, {values['model']}: {values['chains']} chains"]
    if answered:
        lines += [
            f"  last step    {in_words(proportion_interval([bool(one.last) for one in answered]))}",
            f"  mean of all  {100 * values['mean_over_steps']:.1f} %   depth: {values['depth']:.2f} steps",
            "  by step      " + "  ".join(f"{n}: {100 * one:.0f} %" for n, one in enumerate(values["by_step"], 1)),
        ]
    for kind, one in values["kinds"].items():
        if one["chains"]:
            lines.append(f"  {kind:8} last {100 * one['last_step']:5.1f} %   depth {one['depth']:.2f}")
    return tuple(lines)


def chosen(model: Generates, found: Sequence[Drawn], counts: Sequence[int]) -> list[bool]:
    """Whether the right answer after the first so many steps is the likeliest per token of four."""
    if not isinstance(model, Scores):
        raise ModelError(f"sifo-chains compares likelihoods, and {model.name} gives none", "Choose a local model.")
    pairs = []
    for at, (chain, count) in enumerate(zip(found, counts, strict=True)):
        steps = _numbered([one.said for one in chain.steps[:count]])
        asked = (user(FINAL.format(given=KINDS[chain.kind].given(chain.begun), steps=steps)),)
        pairs += [(asked, one) for one in options(chain, count, WRONG, random.Random(f"options/{at}/{count}"))]
    scores = [one.mean for one in model.score(pairs)]
    groups = [scores[at : at + WRONG + 1] for at in range(0, len(scores), WRONG + 1)]
    return [one[0] > max(one[1:]) for one in groups]


def changes(chain: Drawn) -> bool:
    """Whether neither the first step nor all of them leave what was given: to repeat it must not be right."""
    given = chain.answer(())
    return given not in (chain.answer(chain.steps[:1]), chain.answer(chain.steps))


def prove(lab: Lab) -> Proof:
    """The answer after one step against the answer after all, chosen by likelihood; generated answers beside."""
    from adhere.evals.lab import Outcome

    found = [one for one in drawn(lab.count(184), 3, 6, 0) if changes(one)]  # about 160
    with lab.at("base"):
        first = chosen(lab.model, found, [1] * len(found))
    with lab.at("treated"):
        last = chosen(lab.model, found, [len(one.steps) for one in found])
    numbers = {"chance": 1 / (WRONG + 1)}
    for kind in KINDS:
        for name, right in (("after one step", first), ("after all", last)):
            of_kind = [one for chain, one in zip(found, right, strict=True) if chain.kind == kind]
            if of_kind:
                numbers[f"{kind}: {name}"] = fmean(of_kind)
    bench = benchmark(found[: lab.count(40)], "1")
    graded = lab.grade(lab.model, bench, Sampling(96))
    written = judged(bench, graded, "repaired")
    numbers["first step right when written as JSON"] = fmean(bool(one and one.steps[0]) for one in written)
    numbers["last step right when written as JSON"] = fmean(bool(one and one.last) for one in written)
    remark = (
        "A model of this size writes hardly any right answer as JSON (see the numbers), so it chooses: the right "
        "answer has to be the likeliest per token of four. Wrong options are of one kind at both depths: one of the "
        "steps is another one. What was given is never an option."
    )
    outcome = Outcome(
        first, last, range(len(found)), ("after one step", "after all steps"), unit="chains", numbers=numbers,
        remark=remark,
    )  # fmt: skip
    return lab.proof("sifo-chains", CARD, outcome)
