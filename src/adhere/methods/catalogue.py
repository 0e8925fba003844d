"""The methods by name, read from their files with `ast`: listing imports no method and so no torch."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from adhere.core.errors import SettingsError, did_you_mean
from adhere.core.method import ARROWS, Card


class Entry(msgspec.Struct, frozen=True):
    """A method as its file states it: `name` is the file stem with hyphens, `idea` its docstring."""

    name: str
    arrow: str
    path: str
    idea: str
    card: Card


def entries() -> list[Entry]:
    """All methods, by arrow and name."""
    root = Path(__file__).parent
    found = []
    for arrow in ARROWS:
        for path in sorted((root / arrow).glob("*.py")):
            if not path.stem.startswith("_"):
                found.append(_entry(path, arrow))
    return found


def entry(name: str, arrow: str | None = None) -> Entry:
    """The method called `name`; a `SettingsError` with the nearest names when there is none."""
    known = {one.name: one for one in entries() if arrow in (None, one.arrow)}
    wanted = name.replace("_", "-")
    if wanted not in known:
        what = f"{arrow} method" if arrow else "method"
        raise SettingsError(f"no {what} called {name!r}", did_you_mean(wanted, known))
    return known[wanted]


def load(found: Entry) -> ModuleType:
    """Import the method's module."""
    stem = Path(found.path).stem
    return importlib.import_module(f"adhere.methods.{found.arrow}.{stem}")


def settings_of(module: ModuleType) -> list[tuple[str, str, Any]]:
    """`(name, type, default)` of each setting of a method."""
    parameters = inspect.signature(module.Settings).parameters.values()
    return [(one.name, str(one.annotation), one.default) for one in parameters]


def settings_said(module: ModuleType) -> str:
    """What the docstrings of a method's `Settings`, and of the settings that these derive from, say of each."""
    kinds = [one for one in module.Settings.__mro__ if dataclasses.is_dataclass(one)]
    return "\n\n".join(inspect.cleandoc(one.__doc__ or "").strip() for one in kinds)


def _entry(path: Path, arrow: str) -> Entry:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body:
        is_card = isinstance(node, ast.Assign) and [getattr(one, "id", "") for one in node.targets] == ["CARD"]
        if is_card and isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            values = {word.arg: ast.literal_eval(word.value) for word in node.value.keywords if word.arg}
            card = msgspec.convert(values, Card)
            return Entry(path.stem.replace("_", "-"), arrow, str(path), ast.get_docstring(tree) or "", card)
    raise SettingsError(
        f"{path} has no literal CARD", "Write CARD = Card(summary=..., version=...) with literals only."
    )
