"""JSON Schemas as grammars: whatever a model writes under one is valid, or the schema is refused by name."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from adhere.core.errors import SettingsError
from adhere.core.model import Ask, Guide, Reply, Sampling, replies
from adhere.core.record import user
from adhere.models.chat import ChatTokenizer
from adhere.models.endpoint_guides import is_word
from adhere.models.guides import Guides, read_guide
from adhere.models.local import LocalModel
from adhere.models.scripted import tiny_weights

jsonschema = pytest.importorskip("jsonschema")

BOUNDS = st.integers(-40, 40)
NAMES = st.sampled_from(["a", "b", "né", 'q"\\/\n', "~1 x"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "x", 'a"b\\\n', "é🙂", 1.5]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=2),
    max_leaves=3,
)
NUMBERS = st.fixed_dictionaries(
    {"type": st.sampled_from(["integer", "number"])},
    optional={
        "minimum": BOUNDS,
        "exclusiveMinimum": BOUNDS | st.sampled_from([0.5, -1.25]),
        "maximum": BOUNDS | st.sampled_from([0.75, -0.5, 1e6]),
        "exclusiveMaximum": BOUNDS,
    },
)
STRINGS = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("string")}, optional={"minLength": st.integers(0, 4), "maxLength": st.integers(3, 6)}
    ),
    st.sampled_from(["^[a-c]{2}$", "^.{1,3}$", "^[^a]{2}$", '^"\\\\?\\n$', "^(é|🙂)+x$"]).map(
        lambda pattern: {"type": "string", "pattern": pattern}
    ),
    st.sampled_from(["date", "time", "date-time", "uuid", "ipv4", "email"]).map(
        lambda form: {"type": "string", "format": form}
    ),
)  # fmt: skip
LEAVES = st.one_of(
    NUMBERS,
    STRINGS,
    st.sampled_from([{"type": "null"}, {"type": "boolean"}, {"type": ["null", "boolean"], "title": "T"}, {}, True]),
    st.lists(VALUES, min_size=1, max_size=3).map(lambda values: {"enum": values}),
    VALUES.map(lambda value: {"const": value}),
)


def _object(parts: tuple[dict[str, Any], list[str], Any]) -> dict[str, Any]:
    properties, required, extra = parts
    made: dict[str, Any] = {"type": "object", "properties": properties, "required": required}
    return made if extra is None else {**made, "additionalProperties": extra}


SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(
            st.dictionaries(NAMES, inner, max_size=3),
            st.lists(NAMES, max_size=2, unique=True),
            st.sampled_from([None, True, False, {"type": "null"}]),
        ).map(_object),
        st.fixed_dictionaries(
            {"type": st.just("array")},
            optional={
                "items": inner,
                "prefixItems": st.lists(inner, min_size=1, max_size=2),
                "minItems": st.integers(0, 2),
                "maxItems": st.integers(1, 3),
            },
        ),
        st.lists(inner, min_size=1, max_size=2).map(lambda options: {"anyOf": options}),
        st.lists(inner, min_size=1, max_size=2).map(lambda parts: {"allOf": parts}),
        st.tuples(inner, inner).map(
            lambda parts: {"$defs": {"d": parts[0]}, "anyOf": [{"$ref": "#/$defs/d"}, parts[1]]}
        ),
        st.tuples(inner, inner).map(lambda parts: {"oneOf": list(parts)}),
    ),
    max_leaves=5,
)  # fmt: skip


def rooted(schema: Any) -> Any:
    """References name places from the root, so definitions are moved there and named apart."""
    found: dict[str, Any] = {}

    def lift(one: Any) -> Any:
        if isinstance(one, list):
            return [lift(inner) for inner in one]
        if not isinstance(one, dict):
            return one
        if "$defs" in one and "anyOf" in one and "$ref" in one["anyOf"][0]:
            name = f"d{len(found)}"
            found[name] = None
            found[name] = lift(one["$defs"]["d"])
            return {"anyOf": [{"$ref": f"#/$defs/{name}"}, lift(one["anyOf"][1])]}
        return {key: inner if key in ("enum", "const") else lift(inner) for key, inner in one.items()}

    lifted = lift(schema)
    return {**lifted, "$defs": found} if found and isinstance(lifted, dict) else lifted


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_weights(tmp_path_factory.mktemp("tiny"))


def scribble(guides: Guides, guide: Guide, seed: int, tokens: int = 120) -> str | None:
    """The worst of writers: any token that the guide allows; after a while the one that ends soonest, if one does."""
    torch = pytest.importorskip("torch")
    vocabulary = len(json.loads((guides._chat.folder / "tokenizer.json").read_text())["model"]["vocab"])
    matcher, draw, ids = guides.matcher(guide, vocabulary), random.Random(seed), []
    for _ in range(tokens):
        logits = torch.zeros(vocabulary)
        matcher.forbid(logits)
        allowed = (logits == 0).nonzero().flatten().tolist()
        ending = [token for token in guides._chat.eos_ids if token in allowed]
        token = draw.choice(ending if ending and (draw.random() < 0.3 or len(ids) > 40) else allowed)
        matcher.take(token)
        if token in guides._chat.eos_ids:
            return guides._chat.decode(ids)
        ids.append(token)
    return None


@pytest.fixture(scope="module")
def guides(folder: Path) -> Guides:
    pytest.importorskip("llguidance")
    return Guides(ChatTokenizer(folder))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(SCHEMAS.map(rooted), st.integers(0, 99))
def test_whatever_is_written_is_valid(guides: Guides, schema: Any, seed: int) -> None:
    guide = Guide("json_schema", json.dumps(schema))
    try:
        grammar = guides.grammar(guide)
    except SettingsError:
        assume(False)
    text = scribble(guides, guide, seed)
    if text is not None:
        jsonschema.validate(json.loads(text), schema)
        assert is_word(grammar, text) is not False


CASES: list[tuple[Any, Any, Any]] = [
    ({"type": "integer", "minimum": -17, "maximum": 523}, [-17, 0, 99, 523], [-18, 524, 1.5, "1"]),
    ({"type": "number", "minimum": 0.5, "exclusiveMaximum": 1.75}, [0.5, 1, 1.74], [0.49, 1.75, 2]),
    ({"enum": ['a"b\n', 1, None, [1, {"x": 2}]]}, ['a"b\n', 1, None, [1, {"x": 2}]], ["a", 2]),
    ({"type": "string", "pattern": "b"}, ["b", 'a"b\n'], ["a"]),
    ({"type": "array", "items": {"type": "null"}, "minItems": 1, "maxItems": 2}, [[None]], [[], [None] * 3, [1]]),
    ({"prefixItems": [{"const": 1}, {"const": 2}], "items": False}, [[], [1], [1, 2]], [[2], [1, 2, 3]]),
    (
        {"properties": {"a": {"type": "null"}, "b": {"type": "null"}, "c": {"type": "null"}}, "required": ["b"]},
        [{"b": None}, {"a": None, "b": None}, {"b": None, "c": None}, {"a": None, "b": None, "c": None}],
        [{}, {"a": None}, {"b": None, "d": None}, {"b": None, "a": None}],
    ),
    ({"type": "object", "additionalProperties": {"type": "null"}, "maxProperties": 1}, [{}, {"é": None}], [{"x": 1}]),
    (
        {"properties": {"a": {"type": "object", "additionalProperties": {"type": "null"}}}, "required": ["a"]},
        [{"a": {}}, {"a": {"x": None}}],
        [{}, {"a": 1}, {"a": {"x": 1}}],
    ),
    ({"anyOf": [{"minimum": 1}, {"maximum": -1}], "type": "integer"}, [1, -1], [0]),
    ({"allOf": [{"type": "number", "minimum": 1}, {"type": "integer", "maximum": 3}]}, [1, 3], [0, 4, 1.5]),
    (
        {"$defs": {"t": {"type": "array", "items": {"$ref": "#/$defs/t"}, "maxItems": 2}}, "$ref": "#/$defs/t"},
        [[], [[], [[]]]],
        [[[], [], []], [1]],
    ),
    (
        {"oneOf": [{"type": "object", "properties": {"k": {"const": name}}, "required": ["k"]} for name in "ab"]},
        [{"k": "a"}, {"k": "b"}],
        [{"k": "c"}, {}],
    ),
    ({"type": "string", "format": "date"}, ["2024-02-28", "1999-12-31"], ["2024-02-30", "24-1-1"]),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "good", "bad"), CASES)
def test_what_a_schema_lets_through(schema: Any, good: list[Any], bad: list[Any]) -> None:
    grammar = read_guide(Guide("json_schema", json.dumps(schema)))
    for value in good:
        assert is_word(grammar, json.dumps(value, ensure_ascii=False)), value
    for value in bad:
        assert is_word(grammar, json.dumps(value, ensure_ascii=False)) is False, value
    for value in good:
        if isinstance(value, dict | list) and value and "enum" not in schema:
            assert is_word(grammar, json.dumps(value, ensure_ascii=False, indent=2)), "white space"


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ('{"a":', "not JSON"),
        ("[]", "an object"),
        ('{"type": "objekt"}', "unknown type 'objekt'"),
        ('{"properties": {"a": {"not": {}}}, "required": ["a"]}', "at /properties/a: not cannot be guaranteed"),
        ('{"type": "integer", "multipleOf": 7}', "multipleOf"),
        ('{"type": "array", "uniqueItems": true}', "uniqueItems"),
        ('{"type": "string", "pattern": "(?=a)"}', "/pattern.*not regular"),
        ('{"type": "string", "pattern": "a", "maxLength": 3}', "only one can be guaranteed"),
        ('{"type": "string", "format": "regex"}', "format 'regex'"),
        ('{"oneOf": [{"minimum": 1}, {"maximum": 2}]}', "oneOf"),
        ('{"items": {"$ref": "#/nope"}}', "'#/nope' points at nothing"),
        ('{"$ref": "http://example.org/s"}', "should begin with #/"),
        ('{"$ref": "#"}', "nothing finite|references"),
        ('{"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}', "nothing finite"),
        ('{"type": "integer", "minimum": 3, "maximum": 2}', "no number lies between"),
        ('{"enum": []}', "no value of enum fits"),
        ("false", "nothing fits"),
        ('{"type": "object", "minProperties": 2, "properties": {"a": {}}}', "minProperties"),
    ],
)
def test_what_is_refused_is_named(schema: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        read_guide(Guide("json_schema", schema))


def multiplying() -> list[str]:
    """Schemas that are small to write and large to follow."""
    doubled = {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(40)}
    nested: Any = {"type": "integer"}
    for _ in range(13):
        nested = {"anyOf": [nested, {"type": "array", "items": nested}]}
    deep: Any = {}
    for _ in range(400):
        deep = {"type": "array", "items": deep}
    return [
        json.dumps({"$defs": {**doubled, "a40": {}}, "$ref": "#/$defs/a0"}),
        json.dumps(nested),
        json.dumps(deep),
        '{"a":' * 50_000,
        json.dumps({"enum": list(range(90_000))}),
        json.dumps({"properties": {f"p{n}": {} for n in range(2500)}}),
        json.dumps({"type": "string", "maxLength": 1_000_000}),
        json.dumps({"$ref": "#", "minimum": 1}),
    ]


@pytest.mark.parametrize("number", range(8))
def test_hostile_schemas_are_refused(number: int) -> None:
    with pytest.raises(SettingsError):
        read_guide(Guide("json_schema", multiplying()[number]))


def test_a_tree_of_references_stays_as_small_as_it_is_written() -> None:
    pair = [{"type": "object", "properties": {side: {"$ref": f"#/$defs/d{n + 1}"} for side in "lr"}} for n in range(40)]
    schema = {"$defs": {**{f"d{n}": one for n, one in enumerate(pair)}, "d40": {}}, "$ref": "#/$defs/d0"}
    assert len(read_guide(Guide("json_schema", json.dumps(schema)))) < 300


@pytest.fixture(scope="module")
def models(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, LocalModel]]:
    pytest.importorskip("openvino_genai")
    pytest.importorskip("torch")
    pytest.importorskip("llguidance")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ADHERE_CACHE", str(tmp_path_factory.mktemp("cache")))
        made = {name: LocalModel(folder, engine=name, precision="f32") for name in ("openvino", "torch")}  # type: ignore[arg-type]
        yield made
        for model in made.values():
            model.close()


@pytest.mark.parametrize("name", ["openvino", "torch"])
def test_engines_follow_many_guides_in_one_batch(models: dict[str, LocalModel], name: str) -> None:
    """One ask for each schema, warm and with random weights; what was not cut is valid."""
    asks = [
        Ask((user("Write."),), Sampling(150, 1.0, seed=number, guide=Guide("json_schema", json.dumps(schema))))
        for number, (schema, _, _) in enumerate(CASES)
    ]
    plain = [
        Ask((user("Talk."),), Sampling(20, 1.0)),
        Ask((user("Count."),), Sampling(30, 1.0, guide=Guide("regex", "[0-9]{5}"))),
    ]
    free = replies(models[name], plain[:1])[0]
    found = replies(models[name], [*asks, *plain])
    for reply, (schema, _, _) in zip(found, CASES, strict=False):
        assert reply.finish in ("stop", "length")
        if reply.finish == "stop":
            jsonschema.validate(json.loads(reply.text), schema)
    assert sum(reply.finish == "stop" for reply in found[: len(CASES)]) > len(CASES) // 2
    assert found[-2] == free
    assert len(found[-1].text) == 5
    assert found[-1].text.isdigit()


@pytest.mark.parametrize("name", ["openvino", "torch"])
def test_a_guide_that_cannot_run_stops_everything_before_it_starts(models: dict[str, LocalModel], name: str) -> None:
    asks = [Ask((user("x"),), Sampling(4)), Ask((user("y"),), Sampling(4, guide=Guide("regex", "(a")))]
    seen: list[tuple[int, Reply]] = []
    with pytest.raises(SettingsError, match="closing parenthesis"):
        seen.extend(models[name].generate(asks))
    assert seen == []
    with pytest.raises(SettingsError, match="exclude one another"):
        replies(models[name], [Ask((user("x"),), Sampling(4, stop=("b",), guide=Guide("regex", "ab")))])


@pytest.mark.parametrize("name", ["openvino", "torch"])
def test_a_guided_reply_is_cut_at_its_limit_and_is_all_answer(models: dict[str, LocalModel], name: str) -> None:
    cut, thought, empty = replies(
        models[name],
        [
            Ask((user("x"),), Sampling(6, guide=Guide("regex", "a{50}"))),
            Ask((user("x"),), Sampling(60, guide=Guide("ebnf", 'root ::= "<think>" [a-c]{3} "</think>"'))),
            Ask((user("x"),), Sampling(60, 1.0, guide=Guide("regex", ""))),
        ],
    )
    assert (cut.finish, set(cut.text), cut.tokens_out) == ("length", {"a"}, 6)
    assert thought.text.startswith("<think>")
    assert thought.thinking == ""
    assert (empty.text, empty.finish) == ("", "stop")
