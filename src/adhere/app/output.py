"""Where results go: a file that appears whole or not at all, a device or pipe, or stdout."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from adhere.app.display import say
from adhere.core.errors import EXIT_FINE, EXIT_NOT_MET, DataError, SettingsError, StoreError
from adhere.core.record import Record
from adhere.core.step import Dropped
from adhere.data.read import RejectedRow
from adhere.store.files import explained, write_atomically

TOLD = 5  # rows set aside that are told one by one


def check_file(path: Path | None) -> None:
    """Refuse, before anything is paid for, an output file that could not be written; None is stdout."""
    if path is None:
        return
    if path.is_dir():
        raise SettingsError(f"-o should name a file, {path} is a folder", f"For example: -o {path / 'rows.jsonl'}")
    _check_writable(path.parent)


def check_folder(path: Path, option: str = "-o") -> None:
    """Refuse, before anything is paid for, a folder given by `option` that could not be made or written in."""
    if path.exists() and not path.is_dir():
        raise SettingsError(
            f"{option} should name a folder, {path} is a file", f"Choose another name with {option} FOLDER."
        )
    _check_writable(path, option)


def _check_writable(folder: Path, option: str = "-o") -> None:
    nearest = next((one for one in (folder, *folder.parents) if one.exists()), Path())
    if not nearest.is_dir():
        raise StoreError(
            f"cannot write below {nearest}: it is a file, not a folder", f"Choose another place with {option}."
        )
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise StoreError(
            f"cannot write in {nearest}: no permission, or the disk is read-only",
            f"Choose another place with {option}.",
        )


def write_lines(path: Path | None, lines: Iterable[bytes]) -> None:
    """Write lines to a file, which appears whole or not at all; to a device or pipe; or to stdout (None).

    They are taken one at a time, and need not fit in memory together.
    """
    if path is None:
        sys.stdout.flush()
        sys.stdout.buffer.writelines(lines)
        sys.stdout.buffer.flush()
    elif _is_special(path):  # renaming a finished file over a device or pipe would remove it
        with explained(path), path.open("wb") as file:
            file.writelines(lines)
    else:
        write_atomically(path, lines)


def write_outcome(path: Path | None, kept: Sequence[Record], dropped: Sequence[Dropped], as_json: bool) -> int:
    """Write the rows of a step, and beside a file those it dropped; 1 when no row was kept."""
    write_rows(path, kept, dropped)
    return tell_outcome(path, kept, dropped, as_json)


def write_rows(path: Path | None, kept: Sequence[Record], dropped: Sequence[Dropped]) -> None:
    """Write the rows of a step, and beside a file those it dropped."""
    aside = beside(path)
    if aside is not None:
        write_lines(aside, encoded(dropped))
    write_lines(path, encoded(kept))


def tell_outcome(
    path: Path | None, kept: Sequence[Record], dropped: Sequence[Dropped], as_json: bool, sealed: Path | None = None
) -> int:
    """Say how many rows a step wrote to `path`; a `DataError` with exit status 1 when it kept none.

    `sealed` is where dropped rows can be read when none were written beside `path`.
    """
    aside = beside(path) or sealed
    say(f"{len(kept)} rows kept, {len(dropped)} dropped")
    if as_json:
        print_json({"kept": len(kept), "dropped": len(dropped), "output": None if path is None else str(path)})
    if kept:
        return EXIT_FINE
    reasons = "".join(f"\n  {reason}" for reason in dict.fromkeys(row.reason[:160] for row in dropped[:3]))
    hint = f"All reasons are in {aside}." if aside else "Run with -o FILE to have all reasons in FILE.dropped.jsonl."
    raise DataError(f"no row was kept{'; the first reasons:' if reasons else ''}{reasons}", hint, EXIT_NOT_MET)


def beside(path: Path | None) -> Path | None:
    """Where the dropped rows go: beside a file, and nowhere beside stdout, a device or a pipe."""
    return path.with_name(path.stem + ".dropped.jsonl") if path is not None and not _is_special(path) else None


def tell_rejected(
    source: Path, rejected: Sequence[RejectedRow], count: int | None = None, place: Path | None = None
) -> None:
    """Say on stderr which rows of a file were set aside, and why; the first few one by one.

    `rejected` may be the first `TOLD` of `count`, and `place` where all of them stand.
    """
    for row in rejected[:TOLD]:
        say(f"{source}:{row.line}: set aside: {row.reason}")
    further = (len(rejected) if count is None else count) - TOLD
    if further > 0:
        say(f"{source}: {further:,} further rows set aside{f': {place}' if place else ''}")


def print_json(value: Any) -> None:
    """Print one JSON value on a line of stdout."""
    print(msgspec.json.encode(value).decode())


def encoded(rows: Iterable[Any]) -> list[bytes]:
    """Each row as a JSON line."""
    return [msgspec.json.encode(row) + b"\n" for row in rows]


def _is_special(path: Path) -> bool:
    return path.exists() and not path.is_file()
