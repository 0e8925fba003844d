"""Whatever is written is read back; whatever is read never breaks the reader."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adhere.core.errors import DataError
from adhere.core.record import (
    Blob,
    Check,
    Message,
    Record,
    Text,
    ToolCall,
    ToolResult,
    assistant,
    canonical_json,
    system,
    user,
)
from adhere.data.read import read_records

ANY_FILE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=60)
words = texts.filter(str.strip)
plain_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(texts, plain_json, max_size=3)
parts = st.one_of(
    st.builds(Text, texts),
    st.builds(Blob, st.just("0" * 64), st.just("image/png")),
    st.builds(ToolCall, texts, texts, objects),
    st.builds(ToolResult, texts, texts),
)
roles = st.sampled_from(["system", "user", "assistant", "tool"])
messages = st.builds(Message, roles, st.lists(parts, max_size=3).map(tuple))
records = st.builds(
    Record,
    st.lists(messages, max_size=3).map(lambda some: (user("asked"), *some)),
    st.lists(st.builds(Check, words, objects, texts), max_size=2).map(tuple),
    st.none() | texts,
    st.lists(texts, max_size=2).map(tuple),
    texts,
    objects,
)
turns = st.tuples(words, words).map(lambda pair: Record((user(pair[0]), assistant(pair[1]))))

KEYS = ["messages", "conversations", "instruction", "input", "prompt"]
KEYS += ["output", "response", "rejected", "checks", "notes", "system"]


@ANY_FILE
@given(rows=st.lists(records, min_size=1, max_size=4))
def test_our_own_form_round_trips(tmp_path: Path, rows: list[Record]):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"".join(canonical_json(row) + b"\n" for row in rows))
    back = read_records(path)
    assert not back.rejected
    assert [row.id for row in back.records] == [row.id for row in rows]
    assert b"".join(canonical_json(row) + b"\n" for row in back.records) == path.read_bytes()


def as_messages(row: Record) -> dict:
    return {"messages": [{"role": one.role, "content": one.text} for one in row.messages]}


def as_alpaca(row: Record) -> dict:
    preface = {"system": row.messages[0].text} if row.messages[0].role == "system" else {}
    return {"instruction": row.instruction, "input": "", "output": row.reply, **preface}


def as_sharegpt(row: Record) -> dict:
    names = {"system": "system", "user": "human", "assistant": "gpt"}
    return {"conversations": [{"from": names[one.role], "value": one.text} for one in row.messages]}


@pytest.mark.parametrize("form", [as_messages, as_alpaca, as_sharegpt])
@ANY_FILE
@given(rows=st.lists(turns, min_size=1, max_size=4), preface=st.none() | words)
def test_foreign_forms_are_read_as_meant(
    tmp_path: Path, form: Callable[[Record], dict], rows: list[Record], preface: str | None
):
    if preface is not None:
        rows = [Record((system(preface), *row.messages)) for row in rows]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(form(row)) + "\n" for row in rows), encoding="utf-8")
    assert read_records(path).records == rows


@ANY_FILE
@given(rows=st.lists(turns, min_size=1, max_size=4))
def test_csv_round_trips(tmp_path: Path, rows: list[Record]):
    path = tmp_path / "rows.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["prompt", "response"])
        writer.writerows([row.instruction, row.reply] for row in rows)
    assert read_records(path).records == rows


@ANY_FILE
@given(
    content=st.binary(max_size=300)
    | st.lists(plain_json.map(lambda value: json.dumps(value).encode()), max_size=5).map(b"\n".join),
    suffix=st.sampled_from([".jsonl", ".json", ".csv", ".tsv", ".txt", ".parquet", ""]),
)
def test_no_bytes_break_the_reader(tmp_path: Path, content: bytes, suffix: str):
    path = tmp_path / f"any{suffix}"
    path.write_bytes(content)
    try:
        found = read_records(path)
    except DataError:
        return  # said in words; anything else would fail this test
    assert found.records
    for record in found.records:
        assert record.instruction.strip() or len(record.messages[0].content)
        assert len(record.id) == 64


@ANY_FILE
@given(row=st.dictionaries(st.sampled_from(KEYS), plain_json))
def test_no_row_breaks_the_reader(tmp_path: Path, row: dict):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"instruction": "good"}) + "\n" + json.dumps(row) + "\n", encoding="utf-8")
    found = read_records(path)
    assert len(found.records) + len(found.rejected) == 2
