"""The shipped seeds: enough of them, varied, well formed, unlike one another and unlike public benchmarks."""

import json
import os
import re
from collections import Counter
from importlib import resources
from pathlib import Path

import pytest

from adhere.core.errors import DataError
from adhere.data import seeds
from adhere.data.decontaminate import NgramIndex
from adhere.data.novelty import NoveltyIndex
from adhere.data.seeds import shipped_seeds

DATA = Path(os.environ.get("ADHERE_SHARED") or Path(__file__).parents[3] / "shared") / "data"
RECORDS = shipped_seeds()


def rows() -> list[dict[str, str]]:
    text = resources.files("adhere.data").joinpath("seeds.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_there_are_enough_and_each_is_a_record_of_one_user_message() -> None:
    assert len(RECORDS) >= 500
    assert len({record.id for record in RECORDS}) == len(RECORDS)
    for record, row in zip(RECORDS, rows(), strict=True):
        assert [message.role for message in record.messages] == ["user"]
        assert record.instruction == "\n\n".join(part for part in (row["instruction"], row["input"]) if part)
        assert record.notes == {"skill": row["skill"], "subject": row["subject"]}
        assert record.made_by == "seeds@1"
        assert record.checks == ()


def test_skills_and_subjects_are_varied() -> None:
    skills = Counter(record.notes["skill"] for record in RECORDS)
    assert len(skills) == 13
    assert min(skills.values()) >= 25
    assert max(skills.values()) <= 0.25 * len(RECORDS)
    subjects = Counter(record.notes["subject"] for record in RECORDS)
    assert len(subjects) >= 30
    assert max(subjects.values()) <= 0.1 * len(RECORDS)


def test_the_first_few_are_as_varied_as_the_whole() -> None:
    assert len({record.notes["skill"] for record in RECORDS[:60]}) >= 11


def test_lengths_are_those_of_ordinary_requests() -> None:
    for row in rows():
        assert 5 <= len(row["instruction"].split()) <= 60, row
        assert row["instruction"] == row["instruction"].strip()
    given = [len(row["input"].split()) for row in rows() if row["input"]]
    assert len(given) >= 150
    assert min(given) >= 20
    assert max(given) <= 120


def test_enough_can_be_answered_yes_no_or_maybe() -> None:
    start = re.compile(r"(Is|Are|Do|Does|Did|Can|Could|Should|Will|Would|May)\b")
    asked = [
        row for row in rows() if row["skill"] == "answering" and not row["input"] and start.match(row["instruction"])
    ]
    assert len(asked) >= 25


def test_none_asks_for_a_form_that_a_check_could_verify() -> None:
    form = re.compile(
        r"\d+ (words|sentences|paragraphs|lines)|bullets?\b|bullet points?|lower ?case|upper ?case|capital letters"
        r"|all caps"
        r"|comma\b|commas|\bjson\b|markdown|at least \w+ (words|times)|no more than|fewer than|exactly",
        re.IGNORECASE,
    )
    assert [row["instruction"] for row in rows() if form.search(row["instruction"])] == []


def test_characters_are_plain() -> None:
    assert [row for row in rows() if re.search(r"[^\x20-\x7e\néèüöäñç]", row["instruction"] + row["input"])] == []


def test_no_two_are_alike() -> None:
    whole, asked = NoveltyIndex(0.7), NoveltyIndex(0.75)
    for record, row in zip(RECORDS, rows(), strict=True):
        assert whole.add(record.instruction, record.instruction), whole.rival(record.instruction)
        if not row["input"]:
            assert asked.add(row["instruction"], row["instruction"]), asked.rival(row["instruction"])


@pytest.mark.skipif(not DATA.exists(), reason="the public prompts are not here (set ADHERE_SHARED)")
@pytest.mark.parametrize(
    "name",
    [
        "ifeval/input_data.jsonl",
        "ifeval/input_data_20231114.jsonl",
        "self_instruct/seed_tasks.jsonl",
        "self_instruct/self_instruct_5k.jsonl",
    ],
)
def test_none_shares_eight_words_with_a_public_prompt(name: str) -> None:
    public = [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]
    index = NgramIndex(n=8, texts=[row.get("prompt") or row["instruction"] for row in public])
    shared = {record.instruction: index.overlaps(record.instruction) for record in RECORDS}
    assert {text: run for text, run in shared.items() if run} == {}


def test_a_damaged_file_is_named_with_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = '{"instruction": "Say hello.", "input": "", "skill": "writing", "subject": "daily"}'
    (tmp_path / "seeds.jsonl").write_text(good + "\n" + good.replace("writing", "juggling") + "\n")
    monkeypatch.setattr(seeds.resources, "files", lambda package: tmp_path)
    with pytest.raises(DataError, match=r"line 2.*juggling"):
        shipped_seeds()
