"""GGUF files: written from a weights folder and read back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adhere.core.errors import ModelError
from adhere.core.record import user
from adhere.models.chat import ChatTokenizer
from adhere.models.scripted import tiny_weights
from adhere.models.weights import load_state, prepare_from_gguf, read_config

torch = pytest.importorskip("torch")
gguf = pytest.importorskip("gguf")

from adhere.models.gguf_file import _PRE_TOKENIZERS, _pre_name, read_gguf, read_gguf_state, write_gguf  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_weights(tmp_path_factory.mktemp("tiny"))


def test_f32_comes_back_bit_for_bit(folder: Path, tmp_path: Path) -> None:
    state, again = load_state(folder), read_gguf_state(write_gguf(folder, tmp_path / "x.gguf", "F32"))
    assert again.keys() == state.keys()
    assert all(torch.equal(again[name], state[name].float()) for name in state)


@pytest.mark.parametrize(("kind", "tolerance"), [("F16", 2**-11), ("Q8_0", 1 / 127)])
def test_rounding_stays_within_the_format(folder: Path, tmp_path: Path, kind: str, tolerance: float) -> None:
    state, again = load_state(folder), read_gguf_state(write_gguf(folder, tmp_path / "x.gguf", kind))  # type: ignore[arg-type]
    for name, tensor in state.items():
        if tensor.ndim == 1:
            assert torch.equal(again[name], tensor.float())
        else:
            assert (again[name] - tensor).abs().max() <= tolerance * tensor.abs().max()


def test_query_rows_are_stored_in_pairs(folder: Path, tmp_path: Path) -> None:
    """Row 1 of a head in the file is the first row of the head's second half, as llama.cpp rotates (0,1), (2,3), ..."""
    config = read_config(folder)
    reader = gguf.GGUFReader(write_gguf(folder, tmp_path / "x.gguf", "F32"))
    stored = {tensor.name: tensor.data for tensor in reader.tensors}
    for long, short in (("q_proj", "attn_q"), ("k_proj", "attn_k")):
        rows = load_state(folder)[f"model.layers.1.self_attn.{long}.weight"].float().numpy()
        size = config["head_dim"]
        for head in range(rows.shape[0] // size):
            for place in range(size // 2):
                for half in (0, 1):
                    expected = rows[head * size + half * size // 2 + place]
                    assert (stored[f"blk.1.{short}.weight"][head * size + 2 * place + half] == expected).all()
    values = load_state(folder)["model.layers.1.self_attn.v_proj.weight"].float().numpy()
    assert (stored["blk.1.attn_v.weight"] == values).all()


def test_a_folder_survives_the_way_through_gguf(folder: Path, tmp_path: Path) -> None:
    out = prepare_from_gguf(write_gguf(folder, tmp_path / "x.gguf", "F32"), tmp_path / "again")
    before, after = ChatTokenizer(folder), ChatTokenizer(out)
    messages = [user("It's  2024,\n\n naïve <|im_end|> 日本")]
    assert after.render(messages) == before.render(messages)
    assert after.encode_prompt(messages) == before.encode_prompt(messages)
    assert after.eos_ids == before.eos_ids
    old, new = read_config(folder), read_config(out)
    same = ("hidden_size", "num_key_value_heads", "head_dim", "rms_norm_eps", "rope_parameters", "tie_word_embeddings")
    assert {key: new[key] for key in same} == {key: old[key] for key in same}


@pytest.mark.parametrize("name", sorted(_PRE_TOKENIZERS))
def test_pre_tokenizers_are_recognised(name: str) -> None:
    assert _pre_name(_PRE_TOKENIZERS[name]) == name


def test_an_unknown_pre_tokenizer_is_marked_so() -> None:
    assert _pre_name({"type": "Split", "pattern": {"Regex": "x"}}) == "default"


def test_refusals_when_writing(folder: Path, tmp_path: Path) -> None:
    place = tiny_weights(tmp_path / "m")
    config = json.loads((place / "config.json").read_text())
    scaled = {**config, "rope_parameters": {"rope_type": "llama3", "rope_theta": 5e5}}
    (place / "config.json").write_text(json.dumps(scaled))
    with pytest.raises(ModelError, match="llama3"):
        write_gguf(place, tmp_path / "x.gguf")
    with pytest.raises(ModelError, match="unknown GGUF kind"):
        write_gguf(folder, tmp_path / "x.gguf", "Q2_K")  # type: ignore[arg-type]
    (place / "config.json").write_text(json.dumps(config))
    tokenizer = json.loads((place / "tokenizer.json").read_text())
    tokenizer["model"]["type"] = "Unigram"
    (place / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(ModelError, match="byte-level BPE"):
        write_gguf(place, tmp_path / "x.gguf")
    assert not (tmp_path / "x.gguf").exists()


def test_f16_refuses_to_overflow(folder: Path, tmp_path: Path) -> None:
    from adhere.models.weights import save_weights

    state = {name: tensor.clone() for name, tensor in load_state(folder).items()}
    state["model.layers.0.mlp.up_proj.weight"][0, 0] = 1e6
    place = save_weights(state, folder, tmp_path / "m")
    with pytest.raises(ModelError, match="range of F16"):
        write_gguf(place, tmp_path / "x.gguf", "F16")


def test_refusals_when_reading(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no GGUF file"):
        read_gguf(tmp_path / "nowhere.gguf")
    good = write_gguf(folder, tmp_path / "x.gguf").read_bytes()
    for number, raw in enumerate((b"", b"GGUF", b"x" * 4000, good[: len(good) // 3], good[:-2000])):
        path = tmp_path / f"{number}.gguf"
        path.write_bytes(raw)
        with pytest.raises(ModelError, match="not a whole GGUF"):
            read_gguf(path)
    writer = gguf.GGUFWriter(tmp_path / "other.gguf", "mamba")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with pytest.raises(ModelError, match="architecture 'mamba'"):
        read_gguf(tmp_path / "other.gguf")
