"""JSON Schemas as grammars: every word is a valid instance, or the schema is refused.

xgrammar (of openvino-genai 2026.4) passes over the keywords that it does not know and writes numbers and bounded
strings that are no JSON, so the translation is ours. A grammar may allow less than the schema, never more:

- properties come in the order of the schema; where it names some, no others are written;
- white space is a line break with up to 40 blanks, or one blank, where JSON allows it; nothing without end;
- numbers have at most 15 digits before the point and 15 after it;
- a string with a `minLength` or `maxLength` has no character that JSON must escape (counting those made xgrammar ten
  times as slow), and no string has an escape by number where one by letter exists.

What cannot be guaranteed so (`not`, `if`, `uniqueItems`, `contains`, `multipleOf`, `patternProperties`, a `oneOf`
whose options overlap, ...) is a `SettingsError` that names keyword and place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from adhere.core.errors import SettingsError
from adhere.core.record import canonical_json
from adhere.models.grammar_reading import LONGEST_TEXT, read_regex
from adhere.models.grammars import (
    ANY,
    EMPTY,
    Chars,
    Choice,
    Grammar,
    Literal,
    Node,
    Repeated,
    Rule,
    Sequenced,
    chars,
    choice,
    repeated,
    sequence,
)
from adhere.models.json_numbers import number_node
from adhere.models.json_schemas import (
    IS_KIND,
    KINDS,
    Schema,
    SchemaError,
    Whole,
    are_disjoint,
    combined,
    kinds_of,
    merged,
    pointed_at,
)

DEEPEST_SCHEMA = 60  # schemas inside one another
MOST_SCHEMAS = 5_000

_BLANKS = choice((EMPTY, Literal(" "), sequence((Literal("\n"), repeated(Literal(" "), 0, 40)))))
_SPACE = "white space"
_ESCAPED = {0x22: '\\"', 0x5C: "\\\\", 0x08: "\\b", 0x0C: "\\f", 0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t"}
_PLAIN = chars((0, 0x1F), (0x22, 0x22), (0x5C, 0x5C), outside=True)
_CHARACTER = choice((_PLAIN, sequence((Literal("\\"), chars(*((ord(one),) * 2 for one in '"\\/bfnrt'))))))
_TIME = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
_DAYS = "(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8])"
_DATE = f"[12][0-9]{{3}}-({_DAYS})"
_BYTE = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_FORMATS = {
    "date": _DATE,
    "time": _TIME,
    "date-time": f"{_DATE}T{_TIME}",
    "uuid": "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    "ipv4": "\\.".join([_BYTE] * 4),
    "email": "[A-Za-z0-9]([A-Za-z0-9._+-]{0,62}[A-Za-z0-9])?@([a-z0-9]{1,30}\\.){1,3}[a-z]{2,12}",
}


def read_schema(text: str) -> Grammar:
    """The grammar of the instances of a JSON Schema (draft 2020-12 or 7). Raises `SettingsError`: see the module."""
    if len(text) > LONGEST_TEXT:
        raise SettingsError(
            f"the JSON Schema has {len(text):,} characters, {LONGEST_TEXT:,} may be", "Make it smaller."
        )
    try:
        schema = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise SettingsError(f"the JSON Schema is not JSON: {str(error)[:200]}", "Repair it.") from None
    if not isinstance(schema, dict | bool):
        raise SettingsError(f"a JSON Schema is an object, found {text[:40]!r}", "Give an object.")
    try:
        return _Translation(schema).grammar()
    except SchemaError as error:
        raise SettingsError(f"the JSON Schema, at {error.place or 'its top'}: {error.said}", error.hint) from None


class _Translation:
    """One schema on its way: the rules made so far, and what they were made from."""

    def __init__(self, schema: Schema) -> None:
        self._whole = Whole(schema)
        self._rules: dict[str, Node] = {_SPACE: _BLANKS}
        self._asked: dict[str, Schema] = {}
        self._count = 0

    def grammar(self) -> Grammar:
        self._rules["root"] = self._node(self._whole.schema, "", 0)
        while self._asked:
            name, schema = self._asked.popitem()
            self._rules[name] = self._node(schema, name, 0)
        return self._rules

    def _node(self, schema: Schema, place: str, depth: int) -> Node:
        """What the schema at `place` allows."""
        self._count += 1
        if depth > DEEPEST_SCHEMA or self._count > MOST_SCHEMAS:
            raise SchemaError(place, f"more than {DEEPEST_SCHEMA} deep or {MOST_SCHEMAS:,} parts", "Make it smaller.")
        if schema is False:
            raise SchemaError(place, "nothing fits it", "Allow a value.")
        found: dict[str, Any] = {} if schema is True else dict(schema)
        if set(found) == {"$ref"}:
            return self._referred(found["$ref"], place)
        found = combined(found, self._whole, place)
        for keyword in ("anyOf", "oneOf"):
            if keyword in found:
                return self._options(keyword, found, place, depth)
        if "enum" in found or "const" in found:
            return _values(found, place)
        if not found:
            return self._anything()
        return choice([self._of_kind(kind, found, place, depth) for kind in kinds_of(found, place)])

    def _referred(self, pointer: Any, place: str) -> Node:
        name = f"{pointer}"
        if name not in self._rules and name not in self._asked:
            self._asked[name] = pointed_at(self._whole.schema, pointer, place)
        return Rule(name)

    def _anything(self) -> Node:
        name = "any value"
        if name not in self._rules:
            self._rules[name] = EMPTY  # stands for itself while it is made
            self._rules[name] = choice([self._of_kind(kind, {}, name, 0) for kind in KINDS if kind != "integer"])
        return Rule(name)

    def _options(self, keyword: str, found: dict[str, Any], place: str, depth: int) -> Node:
        options = found.pop(keyword)
        if not isinstance(options, list) or not options:
            raise SchemaError(place, f"{keyword} should be a list of schemas", "Repair it.")
        if keyword == "oneOf" and not are_disjoint(options, self._whole, place):
            raise SchemaError(
                place,
                "options of oneOf that may hold of one value",
                "Write anyOf, or give each option a type of its own or a required property with a const of its own.",
            )
        made, lost = [], None
        for number, option in enumerate(options):
            where = f"{place}/{keyword}/{number}"
            try:
                whole = merged(found, option, where) if found else option
                made.append(self._node(whole, where, depth + 1))
            except SchemaError as error:
                if not error.is_empty:
                    raise
                lost = error
        if not made and lost:
            raise lost
        return choice(made)

    def _of_kind(self, kind: str, found: Mapping[str, Any], place: str, depth: int) -> Node:
        if kind == "null":
            return Literal("null")
        if kind == "boolean":
            return choice((Literal("true"), Literal("false")))
        if kind in ("integer", "number"):
            return number_node(found, place, whole=kind == "integer")
        if kind == "string":
            return string_node(found, place)
        if kind == "array":
            return self._array(found, place, depth)
        return self._object(found, place, depth)

    # --- arrays and objects ---------------------------------------------------------------------------------

    def _array(self, found: Mapping[str, Any], place: str, depth: int) -> Node:
        low, high = _bounds(found, "minItems", "maxItems", place)
        first = found.get("prefixItems", [])
        rest = found.get("items", True)
        if isinstance(rest, list):  # how drafts before 2020 said it
            first, rest = rest, found.get("additionalItems", True)
        if not isinstance(first, list):
            raise SchemaError(f"{place}/prefixItems", "a list of schemas is expected", "Repair it.")
        items = [self._node(one, f"{place}/prefixItems/{number}", depth + 1) for number, one in enumerate(first)]
        if high is not None:
            items = items[:high]
        more = None if high is not None and high <= len(items) else high
        body: Node = EMPTY
        if rest is not False and (high is None or high > len(items)):
            self._rules[f"{place}/items"] = self._node(rest, f"{place}/items", depth + 1)
            one = Rule(f"{place}/items")
            body = self._joined(one, max(low - len(items), 0), None if more is None else more - len(items), not items)
        elif low > len(items):
            raise SchemaError(place, "more items are asked for than may be", "Mend minItems.", is_empty=True)
        for number in range(len(items) - 1, -1, -1):
            written = sequence([*([self._comma()] if number else []), items[number], body])
            body = written if number < low else choice((written, EMPTY))
        return self._bracketed("[", body, "]")

    def _joined(self, one: Node, low: int, high: int | None, is_first: bool) -> Node:
        """`one` from `low` to `high` times with commas between, and before them unless `is_first`."""
        more = sequence((self._comma(), one))
        if not is_first:
            return repeated(more, low, high)
        if high == 0:
            return EMPTY
        some = sequence((one, repeated(more, max(low - 1, 0), None if high is None else high - 1)))
        return some if low else choice((some, EMPTY))

    def _object(self, found: Mapping[str, Any], place: str, depth: int) -> Node:
        properties, required = found.get("properties", {}), found.get("required", [])
        if not isinstance(properties, dict) or not isinstance(required, list):
            raise SchemaError(place, "properties is an object and required a list", "Repair it.")
        extra = found.get("additionalProperties", True)
        wanted = dict(properties)
        for name in required:
            if name not in wanted:
                wanted[name] = extra
        low, high = _bounds(found, "minProperties", "maxProperties", place)
        if not wanted:
            return self._map(found, extra, place, depth)
        if "propertyNames" in found:
            raise SchemaError(place, "propertyNames beside properties cannot be guaranteed", "Leave it out.")
        if low > len(required) or (high is not None and high < len(wanted)):
            raise SchemaError(
                place, "minProperties or maxProperties beside properties cannot be guaranteed", "Use required."
            )
        return self._bracketed("{", self._members(wanted, set(required), place, depth), "}")

    def _members(self, wanted: Mapping[str, Schema], required: set[str], place: str, depth: int) -> Node:
        """The members in order, those that are not required left out at will."""
        first: list[Node] = [EMPTY]
        rest: Node = EMPTY
        for name, schema in reversed(list(wanted.items())):
            where = f"{place}/properties/{name}"
            try:
                value = self._node(schema, where, depth + 1)
            except SchemaError as error:
                if error.is_empty and name not in required:
                    continue
                raise
            self._rules[f"{where} member"] = sequence((_written(name), Literal(":"), Rule(_SPACE), value))
            here, may_lack = Rule(f"{where} member"), name not in required
            first = [sequence((here, rest)), *(first if may_lack else ())]
            after = sequence((self._comma(), here))
            self._rules[f"{where} rest"] = sequence((choice((after, EMPTY)) if may_lack else after, rest))
            rest = Rule(f"{where} rest")
        return choice(first)

    def _map(self, found: Mapping[str, Any], extra: Schema, place: str, depth: int) -> Node:
        low, high = _bounds(found, "minProperties", "maxProperties", place)
        if low > 1:
            raise SchemaError(place, "minProperties above 1 cannot be guaranteed (names may repeat)", "Name them.")
        if extra is False or high == 0:
            if low:
                raise SchemaError(place, "a property is asked for where none may be", "Name one.", is_empty=True)
            return self._bracketed("{", EMPTY, "}")
        key = self._node(merged({"type": "string"}, found.get("propertyNames", True), place), place, depth + 1)
        value = self._node(extra, f"{place}/additionalProperties", depth + 1)
        self._rules[f"{place} entry"] = sequence((key, Literal(":"), Rule(_SPACE), value))
        return self._bracketed("{", self._joined(Rule(f"{place} entry"), low, high, True), "}")

    def _bracketed(self, opening: str, body: Node, closing: str) -> Node:
        inside = EMPTY if body == EMPTY else sequence((Rule(_SPACE), body, Rule(_SPACE)))
        return sequence((Literal(opening), inside, Literal(closing)))

    def _comma(self) -> Node:
        return sequence((Literal(","), Rule(_SPACE)))


# --- single values -------------------------------------------------------------------------------------------


def string_node(found: Mapping[str, Any], place: str) -> Node:
    """A string in quotation marks, within `minLength`, `maxLength`, `pattern` or `format`."""
    low, high = _bounds(found, "minLength", "maxLength", place)
    pattern, form = found.get("pattern"), found.get("format")
    inside: Node = repeated(_CHARACTER if low == 0 and high is None else _PLAIN, low, high)
    if pattern is not None or form is not None:
        if (pattern is not None and form is not None) or "minLength" in found or "maxLength" in found:
            raise SchemaError(place, "of pattern, format and lengths only one can be guaranteed", "Leave one.")
        if form is not None and form not in _FORMATS:
            raise SchemaError(place, f"format {form!r} cannot be guaranteed", f"Known: {', '.join(_FORMATS)}.")
        try:
            tree = read_regex(str(pattern if form is None else _FORMATS[form]), "the pattern", search=form is None)
        except SettingsError as error:
            raise SchemaError(f"{place}/pattern", error.message, error.hint) from None
        inside = as_json_text(tree)
    return sequence((Literal('"'), inside, Literal('"')))


def as_json_text(node: Node) -> Node:
    """What `node` allows, as it stands between the quotation marks of a JSON string."""
    if isinstance(node, Literal):
        return Literal(json.dumps(node.text, ensure_ascii=False)[1:-1])
    if isinstance(node, Chars):
        return _json_chars(node)
    if isinstance(node, Repeated):
        return repeated(as_json_text(node.body), node.low, node.high)
    if isinstance(node, Sequenced):
        return sequence([as_json_text(one) for one in node.parts])
    return choice([as_json_text(one) for one in node.options]) if isinstance(node, Choice) else node


def _json_chars(node: Chars) -> Node:
    options: list[Node] = []
    plain = _shared(node, _PLAIN)
    if plain.ranges:
        options.append(plain)
    named = [said for code, said in _ESCAPED.items() if _holds(node, code)]
    options += [Literal(said) for said in named]
    if node != ANY:  # where anything goes, controls without a short name are left out
        controls = (code for code in range(0x20) if code not in _ESCAPED and _holds(node, code))
        options += [Literal(f"\\u{code:04x}") for code in controls] if len(node.ranges) < 4 else []
    return choice(options) if options else Chars(())


def _holds(node: Chars, code: int) -> bool:
    return any(low <= code <= high for low, high in node.ranges)


def _shared(one: Chars, other: Chars) -> Chars:
    both = [
        (max(low, least), min(high, most))
        for low, high in one.ranges
        for least, most in other.ranges
        if max(low, least) <= min(high, most)
    ]
    return Chars(tuple(both))


def _written(value: Any) -> Literal:
    try:
        return Literal(json.dumps(value, ensure_ascii=False, allow_nan=False))
    except (ValueError, RecursionError):
        raise SchemaError("", "a value in it cannot be written as JSON", "Repair it.") from None


def _values(found: Mapping[str, Any], place: str) -> Node:
    """One of the values of `enum` or `const`, those that do not fit `type` left out."""
    values = found.get("enum", [found.get("const")])
    if not isinstance(values, list):
        raise SchemaError(place, "enum should be a list", "Repair it.")
    if "const" in found:
        values = [value for value in values if canonical_json(value) == canonical_json(found["const"])]
    if others := set(found) - {"enum", "const", "type"}:
        raise SchemaError(place, f"{sorted(others)[0]} beside enum or const is not looked at", "Leave it out.")
    kinds: Sequence[str] = kinds_of({"type": found["type"]}, place) if "type" in found else KINDS
    kept = [value for value in values if any(IS_KIND[kind](value) for kind in kinds)]
    if not kept:
        raise SchemaError(place, "no value of enum fits", "Give one that does.", is_empty=True)
    return choice([_written(value) for value in kept])


def _bounds(found: Mapping[str, Any], least: str, most: str, place: str) -> tuple[int, int | None]:
    low, high = found.get(least, 0), found.get(most)
    for keyword, value in ((least, low), (most, high)):
        if value is not None and (not isinstance(value, int | float) or value != int(value) or not 0 <= value <= 1e6):
            raise SchemaError(place, f"{keyword} should be a whole number up to 1,000,000, found {value!r}", "Mend it.")
    if high is not None and low > high:
        raise SchemaError(place, f"{least} {low} is above {most} {high}", "Mend one.", is_empty=True)
    return int(low), None if high is None else int(high)
