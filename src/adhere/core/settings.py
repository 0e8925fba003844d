"""Settings: frozen dataclasses of values, filled from TOML and `key=value`, with clear refusals."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from adhere.core.errors import SettingsError, did_you_mean

S = TypeVar("S")


def fill(kind: type[S], values: Mapping[str, Any], where: str) -> S:
    """Make the settings dataclass `kind` from `values`; `where` names their source in errors.

    Strings from a command line are converted (`"3"` to 3, `"true"` to True, `"a,b"` to a tuple).
    """
    known = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            raise SettingsError(f"unknown setting {key!r} in {where}", did_you_mean(key, known))
    shape = msgspec.inspect.type_info(kind)
    if not isinstance(shape, msgspec.inspect.DataclassType):
        raise TypeError(f"settings are a dataclass, found {kind!r}")
    wants = {field.name: field.type for field in shape.fields}
    ready = {key: _split_list(value, wants[key]) for key, value in values.items()}
    try:
        return msgspec.convert(ready, kind, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"bad value in {where}: {error}", "See the settings with: adhere show METHOD") from None


def _split_list(value: Any, want: Any) -> Any:
    is_list = isinstance(want, msgspec.inspect.VarTupleType | msgspec.inspect.ListType)
    if is_list and isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def parse_assignments(words: Sequence[str]) -> dict[str, str]:
    """`["epochs=2", "rank=8"]` as a dict; a word without `=` is refused."""
    values = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise SettingsError(f"expected key=value, found {word!r}", "For example: epochs=2")
        values[key.strip().replace("-", "_")] = value.strip()
    return values


def read_toml(path: Path) -> dict[str, Any]:
    """The values of a recipe file; a syntax error names its line."""
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        raise SettingsError(f"no recipe at {path}", "Check the path, or leave --recipe out.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}", 'Values only: key = 3, key = "text".') from None
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}", "Check the path.") from None
