"""Whether a run folder was made here. One that was not can name any model, any file to write, any place behind a link.

Resuming asks the model that the folder names, with the user's key, and writes where the folder says. So each folder
carries a seal over its `run.json` and its place, made with a key that only this user has; where the seal does not fit
(a stranger's folder, a copied or moved one, a changed plan), resuming is refused until the user says --trust.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import tempfile
from pathlib import Path
from typing import Any

from adhere.app.display import one_line, say
from adhere.core.errors import EXIT_USAGE, StoreError
from adhere.models.weights import cache_folder
from adhere.store.files import explained, write_atomically
from adhere.store.run import read_about

SEAL = ".made-here"
_WRITTEN = ("out", "checkpoints", "shards", "models")  # below these a run writes and deletes


def seal_folder(folder: Path) -> None:
    """Mark a run folder as made by this user, in this place, with this plan; without a key it stays unmarked."""
    try:
        key = _key()
    except StoreError as error:
        say(f"This run cannot be marked as yours, so resuming it will need --trust: {error.message}")
        return
    write_atomically(folder / SEAL, [_seal_of(folder, key).encode()])


def is_sealed_here(folder: Path) -> bool:
    """Whether the folder carries the seal that it would be given now."""
    with explained(folder):
        try:
            found = (folder / SEAL).read_bytes()
        except FileNotFoundError:
            return False
    return hmac.compare_digest(found.strip(), _seal_of(folder, _key()).encode())


def refuse_strange(folder: Path, trusted: bool) -> None:
    """Refuse a folder that was not made here, unless it is `trusted`, which seals it; and links in it always."""
    about = read_about(folder)
    refuse_links(folder)
    if is_sealed_here(folder):
        return
    if not trusted:
        asked, written = _named(about)
        raise StoreError(
            f"the run in {folder} was made elsewhere, moved or changed: it would ask {asked} and write to {written}",
            f"If that is what you want: adhere resume {folder} --trust   (a run killed as it began: its command again)",
            EXIT_USAGE,
        )
    seal_folder(folder)


def refuse_links(folder: Path) -> None:
    """Raise `StoreError` for a link where a run writes or deletes: what it points to is not the run's."""
    for name in _WRITTEN:
        place = folder / name
        for path in [place, *(place.rglob("*") if place.is_dir() and not place.is_symlink() else ())]:
            if path.is_symlink():
                raise StoreError(f"{path} is a link, and a run folder has none there", "Delete it, then resume again.")


def _named(about: dict[str, Any]) -> tuple[str, str]:
    """The model that a folder would ask and the file that it would write, in words."""
    try:
        model = str(about["plan"]["inputs"]["model_name"])
    except (KeyError, TypeError):
        model = "no model"
    delivery = about.get("delivery")
    output = delivery.get("output") if isinstance(delivery, dict) else None
    return one_line(model, 200), one_line(str(output), 200) if output else "nothing outside itself"


def _seal_of(folder: Path, key: bytes) -> str:
    with explained(folder):
        content = (folder / "run.json").read_bytes()
    place = os.fsencode(folder.resolve())
    return hmac.new(key, content + b"\0" + place, hashlib.sha256).hexdigest()


def _key() -> bytes:
    """32 random bytes of this user, made when first needed; nobody else may read them."""
    path = cache_folder() / "seal.key"
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            handle, made = tempfile.mkstemp(dir=path.parent, prefix=".seal-")  # for this user's eyes alone
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(32))
            with contextlib.suppress(FileExistsError):
                os.link(made, path)  # whole or not there, and never in the place of another process's
            Path(made).unlink()
        key = path.read_bytes()
    if len(key) != 32:
        raise StoreError(f"{path} should hold 32 bytes, found {len(key)}", "Delete it; a new one is made.")
    return key
