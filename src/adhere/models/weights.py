"""A weights folder: a model on disk in Hugging Face layout, and its fingerprint.

    config.json  model.safetensors (or shards with an index)  tokenizer.json  tokenizer_config.json
    chat_template.jinja  generation_config.json  adhere.json (ours: name, source, fingerprint, commit of the hub)

Only safetensors are read: a pickled checkpoint can run code, so it is refused. Headers are checked against the file's
length before anything is loaded, so that a torn download is named as such.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from adhere.core.errors import ModelError
from adhere.core.record import canonical_json

if TYPE_CHECKING:
    import torch

FORMAT = 1
SUPPORTED = ("llama", "mistral", "qwen2", "qwen3")
NOTE = "adhere.json"
COMPANIONS = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
)
INDEX = "model.safetensors.index.json"
HUB = "hub "
"""What the `source` in adhere.json begins with when the weights came from the hub; OWNER/NAME follows."""
_SHAPING_NOTHING = {"_name_or_path", "transformers_version", "dtype", "torch_dtype", "use_cache", "architectures"}
_LONGEST_HEADER = 100_000_000  # bytes; the limit of the safetensors format
_CHUNK = 1 << 24
_HUB_TIMEOUT_S = 15.0


class Tensor(msgspec.Struct, frozen=True):
    """Where a tensor lies: `start` and `end` are byte offsets in `file`."""

    name: str
    file: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


def cache_folder() -> Path:
    """Where prepared models are kept: `ADHERE_CACHE`, else the platform's cache folder of the user."""
    if chosen := os.environ.get("ADHERE_CACHE"):
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "adhere"
    if sys.platform == "win32" and (local := os.environ.get("LOCALAPPDATA")):
        return Path(local) / "adhere"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "adhere"


def read_config(folder: Path) -> dict[str, Any]:
    """The architecture of a weights folder. Raises `ModelError` where it is none or not a supported one."""
    if not folder.is_dir():
        raise ModelError(f"no model folder at {folder}", "Give a folder in Hugging Face layout.")
    config = _read_object(folder / "config.json")
    kind = config.get("model_type")
    if kind not in SUPPORTED:
        raise ModelError(
            f"{folder / 'config.json'}: model_type {kind!r} cannot be run locally",
            f"Supported: {', '.join(SUPPORTED)}. Serve others behind an OpenAI-compatible endpoint.",
        )
    for key in ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size", "intermediate_size"):
        if not isinstance(config.get(key), int) or config[key] < 1:
            raise ModelError(
                f"{folder / 'config.json'}: {key} should be a positive number, found {config.get(key)!r}",
                "Fetch the model again.",
            )
    return config


def check_weights(folder: Path) -> dict[str, Any]:
    """The configuration of a complete weights folder; `ModelError` says what is missing, torn or unsupported.

    Reads headers only. Checks that every file is there in full and that the embedding has the promised shape.
    """
    config = read_config(folder)
    if not (folder / "tokenizer.json").is_file():
        raise ModelError(f"no tokenizer.json in {folder}", "Only models with a fast tokenizer can be used.")
    found = {tensor.name: tensor for tensor in tensors(folder)}
    embedding = found.get("model.embed_tokens.weight")
    wanted = (config["vocab_size"], config["hidden_size"])
    if embedding is None or embedding.shape != wanted:
        seen = "none" if embedding is None else str(list(embedding.shape))
        raise ModelError(
            f"{folder}: expected model.embed_tokens.weight of shape {list(wanted)}, found {seen}",
            "config.json and the weights do not belong together; fetch the model again.",
        )
    last = f"model.layers.{config['num_hidden_layers'] - 1}."
    if not any(name.startswith(last) for name in found):
        raise ModelError(f"{folder}: no tensor of the last layer ({last}*)", "Fetch the model again.")
    return config


def tensors(folder: Path) -> list[Tensor]:
    """All tensors of the folder by name, from one file or from shards."""
    found = [tensor for file in _safetensors_files(folder) for tensor in _read_header(file)]
    return sorted(found, key=lambda tensor: tensor.name)


def load_state(folder: Path) -> dict[str, torch.Tensor]:
    """Every tensor of the folder by its Hugging Face name, on the CPU, in the type it is stored in."""
    from safetensors.torch import load_file

    check_weights(folder)
    state: dict[str, torch.Tensor] = {}
    for file in _safetensors_files(folder):
        try:
            state.update(load_file(str(file)))
        except Exception as error:  # safetensors raises its own type, which cannot be imported everywhere
            raise ModelError(f"cannot load {file}: {error}", "Fetch the model again.") from None
    return state


def save_weights(state: Mapping[str, torch.Tensor], like: Path, folder: Path, name: str = "") -> Path:
    """Write `state` as a weights folder with the configuration and tokenizer of `like`; returns `folder`.

    Names and shapes must be those of `like`, or `ModelError` is raised; a head tied to the embedding may be given
    and is left out. The folder appears whole or not at all and replaces an older one.
    """
    wanted = {tensor.name: tensor.shape for tensor in tensors(like)}
    tied = bool(read_config(like).get("tie_word_embeddings")) and "lm_head.weight" not in wanted
    given = {key: value for key, value in state.items() if not (tied and key == "lm_head.weight")}
    wrong = sorted(
        key for key in wanted.keys() | given.keys() if key not in given or tuple(given[key].shape) != wanted.get(key)
    )
    if wrong:
        raise ModelError(
            f"weights do not fit {like}: {len(wrong)} tensors are missing, unknown or of another shape",
            f"The first is {wrong[0]}.",
        )
    with appearing(folder) as fresh:
        write_safetensors(given, fresh / "model.safetensors")
        for companion in COMPANIONS:
            if (like / companion).is_file():
                shutil.copyfile(like / companion, fresh / companion)
        about = {**read_note(like), "source": f"tuned from {weights_fingerprint(like)[:16]}"}
        write_note(fresh, {"name": name or folder.name, **_kept(about)})
    return folder


def write_safetensors(state: Mapping[str, torch.Tensor], file: Path) -> None:
    """Write tensors in their own types; views and shared memory are copied out."""
    from safetensors.torch import save_file

    seen: set[int] = set()
    ready: dict[str, torch.Tensor] = {}
    for name, tensor in state.items():
        plain = tensor.detach().cpu().contiguous()
        ready[name] = plain.clone() if plain.data_ptr() in seen else plain
        seen.add(ready[name].data_ptr())
    try:
        save_file(ready, str(file), metadata={"format": "pt"})
    except Exception as error:  # safetensors wraps a full disk in a type of its own
        raise ModelError(f"cannot write {file}: {error}", "Check free space.") from error


def weights_fingerprint(folder: Path) -> str:
    """sha256 (64 hex characters) over everything in the folder that can change a reply.

    Tensors count by name, type, shape and bytes, so sharding and file order do not matter; beside them the
    tokenizer, the chat template, the generation defaults and the fields of config.json that shape the computation. It
    is kept in adhere.json with the sizes and times of the files, and computed again (about a second per
    gigabyte) only when one of those changed. A folder that cannot be written to is hashed at each start.
    """
    stamp = {file.name: [file.stat().st_size, file.stat().st_mtime_ns] for file in _identity_files(folder)}
    note = read_note(folder)
    if note.get("stamp") == stamp and note.get("format") == FORMAT and isinstance(note.get("sha256"), str):
        return str(note["sha256"])
    fingerprint = _hash_folder(folder)
    with suppress(OSError):
        write_note(folder, {**note, "sha256": fingerprint, "stamp": stamp})
    return fingerprint


def read_note(folder: Path) -> dict[str, Any]:
    """What adhere.json says (`name`, `source`, `sha256`, ...); empty when there is none that can be read."""
    try:
        found = json.loads((folder / NOTE).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_note(folder: Path, note: Mapping[str, Any]) -> None:
    """Replace adhere.json in one move."""
    text = json.dumps({"format": FORMAT, **note}, indent=1, ensure_ascii=False) + "\n"
    handle, name = tempfile.mkstemp(dir=folder, prefix=".adhere")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    Path(name).replace(folder / NOTE)


def prepare_from_gguf(gguf: Path, folder: Path, name: str = "", source: str = "") -> Path:
    """Make a weights folder (fp32 tensors) of a GGUF file; returns `folder`, which appears whole or not at all."""
    from adhere.models.gguf_file import read_gguf

    model = read_gguf(gguf)
    with appearing(folder) as fresh:
        write_safetensors(model.state, fresh / "model.safetensors")
        for file, value in (("config.json", model.config), ("generation_config.json", model.generation)):
            (fresh / file).write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
        (fresh / "tokenizer.json").write_text(model.tokenizer, encoding="utf-8")
        (fresh / "tokenizer_config.json").write_text(json.dumps(model.tokenizer_config, indent=1), encoding="utf-8")
        if model.chat_template:
            (fresh / "chat_template.jinja").write_text(model.chat_template, encoding="utf-8")
        check_weights(fresh)
        write_note(fresh, {"name": name or gguf.stem, "source": source or f"GGUF {gguf.name}"})
        weights_fingerprint(fresh)
    return folder


def prepare_from_hf(place: str | Path, folder: Path | None = None, name: str = "") -> Path:
    """A checked weights folder from a local folder (used where it lies) or from a repository of the hub.

    A repository (`owner/name`) is fetched to `folder`, by default in the cache: safetensors, configuration and
    tokenizer only. The newest commit is taken, all files from that one, and its hash is kept as `commit` in
    adhere.json. Raises `ModelError` when it cannot be had.
    """
    local = Path(place).expanduser()
    if local.is_dir():
        check_weights(local)
        return local
    repository = str(place)
    if repository.count("/") != 1 or repository.startswith((".", "/")):
        raise ModelError(f"no model folder at {place}", "Give a folder, or a hub repository as owner/name.")
    target = folder or cache_folder() / "models" / repository.replace("/", "--")
    with locked(target):
        if not (target / NOTE).is_file():
            _fetch_repository(repository, target, name or repository.split("/")[1])
    check_weights(target)
    return target


@contextmanager
def appearing(folder: Path) -> Iterator[Path]:
    """A temporary folder beside `folder` that takes its place when the block ends well, and vanishes otherwise."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        yield fresh
        fresh.chmod(0o755)
        if folder.exists():
            old = fresh.with_name(fresh.name + ".old")
            folder.rename(old)
            fresh.rename(folder)
            shutil.rmtree(old, ignore_errors=True)
        else:
            fresh.rename(folder)
    except OSError as error:
        raise ModelError(f"cannot write {folder}: {error}", "Check free space, or set ADHERE_CACHE.") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from preparing the same folder at the same time."""
    from filelock import FileLock

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.with_name(f".{folder.name}.lock"))
        lock.acquire()
    except OSError as error:
        raise ModelError(f"cannot write to {folder.parent}: {error}", "Set ADHERE_CACHE to another folder.") from None
    try:
        yield
    finally:
        lock.release()


def _fetch_repository(repository: str, target: Path, name: str) -> None:
    from huggingface_hub import model_info, snapshot_download

    with appearing(target) as fresh:
        try:
            commit = model_info(repository, timeout=_HUB_TIMEOUT_S).sha
            snapshot_download(
                repository,
                revision=commit,
                local_dir=fresh,
                allow_patterns=["*.safetensors", INDEX, *COMPANIONS],
                ignore_patterns=["*/*"],
                etag_timeout=5,
            )
        except Exception as error:  # a dozen types: network, proxy, authentication, disk, missing repository
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
            raise ModelError(f"cannot fetch {repository} from the hub: {reason}", "Give a local folder.") from None
        shutil.rmtree(fresh / ".cache", ignore_errors=True)
        check_weights(fresh)
        write_note(fresh, {"name": name, "source": f"{HUB}{repository}", "commit": commit})
        weights_fingerprint(fresh)


def _kept(note: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in note.items() if key not in ("name", "sha256", "stamp", "format", "commit")}


def _identity_files(folder: Path) -> list[Path]:
    return [*_safetensors_files(folder), *(folder / name for name in COMPANIONS if (folder / name).is_file())]


def _hash_folder(folder: Path) -> str:
    digest = hashlib.sha256()
    config = {key: value for key, value in read_config(folder).items() if key not in _SHAPING_NOTHING}
    digest.update(canonical_json(config))
    for name in COMPANIONS[1:]:
        if (folder / name).is_file():
            digest.update(canonical_json([name, hashlib.sha256((folder / name).read_bytes()).hexdigest()]))
    for tensor in tensors(folder):
        digest.update(canonical_json([tensor.name, tensor.dtype, tensor.shape]))
        _hash_range(digest, tensor)
    return digest.hexdigest()


def _hash_range(digest: Any, tensor: Tensor) -> None:
    with tensor.file.open("rb") as file:
        file.seek(tensor.start)
        left = tensor.end - tensor.start
        while left:
            chunk = file.read(min(left, _CHUNK))
            if not chunk:
                raise ModelError(f"{tensor.file} ends inside {tensor.name}", "Fetch the model again.")
            digest.update(chunk)
            left -= len(chunk)


def _safetensors_files(folder: Path) -> list[Path]:
    single = folder / "model.safetensors"
    if single.is_file():
        return [single]
    if (folder / INDEX).is_file():
        names = _read_object(folder / INDEX).get("weight_map")
        listed = sorted({str(name) for name in names.values()}) if isinstance(names, dict) else []
        for name in listed:
            if Path(name).name != name or not (folder / name).is_file():
                raise ModelError(f"{folder / INDEX} names {name!r}, which is not there", "Fetch the model again.")
        if listed:
            return [folder / name for name in listed]
    pickled = sorted(folder.glob("*.bin")) + sorted(folder.glob("*.pt*"))
    if pickled:
        raise ModelError(
            f"{folder} holds {pickled[0].name} but no model.safetensors; pickled weights can run code and are not read",
            "Convert the model to safetensors where you trust it.",
        )
    raise ModelError(f"no model.safetensors in {folder}", "Give a folder in Hugging Face layout.")


def _read_header(path: Path) -> list[Tensor]:
    """The tensors that a safetensors file promises, checked against its length."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or not 2 <= length <= min(size - 8, _LONGEST_HEADER):
            raise ModelError(f"{path} is not a whole safetensors file ({size} bytes)", "Fetch the model again.")
        raw = file.read(length)
    begin = 8 + length
    try:
        header = json.loads(raw)
        header.pop("__metadata__", None)
        found = [
            Tensor(
                name, path, str(entry["dtype"]), tuple(entry["shape"]), *(begin + at for at in entry["data_offsets"])
            )
            for name, entry in header.items()
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path} has a broken header: {error!r}", "Fetch the model again.") from None
    if any(not begin <= one.start <= one.end <= size for one in found):
        needed = max(one.end for one in found)
        raise ModelError(f"{path} is cut: {needed} bytes expected, {size} found", "Fetch the model again.")
    return found


def _read_object(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ModelError(f"no {path.name} in {path.parent}", "Give a folder in Hugging Face layout.") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} is not JSON: {error}", "Fetch the model again.") from None
    if not isinstance(found, dict):
        raise ModelError(f"{path} should hold an object, found {type(found).__name__}", "Fetch the model again.")
    return found
