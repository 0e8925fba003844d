"""Whether a judge can be believed: its verdicts beside labelled examples.

A judge is called usable only when the interval of its accuracy, on examples that did not help to choose its threshold,
lies above what the better constant answer scores on the same examples, and it judged most of them. Abstaining is not
an error, but a judge that abstains on nearly all has said nothing.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

import msgspec

from adhere.core.errors import VerifierError
from adhere.core.record import Record
from adhere.core.verifier import Verdict, Verifier
from adhere.verify.agreement import Agreement, agreement
from adhere.verify.judges import PointwiseJudge, Rating

FOLDS = 5
MOST_ABSTAINED = 0.5


class Labelled(msgspec.Struct, frozen=True):
    """A reply to a record and the truth of it: whether it should pass."""

    record: Record
    reply: str
    truth: bool


class Calibration(msgspec.Struct, frozen=True):
    """What a judge is worth. `threshold` is None for judges that have none; `unjudged` counts reasons.

    `within` counts the threshold's own examples in and flatters; `agreement` is measured on those left out.
    """

    agreement: Agreement
    usable: bool
    reason: str
    threshold: float | None = None
    within: Agreement | None = None
    unjudged: dict[str, int] = {}


def calibrate(judge: PointwiseJudge, labelled: Sequence[Labelled], folds: int = FOLDS) -> Calibration:
    """Fit the threshold of a pointwise judge; one `generate` call.

    The agreement reported is cross-fitted: every example is judged with the threshold of the folds it is not in, and
    all replies to one prompt are in one fold. Raises `VerifierError` when the truth is the same everywhere.
    """
    _both_truths(labelled)
    ratings = judge.rate_all([(one.record, one.reply) for one in labelled])
    fold_of = [int(hashlib.sha256(one.record.id.encode()).hexdigest(), 16) % folds for one in labelled]
    found: list[bool | None] = [None] * len(labelled)
    for fold in set(fold_of):
        others = [at for at, own in enumerate(fold_of) if own != fold]
        fitted = fit_threshold([ratings[at] for at in others], [labelled[at].truth for at in others])
        for at in (at for at, own in enumerate(fold_of) if own == fold):
            found[at] = None if fitted is None else _passes(ratings[at], fitted)
    threshold = fit_threshold(ratings, [one.truth for one in labelled])
    truths, names = [one.truth for one in labelled], [one.record.id for one in labelled]
    held_out = agreement(found, truths, names)
    usable, reason = _usable(held_out)
    within = None
    if threshold is not None:
        within = agreement([_passes(rating, threshold) for rating in ratings], truths, names)
    unjudged: Counter[str] = Counter()
    for rating in ratings:
        if rating.value is None:
            unjudged.update(rating.problems)
    return Calibration(held_out, usable, reason, threshold, within, dict(unjudged))


def calibrated(judge: PointwiseJudge, calibration: Calibration) -> PointwiseJudge:
    """The judge with its fitted threshold. Raises `VerifierError` where the calibration found it of no use."""
    if not calibration.usable or calibration.threshold is None:
        raise VerifierError(
            f"this judge cannot be used: {calibration.reason}",
            "Take a larger model, a clearer rubric or more labelled examples; or check by code.",
        )
    return judge.with_threshold(calibration.threshold)


def measure(verifier: Verifier, labelled: Sequence[Labelled]) -> Calibration:
    """Any verifier (a pairwise judge, a checklist, a generated function) beside the truth; nothing is fitted."""
    _both_truths(labelled)
    pairs = [(one.record, one.reply) for one in labelled]
    batched = getattr(verifier, "verify_all", None)
    verdicts: list[Verdict] = batched(pairs) if batched else [verifier.verify(*pair) for pair in pairs]
    names = [one.record.id for one in labelled]
    found = agreement([verdict.passed for verdict in verdicts], [one.truth for one in labelled], names)
    usable, reason = _usable(found)
    unjudged = Counter(verdict.reason for verdict in verdicts if verdict.passed is None)
    return Calibration(found, usable, reason, unjudged=dict(unjudged))


def fit_threshold(ratings: Sequence[Rating], truths: Sequence[bool]) -> float | None:
    """The threshold with the most right verdicts; None without a rating.

    Candidates lie half-way between neighbouring ratings; of equally good ones the one in the widest gap is taken.
    """
    rated = sorted(
        (rating.value, truth) for rating, truth in zip(ratings, truths, strict=True) if rating.value is not None
    )
    if not rated:
        return None
    right = sum(truth for _, truth in rated)  # everything passes
    lowest = rated[0][0]
    # A threshold is above 0, so a rating of 0 never passes.
    best = (right, lowest, lowest / 2) if lowest > 0 else (-1, 0.0, 0.0)
    for at, (value, truth) in enumerate(rated):
        right += -1 if truth else 1  # this one fails from here on
        following = rated[at + 1][0] if at + 1 < len(rated) else 1.0
        if following > value:
            best = max(best, (right, following - value, (value + following) / 2))
    return best[2]


def _passes(rating: Rating, threshold: float) -> bool | None:
    return None if rating.value is None else rating.value >= threshold


def _both_truths(labelled: Sequence[Labelled]) -> None:
    if len({one.truth for one in labelled}) < 2:
        raise VerifierError(
            f"calibrating a judge needs replies that should pass and replies that should fail, found {len(labelled)} "
            "that are all alike",
            "Label examples of both kinds, about as many of each.",
        )


def _usable(found: Agreement) -> tuple[bool, str]:
    accuracy = found.accuracy
    said = f"accuracy {accuracy.share:.3f} [{accuracy.low:.3f}, {accuracy.high:.3f}] on {accuracy.n} examples"
    if not accuracy.n:
        return False, "it judged none of the examples"
    if found.abstained.share > MOST_ABSTAINED:
        return False, f"it did not judge {found.abstained.share:.0%} of the examples; {said}"
    if not found.beats_chance:
        return False, f"{said} is not above the {found.floor:.3f} of a constant answer"
    return True, f"{said}, above the {found.floor:.3f} of a constant answer"
