from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adhere.core.errors import VerifierError
from adhere.core.verifier import Verdict
from adhere.verify.families import markup
from adhere.verify.families.markdown_lines import heading_name, lines_of, read

TYPES = {kind.id: kind for kind in markup.TYPES}
SOON_S = 5.0  # far above what the checks need, far below what a quadratic or exponential one would


def verdict(kind: str, params: dict[str, Any], reply: str) -> Verdict:
    return TYPES[kind].verify(TYPES[kind].validated(params), reply)


def repaired(kind: str, params: dict[str, Any], reply: str) -> str | None:
    repair = TYPES[kind].repair
    assert repair is not None
    return repair(params, reply)


def test_the_module_offers_the_types_it_should() -> None:
    assert len(TYPES) == len(markup.TYPES) == 18
    assert {kind.family for kind in markup.TYPES} == {"markup", "detectable_format"}


# ---------------------------------------------------------------- reading Markdown


def test_lines_keep_their_places_and_lose_carriage_returns() -> None:
    reply = "one\r\ntwo\n\nthree"
    assert [line.text for line in lines_of(reply)] == ["one", "two", "", "three"]
    assert [reply[slice(*line.span)] for line in lines_of(reply)] == ["one", "two", "", "three"]


def test_a_longer_fence_holds_a_shorter_one() -> None:
    prose, fences = read("````md\n```\ncode\n```\n````\nafter")
    assert [line.text for line in prose] == ["after"]
    assert [(fence.label, fence.body, fence.closed) for fence in fences] == [("md", "```\ncode\n```", True)]


@pytest.mark.parametrize("line", ["## Dough", "**Dough:**", "Dough", "3. Dough", "  # 2) *Dough* ##", "DOUGH:"])
def test_a_heading_is_known_by_its_name(line: str) -> None:
    assert heading_name(line.rstrip("# ")) == "dough"


# ---------------------------------------------------------------- Markdown

TABLE = {"columns": ["Tool", "Use"], "num_rows": 2}


def test_a_table_is_found_between_other_text_and_pointed_at() -> None:
    table = "Tool | Use\n:--- | ---:\nsaw | a \\| b\nfile | c"
    reply = f"Look | here.\n\n{table}\n\nDone."
    found = verdict("markup:table", TABLE, reply)
    assert found.passed
    assert reply[slice(*found.spans[0])] == table


def test_a_table_in_a_code_block_is_code() -> None:
    assert verdict("markup:table", TABLE, "```\n| Tool | Use |\n|---|---|\n| a | b |\n| c | d |\n```").passed is False


def test_a_table_scores_higher_the_nearer_it_comes() -> None:
    none = verdict("markup:table", TABLE, "saw, file")
    other = verdict("markup:table", TABLE, "| A | B |\n|---|---|\n| saw | c |")
    short = verdict("markup:table", TABLE, "| Tool | Use |\n|---|---|\n| saw | c |")
    assert none.score < other.score < short.score < 1
    assert short.miss == -1


@given(rows=st.integers(1, 12), wanted=st.integers(1, 12))
def test_rows_of_a_table_are_counted(rows: int, wanted: int) -> None:
    body = "\n".join(f"| t{at} | u{at} |" for at in range(rows))
    found = verdict("markup:table", {**TABLE, "num_rows": wanted}, f"| tool | use |\n|-|-|\n{body}")
    assert found.passed is (rows == wanted)
    assert found.miss == rows - wanted


@pytest.mark.parametrize("columns", [[], ["Tool", 3], ["Tool", " "], ["Tool", "tool"], ["To\nol"]])
def test_columns_that_are_no_names_are_refused(columns: list[Any]) -> None:
    with pytest.raises(VerifierError, match="distinct names"):
        verdict("markup:table", {"columns": columns, "num_rows": 1}, "text")


def test_a_number_sign_in_code_is_no_heading() -> None:
    assert verdict("markup:headings", {"level": 1, "num_headings": 1}, "# Run\n```\n# a comment\n```").passed
    assert verdict("markup:plain_text", {}, "Chapter #3 costs 2 * 3 * 4 in snake_case_names.").passed


def test_a_skipped_level_is_pointed_at() -> None:
    reply = "# A\n## B\n#### C\n# D"
    found = verdict("markup:heading_levels", {"num_levels": 2}, reply)
    assert found.passed is False
    assert [reply[slice(*span)] for span in found.spans] == ["#### C"]


def test_going_up_several_levels_skips_nothing() -> None:
    assert verdict("markup:heading_levels", {"num_levels": 3}, "# A\n## B\n### C\n# D").passed


@pytest.mark.parametrize(
    ("reply", "depth"),
    [("- a", 1), ("- a\n\t- b", 2), ("1. a\n   - b\n     - c", 3), ("- a\n  - b\n- c\n  - d", 2), ("- a\nx\n  - b", 1)],
)
def test_the_depth_of_a_list_is_measured(reply: str, depth: int) -> None:
    assert verdict("markup:nested_list", {"depth": depth + 1}, reply).passed is False
    if depth > 1:
        assert verdict("markup:nested_list", {"depth": depth}, reply).passed


def test_repairs_of_markdown() -> None:
    assert repaired("markup:plain_text", {}, "# Tea\n* **Boil** [it](x).\n* Pour `it`.") == "Tea\nBoil it.\nPour it."
    assert repaired("markup:plain_text", {}, "```\nx\n```") is None
    assert (
        repaired("markup:checklist", {"num_items": 2}, "1. Boil it.\n2. Pour it.") == "- [ ] Boil it.\n- [ ] Pour it."
    )
    assert repaired("markup:no_html", {}, "Boil<br/> <b>it</b>&nbsp;now, <T> stays.") == "Boil itnow, <T> stays."
    tagged = repaired("markup:tagged", {"tag": "out"}, "Well: <out>tea</out>")
    assert tagged == "<out>\nWell: tea\n</out>"


# ---------------------------------------------------------------- code, formulas


def code(language: str, body: str) -> Verdict:
    return verdict("markup:code_in", {"language": language}, f"See:\n```{language}\n{body}\n```")


def test_code_is_parsed_and_never_run(tmp_path: Path) -> None:
    target = tmp_path / "made"
    assert code("python", f"open({str(target)!r}, 'w').write('x')").passed
    assert not target.exists()


@pytest.mark.parametrize("alias", ["py", "Python", "python3"])
def test_other_names_of_a_language_count(alias: str) -> None:
    assert verdict("markup:code_in", {"language": "python"}, f"```{alias}\nx = 1\n```").passed


def test_every_block_of_the_language_must_parse() -> None:
    found = verdict("markup:code_in", {"language": "json"}, "```json\n[1]\n```\n```json\n[1,\n```\n```text\n[\n```")
    assert found.passed is False
    assert len(found.spans) == 1


@pytest.mark.parametrize(
    ("language", "body"),
    [
        ("python", "x = " + "a" + ".b" * 40_000),
        ("python", "-" * 50_000 + "1"),
        ("python", "x" * 100_001),
        ("json", "[" * 50_000 + "]" * 50_000),
        ("toml", "a" + ".a" * 20_000 + " = 1"),
    ],
    ids=["attributes", "signs", "too long", "brackets", "dotted key"],
)
def test_what_a_parser_cannot_bear_is_not_judged(language: str, body: str) -> None:
    began = time.process_time()
    assert code(language, body).passed is None
    assert time.process_time() - began < SOON_S


def test_python_with_zero_bytes_or_surrogates_is_no_python() -> None:
    assert code("python", "x = '\0'").passed is False
    assert code("python", "x = '\ud800'").passed is False


def test_a_language_without_a_parser_says_so() -> None:
    assert "only the label was checked" in code("rust", "fn main() { what is this").reason


def test_prices_are_no_formulas() -> None:
    assert verdict("markup:formulas", {"num_formulas": 1}, "From $5 to $6, or $7,50 in all.").passed is False
    assert verdict("markup:formulas", {"num_formulas": 3}, "$x$, $$a\n+b$$ and \\[c\\], but not \\( here.").passed


# ---------------------------------------------------------------- XML

NOTE = {"root": "note", "elements": ["title"]}
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 30))
BOMB = f'<!DOCTYPE note [<!ENTITY l0 "ha">{LAUGHS}]><note><title>&l29;</title></note>'
OUTSIDE = '<!DOCTYPE note [<!ENTITY f SYSTEM "file:///etc/hostname">]><note><title>&f;</title></note>'


@pytest.mark.parametrize("reply", [BOMB, OUTSIDE, OUTSIDE.replace("SYSTEM", 'PUBLIC "x"')])
def test_a_document_type_is_refused_unread(reply: str) -> None:
    began = time.process_time()
    found = verdict("markup:xml", NOTE, reply)
    assert found.passed is None
    assert "document type" in found.reason
    assert time.process_time() - began < SOON_S


def test_xml_of_any_depth_is_judged() -> None:
    deep = "<title>" * 100_000 + "</title>" * 100_000
    assert verdict("markup:xml", NOTE, f"<note>{deep}</note>").passed
    assert verdict("markup:xml", NOTE, f"<note>{deep}").passed is False


def test_xml_in_a_fence_and_with_a_declaration_passes() -> None:
    assert verdict(
        "markup:xml", NOTE, '```xml\n<?xml version="1.0" encoding="UTF-16"?>\n<note><title/></note>\n```'
    ).passed


@pytest.mark.parametrize("character", ["\0", "\ud800", "\x1b", "\ufffe"])
def test_characters_that_xml_cannot_hold_fail(character: str) -> None:
    assert verdict("markup:xml", NOTE, f"<note><title>{character}</title></note>").passed is False


def test_names_of_elements_are_checked() -> None:
    with pytest.raises(VerifierError, match="names of elements"):
        verdict("markup:xml", {"root": "a b", "elements": ["title"]}, "<a/>")


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=80))
def test_any_text_can_be_put_into_xml_yaml_and_json(text: str) -> None:
    reply = f"Tea & <cake>. {text}"
    for kind, params in (
        ("markup:xml", {"root": "reply", "elements": ["title", "body"]}),
        ("markup:yaml", {"keys": ["title", "answer"]}),
        ("detectable_format:json_keys", {"fields": ["points: list", "word_count: number", "answer: string"]}),
    ):
        done = repaired(kind, params, reply)
        assert done is not None
        assert verdict(kind, params, done).passed, done


# ---------------------------------------------------------------- YAML

KEYS = {"keys": ["a", "b"]}
DOUBLING = "a: &x0 [1, 2]\n" + "".join(f"k{n}: &x{n} [*x{n - 1}, *x{n - 1}]\n" for n in range(1, 60)) + "b: *x59"
MERGING = "a: &x0 {q: 1}\n" + "".join(f"k{n}: &x{n}\n  <<: [*x{n - 1}, *x{n - 1}]\n" for n in range(1, 40)) + "b: 1"


@pytest.mark.parametrize("reply", [DOUBLING, MERGING, "a: &self\n  me: *self\nb: 1"])
def test_an_alias_is_never_expanded(reply: str) -> None:
    began = time.process_time()
    assert verdict("markup:yaml", KEYS, reply).passed
    assert time.process_time() - began < SOON_S


def test_nothing_is_constructed_from_yaml(tmp_path: Path) -> None:
    target = tmp_path / "made"
    assert verdict("markup:yaml", KEYS, f"a: !!python/object/apply:os.mkdir ['{target}']\nb: 1").passed
    assert not target.exists()


@pytest.mark.parametrize(
    "reply",
    [
        "a: 1\nb: *nowhere",
        "a: 1\n b: 2",
        "a: [1\nb: 2",
        "- a\n- b",
        "x: {a: 1, b: 2}",
        "a: 1\n--- b\n",
        "{a: 1, b",
        "a b",
    ],
)
def test_other_yaml_and_no_yaml_fail(reply: str) -> None:
    assert verdict("markup:yaml", KEYS, reply).passed is False


@pytest.mark.parametrize("reply", ["{a: 1, b: 2}", '"a": 1\n? b\n: 2', "a: |\n  b: c\nb: ''", "# note\na:\nb: é 中"])
def test_other_ways_to_write_keys_pass(reply: str) -> None:
    assert verdict("markup:yaml", KEYS, reply).passed


@pytest.mark.parametrize(
    "reply",
    ["a: b" + "[" * 5_000, "a:\n  " + "- " * 5_000 + "b", "a: b\n" + "c: d\n" * 30_000],
    ids=["brackets", "dashes", "long"],
)
def test_yaml_too_deep_or_too_long_is_not_judged(reply: str) -> None:
    began = time.process_time()
    assert verdict("markup:yaml", KEYS, reply).passed is None
    assert time.process_time() - began < SOON_S


def test_without_its_library_yaml_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    found = verdict("markup:yaml", KEYS, "a: 1\nb: 2")
    assert found.passed is None
    assert "adhere[verify]" in found.reason


# ---------------------------------------------------------------- CSV

ROWS = {"columns": ["tool", "use"], "num_rows": 2}


def test_a_quoted_cell_may_hold_anything() -> None:
    assert verdict("markup:csv", ROWS, '```csv\nTool, Use\r\nsaw,"a ""b"",\nc"\r\n\r\nfile,d\r\n```').passed


@pytest.mark.parametrize("reply", ['tool,use\nsaw,"a', 'tool,use\nsaw,"a"b\nfile,c', "tool,use\nsaw\nfile,c", '"'])
def test_csv_that_is_broken_fails(reply: str) -> None:
    assert verdict("markup:csv", ROWS, reply).passed is False


def test_a_cell_beyond_what_the_reader_takes_is_not_judged() -> None:
    assert verdict("markup:csv", ROWS, "tool,use\nsaw," + "a" * 200_000).passed is None


# ---------------------------------------------------------------- JSON


@pytest.mark.parametrize(
    ("value", "passes"), [("1", True), ("1.5", True), ("true", False), ("null", False), ('"1"', False), ("NaN", False)]
)
def test_the_type_of_a_key_is_checked(value: str, passes: bool) -> None:
    found = verdict("detectable_format:json_keys", {"fields": ["n: number"]}, f'{{"n": {value}}}')
    assert found.passed is passes


@pytest.mark.parametrize("field", ["title", "title: text", ": string"])
def test_fields_without_a_type_are_refused(field: str) -> None:
    with pytest.raises(VerifierError, match="is no field"):
        verdict("detectable_format:json_keys", {"fields": [field]}, "{}")


@pytest.mark.parametrize("reply", ["[" * 100_000 + "]" * 100_000, "[" + "1" * 5_000 + "]"])
def test_json_that_cannot_be_read_is_not_judged(reply: str) -> None:
    assert verdict("detectable_format:json_array", {"num_items": 1}, reply).passed is None


def test_an_array_is_counted_and_repaired() -> None:
    assert verdict("detectable_format:json_array", {"num_items": 3}, "```json\n[1, [2, 2]]\n```").miss == -1
    done = repaired("detectable_format:json_array", {"num_items": 2}, "Boil it. Pour it.")
    assert done is not None
    assert json.loads(done) == ["Boil it.", "Pour it."]


def test_json_lines_may_be_fenced_and_spaced() -> None:
    assert verdict("detectable_format:json_lines", {"num_objects": 2}, '```jsonl\n{"a": 1}\n\n{}\n```').passed


# ---------------------------------------------------------------- JSON Schema


def schema(content: dict[str, Any], value: Any) -> Verdict:
    return verdict("detectable_format:json_schema", {"schema": json.dumps(content)}, json.dumps(value))


def test_a_misfit_says_where() -> None:
    found = schema({"properties": {"a": {"items": {"type": "integer"}}}}, {"a": [1, "two"]})
    assert found.passed is False
    assert "a/1" in found.reason


def test_references_within_the_schema_work() -> None:
    content = {"$defs": {"size": {"enum": ["S", "L"]}}, "items": {"$ref": "#/$defs/size"}}
    assert schema(content, ["S", "L"]).passed
    assert schema(content, ["S", "M"]).passed is False


CYCLE = {"$defs": {"a": {"anyOf": [{"items": {"$ref": "#/$defs/a"}}, {"items": {"$ref": "#/$defs/a"}}]}}}
CHAIN = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(60)} | {"d60": {}}


@pytest.mark.parametrize(
    "content",
    [
        {"$ref": "https://example.org/schema.json"},
        {"$ref": "file:///etc/hostname"},
        {"$ref": "#"},
        {"$ref": "#/$defs/none"},
        {**CYCLE, "$ref": "#/$defs/a"},
        {"$defs": CHAIN, "$ref": "#/$defs/d0"},
        {"$id": "https://example.org"},
        {"properties": {"x": {"patternProperties": {"(a+)+$": {}}}}},
        {"unevaluatedProperties": False},
        {"$defs": []},
        {"type": "thing"},
        {"pattern": "(?=a)"},
        {"pattern": "(a)\\1"},
    ],
    ids=lambda content: json.dumps(content)[:40],
)
def test_unsafe_and_wrong_schemas_are_refused_soon(content: dict[str, Any]) -> None:
    began = time.process_time()
    with pytest.raises(VerifierError):
        schema(content, "aaaa")
    assert time.process_time() - began < SOON_S


@pytest.mark.parametrize("text", ["[]", "{", "[" * 9_000, "{" + " " * 20_001 + "}"])
def test_what_is_no_schema_is_refused(text: str) -> None:
    with pytest.raises(VerifierError):
        verdict("detectable_format:json_schema", {"schema": text}, "1")


def test_a_catastrophic_pattern_in_a_schema_takes_linear_time() -> None:
    began = time.process_time()
    assert schema({"pattern": "^(a+)+$"}, "a" * 50_000 + "!").passed is False
    assert schema({"pattern": "^(a+)+$"}, "a" * 50_000).passed
    assert time.process_time() - began < SOON_S


def test_unique_items_take_linear_time() -> None:
    items = [{"n": n} for n in range(20_000)]
    began = time.process_time()
    assert schema({"uniqueItems": True}, items).passed
    assert schema({"uniqueItems": True}, [*items, {"n": 7}]).passed is False
    assert time.process_time() - began < SOON_S


def test_a_property_may_be_called_like_a_keyword() -> None:
    assert schema(
        {"properties": {"pattern": {"type": "string"}, "uniqueItems": {"type": "number"}}}, {"pattern": "("}
    ).passed


def test_long_replies_for_large_schemas_and_huge_numbers_are_not_judged() -> None:
    large = {"properties": {f"p{n}": {} for n in range(500)}}
    assert schema(large, "a" * 200_000).passed is None
    reply = '{"n": 1e400}'
    params = {"schema": '{"properties": {"n": {"multipleOf": 0.1}}}'}
    assert verdict("detectable_format:json_schema", params, reply).passed is not True


@pytest.mark.parametrize("library", ["jsonschema", "re2"])
def test_without_its_libraries_a_schema_is_not_judged(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    found = schema({"pattern": "a"}, "a")
    assert found.passed is None
    assert "adhere[verify]" in found.reason
