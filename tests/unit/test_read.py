import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

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
from adhere.data import read
from adhere.data.read import read_records

GOOD = Record((user("Say hello."), assistant("Hello.")))


def written(tmp_path: Path, name: str, content: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def one(tmp_path: Path, row: object) -> Record:
    result = read_records(written(tmp_path, "one.jsonl", json.dumps(row)))
    assert not result.rejected
    (record,) = result.records
    return record


FORMS = [
    {"messages": [{"role": "user", "content": "Say hello."}, {"role": "assistant", "content": "Hello."}]},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "Say hello."}]},
                  {"role": "assistant", "content": "Hello."}], "source": "elsewhere"},
    {"instruction": "Say hello.", "input": "", "output": "Hello."},
    {"instruction": "Say hello.", "output": "Hello."},
    {"conversations": [{"from": "human", "value": "Say hello."}, {"from": "gpt", "value": "Hello."}]},
    {"conversations": [{"role": "user", "content": "Say hello."}, {"role": "assistant", "content": "Hello."}]},
    {"prompt": "Say hello.", "response": "Hello."},
    {"prompt": "Say hello.", "completion": "Hello."},
    {"prompt": [{"role": "user", "content": "Say hello."}], "completion": [{"role": "assistant", "content": "Hello."}]},
]  # fmt: skip


@pytest.mark.parametrize("row", FORMS, ids="-".join)
def test_every_form_gives_the_same_record(tmp_path, row):
    assert one(tmp_path, row) == GOOD


def test_forms_may_be_mixed_in_one_file(tmp_path):
    path = written(tmp_path, "mixed.jsonl", "\n".join(map(json.dumps, FORMS)))
    assert read_records(path).records == [GOOD] * len(FORMS)
    assert read_records(written(tmp_path, "mixed.json", json.dumps(FORMS))).records == [GOOD] * len(FORMS)


def test_an_input_text_follows_the_instruction(tmp_path):
    record = one(tmp_path, {"instruction": "Sort these.", "input": "b, a", "output": ""})
    assert record.instruction == "Sort these.\n\nb, a"
    assert record.reply is None


def test_a_system_text_comes_first(tmp_path):
    record = one(tmp_path, {"system": "Be brief.", "instruction": "Hi"})
    assert record.messages == (system("Be brief."), user("Hi"))
    turns = [{"from": "human", "value": "Hi"}]
    assert one(tmp_path, {"system": "Be brief.", "conversations": turns}).messages == record.messages


def test_preference_pairs(tmp_path):
    record = one(tmp_path, {"prompt": "Say hello.", "chosen": "Hello.", "rejected": "No."})
    assert record.reply == "Hello."
    assert record.rejected == "No."


def test_tool_calls_and_results(tmp_path):
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    turns = [
        {"role": "user", "content": "1+1?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "2"},
        {"role": "assistant", "content": "2"},
    ]
    record = one(tmp_path, {"messages": turns})
    assert record.messages[1].content == (ToolCall("c1", "add", {"a": 1}),)
    assert record.messages[2].content == (ToolResult("c1", "2"),)


def test_our_own_form_keeps_everything(tmp_path):
    record = Record(
        (system("s"), user("u"), Message("assistant", (Text("a"), Blob("0" * 64, "image/png")))),
        (Check("punctuation:no_comma", {"n": 2.5, "w": ["x"]}, "no commas"),),
        "worse",
        ("0" * 64,),
        "somehow@1",
        {"k": [1, None]},
    )
    back = read_records(written(tmp_path, "own.jsonl", canonical_json(record) + b"\n" + canonical_json(GOOD) + b"\n"))
    assert back.records == [record, GOOD]
    assert [row.id for row in back.records] == [record.id, GOOD.id]


BAD = [
    ('{"messages": []}', "at least one message"),
    ('{"messages": [{"role": "king", "content": "x"}]}', "unknown role 'king'"),
    ('{"messages": [{"content": "x"}]}', "no role"),
    ('{"messages": [{"role": "user", "content": 3}]}', "should be text, found int"),
    ('{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}', "typed parts"),
    ('{"messages": ["x"]}', "should be an object, found str"),
    ('{"messages": [{"role": "assistant", "content": "x"}]}', "no user message"),
    ('{"messages": [{"role": "user", "content": "x"}], "checks": [{"params": {}}]}', "not a record"),
    ('{"messages": [{"role": "assistant", "tool_calls": [{}]}]}', "no function name"),
    ('{"conversations": {}}', "at least one turn"),
    ('{"conversations": [{"from": "human", "value": null}]}', "found nothing"),
    ('{"instruction": "  "}', "no user message with text"),
    ('{"instruction": ["a"]}', "instruction should be text, found list"),
    ('{"prompt": "x", "response": 5}', "response should be text"),
    ('{"text": "x"}', "none of messages"),
    ("3", "expected an object, found int"),
    ("null", "expected an object, found NoneType"),
    ('{"instruction": "x"', "not JSON"),
    ('{"instruction": "x"}{"instruction": "y"}', "not JSON"),
    ('{"instruction": "a\\u0000b"}', "NUL"),
    ('{"instruction": "a\x00b"}', "not JSON"),
    ('{"instruction": "a\\ud800b"}', "not JSON"),
    ('{"instruction": NaN}', "not JSON"),
    (b'{"instruction": "\xff"}', "not UTF-8 at byte 18"),
    (b'{"a":' * 100_000, "nested too deeply"),
    (b"[" * 200_000, "nested too deeply"),
]


@pytest.mark.parametrize(("row", "reason"), BAD, ids=lambda value: str(value[:30]))
def test_a_bad_row_is_set_aside_with_its_line_and_reason(tmp_path, row, reason):
    bad = row.encode() if isinstance(row, str) else row
    good = b'{"instruction": "Say hello.", "output": "Hello."}\n'
    result = read_records(written(tmp_path, "rows.jsonl", good + b"\n" + bad + b"\r\n" + good))
    assert result.records == [GOOD, GOOD]
    (rejected,) = result.rejected
    assert rejected.line == 3
    assert reason in rejected.reason
    assert len(rejected.text) <= 4 * read.SHOWN_CHARACTERS
    assert rejected.text.isprintable()


def test_a_file_without_a_good_row_shows_the_first_bad_ones(tmp_path):
    path = written(tmp_path, "bad.jsonl", '{"x": 1}\n[]\n\x1b[31m\n7\n')
    with pytest.raises(DataError) as caught:
        read_records(path)
    assert "no good row among 4" in caught.value.message
    assert "line 1: none of messages" in caught.value.message
    assert "\x1b" not in str(caught.value)
    assert "line 4" not in caught.value.message


@pytest.mark.parametrize("content", [b"", b"\n\r\n  \n", b"\xef\xbb\xbf"])
def test_an_empty_file(tmp_path, content):
    with pytest.raises(DataError, match="no rows"):
        read_records(written(tmp_path, "empty.jsonl", content))


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match="no file at"):
        read_records(tmp_path / "nothing.jsonl")
    with pytest.raises(DataError, match="cannot read"):
        read_records(tmp_path)


@pytest.mark.parametrize(
    ("start", "what"), [("x".encode("utf-16"), "UTF-16"), (b"\x1f\x8b\x08", "gzip"), (b"PK\x03\x04", "zip")]
)
def test_files_of_another_kind_are_named(tmp_path, start, what):
    with pytest.raises(DataError, match=what):
        read_records(written(tmp_path, "data.jsonl", start))


def test_bom_and_crlf(tmp_path):
    text = '{"instruction": "Say hello.", "output": "Hello."}\r\n' * 2
    assert read_records(written(tmp_path, "a.jsonl", b"\xef\xbb\xbf" + text.encode())).records == [GOOD] * 2
    table = b"\xef\xbb\xbfinstruction,output\r\nSay hello.,Hello.\r\n"
    assert read_records(written(tmp_path, "a.csv", table)).records == [GOOD]
    assert read_records(written(tmp_path, "a.txt", b"\xef\xbb\xbfone\r\ntwo")).records == [
        Record((user("one"),)),
        Record((user("two"),)),
    ]


def test_a_line_of_ten_megabytes_is_read_and_a_longer_than_allowed_is_not(tmp_path, monkeypatch):
    long = json.dumps({"instruction": "a" * 10_000_000})
    assert len(read_records(written(tmp_path, "long.jsonl", long)).records[0].instruction) == 10_000_000
    monkeypatch.setattr(read, "MAX_ROW_BYTES", 1000)
    rows = json.dumps({"instruction": "b" * 5000}) + '\n{"instruction": "fine"}\n'
    result = read_records(written(tmp_path, "longer.jsonl", rows))
    assert [record.instruction for record in result.records] == ["fine"]
    assert result.rejected[0].line == 1
    assert "longer than" in result.rejected[0].reason
    assert len(result.rejected[0].text) < 1000


def test_the_limit_counts_good_rows(tmp_path):
    path = written(tmp_path, "a.jsonl", '{"x": 1}\n{"instruction": "a"}\n{"instruction": "b"}\n{"y": 1}\n')
    result = read_records(path, limit=1)
    assert [record.instruction for record in result.records] == ["a"]
    assert len(result.rejected) == 1
    assert read_records(path, limit=0).records == []


def test_suffixes_that_say_nothing(tmp_path):
    assert read_records(written(tmp_path, "a", '{"instruction": "x"}\n')).records[0].instruction == "x"
    assert read_records(written(tmp_path, "b.dat", '[{"instruction": "x"}]')).records[0].instruction == "x"
    assert read_records(written(tmp_path, "c", "Name a river.\n")).records[0].instruction == "Name a river."


def test_json_that_is_not_an_array(tmp_path):
    lines = '{"instruction": "a"}\n{"instruction": "b"}\n'
    assert len(read_records(written(tmp_path, "lines.json", lines)).records) == 2
    assert len(read_records(written(tmp_path, "alone.json", '{\n "instruction": "a"\n}')).records) == 1
    with pytest.raises(DataError, match="not a JSON array"):
        read_records(written(tmp_path, "torn.json", '[{"instruction": "a"}, {"inst'))
    with pytest.raises(DataError, match="nested too deeply"):
        read_records(written(tmp_path, "deep.json", "[" * 200_000))
    mixed = read_records(written(tmp_path, "mixed.json", '["plain", 5, {"instruction": "x"}]'))
    assert [record.instruction for record in mixed.records] == ["plain", "x"]
    assert mixed.rejected[0].line == 2


def test_plain_text_is_one_instruction_per_line(tmp_path):
    result = read_records(written(tmp_path, "a.txt", b"  Name a river.\n\n{not json}\nbad \x00 nul\n\xff\xfe\n"))
    assert [record.instruction for record in result.records] == ["Name a river.", "{not json}"]
    assert [row.line for row in result.rejected] == [4, 5]


def test_csv(tmp_path):
    text = 'Instruction ,input,output,id\n"Say\nthis, please.","a ""b""",done,1\n\nshort,row\nalone,,,2\n'
    result = read_records(written(tmp_path, "a.csv", text))
    assert [record.instruction for record in result.records] == ['Say\nthis, please.\n\na "b"', "alone"]
    assert [record.reply for record in result.records] == ["done", None]
    (rejected,) = result.rejected
    assert (rejected.line, rejected.reason) == (5, "expected 4 columns, found 2")


def test_tsv_and_json_inside_csv(tmp_path):
    assert read_records(written(tmp_path, "a.tsv", "prompt\tresponse\nSay hello.\tHello.\n")).records == [GOOD]
    cell = json.dumps(FORMS[0]["messages"]).replace('"', '""')
    result = read_records(written(tmp_path, "m.csv", f'messages\n"{cell}"\n"[broken"\n'))
    assert result.records == [GOOD]
    assert "not JSON" in result.rejected[0].reason


def test_csv_that_is_hostile(tmp_path):
    with pytest.raises(DataError, match="no column that holds instructions") as caught:
        read_records(written(tmp_path, "a.csv", "promt,answer_text\nx,y\n"))
    assert "'prompt'" in caught.value.hint
    body = b"prompt\ngood\nba\xffd\nn\x00ul\n" + b"a" * 200_000 + b'\nfine\n"never closed\n'
    result = read_records(written(tmp_path, "b.csv", body))
    assert [record.instruction for record in result.records] == ["good", "fine"]
    reasons = [row.reason for row in result.rejected]
    assert [row.line for row in result.rejected] == [3, 4, 5, 7]
    for reason, said in zip(reasons, ("UTF-8", "NUL", "field larger", "unexpected end"), strict=True):
        assert said in reason


def test_parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason="needs the extra [data]")
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra [data]")

    rows = [FORMS[0], {"messages": [{"role": "king", "content": "x"}]}]
    path = tmp_path / "rows.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    result = read_records(path)
    assert result.records == [GOOD]
    assert result.rejected[0].line == 2
    columns = pyarrow.table({"instruction": ["Say hello.", None, "Hi"], "output": ["Hello.", "x", None]})
    parquet.write_table(columns, tmp_path / "a.bin")
    assert [record.reply for record in read_records(tmp_path / "a.bin").records] == ["Hello.", None]
    (tmp_path / "torn.parquet").write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="not readable Parquet"):
        read_records(tmp_path / "torn.parquet")
    with pytest.raises(DataError, match="not readable Parquet"):
        read_records(written(tmp_path, "empty.parquet", b""))


def test_parquet_without_pyarrow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match="needs pyarrow") as caught:
        read_records(written(tmp_path, "a.parquet", b"PAR1"))
    assert "adhere[data]" in caught.value.hint


def test_standard_input(monkeypatch):
    inward = SimpleNamespace(buffer=io.BytesIO(b'{"prompt": "Say hello.", "response": "Hello."}\n'))
    monkeypatch.setattr(sys, "stdin", inward)
    assert read_records("-").records == [GOOD]
