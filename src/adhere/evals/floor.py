"""The null floor: what the best answer that never reads the prompt would score.

Instruction-following checks pass a good deal by vacuous truth: two quote marks satisfy every limit on
words, commas and case of letters that are not there. A score says something only beside this floor. The
candidates are fixed: short ones, and texts put together from the pieces that checks look for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import msgspec

from adhere.core.record import Check, Record, canonical_json
from adhere.verify.constraint import ConstraintType
from adhere.verify.score import verdict_of

_SHORT = (
    '""',
    "Hello",
    "hello",
    "HELLO",
    "{}",
    "[]",
    '{"answer": "yes"}',
    "My answer is yes.",
    "My answer is no.",
    "my answer is maybe.",
    "Yes.",
    "I do not know.",
    "<<title>>",
    '"<<title>>"',
    "* one\n* two",
    "* one\n* two\n* three",
    "- one\n- two\n- three\n- four",
    "one\n***\ntwo",
    "one\n***\ntwo\n***\nthree",
    "one\n\n******\n\ntwo",
    "one\n\ntwo",
    "[a] [b] [c] [d] [e] [f]",
    "*a* and *b* and *c*",
    '"no comma here and nothing else"',
)
_SENTENCES = (
    "there are many ways to look at this and each of them has something to say for it.",
    "the first thing to see is that every case differs a little from the last one.",
    "people who have tried it often report that patience matters more than skill.",
    "in the morning the work goes quickly and in the evening it takes its time.",
    "a good plan leaves room for rain and for friends who arrive late.",
    "nobody needs to know everything before they begin to help.",
    "some questions have short answers and others grow while we talk about them.",
    "it is worth writing down what was learned so that others can use it.",
    "when in doubt it is best to ask and then to listen closely.",
    "the rest follows from these points without much trouble.",
)
_LENGTHS = (1, 10, 30)  # sentences
_PIECES_BEFORE = "<<a plain answer>>"
_PIECES_AFTER = (
    "*first point* *second point* *third point*\n"
    "[name] [place] [date] [price] [phone] [email]\n"
    "section 1\nsection 2\nsection 3\n"
    "p.s. thank you\np.p.s. thank you again"
)


class ConstantScore(msgspec.Struct, frozen=True):
    """What one constant answer scores, strictly: shares between 0 and 1.

    `prompt_strict` is the share of prompts with every check passed, `instruction_strict` the share of all
    checks passed, `followed` the share of checks passed per prompt, averaged over prompts.
    """

    answer: str
    prompt_strict: float
    instruction_strict: float
    followed: float

    @property
    def mean_strict(self) -> float:
        """Mean of prompt and instruction level, the number that leaderboards give."""
        return (self.prompt_strict + self.instruction_strict) / 2


class Floor(msgspec.Struct, frozen=True):
    """The best constant answer by the mean of both levels, and the best for each level alone.

    `quote_marks` is what two quote marks and nothing else score, the floor most easily checked by hand; None
    when they were not among the candidates.
    """

    answer: str
    prompt_strict: float
    instruction_strict: float
    followed: float
    best_prompt: ConstantScore
    best_instruction: ConstantScore
    best_followed: ConstantScore
    candidates: int
    quote_marks: ConstantScore | None = None

    @property
    def mean_strict(self) -> float:
        """Mean of prompt and instruction level of the best answer."""
        return (self.prompt_strict + self.instruction_strict) / 2

    @property
    def shown(self) -> str:
        """The answer on one line, cut for display."""
        line = " ".join(self.answer.split())
        return line if len(line) <= 60 else f"{line[:57]}... ({len(self.answer):,} characters)"


def constant_answers() -> tuple[str, ...]:
    """The candidates, in a fixed order."""
    return (*_SHORT, *(_text(*choice) for choice in product(_LENGTHS, ("lower", "upper", "plain"), _BOTH, _BOTH)))


_BOTH = (False, True)


def _text(length: int, case: str, pieces: bool, quoted: bool) -> str:
    sentences = [_SENTENCES[k % len(_SENTENCES)] for k in range(length)]
    if case == "plain":
        sentences = [one[:1].upper() + one[1:] for one in sentences]
    text = " ".join(sentences)
    if pieces:
        text = f"{_PIECES_BEFORE}\n\n{text}\n\n{_PIECES_AFTER}"
    if case == "upper":
        text = text.upper()
    return f'"{text}"' if quoted else text


def null_floor(
    records: Sequence[Record], types: Mapping[str, ConstraintType], answers: Sequence[str] | None = None
) -> Floor | None:
    """Score every constant answer on `records`; None when no record has a check that can be judged.

    A check that cannot be judged is left out, and so is a prompt none of whose checks can; a prompt with
    one that failed and one not judged failed. Each pair of answer and distinct check is judged once.
    """
    prompts = [[(_key(check), check) for check in record.checks] for record in records]
    distinct = dict(pair for prompt in prompts for pair in prompt)
    scores = []
    for answer in answers if answers is not None else constant_answers():
        verdicts = {key: verdict_of(check, answer, types).passed for key, check in distinct.items()}
        score = _scored(answer, [[verdicts[key] for key, _ in prompt] for prompt in prompts if prompt])
        if score is not None:
            scores.append(score)
    if not scores:
        return None
    best = max(scores, key=lambda one: one.mean_strict)
    return Floor(
        best.answer,
        best.prompt_strict,
        best.instruction_strict,
        best.followed,
        best_prompt=max(scores, key=lambda one: one.prompt_strict),
        best_instruction=max(scores, key=lambda one: one.instruction_strict),
        best_followed=max(scores, key=lambda one: one.followed),
        candidates=len(scores),
        quote_marks=next((one for one in scores if one.answer == '""'), None),
    )


def _key(check: Check) -> bytes:
    return canonical_json([check.kind, check.params])


def _scored(answer: str, prompts: Sequence[Sequence[bool | None]]) -> ConstantScore | None:
    whole = [False not in one for one in prompts if False in one or None not in one]
    shares = [[bool(passed) for passed in one if passed is not None] for one in prompts]
    shares = [one for one in shares if one]
    if not whole or not shares:
        return None
    passed, total = sum(map(sum, shares)), sum(map(len, shares))
    followed = sum(sum(one) / len(one) for one in shares) / len(shares)
    return ConstantScore(answer, sum(whole) / len(whole), passed / total, followed)
