"""Answer each prompt and keep a reply that passes the prompt's checks: rejection sampling.

1. Every record is a prompt, asked as it stands, several times where several samples are wanted.
2. A reply that passes all checks of its record, and is an answer at all, can become the row's reply.
3. The first such sample is kept; one that failed loses against it, for preference tuning.
4. A record none of whose samples passes is dropped, with the reason of its first sample.
5. Records do not know of each other, so a file of any size can be worked through in shards.

The common ground of many published methods (self-training on filtered samples, best of n before tuning), none of which
it claims to be: no reward model, no ranking, no iteration. Checks are executed; what cannot be judged is not kept.
Left out: correcting replies (complex-to-simple does), and choosing the best of those that pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from adhere.core.method import Card
from adhere.core.model import Ask, Generates, Reply, Sampling
from adhere.core.progress import Progress, silent
from adhere.core.record import Record
from adhere.core.step import Dropped
from adhere.verify.catalogue import ALL_TYPES
from adhere.verify.guard import degenerate
from adhere.verify.score import ConstraintVerifier

CARD = Card(
    summary="Sample replies to each prompt and keep one that passes its checks.",
    version="1",
    family="generation",
    needs=("Generates",),
    per_record=True,
)


@dataclass(frozen=True)
class Settings:
    """How to sample.

    `samples` replies per prompt at `temperature`, `top_p` and `top_k`, each of at most `max_tokens`; one that was cut
    there is no answer unless `keep_cut`.
    """

    samples: int = 2
    temperature: float = 0.8
    top_p: float = 0.95
    top_k: int = 0
    max_tokens: int = 512
    keep_cut: bool = False


def synth(
    records: Sequence[Record], model: Generates, settings: Settings, seed: int = 0, progress: Progress = silent
) -> Iterator[Record | Dropped]:
    """One row for each record, in their order: with a reply that passed, or dropped with the reason.

    `rejected` is the first sample that failed a check where another one passed. Replies that records bring along are
    not looked at.
    """
    sampling = Sampling(settings.max_tokens, settings.temperature, settings.top_p, settings.top_k, seed=seed)
    prompts = [msgspec.structs.replace(one, messages=one.prompt, rejected=None) for one in records]
    asks = [Ask(one.messages, sampling, sample) for one in prompts for sample in range(settings.samples)]
    answered: list[list[Reply]] = [[] for _ in prompts]
    found: dict[int, Reply] = {}
    for done, (position, reply) in enumerate(model.generate(asks), 1):
        found[position] = reply
        progress("synthesise: replies", done, len(asks))
    for position in range(len(asks)):
        reply = found.pop(position, Reply("", "error", error="no reply came"))
        answered[position // settings.samples].append(reply)
    verifier = ConstraintVerifier(ALL_TYPES)
    for given, prompt, replies in zip(records, prompts, answered, strict=True):
        yield _row(given, prompt, replies, verifier, settings)


def _row(
    given: Record, prompt: Record, replies: Sequence[Reply], verifier: ConstraintVerifier, settings: Settings
) -> Record | Dropped:
    prompt = prompt.derive(f"rejection-sampling@{CARD.version}", notes={**prompt.notes, "sampled": len(replies)})
    prompt = msgspec.structs.replace(prompt, parents=(given.id,))
    reasons: list[str] = []
    failed: list[str] = []
    for reply in replies:
        refusal = _refusal(prompt, reply, verifier, settings)
        if not refusal:
            row = prompt.with_reply(reply.text.strip())
            return msgspec.structs.replace(row, rejected=failed[0]) if failed else row
        reasons.append(refusal)
        if refusal.startswith("fails") and reply.text.strip():
            failed.append(reply.text.strip())
    return Dropped(prompt.with_reply(failed[0]) if failed else prompt, reasons[0] if reasons else "not answered")


def _refusal(prompt: Record, reply: Reply, verifier: ConstraintVerifier, settings: Settings) -> str:
    """Why a reply cannot be the row's; empty when it can."""
    text = reply.text.strip()
    if reply.finish == "error":
        return f"not answered: {reply.error}"
    if reply.finish == "length" and not settings.keep_cut:
        return "cut: it did not end within max_tokens"
    reason = degenerate(prompt, text)
    if reason:
        return f"guard: {reason}"
    if not prompt.checks:
        return ""
    verdict = verifier.verify(prompt, text)
    if verdict.passed is None:
        return f"not judged: {verdict.reason}"
    return "" if verdict.passed else f"fails: {verdict.reason}"
