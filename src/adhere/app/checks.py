"""The constraint types as users see them: `adhere list --checks`, `adhere show FAMILY:NAME`, and docs/checks.md."""

from __future__ import annotations

import random
from typing import Any

from adhere.app.output import print_json
from adhere.core.errors import EXIT_FINE, SettingsError, did_you_mean
from adhere.verify.catalogue import ALL_TYPES, IFEVAL_TYPES, UNSEEN_FAMILIES, constraint_type
from adhere.verify.constraint import ConstraintType, Drawing

_DRAWN_FOR = Drawing("Explain how bread is made, and what can go wrong.")
_INTRODUCTION = """# Constraint types

Every type writes its instruction, checks its parameters, verifies a reply and says what it counted; those marked
repair correct a reply by code. Families are what training and held-out sets are split by. Types marked IFEval agree
with the reference verdict by verdict (register `faithful`); held-out ones are never trained on by the default recipe.
This page is made by `python .ci/check_documents.py --write`.
"""


def list_checks(family: str | None, as_json: bool) -> int:
    """All constraint types, or those of a family."""
    families = sorted({kind.family for kind in ALL_TYPES.values()})
    if family is not None and family not in families:
        raise SettingsError(f"no family {family!r} of constraint types", did_you_mean(family, families))
    found = [kind for kind in ALL_TYPES.values() if family in (None, kind.family)]
    if as_json:
        print_json([_about(kind) for kind in found])
        return EXIT_FINE
    width = max(len(kind.id) for kind in found)
    for kind in sorted(found, key=lambda one: one.id):
        print(f"{kind.id:{width}}  {origin(kind):8}  {_one_line(example_phrase(kind))[:100]}")
    return EXIT_FINE


def show_check(name: str, as_json: bool) -> int:
    """One constraint type: parameters, phrasings, an example that passes and its near misses."""
    kind = constraint_type(name)
    if as_json:
        print_json(_about(kind))
        return EXIT_FINE
    print(f"{kind.id} ({origin(kind)})\n")
    for key, of in kind.parameters.items():
        print(f"  {key}: {_type_name(of)}{_bounds(kind, key)}")
    print(f"  repair by code: {'yes' if kind.repair else 'no'}; a mended reading: {'yes' if kind.mended else 'no'}\n")
    print("Phrasings")
    for template in kind.phrasings:
        print(f"  {_one_line(template)}")
    for example in kind.examples[:1]:
        print(f"\nPasses with {example.params}\n  {_one_line(example.gold)}\nFails")
        for miss in example.near_misses:
            print(f"  {_one_line(miss)}")
    return EXIT_FINE


def checks_page() -> str:
    """The text of docs/checks.md."""
    by_family: dict[str, list[ConstraintType]] = {}
    for kind in ALL_TYPES.values():
        by_family.setdefault(kind.family, []).append(kind)
    lines = [_INTRODUCTION, f"{len(ALL_TYPES)} types in {len(by_family)} families.\n"]
    for family, kinds in sorted(by_family.items()):
        lines += [f"## {family}\n", "| type | parameters | said, for example | |", "|---|---|---|---|"]
        for kind in sorted(kinds, key=lambda one: one.id):
            marks = [mark for mark in (origin(kind), "repair" if kind.repair else "") if mark and mark != "further"]
            parameters = ", ".join(f"`{key}`{_bounds(kind, key)}" for key in kind.parameters)
            said = _one_line(example_phrase(kind)).replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
            lines.append(f"| `{kind.id.partition(':')[2]}` | {parameters} | {said[:160]} | {', '.join(marks)} |")
        lines.append("")
    return "\n".join(lines)


def origin(kind: ConstraintType) -> str:
    """Where a type comes from: IFEval, held out for measuring generalisation, or further."""
    if kind.id in IFEVAL_TYPES:
        return "IFEval"
    return "held out" if kind.family in UNSEEN_FAMILIES else "further"


def example_phrase(kind: ConstraintType) -> str:
    """A phrasing with parameters of the type's own example; the same at every call."""
    params = kind.examples[0].params if kind.examples else kind.draw(random.Random(0), _DRAWN_FOR) or {}
    return kind.phrase(params, kind.phrasings[0])


def _about(kind: ConstraintType) -> dict[str, Any]:
    return {
        "id": kind.id,
        "family": kind.family,
        "origin": origin(kind),
        "parameters": {key: _type_name(of) for key, of in kind.parameters.items()},
        "repair": kind.repair is not None,
        "mended": kind.mended is not None,
        "phrase": example_phrase(kind),
    }


def _type_name(of: type | tuple[type, ...]) -> str:
    return " or ".join(one.__name__ for one in (of if isinstance(of, tuple) else (of,)))


def _bounds(kind: ConstraintType, key: str) -> str:
    allowed = kind.allowed.get(key)
    if allowed is None:
        return ""
    if isinstance(allowed, range):
        return f" ({allowed[0]} to {allowed[-1]})"
    return f" ({', '.join(allowed)})" if len(allowed) <= 6 else f" (one of {len(allowed)})"


def _one_line(text: str) -> str:
    return " ".join(text.split())
