"""RNR (RoleNRules): system prompts with a role and rules for rows that have none, and replies that keep the rules.

Paper: Wang, Bukharin, Jiang, Yin, Wang, Zhao, Shang, Zhang, Yin, Li, Chen, Li, "RNR: Teaching Large Language Models to
Follow Roles and Rules", arXiv 2409.13733.

The idea in five lines:
1. Open instruction data is made of users' requests; what a developer asks for in the system prompt is hardly in it.
2. For each row a model makes up a role that fits the request, and rules that a developer could set.
3. Role and rules become the system prompt; the request stays as it is.
4. A reply is written to both, and kept when it keeps every rule.
5. Tuned on such rows, and on plain ones, a model keeps all rules of new system prompts more often, and follows
   ordinary instructions as before.

What the paper says (abstract and summaries read; the prompts are in its appendix): role and rules come from a strong
model, some number of them at random; over 25 % more replies keep every rule, with rows made of Alpaca and Ultrachat; no
loss on usual benchmarks. No code was found.
What we do: the role comes from the model at hand, or from a list of our own where that gives none; rules are drawn from
the types that code can check and go together. Replies are sampled under the system prompt, corrected by code where code
can, and judged with precedence (`verify.roles`): a row enters the data only when every rule in force is kept.
`plain_share` of the rows keep their reply without a system prompt.
Left out: rules on content and tone, which only a judge can check, and a strong teacher.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from adhere.core.method import Card
from adhere.core.model import Ask, Generates, Reply, Sampling, replies
from adhere.core.progress import Progress, silent
from adhere.core.record import Check, Record, assistant, system, user
from adhere.core.step import Dropped
from adhere.verify.catalogue import ALL_TYPES, IFEVAL_TYPES
from adhere.verify.compose import compose
from adhere.verify.guard import degenerate
from adhere.verify.repair import correct
from adhere.verify.roles import RolesVerifier, system_rules
from adhere.verify.text import words

if TYPE_CHECKING:
    from adhere.core.proof import Proof
    from adhere.evals.lab import Lab

CARD = Card(
    summary="Give rows a system prompt with a role and checkable rules, and replies that keep them.",
    version="1",
    family="generation",
    paper="arXiv:2409.13733",
    seed=46,
    needs=("Generates",),
    claim="Tuned on rows with roles and rules, a model keeps all rules of new system prompts more often than tuned on "
    "the same requests and replies without them.",
    metric="pass rate: share of replies that keep every rule of the system prompt",
)

ROLE = """Somebody asks an assistant:

{request}

What kind of assistant would be right for this? Answer with the role alone, in two to six words, such as: a patient \
gardening teacher"""
ROLES = (
    "a friendly assistant of a small company", "a careful editor", "a helpful librarian", "a calm customer adviser",
    "an experienced teacher", "a guide for visitors of the town",
)  # fmt: skip
OPENINGS = ("You are {role}.", "Act as {role}.", "In this conversation you are {role}.")
LEADS = ("Rules for all of your replies:", "Always keep to these rules:", "Your replies follow these rules:")


@dataclass(frozen=True)
class Settings:
    """How system prompts and replies are made.

    `rules` in a system prompt at most, one at least (the paper draws their number too); `plain_share` of the rows that
    have a reply stay without; `samples` replies are drawn for each system prompt at `temperature` and `top_p`, each of
    at most `max_tokens`; `write_roles` asks the model for the role (so in the paper), else one is taken from a list;
    `repair` lets code correct replies (ours).
    """

    rules: int = 3
    plain_share: float = 0.1
    samples: int = 2
    temperature: float = 0.8
    top_p: float = 0.95
    max_tokens: int = 320
    write_roles: bool = True
    repair: bool = True


def synth(
    records: Sequence[Record], model: Generates, settings: Settings, seed: int = 0, progress: Progress = silent
) -> Iterator[Record | Dropped]:
    """One row for each record, in their order. Checks are rules of the system (`roles:rule`); a reply that broke some
    of them stands as `rejected` beside the one that kept them all. `notes["role"]` names the role."""
    roles = _roles(records, model, settings, seed, progress)
    prompts: list[Record | Dropped] = []
    for at, (record, role) in enumerate(zip(records, roles, strict=True)):
        rng = random.Random(f"{seed}/{at}")
        plain = bool(record.reply) and rng.random() < settings.plain_share
        prompts.append(_plain_row(record) if plain else with_rules(record, role, rng.randint(1, settings.rules), rng))
    owed = [one for one in prompts if isinstance(one, Record) and one.reply is None]
    sampling = Sampling(settings.max_tokens, settings.temperature, settings.top_p, seed=seed)
    asks = [Ask(one.prompt, sampling, sample) for one in owed for sample in range(settings.samples)]
    found = iter(replies(model, asks, "synthesise: replies", progress))
    for prompt in prompts:
        if isinstance(prompt, Dropped) or prompt.reply is not None:
            yield prompt
        else:
            yield _row(prompt, [next(found) for _ in range(settings.samples)], settings)


def _made_by() -> str:
    return f"rnr@{CARD.version}"


def _plain_row(record: Record) -> Record:
    return msgspec.structs.replace(record.derive(_made_by()), checks=(), rejected=None).noted(role="")


def _roles(records: Sequence[Record], model: Generates, settings: Settings, seed: int, progress: Progress) -> list[str]:
    if not settings.write_roles:
        return [random.Random(f"{seed}/role/{at}").choice(ROLES) for at in range(len(records))]
    asks = [Ask((user(ROLE.format(request=one.instruction)),), Sampling(24, seed=seed)) for one in records]
    said = replies(model, asks, "synthesise: roles", progress)
    return [role_in(reply) or random.Random(f"{seed}/role/{at}").choice(ROLES) for at, reply in enumerate(said)]


def role_in(reply: Reply) -> str:
    """The role that a reply names, with an article; empty when it names none that fits into a sentence."""
    lines = [line.strip() for line in reply.text.splitlines() if line.strip()] if reply.finish == "stop" else []
    said = lines[0].strip("*\"'` .").removeprefix("Role:").strip() if lines else ""
    plain = said.replace(" ", "").replace("-", "")
    if not 1 <= len(words(said)) <= 8 or not (plain.isalpha() and plain.isascii()):
        return ""
    first = said.split()[0].lower()
    if first in ("a", "an", "the"):
        return said[0].lower() + said[1:]
    return f"{'an' if first[0] in 'aeiou' else 'a'} {said[0].lower() + said[1:]}"


def with_rules(record: Record, role: str, count: int, rng: random.Random) -> Record | Dropped:
    """The request under a system prompt with this role and `count` rules, without a reply; a prompt that has a system
    message, or that no such rules go with, is dropped."""
    base = msgspec.structs.replace(record.derive(_made_by()), messages=record.prompt, checks=(), rejected=None)
    if len(record.prompt) != 1 or not record.instruction.strip():
        return Dropped(base, "turns: only a single user message gets a system prompt")
    # What belongs to the request itself, such as repeating it, is no rule for all replies of an assistant.
    types = [kind for kind in IFEVAL_TYPES.values() if kind.family not in ("combination", "language")]
    composed = compose(rng, base, min(4, max(1, count)), types)
    if composed is None:
        return Dropped(base, f"rules: no {count} of them go with this request")
    lines = "\n".join("- " + check.phrase.replace("\n", "\n  ") for check in composed.checks)
    said = f"{rng.choice(OPENINGS).format(role=role)}\n\n{rng.choice(LEADS)}\n{lines}"
    checks = system_rules([_one_line(check) for check in composed.checks])
    return msgspec.structs.replace(base, messages=(system(said), *record.prompt), checks=checks).noted(role=role)


def _one_line(check: Check) -> Check:
    """The check with its phrase as it stands in the list of rules."""
    return msgspec.structs.replace(check, phrase=check.phrase.replace("\n", "\n  "))


def _row(prompt: Record, replies: Sequence[Reply], settings: Settings) -> Record | Dropped:
    verifier = RolesVerifier(ALL_TYPES)
    reasons: list[str] = []
    broke: list[str] = []
    for reply in replies:
        text, refused = _candidate(prompt, reply, settings)
        verdict = verifier.verify(prompt, text) if not refused else None
        if verdict is not None and verdict.passed:
            raw = reply.text.strip()
            losing = [*broke, *([raw] if raw != text else [])]
            row = prompt.with_reply(text)
            return msgspec.structs.replace(row, rejected=losing[0] if losing else None)
        reasons.append(refused or f"breaks: {verdict.reason if verdict else ''}")
        if verdict is not None and verdict.passed is False:
            broke.append(reply.text.strip())
    failed = prompt.with_reply(broke[0]) if broke else prompt
    return Dropped(failed, reasons[0] if reasons else "not answered: nothing was asked")


def _candidate(prompt: Record, reply: Reply, settings: Settings) -> tuple[str, str]:
    """A reply as corrected, and why it cannot be used."""
    if reply.finish != "stop":
        return "", f"not answered: {reply.error or 'the reply was cut'}"
    plain = msgspec.structs.replace(prompt, checks=tuple(inside(check) for check in prompt.checks))
    text = correct(plain, reply.text.strip(), IFEVAL_TYPES).reply if settings.repair else reply.text.strip()
    reason = degenerate(plain, text)
    return text, f"guard: {reason}" if reason else ""


def inside(check: Check) -> Check:
    """The plain check that a rule of the system holds."""
    return msgspec.convert(check.params["check"], Check)


def prove(lab: Lab) -> Proof:
    """The same replies, tuned on under roles and rules and under the request alone; rules of unseen system prompts.

    Both arms learn the replies that keep their rules, so that only the system prompt before them differs.
    """
    from adhere.evals.arms import answered, tuned_arms

    with lab.at("treated"):
        settings = Settings(plain_share=0.0, max_tokens=24 if lab.smoke else 112, rules=2, samples=3)
        rows = synth(lab.instructions(150), lab.model, settings, 0)
        made = [_as_trained(one) for one in rows if isinstance(one, Record)][:80]
    plain = [msgspec.structs.replace(one, messages=one.messages[1:]) for one in made]  # without the system prompt
    drawn = [
        with_rules(one, random.Random(at).choice(ROLES), 2 if at % 3 == 2 else 1, random.Random(f"test/{at}"))
        for at, one in enumerate(lab.instructions(60, "probe"))
    ]
    tests = [one for one in drawn if isinstance(one, Record)]
    verifier = RolesVerifier(ALL_TYPES)

    def passes(test: Record, reply: Reply) -> float | None:
        passed = verifier.verify(test, reply.text).passed
        return None if passed is None else float(passed)

    names = ("tuned on the replies without system prompts", "tuned on them under roles and rules")
    outcome = tuned_arms(lab, (plain, made), tests, answered(passes), names, Sampling(128))
    remark = (
        "One or two rules of the trained types; requests and rules with parameters are new, the words around them are "
        "not. The replies are the model's own, corrected by code. A reply that is a loop or a copy counts as a miss."
    )
    return lab.proof("rnr", CARD, msgspec.structs.replace(outcome, remark=remark))


def _as_trained(row: Record) -> Record:
    """The row without its checks and notes: tuning sees messages alone."""
    return msgspec.structs.replace(row, messages=(*row.prompt, assistant(row.reply or "")), checks=())
