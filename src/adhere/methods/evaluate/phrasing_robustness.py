"""Phrasing robustness: is the same constraint followed as often in words that the tuning never showed?

Paper: Sun, Shaib, Wallace, "Evaluating the Zero-shot Robustness of Instruction-tuned Language Models", ICLR 2024
(arXiv 2306.11270), sections 3 and 4.

The idea in five lines:
1. Instruction tuning shows each task in a few wordings, the *observed* ones.
2. People who never saw them word the same task otherwise: *unobserved* wordings that mean the same.
3. Ask the same items in several wordings of both sorts, so that nothing differs but the words.
4. The mean over the sorts says what new words cost; the spread over wordings of one item, how much words matter.
5. A model that followed the task rather than its wording would have neither a gap nor a spread.

What the paper says (abstract and summaries read): 319 instructions written by people for over 80 tasks of MMLU and
BIG-bench Lite against the wordings in the tuning collections; Flan-T5, T0 and Alpaca all do worse on unobserved ones,
and spread widely on them.
What its released code does: not looked at.
What we do: the tasks are verifiable constraints. Each type has training phrasings and phrasings that no training data
holds; the same parameters on the same instruction are asked in both, and code checks the replies. In the proof a
phrasing counts as observed only if it stands in the very rows that the model was tuned on. Those are chosen by whether
a reply ended, not by whether it is right, or the easy phrasings would be the observed ones; what a reply misses is
corrected by code. Gains are compared, after tuning less before, so that a gap which the model had already does not
count. Families that are held out are not used at all. Left out: the paper's tasks, and its remedy, a soft prompt that
draws equivalent instructions together (section 5).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, pstdev
from typing import TYPE_CHECKING, Any

from adhere.core.benchmark import Benchmark
from adhere.core.errors import SettingsError
from adhere.core.method import Card
from adhere.core.model import Generates, Sampling
from adhere.core.progress import Progress, silent
from adhere.core.record import Check, Record, user
from adhere.core.statistics import paired_difference, verdict_in_words
from adhere.data.seeds import shipped_seeds
from adhere.evals.grade import Graded, followed, grade
from adhere.evals.report import EvaluationReport
from adhere.verify.catalogue import ALL_TYPES, IFEVAL_TYPES, UNSEEN_FAMILIES
from adhere.verify.constraint import ConstraintType, Drawing
from adhere.verify.score import ConstraintVerifier

if TYPE_CHECKING:
    from adhere.core.proof import Proof
    from adhere.evals.lab import Lab

CARD = Card(
    summary="The same constraints in observed and unobserved phrasings: the gap of the means, and the spread.",
    version="1",
    family="evaluation",
    paper="arXiv:2306.11270",
    seed=404,
    needs=("Generates",),
    claim="Tuning gains more on constraints in phrasings it was tuned on than on the same in new ones.",
    metric="gain of tuning in the share of constraints followed, strict",
)
SORTS = ("unobserved", "observed")
# Their wording is part of what is checked, or says how the prompt is laid out.
_NOT_ALONE = ("combination:repeat_prompt",)


@dataclass(frozen=True)
class Settings:
    """`items` are an instruction with one constraint each; `phrasings` of each sort are asked of every item.

    `max_tokens` ends a reply.
    """

    items: int = 100
    phrasings: int = 3
    max_tokens: int = 256


def items(
    instructions: Sequence[Record],
    count: int,
    phrasings: int,
    seed: int,
    observed: Mapping[str, Sequence[str]] | None = None,
) -> Benchmark:
    """`count` items, each in `phrasings` observed and as many unobserved wordings, all laid out alike.

    `observed` has the observed templates of each type; the unobserved are its other training phrasings then, so that
    nothing but having been seen divides the two. Without it the observed are all training phrasings of a type, and the
    unobserved its held-out ones. Notes say which item and sort a record is of. Types are taken in turn, instructions
    too; one that does not suit a type is passed over.
    """
    pools = {
        kind.id: _divided(kind, observed)
        for kind in IFEVAL_TYPES.values()
        if kind.family not in UNSEEN_FAMILIES and kind.id not in _NOT_ALONE
    }
    kinds = [IFEVAL_TYPES[name] for name, (new, seen) in pools.items() if new and len(seen) >= phrasings]
    if not kinds or not instructions or phrasings < 1:
        raise SettingsError(
            f"expected types with {phrasings} observed phrasings and instructions to ask, found {len(kinds)} types and "
            f"{len(instructions)} instructions", "Ask for fewer phrasings.",
        )  # fmt: skip
    records = list[Record]()
    made = 0
    for at in range(20 * count):
        rng, kind = random.Random(f"{seed}/{at}"), kinds[at % len(kinds)]
        instruction = instructions[at % len(instructions)].instruction
        params = kind.draw(rng, Drawing(instruction))
        if params is None:
            continue
        new, seen = pools[kind.id]
        for sort, pool in (("unobserved", new), ("observed", seen)):
            for template in rng.sample(pool, min(phrasings, len(new))):
                phrase = kind.phrase(params, template)
                notes = {"item": made, "sort": sort, "instruction": instruction}
                check = Check(kind.id, params, phrase)
                records.append(Record((user(f"{instruction}\n\n{phrase}"),), (check,), notes=notes))
        made += 1
        if made == count:
            break
    return Benchmark("phrasings", f"1.{seed}", tuple(records), ConstraintVerifier(ALL_TYPES))


def _divided(kind: ConstraintType, observed: Mapping[str, Sequence[str]] | None) -> tuple[list[str], list[str]]:
    """The unobserved and the observed templates of a type."""
    if observed is None:
        return list(kind.heldout_phrasings), list(kind.phrasings)
    seen = list(observed.get(kind.id, ()))
    return [one for one in kind.phrasings if one not in seen], seen


def by_item(bench: Benchmark, graded: Graded) -> list[dict[str, list[float]]]:
    """Of each item the shares followed in each of its phrasings, by sort; means over seeds, only what was judged."""
    found: dict[int, dict[str, list[float]]] = {}
    shares = graded.by_record(followed)
    for record in bench.records:
        item = found.setdefault(int(record.notes["item"]), {sort: [] for sort in SORTS})
        if record.id in shares:
            item[str(record.notes["sort"])].append(fmean(shares[record.id]))
    return [one for one in found.values() if all(one.values())]


def gains(bench: Benchmark, before: Graded, after: Graded) -> dict[int, dict[str, float]]:
    """Of each item, by sort, the mean share followed after less that before; from -1 to 1, only what was judged."""
    was, now = before.by_record(followed), after.by_record(followed)
    found: dict[int, dict[str, list[float]]] = {}
    for record in bench.records:
        item = found.setdefault(int(record.notes["item"]), {sort: [] for sort in SORTS})
        if record.id in was and record.id in now:
            item[str(record.notes["sort"])].append(fmean(now[record.id]) - fmean(was[record.id]))
    return {at: {sort: fmean(one[sort]) for sort in SORTS} for at, one in found.items() if all(one.values())}


def measures(found: Sequence[dict[str, list[float]]]) -> dict[str, dict[str, float]]:
    """Of each sort the mean over items, and the spread: the standard deviation over an item's phrasings, averaged."""
    return {
        sort: {
            "mean": fmean(fmean(one[sort]) for one in found),
            "spread": fmean(pstdev(one[sort]) for one in found),
        }
        for sort in SORTS
    }


def evaluate(
    model: Generates,
    settings: Settings,
    data: Path | None = None,
    seed: int = 0,
    limit: int | None = None,
    progress: Progress = silent,
) -> EvaluationReport:
    """Mean and spread over observed and unobserved phrasings, and the paired gap; greedy, at most `limit` items."""
    if data is not None:
        raise SettingsError("phrasing-robustness makes its own items", "Leave --data out.")
    instructions = shipped_seeds()
    random.Random(f"phrasings/{seed}").shuffle(instructions)
    bench = items(instructions, min(settings.items, limit or settings.items), settings.phrasings, seed)
    graded = grade(model, bench, (0,), Sampling(settings.max_tokens), progress)
    found = by_item(bench, graded)
    values: dict[str, Any] = {"model": model.name, "items": len(found)}
    lines = [f"Phrasings, {model.name}: {len(found)} items, {settings.phrasings} phrasings of each sort at most"]
    if found:
        values |= measures(found)
        for sort in SORTS:
            mean, spread = values[sort]["mean"], values[sort]["spread"]
            lines.append(f"  {sort:10} {100 * mean:.1f} % followed   spread over phrasings {100 * spread:.1f} points")
        means = [[fmean(one[sort]) for one in found] for sort in SORTS]
        gap = paired_difference(means[0], means[1], range(len(found)))
        values["gap"] = {"observed_less_unobserved": gap.difference, "interval": gap.ends}
        lines.append(f"  {verdict_in_words(gap, 'observed against unobserved phrasings')}")
    return EvaluationReport(values, tuple(lines), (graded,))


def seen_templates(rows: Sequence[Record]) -> dict[str, list[str]]:
    """The training phrasings of each type that stand in these rows."""
    found: dict[str, list[str]] = {}
    for check in (check for row in rows for check in row.checks if check.kind in IFEVAL_TYPES):
        kind = IFEVAL_TYPES[check.kind]
        for template in kind.phrasings:
            known = found.setdefault(check.kind, [])
            if template not in known and kind.phrase(check.params, template) == check.phrase:
                known.append(template)
    return found


def prove(lab: Lab) -> Proof:
    """What tuning gains on new phrasings against what it gains on those in its rows, for one tuned model per seed.

    Which of a type's training phrasings stand in the rows is a matter of the draw. The type is the unit: what tuning
    does to one constraint of a type it does to the next.
    """
    from adhere.evals.grade import joined
    from adhere.evals.lab import WARM, Outcome
    from adhere.verify.repair import correct

    sampling = Sampling(max_tokens=128, temperature=WARM.temperature, top_p=WARM.top_p)
    # A reply a prompt, whether right or not: rows that the model gets right hold the phrasings that it knows already.
    chosen = list({one.instruction: one for one in lab.rows(160)}.values())[: lab.count(120)]
    rows = [one.with_reply(correct(one, one.reply or "", ALL_TYPES).reply) for one in chosen]
    observed = None if lab.smoke else seen_templates(rows)  # a handful of rows holds next to no phrasing
    bench = items(lab.instructions(60, "probe"), lab.count(60), 2, 0, observed)
    with lab.at("treated"):
        tuned = [lab.grade(lab.tuned(rows, "observed", n), bench, sampling, [n]) for n in lab.seeds]
    with lab.at("base"):
        before = lab.grade(lab.model, bench, sampling)
    after = joined(tuned)
    found, was = by_item(bench, after), by_item(bench, before)
    numbers: dict[str, float] = {}
    for name, one in (("tuned", measures(found)), ("before tuning", measures(was))):
        numbers |= {f"{name}, {sort}: {what}": value for sort in SORTS for what, value in one[sort].items()}
    gap = numbers["before tuning, observed: mean"] - numbers["before tuning, unobserved: mean"]
    numbers |= {"gap before tuning": gap, "tuning rows": len(rows)}
    gained = gains(bench, before, after)
    types = {int(one.notes["item"]): one.checks[0].kind for one in bench.records}
    numbers["items"] = float(len(gained))
    outcome = Outcome(
        [one["unobserved"] for one in gained.values()], [one["observed"] for one in gained.values()],
        [types[at] for at in gained],
        ("gain on unobserved phrasings", "gain on observed phrasings"), unit="types", numbers=numbers,
        remark="Gains are shares after tuning less shares before and may be negative. The tuning rows are the model's "
        "own replies, corrected by code until they follow their constraints, as far as that goes.",
    )  # fmt: skip
    return lab.proof("phrasing-robustness", CARD, outcome)
