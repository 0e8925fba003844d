import sys
from pathlib import Path
from types import ModuleType

import pytest

from adhere.core.errors import EXIT_ENVIRONMENT, ModelError
from adhere.core.model import Ask, Generates, Trains, replies
from adhere.core.record import user
from adhere.models.endpoint import Endpoint
from adhere.models.resolve import open_model
from adhere.models.scripted import tiny_weights
from adhere.models.weights import check_weights


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ADHERE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def local(monkeypatch):
    """Stands in for the local engine and notes what it is given."""

    class LocalModel:
        def __init__(self, folder, name):
            self.folder, self.name = folder, name

    stand_in = ModuleType("adhere.models.local")
    stand_in.LocalModel = LocalModel
    monkeypatch.setitem(sys.modules, "adhere.models.local", stand_in)
    return LocalModel


def test_scripted_answers_and_trains(own_cache):
    model = open_model("scripted")
    assert isinstance(model, Generates)
    assert isinstance(model, Trains)
    assert (model.weights / "model.safetensors").is_file()
    assert model.weights.is_relative_to(own_cache)
    assert replies(model, [Ask((user("hello"),))])[0].text
    assert open_model(" scripted ").fingerprint == model.fingerprint


def test_scripted_variants():
    texts = {name: open_model(f"scripted:{name}") for name in ("hostile", "empty", "huge")}
    assert replies(texts["empty"], [Ask((user("x"),))])[0].text == ""
    assert len({model.fingerprint for model in texts.values()}) == 3
    with pytest.raises(ModelError) as caught:
        open_model("scripted:hostle")
    assert "'hostile'" in caught.value.hint


def test_scripted_without_a_cache_still_answers(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("ADHERE_CACHE", str(tmp_path / "file" / "below"))
    model = open_model("scripted")
    assert isinstance(model, Generates)
    assert not isinstance(model, Trains)


def test_endpoints():
    model = open_model("https://example.org/v1#big/model-7b")
    assert isinstance(model, Endpoint)
    assert model.name == "https://example.org/v1#big/model-7b"
    with pytest.raises(ModelError, match="which model") as caught:
        open_model("http://localhost:8000/v1")
    assert "#MODEL" in caught.value.hint


def test_no_name_is_not_the_current_folder(tmp_path, local, monkeypatch):
    tiny_weights(tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError):
        open_model("")


def test_folders(tmp_path, local):
    plain = tiny_weights(tmp_path / "tiny")
    model = open_model(str(plain))
    assert isinstance(model, local)
    assert (model.folder, model.name) == (plain, "tiny")
    run = tmp_path / "2026-run"
    tiny_weights(run / "kept")
    assert open_model(str(run)).folder == run / "kept"
    assert open_model(str(run)).name == "2026-run"


def test_a_tuned_model_is_opened_where_tuning_left_it(tmp_path, local):
    """As `adhere tune -o FOLDER` leaves it, and as a run links to it."""
    run = tmp_path / "2026-run"
    tuned = run / "out" / "round-1" / "tuned"
    tiny_weights(tuned / "merged")
    (tuned / "adapter").mkdir()
    (tuned / "adapter" / "adapter_config.json").write_text("{}")
    (tuned / "model.gguf").write_bytes(b"GGUF")
    (tuned / "tuned.json").write_text("{}")
    (run / "run.json").write_text("{}")
    (run / "kept").symlink_to(Path("out/round-1/tuned"))
    for folder, name in ((tuned, "tuned"), (run / "kept", "kept"), (run, "2026-run"), (tuned / "merged", "merged")):
        model = open_model(str(folder))
        assert (model.folder.resolve(), model.name) == (tuned / "merged", name)
        check_weights(model.folder)


def test_folders_without_a_model(tmp_path, local):
    with pytest.raises(ModelError, match=r"no config\.json"):
        open_model(str(tmp_path))
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(ModelError, match="has not kept a model"):
        open_model(str(tmp_path))


def test_the_embedded_model(local, monkeypatch, tmp_path):
    embedded = ModuleType("adhere.models.embedded")
    embedded.find_embedded = lambda: tmp_path / "prepared"
    monkeypatch.setitem(sys.modules, "adhere.models.embedded", embedded)
    model = open_model()
    assert (model.folder, model.name) == (tmp_path / "prepared", "")


def test_gguf_is_prepared_once_per_content(tmp_path, local, monkeypatch):
    pytest.importorskip("filelock", reason="needs the extra [local]")
    from adhere.models import weights

    made = []

    def prepare(file, folder, name=""):
        made.append(name)
        folder.mkdir(parents=True)
        (folder / weights.NOTE).write_text("{}")
        return folder

    monkeypatch.setattr(weights, "prepare_from_gguf", prepare)
    file = tmp_path / "some.GGUF"
    file.write_bytes(b"GGUF one")
    first = open_model(str(file))
    assert open_model(str(file)).folder == first.folder
    file.write_bytes(b"GGUF two")
    assert open_model(str(file)).folder != first.folder
    assert made == ["some", "some"]


@pytest.mark.parametrize(
    ("spec", "said", "hinted"),
    [
        ("smollm2-135", "no model is called 'smollm2-135'", "Did you mean 'smollm2-135m'?"),
        ("scriptd", "no model is called", "'scripted'"),
        ("", "no model is called", "Forms:"),
        ("./nowhere", "nothing at ./nowhere", "Check the path"),
        ("missing.gguf", "nothing at missing.gguf", "Check the path"),
        ("hub:one/two/three", "OWNER/NAME", "Forms:"),
    ],
)
def test_specs_that_name_nothing(spec, said, hinted):
    with pytest.raises(ModelError, match=said) as caught:
        open_model(spec)
    assert hinted in caught.value.hint
    assert caught.value.code == EXIT_ENVIRONMENT


def test_a_file_that_is_no_model(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(ModelError, match=r"not a \.gguf file"):
        open_model(str(tmp_path / "notes.txt"))


def test_a_missing_extra_is_named_with_its_command(tmp_path, monkeypatch):
    def missing():
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    embedded = ModuleType("adhere.models.embedded")
    embedded.find_embedded = missing
    monkeypatch.setitem(sys.modules, "adhere.models.embedded", embedded)
    with pytest.raises(ModelError, match="torch") as caught:
        open_model()
    assert "pip install 'adhere[local]'" in caught.value.hint


def test_resolving_imports_nothing_heavy():
    import subprocess

    code = (
        "import sys, adhere.models.resolve as r; r.open_model('scripted'); r.open_model('http://h/v1#m');"
        "print([m for m in ('torch', 'transformers', 'openvino', 'numpy') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
