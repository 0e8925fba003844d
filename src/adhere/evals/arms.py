"""Two arms of training rows in a proof: one model tuned on each, per seed, both asked the same prompts.

For methods that make rows: the baseline is tuned on other rows, by the one tuning that all proofs share, so that
nothing but the rows differs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from adhere.core.model import Ask, Generates, Reply, Sampling, replies
from adhere.core.proof import Shown
from adhere.core.record import Record
from adhere.core.statistics import Share
from adhere.evals.lab import Lab, Outcome, by_seed
from adhere.verify.guard import degenerate
from adhere.verify.rewriting import to_last_sentence

Score = Callable[[Record, Reply], float | None]
MOST_SHOWN = 8


def own_replies(lab: Lab, records: Sequence[Record], max_tokens: int = 96) -> list[Record]:
    """The records with the model's own greedy reply, cut at its last sentence; without those that are no answer."""
    sampling = lab.sized(Sampling(max_tokens))
    found = []
    for record, reply in zip(
        records, replies(lab.model, [Ask(one.prompt, sampling) for one in records], "replies"), strict=True
    ):
        text = to_last_sentence(reply.text.strip()) if reply.finish == "length" else reply.text.strip()
        if reply.finish != "error" and text and (lab.smoke or degenerate(record, text) is None):
            found.append(record.with_reply(text))
    return found


def even(first: Sequence[Record], second: Sequence[Record]) -> tuple[list[Record], list[Record]]:
    """As many of the one as of the other, from the front."""
    count = min(len(first), len(second))
    return list(first[:count]), list(second[:count])


def tuned_arms(
    lab: Lab,
    rows: tuple[Sequence[Record], Sequence[Record]],
    tests: Sequence[Record],
    score: Score,
    names: tuple[str, str],
    sampling: Sampling,
) -> Outcome:
    """Baseline and treated: tuned on the one and the other rows, per seed, asked each test once and scored.

    Booked under `base` and `treated`. An arm without rows is the model as it is.
    """
    sampling = lab.sized(sampling)
    scored: list[list[Share]] = []
    said: list[list[str]] = []
    for side, own in zip(("base", "treated"), rows, strict=True):
        with lab.at(side):
            found = [reply for seed in lab.seeds for reply in _asked(lab, own, side, seed, tests, sampling)]
        scored.append([_scored(score, test, reply) for test, reply in zip(_each(lab, tests), found, strict=True)])
        said.append([reply.text for reply in found])
    examples = [
        Shown(test.instruction, base, treated, _plain(before), _plain(after), test.checks)
        for test, base, treated, before, after in zip(_each(lab, tests), *said, *scored, strict=True)
        if before != after
    ]
    return Outcome(
        scored[0],
        scored[1],
        [test.id for test in _each(lab, tests)],
        names,
        examples=tuple(examples[:MOST_SHOWN]),
        numbers={
            "rows, baseline": float(len(rows[0])),
            "rows, treated": float(len(rows[1])),
            **by_seed([seed for seed in lab.seeds for _ in tests], *scored),
        },
    )


def _each(lab: Lab, tests: Sequence[Record]) -> list[Record]:
    return [test for _ in lab.seeds for test in tests]


def _asked(
    lab: Lab, rows: Sequence[Record], side: str, seed: int, tests: Sequence[Record], sampling: Sampling
) -> list[Reply]:
    model: Generates = lab.tuned(rows, side, seed) if rows else lab.model
    asks = [Ask(one.prompt, msgspec.structs.replace(sampling, seed=seed)) for one in tests]
    return replies(model, asks, f"{side}: replies", lab.progress)


def _scored(score: Score, test: Record, reply: Reply) -> Share:
    return None if reply.finish == "error" else score(test, reply)


def _plain(value: Share) -> float | None:
    return None if value is None else float(value)
