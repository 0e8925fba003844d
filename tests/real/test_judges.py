"""Judges, checklists and AutoIF's drafts once with the embedded 135M model: what it can and cannot be used for.

It is far too small to judge. What is asserted is that the machinery says so: broken answers are not judged, and
calibration on plain examples does not call it usable.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from adhere.core.errors import ModelError, VerifierError
from adhere.core.model import Sampling
from adhere.core.record import Record, user
from adhere.models.embedded import find_embedded
from adhere.models.local import LocalModel
from adhere.verify.autoif import Settings, make_verifiers
from adhere.verify.calibration import Labelled, calibrate, calibrated, measure
from adhere.verify.checklist import ChecklistJudge, followed_ratio, with_checklist, write_checklists
from adhere.verify.judges import PairwiseJudge, PointwiseJudge, position_bias
from adhere.verify.sandbox import Limits, Sandbox, mechanisms

pytest.importorskip("openvino_genai")

pytestmark = [pytest.mark.real, pytest.mark.slow]

SHORT = Sampling(max_tokens=24)
LONG = Sampling(max_tokens=128)
TASKS = (
    ("Name two trees.", "Oak and ash.", "I like trains."),
    ("What is 2 + 3? Answer with a number.", "5", "Blue"),
    ("Write one sentence about bread.", "Bread is made of flour and water.", "The. The. The."),
    ("Write the word yes in capital letters.", "YES", "no way"),
    ("Name the capital of France.", "Paris", "A banana is yellow."),
    ("List three colours.", "Red, green and blue.", "Seven."),
    ("Say goodbye politely.", "Goodbye, and thank you.", "Error error error"),
    ("Name an animal that can fly.", "A swallow.", "A brick."),
    ("Translate the Spanish word agua.", "Water", "Tuesday"),
    ("How many days has a week?", "Seven", "Potatoes are cheap."),
)


@pytest.fixture(scope="module")
def model() -> Iterator[LocalModel]:
    try:
        folder = find_embedded()
    except ModelError as error:
        pytest.skip(f"no embedded model: {error.message}")
    with LocalModel(folder) as made:
        yield made


def labelled() -> list[Labelled]:
    return [
        Labelled(Record((user(task),)), reply, truth)
        for task, good, bad in TASKS
        for reply, truth in ((good, True), (bad, False))
    ]


def test_pointwise(model: LocalModel) -> None:
    judge = PointwiseJudge(model, high=5, sampling=SHORT, reasons=False)
    found = calibrate(judge, labelled())
    print(found)
    assert found.agreement.floor >= 0.5
    assert found.agreement.accuracy.n + round(found.agreement.abstained.share * 20) == 20
    assert not found.usable
    with pytest.raises(VerifierError):
        calibrated(judge, found)


def test_pairwise(model: LocalModel) -> None:
    judge = PairwiseJudge(model, sampling=SHORT, reasons=False)
    comparisons = judge.compare_all([(Record((user(task),)), good, bad) for task, good, bad in TASKS])
    bias = position_bias(comparisons)
    print(bias, [comparison.reason for comparison in comparisons])
    read = [comparison for comparison in comparisons if None not in comparison.places]
    assert bias.disagreed.n == len(read)
    assert all(comparison.reason for comparison in comparisons)
    rows = [
        Labelled(Record((user(task),), rejected=other), reply, truth)
        for task, good, bad in TASKS
        for reply, other, truth in ((good, bad, True), (bad, good, False))
    ]
    measured = measure(judge, rows)
    print(measured)
    assert not measured.usable


def test_checklist(model: LocalModel) -> None:
    records = [Record((user(task),)) for task, _, _ in TASKS]
    written = write_checklists(model, records, LONG)
    print([(parsed.questions, parsed.problem) for parsed in written])
    assert all(len(parsed.questions) >= 2 or parsed.problem for parsed in written)
    questions = ("Does the reply do what the task asks?", "Is the reply about the task?")
    judge = ChecklistJudge(model, sampling=SHORT, reasons=False)
    ticked = judge.tick_all(
        [(with_checklist(record, questions), good) for record, (_, good, _) in zip(records, TASKS, strict=True)]
    )
    ratio = followed_ratio(ticked)
    print(ratio, [one.problems for one in ticked])
    assert ratio.followed.n + ratio.unknown == 2 * len(TASKS)


def test_autoif_keeps_nothing_unsound(model: LocalModel) -> None:
    if "available" not in mechanisms().values():
        pytest.skip("no sandbox on this machine")
    settings = Settings(drafts=4, sampling=Sampling(max_tokens=256, temperature=0.7, top_p=0.95))
    with Sandbox(limits=Limits(wall_s=2.0)) as box:
        found = make_verifiers(model, ["Do not use any commas.", "Write in lower case letters only."], box, settings)
    print([(made.reason, made.problems) for made in found])
    for made in found:
        assert (made.verifier is None) == bool(made.reason)
        assert made.verifier is None or made.verifier.accuracy >= settings.bars.least_accuracy
