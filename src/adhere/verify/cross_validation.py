"""Keeping the generated functions that agree with each other's test cases, and testing those by mutation.

Cross-validation measures agreement, not correctness: a mistake that all functions share passes it. Mutation testing
finds the functions that check nothing, and an oracle (a hand-written check), where there is one, finds the rest.

All code runs in the sandbox, in a fresh process with one namespace, so that helper functions and imports beside
`evaluate` work. Each function answers all cases twice, alone and all in one process: what answers differently goes by
chance, by the time or by what it saw before. The rest may then be asked about many mutants in one process. An answer is
a JSON boolean or it is none: "True" as text, 1 and null are not.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from adhere.verify.drafts import FUNCTION, Case
from adhere.verify.mutation import mutants
from adhere.verify.sandbox import Execution, Job, Sandbox

Oracle = Callable[[str], bool | None]
_PROBES = 2
_PATIENCE = 3
_BUNCH = 40
_ALL_AT_ONCE = f"""

def _answers_to(texts):
    found = []
    for text in texts:
        try:
            answer = {FUNCTION}(text)
            found.append(answer if isinstance(answer, bool) else f"returned {{type(answer).__name__}}, not a boolean")
        except Exception as error:
            found.append(f"failed: {{type(error).__name__}}")
    return found
"""
Answered = tuple[bool | None, str]


@dataclass(frozen=True)
class Bars:
    """What functions and cases must reach. Marked [code]: as in AutoIF's released cross-validation script."""

    least_functions: int = 3  # distinct ones that run [code: distinct ones that `exec`]
    least_cases: int = 10  # distinct ones, before they are filtered [code]
    least_case_votes: int = 1  # functions that must return what a case expects, for the case to be kept [code]
    least_accuracy: float = 0.8  # on the kept cases, reached or exceeded [code: >= 0.8]
    good_answers: int = 3  # kept cases that should pass, for mutation testing [ours]
    least_mutation_score: float = 0.8  # of the mutants known to be broken, the share that must fail [ours]
    least_known: int = 5  # fewer known broken mutants than this refuse nobody [ours]


class Refused(msgspec.Struct, frozen=True):
    """A function that was not kept, and why."""

    source: str
    reason: str


class Function(msgspec.Struct, frozen=True):
    """A function that was kept.

    `accuracy` is its share of right answers on the kept cases. `killed` is the share of mutants of good answers that
    it fails; `mutation_score` the same over those that are known to be broken (from an oracle, or else from the
    majority of the other functions), None where too few are known.
    """

    source: str
    accuracy: float
    killed: float = 0.0
    mutation_score: float | None = None


class Validated(msgspec.Struct, frozen=True):
    """What is left of an instruction's functions and cases; `reason` says why nothing is, where nothing is."""

    functions: tuple[Function, ...] = ()
    cases: tuple[Case, ...] = ()
    refused: tuple[Refused, ...] = ()
    dropped_cases: tuple[tuple[Case, str], ...] = ()
    reason: str = ""


Answers = list[bool | None]


def answer_of(done: Execution) -> Answered:
    """What a call answered, or None with the reason why that is no answer."""
    if done.kind != "passed":
        return None, f"{done.kind}: {done.error}"[:200]
    if not isinstance(done.value, bool):
        return None, f"returned {type(done.value).__name__}, not a boolean"
    return done.value, ""


def run_all(
    box: Sandbox, sources: Sequence[str], texts: Sequence[str], patience: int | None = None
) -> list[list[Answered]]:
    """The answer of every function (rows) to every text (columns), each call in a process of its own.

    A function that ran out of time `patience` times is not called for the texts that are left.
    """
    unasked: Answered = (None, "timed out: given up on")
    rows = [[unasked] * len(texts) for _ in sources]
    running: deque[tuple[int, int]] = deque()
    late = Counter[int]()

    def jobs() -> Iterator[Job]:
        for row, source in enumerate(sources):
            for column, text in enumerate(texts):
                if patience is not None and late[row] >= patience:
                    break
                running.append((row, column))
                yield source, FUNCTION, (text,)

    for done in box.map_calls(jobs()):  # in the order of the jobs, which are taken a few ahead
        row, column = running.popleft()
        rows[row][column] = answer_of(done)
        late[row] += done.kind == "timed out"
    return rows


def run_together(box: Sandbox, sources: Sequence[str], texts: Sequence[str]) -> list[list[Answered]]:
    """As `run_all`, but many texts to a process, so much faster; for functions that keep nothing from call to call.

    A bunch of texts that does not come through (time, memory, exit) is run again one by one.
    """
    bunches = [texts[at : at + _BUNCH] for at in range(0, len(texts), _BUNCH)]
    jobs = [(source + _ALL_AT_ONCE, "_answers_to", (bunch,)) for source in sources for bunch in bunches]
    found: list[list[Answered]] = []
    for (at, source), done in zip(
        ((at, source) for source in sources for at in range(len(bunches))), box.map_calls(jobs), strict=True
    ):
        if at == 0:
            found.append([])
        read = _together(done, len(bunches[at]))
        found[-1] += read or run_all(box, [source], bunches[at], _PATIENCE)[0]
    return found or [[] for _ in sources]


def _together(done: Execution, wanted: int) -> list[Answered] | None:
    """The answers of a bunch, or None where it did not come through as one."""
    if done.kind != "passed" or not isinstance(done.value, list) or len(done.value) != wanted:
        return None
    return [(one, "") if isinstance(one, bool) else (None, str(one)[:200]) for one in done.value]


def cross_validate(box: Sandbox, sources: Sequence[str], cases: Sequence[Case], bars: Bars) -> Validated:
    """Keep the cases that some function agrees with, and the functions that agree with enough of those.

    Refused beside that: functions that give no boolean, or different ones for the same text.
    """
    distinct = list(dict.fromkeys(sources))
    sound, dropped = _without_contradictions(cases)
    working, refused = _working(box, distinct, sound)
    if len(working) < bars.least_functions or len(sound) < bars.least_cases:
        reason = (
            f"{len(working)} functions that run and {len(sound)} cases, wanted at least {bars.least_functions} and "
            f"{bars.least_cases}"
        )
        return Validated((), tuple(sound), tuple(refused), tuple(dropped), reason)
    texts = [case.response for case in sound]
    first = run_all(box, working, texts, _PATIENCE)
    again = run_together(box, working, texts[::-1])
    steady: list[tuple[str, Answers]] = []
    for source, one, other in zip(working, first, again, strict=True):
        pairs = [(a, b) for (a, _), (b, _) in zip(one, other[::-1], strict=True)]
        if any(a is not None and b is not None and a != b for a, b in pairs):
            refused.append(Refused(source, "gave different answers to the same text"))
        else:
            steady.append((source, [a for a, _ in pairs]))
    kept = []
    for at, case in enumerate(sound):
        if sum(answers[at] is case.expected for _, answers in steady) >= bars.least_case_votes:
            kept.append(at)
        else:
            dropped.append((case, "no function gives what it expects"))
    functions = []
    for source, answers in steady:
        right = sum(answers[at] is sound[at].expected for at in kept)
        accuracy = right / len(kept) if kept else 0.0
        if accuracy >= bars.least_accuracy:
            functions.append(Function(source, accuracy))
        else:
            refused.append(Refused(source, f"right on {right} of {len(kept)} cases, wanted {bars.least_accuracy:.0%}"))
    reason = "" if functions else "no function is right on enough cases"
    return Validated(tuple(functions), tuple(sound[at] for at in kept), tuple(refused), tuple(dropped), reason)


def _without_contradictions(cases: Sequence[Case]) -> tuple[list[Case], list[tuple[Case, str]]]:
    """The distinct cases; those whose response is expected both to pass and to fail are dropped."""
    distinct = list(dict.fromkeys(cases))
    times = Counter(case.response for case in distinct)
    sound = [case for case in distinct if times[case.response] == 1]
    dropped = [(case, "the same response is expected to pass and to fail") for case in distinct if case not in sound]
    return sound, dropped


def _working(box: Sandbox, sources: Sequence[str], cases: Sequence[Case]) -> tuple[list[str], list[Refused]]:
    """The functions that answer at least one of the first cases: one that hangs costs two time limits, not all."""
    probes = [case.response for case in cases[:_PROBES]] or ["A plain text."]
    working, refused = [], []
    for source, answers in zip(sources, run_all(box, sources, probes), strict=True):
        if any(answer is not None for answer, _ in answers):
            working.append(source)
        else:
            refused.append(Refused(source, answers[0][1]))
    return working, refused


def mutation_test(box: Sandbox, found: Validated, bars: Bars, oracle: Oracle | None = None) -> Validated:
    """Test the kept functions on mutants of good answers (kept cases that should pass).

    Refused: a function that gives one answer to all cases and mutants, one that no mutant makes fail, and one that
    passes too many of the mutants known to be broken. Blank texts are left out: a verifier fails them itself.
    """
    good = [case.response for case in found.cases if case.expected and case.response.strip()][: bars.good_answers]
    bad = [case.response for case in found.cases if not case.expected][: bars.good_answers]
    if not found.functions:
        return found
    if not good:
        return _nothing_left(found, "no kept case should pass, so there is no good answer to damage")
    texts = list(dict.fromkeys(mutant.text for text in good for mutant in mutants(text, bad) if mutant.text.strip()))
    sources = [function.source for function in found.functions]
    plain = [case.response for case in found.cases]
    on_cases = [[answer for answer, _ in row] for row in run_together(box, sources, plain)]
    on_mutants = [[answer for answer, _ in row] for row in run_together(box, sources, texts)]
    kept, refused = [], list(found.refused)
    for at, function in enumerate(found.functions):
        broken = _known_broken(texts, on_mutants, at, oracle)
        tested = _scored(function, on_mutants[at], broken, bars)
        reason = _checks_nothing(on_cases[at], on_mutants[at]) or _too_lenient(tested, bars)
        if reason:
            refused.append(Refused(function.source, reason))
        else:
            kept.append(tested)
    changed = msgspec.structs.replace(found, functions=tuple(kept), refused=tuple(refused))
    return changed if kept else _nothing_left(changed, "no function survives mutation testing")


def _nothing_left(found: Validated, reason: str) -> Validated:
    refused = (*found.refused, *(Refused(function.source, reason) for function in found.functions))
    return msgspec.structs.replace(found, functions=(), refused=refused, reason=reason)


def _known_broken(texts: Sequence[str], rows: Sequence[Answers], own: int, oracle: Oracle | None) -> list[bool]:
    """Which mutants are known to break the constraint: by the oracle, or by most of the other functions."""
    if oracle is not None:
        return [oracle(text) is False for text in texts]
    others = [row for at, row in enumerate(rows) if at != own]
    return [2 * sum(row[at] is False for row in others) > len(others) for at in range(len(texts))]


def _scored(function: Function, answers: Answers, broken: Sequence[bool], bars: Bars) -> Function:
    judged = [answer for answer in answers if answer is not None]
    failed = [answer is False for answer, known in zip(answers, broken, strict=True) if known]
    return msgspec.structs.replace(
        function,
        killed=judged.count(False) / len(judged) if judged else 0.0,
        mutation_score=sum(failed) / len(failed) if len(failed) >= bars.least_known else None,
    )


def _checks_nothing(on_cases: Answers, on_mutants: Answers) -> str:
    seen = {answer for answer in (*on_cases, *on_mutants) if answer is not None}
    if seen == {True}:
        return "passes every case and every mutant"
    if seen == {False}:
        return "fails every case and every mutant"
    return "" if False in on_mutants else "no change to a good answer makes it fail"


def _too_lenient(function: Function, bars: Bars) -> str:
    score = function.mutation_score
    if score is None or score >= bars.least_mutation_score:
        return ""
    return f"fails {score:.0%} of the mutants known to be broken, wanted {bars.least_mutation_score:.0%}"
