"""Two arms of training rows in a proof: one model tuned on each, per seed, both asked the same prompts.

For methods that make rows: the baseline is tuned on other rows, by the one tuning that all proofs share. Tuning takes
steps by tokens, so longer rows are more steps; how many words either arm writes, and what the model scores as it is,
stand beside the outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from adhere.core.errors import DataError
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


def answered(score: Score) -> Score:
    """`score` where a reply is an answer; 0 for a loop, a copy of the prompt, or next to nothing."""

    def guarded(test: Record, reply: Reply) -> float | None:
        return score(test, reply) if degenerate(test, reply.text) is None else 0.0

    return guarded


def tuned_arms(
    lab: Lab,
    rows: tuple[Sequence[Record], Sequence[Record]],
    tests: Sequence[Record],
    score: Score,
    names: tuple[str, str],
    sampling: Sampling,
) -> Outcome:
    """Baseline and treated: tuned on the one and the other rows, per seed, asked each test once and scored.

    Booked under `base` and `treated`. Raises `DataError` where an arm has no rows: nothing would be compared.
    """
    sampling = lab.sized(sampling)
    if not lab.smoke and not all(rows):
        raise DataError(
            f"expected rows for both arms, found {len(rows[0])} ({names[0]}) and {len(rows[1])} ({names[1]})"
        )
    with lab.at("as it is"):
        untuned = _asked(lab, (), "as it is", lab.seeds[0], tests, sampling)
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
            "rows whose reply both arms have": float(_shared(*rows)),
            "not tuned": _mean([_scored(score, test, reply) for test, reply in zip(tests, untuned, strict=True)]),
            "words a reply, baseline": _mean([float(len(text.split())) for text in said[0]]),
            "words a reply, treated": _mean([float(len(text.split())) for text in said[1]]),
            **by_seed([seed for seed in lab.seeds for _ in tests], *scored),
        },
    )


def _shared(first: Sequence[Record], second: Sequence[Record]) -> int:
    """How many of the second rows have a reply that one of the first has too."""
    known = {one.reply for one in first}
    return sum(one.reply in known for one in second)


def _mean(values: Sequence[Share]) -> float:
    known = [value for value in values if value is not None]
    return round(sum(known) / max(1, len(known)), 4)


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
