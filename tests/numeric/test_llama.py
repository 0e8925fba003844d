"""Our forward pass against transformers, attention against its padded twin, the scorer against the plain way."""

from __future__ import annotations

import json

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from adhere.core.errors import ModelError  # noqa: E402
from adhere.models import attention  # noqa: E402
from adhere.models.llama import load_llama, rotary_frequencies, shape_of  # noqa: E402
from adhere.models.scoring import BF16_TOLERANCE, Scorer, token_logprobs  # noqa: E402
from adhere.models.scripted import tiny_tokenizer  # noqa: E402

SIZES = {
    "vocab_size": 211,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
}


def build(kind, folder, **changes):
    config_of = {
        "llama": transformers.LlamaConfig,
        "qwen2": transformers.Qwen2Config,
        "qwen3": transformers.Qwen3Config,
    }
    torch.manual_seed(3)
    model = transformers.AutoModelForCausalLM.from_config(config_of[kind](**{**SIZES, **changes}))
    with torch.no_grad():
        for parameter in model.parameters():  # defaults are so small that mistakes would hide
            parameter.add_(torch.randn_like(parameter) * 0.1)
    model.eval().save_pretrained(folder)
    (folder / "tokenizer.json").write_text(json.dumps(tiny_tokenizer()))
    return model


LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("llama", {"tie_word_embeddings": True}),
        ("llama", {"tie_word_embeddings": False, "num_key_value_heads": 6}),
        ("llama", {"tie_word_embeddings": True, "head_dim": 16}),
        ("llama", {"tie_word_embeddings": True, "rope_parameters": LLAMA3}),
        ("qwen2", {"tie_word_embeddings": True}),
        ("qwen3", {"tie_word_embeddings": False, "head_dim": 16}),
    ],
)
def test_logits_equal_transformers(tmp_path, kind, changes):
    theirs = build(kind, tmp_path, **changes)
    ours = load_llama(tmp_path, "fp32", "cpu")
    parts = [torch.randint(0, 211, (length,)) for length in (5, 150, 1, 40)]
    with torch.no_grad():
        wanted = torch.cat([theirs(part[None]).logits[0] for part in parts])
        found = ours.logits(ours.hidden(torch.cat(parts), ours.lay_out([len(part) for part in parts])))
    assert wanted.std() > 0.1
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)


def test_attention_and_its_gradient_equal_the_padded_kernel():
    heads = attention.Heads(6, 2, 8)
    layout = attention.lay_out([3, 300, 128, 1, 129], torch.rand(4))
    first = torch.randn(layout.tokens, 80, requires_grad=True)
    second = first.detach().clone().requires_grad_()
    above = torch.randn(layout.tokens, 48)
    ours, theirs = attention.attend(first, layout, heads), attention.attend_padded(second, layout, heads)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
    (ours * above).sum().backward()
    (theirs * above).sum().backward()
    torch.testing.assert_close(first.grad, second.grad, atol=1e-5, rtol=1e-4)


def test_no_segment_sees_another(tmp_path):
    build("llama", tmp_path)
    model = load_llama(tmp_path, "fp32", "cpu")
    ids = torch.randint(0, 211, (40,))
    layout = model.lay_out([25, 15])
    changed = ids.clone()
    changed[:25] = (changed[:25] + 1) % 211
    with torch.no_grad():
        before, after = model.hidden(ids, layout), model.hidden(changed, layout)
    assert torch.equal(before[25:], after[25:])
    assert not torch.allclose(before[:25], after[:25])


def test_the_scorer_equals_the_plain_way(tmp_path):
    theirs = build("llama", tmp_path)
    rows = []
    for length in (2, 30, 7, 150, 1):
        ids = torch.randint(0, 211, (length,)).tolist()
        rows.append((ids, [index % 3 != 0 for index in range(length)]))
    scorer = Scorer(load_llama(tmp_path, "fp32", "cpu"), stream_tokens=64)
    for (ids, marked), values in zip(rows, scorer.score_tokens(rows), strict=True):
        with torch.no_grad():
            logprobs = theirs(torch.tensor([ids])).logits[0].log_softmax(-1)
        wanted = [logprobs[index - 1, ids[index]].item() for index in range(1, len(ids)) if marked[index]]
        assert values == pytest.approx(wanted, abs=1e-4)


def test_bf16_scores_stay_within_the_stated_tolerance(tmp_path):
    build("llama", tmp_path)
    rows = [(torch.randint(0, 211, (60,)).tolist(), [True] * 60) for _ in range(6)]
    exact = Scorer(load_llama(tmp_path, "fp32", "cpu")).score_tokens(rows)
    rounded = Scorer(load_llama(tmp_path, "bf16", "cpu")).score_tokens(rows)
    for one, other in zip(exact, rounded, strict=True):
        assert sum(one) / len(one) == pytest.approx(sum(other) / len(other), abs=BF16_TOLERANCE)
    assert exact != rounded


def test_the_gradient_of_the_head_equals_autograd(tmp_path):
    build("llama", tmp_path)
    model = load_llama(tmp_path, "fp32", "cpu")
    hidden = torch.randn(150, 48, requires_grad=True)
    plain = hidden.detach().clone().requires_grad_()
    targets, above = torch.randint(0, 211, (150,)), torch.randn(150)
    (token_logprobs(model, hidden, targets) * above).sum().backward()
    wanted = (plain @ model.head.T).log_softmax(-1).gather(1, targets[:, None]).squeeze(1)
    (wanted * above).sum().backward()
    torch.testing.assert_close(hidden.grad, plain.grad, atol=1e-5, rtol=1e-4)


def test_token_ids_of_another_vocabulary_are_refused(tmp_path):
    build("llama", tmp_path)
    with pytest.raises(ModelError, match="below 211, found 400"):
        Scorer(load_llama(tmp_path, "fp32", "cpu")).score_tokens([([1, 400], [True, True])])


@pytest.mark.parametrize(
    "change",
    [
        {"model_type": "gpt2"},
        {"hidden_act": "gelu"},
        {"mlp_bias": True},
        {"attention_bias": True},
        {"num_hidden_layers": "many"},
    ],
)
def test_what_is_not_computed_is_refused(tmp_path, change):
    build("llama", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    with pytest.raises(ModelError):
        shape_of({**config, **change}, "config.json")
    with pytest.raises(ModelError, match="rope_type"):
        rotary_frequencies(shape_of({**config, "rope_parameters": {"rope_type": "yarn"}}, "config.json"))


def test_weights_that_do_not_fit_are_refused(tmp_path):
    build("llama", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "intermediate_size": 96}))
    with pytest.raises(ModelError, match="mlp"):
        load_llama(tmp_path, "fp32", "cpu")
