"""Small wrong versions of a module: each differs from it in one place.

Made by `mutations_of` for `bench/mutants.py`. What is changed: comparisons (negated, and moved to the other side of the
boundary), `and`/`or`, `not`, conditions, arithmetic, numbers, truth values, strings that code works with, regular
expressions (quantifiers, borders, classes, flags), returned values, keyword arguments (left out), statements (left
out), `break` and `continue`.

What is not: fields of classes, docstrings, annotations, f-strings and messages (arguments of `passed`, `failed` and of
errors), phrasings, examples, and tables of plain strings at module level.
"""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

NEGATED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
BOUNDARY: dict[type[ast.cmpop], type[ast.cmpop]] = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
DECLARED = "(declared)"
"""Scope of what a constraint type declares outside of functions."""
MESSAGES = frozenset(("passed", "failed", "VerifierError", "ValueError", "Verdict", "Example", "TypeVar", "NewType"))
DATA = frozenset(("id", "family", "parameters", "phrasings", "heldout_phrasings", "examples", "thing"))
REGEX_CALLS = frozenset(("compile", "sub", "subn", "finditer", "findall", "search", "match", "fullmatch", "split"))
LIKE_REGEX = re.compile(r"\\[bswdSWD]|\(\?|\[.+\]|[\w\])][+*]|^\^|\$$")
REGEX_EDITS: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (r"(?<=[\w\])])\+(?!\+)", "*"),
    (r"(?<=[\w\])])\*(?![+*])", "+"),
    (r"(?<=[\w\])])\?(?![:=!<P?])", ""),
    (r"\\b", ""),
    (r"(?<![\[\\])\^", ""),
    (r"(?<!\\)\$", ""),
    (r"\\s", r"\\S"),
    (r"\\w", r"\\W"),
    (r"\\d", r"\\D"),
    (r"\[\^", "["),
    (r"\(\?!", "(?="),
    (r"\(\?=", "(?!"),
    (r"\(\?<!", "(?<="),
    (r"\(\?<=", "(?<!"),
    (r"\{(\d+),", lambda found: f"{{{int(found[1]) + 1},"),
)


class Mutation(NamedTuple):
    """One wrong version: where, what was there, what is there now, and the tree of the whole module."""

    line: int
    scope: str
    was: str
    now: str
    tree: ast.Module


class _Edit(NamedTuple):
    """What stands instead of the node at a path of (field, index)."""

    path: tuple[tuple[str, int | None], ...]
    new: ast.AST | None  # None: the keyword or the statement is left out
    was: str
    now: str
    line: int
    scope: str


def mutations_of(source: str) -> list[Mutation]:
    """Every wrong version of a module's source, in the order of its lines."""
    tree = ast.parse(source)
    edits = list(_Finder().edits(tree))
    return [_applied(tree, edit) for edit in sorted(edits, key=lambda edit: edit.line)]


def _applied(tree: ast.Module, edit: _Edit) -> Mutation:
    """The module with one edit; only what lies on the way to it is copied."""
    whole = copy.copy(tree)
    node: ast.AST = whole
    for at, (field, index) in enumerate(edit.path):
        last = at == len(edit.path) - 1
        value = getattr(node, field)
        child = value if index is None else value[index]
        new = edit.new if last else copy.copy(child)
        if new is None:
            new = ast.copy_location(ast.Pass(), child) if isinstance(child, ast.stmt) else None
        if index is None:
            setattr(node, field, new)
        else:
            setattr(node, field, [*value[:index], *([] if new is None else [new]), *value[index + 1 :]])
        if not last:
            assert new is not None
            node = new
    return Mutation(edit.line, edit.scope, edit.was, edit.now, ast.fix_missing_locations(whole))


class _Finder:
    """Walks a tree with the path to where it is, the function it is in, and whether strings matter there."""

    def __init__(self) -> None:
        self._path: list[tuple[str, int | None]] = []
        self._scope: list[str] = []
        self._declaring = 0
        self._makers: dict[type[ast.AST], Callable[..., Iterator[tuple[ast.AST | None, str]]]] = {
            ast.Compare: _comparisons,
            ast.BoolOp: _booleans,
            ast.UnaryOp: _negations,
            ast.If: _conditions,
            ast.IfExp: _conditions,
            ast.While: _conditions,
            ast.comprehension: _filters,
            ast.BinOp: _arithmetic,
            ast.AugAssign: _augmented,
            ast.Constant: _constants,
            ast.Return: _returns,
            ast.Break: lambda node: iter([(ast.Continue(), "continue")]),
            ast.Continue: lambda node: iter([(ast.Break(), "break")]),
            ast.keyword: lambda node: iter([] if node.arg is None else [(None, "(left out)")]),
            ast.Expr: lambda node: iter([] if isinstance(node.value, ast.Yield | ast.Constant) else [(None, "pass")]),
            ast.Raise: lambda node: iter([(None, "pass")]),
            ast.Attribute: _flags,
        }

    def edits(self, node: ast.AST) -> Iterator[_Edit]:
        """All edits at a node and below it."""
        declares = isinstance(node, ast.Call) and _name(node.func) == "ConstraintType"
        self._declaring += declares
        named = isinstance(node, ast.FunctionDef | ast.ClassDef)
        if named:
            self._scope.append(node.name)
        maker = self._makers.get(type(node))
        if maker is not None and self._path:
            line, scope = (
                getattr(node, "lineno", 0) or getattr(getattr(node, "target", None), "lineno", 0),
                self._where(),
            )
            for new, now in maker(node):
                placed = ast.copy_location(new, node) if new is not None and "lineno" in node._attributes else new
                yield _Edit(tuple(self._path), placed, _shown(node), now, line, scope)
        for field, value in ast.iter_fields(node):
            if self._skipped(node, field):
                continue
            many = isinstance(value, list)
            for index, child in enumerate(value if many else [value]):
                if isinstance(child, ast.AST) and not self._ignored(node, field, child):
                    self._path.append((field, index if many else None))
                    yield from self.edits(child)
                    self._path.pop()
        self._declaring -= declares
        if named:
            self._scope.pop()

    def _where(self) -> str:
        return ".".join(self._scope) or (DECLARED if self._declaring else "")

    def _skipped(self, node: ast.AST, field: str) -> bool:
        if field in ("annotation", "returns", "decorator_list", "type_params", "ctx", "op", "ops"):
            return True
        return isinstance(node, ast.AnnAssign) and field == "target"

    def _ignored(self, node: ast.AST, field: str, child: ast.AST) -> bool:
        """Whether nothing below is changed: names, messages, wording, tables of strings."""
        if isinstance(child, ast.Import | ast.ImportFrom | ast.JoinedStr | ast.alias | ast.arg):
            return not (isinstance(child, ast.JoinedStr) and _is_regex(node, field))
        if isinstance(child, ast.keyword) and (child.arg in DATA or isinstance(node, ast.ClassDef)):
            return True
        if isinstance(node, ast.ClassDef) and isinstance(child, ast.AnnAssign):
            return not isinstance(child.value, ast.Lambda)  # a class stays as it is, but for its functions
        if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
            return True  # a docstring
        if isinstance(child, ast.Call) and _name(child.func) == "Example":
            return True
        if isinstance(child, ast.If) and _shown(child.test) == "TYPE_CHECKING":
            return True
        if isinstance(child, ast.Constant) and isinstance(child.value, str):
            if _is_regex(node, field):
                return False
            message = isinstance(node, ast.Call) and _name(node.func) in MESSAGES
            return message or not self._scope or isinstance(node, ast.Dict | ast.Subscript | ast.JoinedStr)
        return False


def _name(func: ast.AST) -> str:
    return func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""


def _is_regex(node: ast.AST, field: str) -> bool:
    """Whether the strings in this place are regular expressions: arguments of a function of `re`."""
    if isinstance(node, ast.JoinedStr):
        return True  # reached only through a regular expression
    if isinstance(node, ast.Assign) and field == "value" and isinstance(node.value, ast.Constant):
        return bool(LIKE_REGEX.search(str(node.value.value)))
    return (
        isinstance(node, ast.Call)
        and field == "args"
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "re"
        and node.func.attr in REGEX_CALLS
    )


def _shown(node: ast.AST) -> str:
    if isinstance(node, ast.If | ast.While):
        node = node.test
    text = re.sub(r"\s+", " ", ast.unparse(node))
    return text if len(text) <= 90 else text[:87] + "..."


def _with(node: ast.AST, **fields: object) -> ast.AST:
    new = copy.copy(node)
    for name, value in fields.items():
        setattr(new, name, value)
    return new


def _made(node: ast.AST, **fields: object) -> tuple[ast.AST, str]:
    new = _with(node, **fields)
    return new, _shown(new)


def _comparisons(node: ast.Compare) -> Iterator[tuple[ast.AST, str]]:
    for at, op in enumerate(node.ops):
        for table in (NEGATED, BOUNDARY):
            if type(op) in table:
                yield _made(node, ops=[*node.ops[:at], table[type(op)](), *node.ops[at + 1 :]])


def _booleans(node: ast.BoolOp) -> Iterator[tuple[ast.AST, str]]:
    yield _made(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())


def _negations(node: ast.UnaryOp) -> Iterator[tuple[ast.AST, str]]:
    if isinstance(node.op, ast.Not | ast.USub):
        yield node.operand, _shown(node.operand)


def _negated(test: ast.expr) -> ast.expr | None:
    """The opposite of a condition; None where changing the condition itself does that already."""
    simple = isinstance(test, ast.Compare) or (isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not))
    return None if simple else ast.copy_location(ast.UnaryOp(ast.Not(), test), test)


def _conditions(node: ast.If | ast.IfExp | ast.While) -> Iterator[tuple[ast.AST, str]]:
    test = _negated(node.test)
    if test is not None:
        yield _made(node, test=test)


def _filters(node: ast.comprehension) -> Iterator[tuple[ast.AST, str]]:
    if node.ifs:
        yield _made(node, ifs=[])


def _arithmetic(node: ast.BinOp) -> Iterator[tuple[ast.AST, str]]:
    if type(node.op) in ARITHMETIC:
        yield _made(node, op=ARITHMETIC[type(node.op)]())


def _augmented(node: ast.AugAssign) -> Iterator[tuple[ast.AST, str]]:
    if type(node.op) in ARITHMETIC:
        yield _made(node, op=ARITHMETIC[type(node.op)]())
    yield ast.Pass(), "pass"


def _constants(node: ast.Constant) -> Iterator[tuple[ast.AST, str]]:
    value = node.value
    if isinstance(value, bool):
        yield _made(node, value=not value)
    elif isinstance(value, int | float):
        yield _made(node, value=value + 1)
        if value > 1:
            yield _made(node, value=value - 1)
    elif isinstance(value, str):
        for new in dict.fromkeys(_strings(value)):
            yield _made(node, value=new)


def _strings(value: str) -> Iterator[str]:
    """Other strings: where it looks like a regular expression, each part of it changed; else one more or fewer."""
    if LIKE_REGEX.search(value):
        for pattern, new in REGEX_EDITS:
            for found in re.finditer(pattern, value):
                part = found.expand(new) if isinstance(new, str) else new(found)
                yield value[: found.start()] + part + value[found.end() :]
        return
    yield f"XX{value}XX" if value else "XX"
    if len(value) > 1:
        yield value[1:]


def _returns(node: ast.Return) -> Iterator[tuple[ast.AST, str]]:
    value = node.value
    if value is not None and not (isinstance(value, ast.Constant) and value.value in (None, True, False)):
        yield _made(node, value=ast.copy_location(ast.Constant(None), value))


def _flags(node: ast.Attribute) -> Iterator[tuple[ast.AST, str]]:
    if isinstance(node.value, ast.Name) and node.value.id == "re" and node.attr.isupper():
        yield ast.Constant(0), "0"
