import json
import time

import pytest

from adhere.core.errors import ModelError
from adhere.core.model import Ask, Generates, Reply, Sampling, Scores, Trains, replies
from adhere.core.record import assistant, system, user
from adhere.models.scripted import CHAT_TEMPLATE, HOSTILE, ScriptedModel, hostile, tiny_tokenizer, tiny_weights


def ask(text: str = "Describe the harbour at dawn.", sample: int = 0, **sampling) -> Ask:
    return Ask((user(text),), Sampling(**{"max_tokens": 10_000, **sampling}), sample)


def said(model: ScriptedModel, *asks: Ask) -> list[str]:
    return [reply.text for reply in replies(model, asks)]


def test_prose_is_the_same_every_time_and_different_per_sample():
    many = [ask(sample=number) for number in range(40)]
    first, again = said(ScriptedModel(), *many), said(ScriptedModel(), *many)
    assert first == again
    assert len(set(first)) == 40
    assert said(ScriptedModel(), *reversed(many)) == first[::-1]


def test_prose_passes_some_checks_and_fails_others():
    texts = said(ScriptedModel(), *[ask(sample=number) for number in range(200)])
    checks = {
        "lower case": str.islower,
        "upper case": str.isupper,
        "no comma": lambda text: "," not in text,
        "title": lambda text: "<<" in text,
        "bullets": lambda text: "\n- " in text or "\n* " in text,
        "postscript": lambda text: "P.S." in text,
        "at least 60 words": lambda text: len(text.split()) >= 60,
        "quoted": lambda text: text.startswith('"') and text.endswith('"'),
        "keyword": lambda text: "harbour" in text.lower(),
        "json": lambda text: text.startswith("{") and bool(json.loads(text)),
    }
    for name, check in checks.items():
        passing = sum(map(check, texts))
        assert 4 <= passing <= 196, (name, passing)


def test_script_as_function_and_as_mapping():
    model = ScriptedModel(lambda one: one.messages[-1].text.upper())
    assert said(model, ask("abc")) == ["ABC"]
    ready = Reply("as is", "length", 1, 2)
    mapped = ScriptedModel({"abc": "by instruction", ask("xyz").key: ready})
    assert replies(mapped, [ask("abc"), ask("xyz")])[1] is ready
    with pytest.raises(ModelError, match="no reply to 'other'"):
        said(mapped, ask("other"))


def test_limits_and_stops_are_kept():
    model = ScriptedModel(lambda one: "one two  three\nfour five")
    assert replies(model, [ask(max_tokens=3)]) == [Reply("one two  three", "length", 5, 3)]
    assert replies(model, [ask(max_tokens=5)])[0].finish == "stop"
    assert replies(model, [ask(stop=("three",))]) == [Reply("one two  ", "stop", 5, 2)]


def test_asks_are_counted():
    model = ScriptedModel()
    said(model, ask(), ask(), ask("other"))
    assert model.calls == 3
    assert model.asked[ask().key] == 2


def test_failing_after_some_replies():
    model = ScriptedModel(fail_after=2)
    running = model.generate([ask(sample=number) for number in range(5)])
    assert [next(running)[0], next(running)[0]] == [0, 1]
    with pytest.raises(ModelError, match="after 2 replies"):
        next(running)
    again = ScriptedModel()
    said(again, ask())
    with pytest.raises(ModelError):
        list(again.generate([ask(), ask()], fail_after=1))
    assert again.calls == 2


def test_delay_passes():
    began = time.monotonic()
    list(ScriptedModel().generate([ask(), ask()], delay_s=0.02))
    assert time.monotonic() - began >= 0.04


def test_capabilities_tell_the_truth(tmp_path):
    bare, heavy = ScriptedModel(), ScriptedModel(weights=tiny_weights(tmp_path))
    assert isinstance(bare, Generates)
    assert isinstance(bare, Scores)
    assert not isinstance(bare, Trains)
    assert isinstance(heavy, Trains)
    assert heavy.weights == tmp_path
    assert heavy.fingerprint != bare.fingerprint
    tuned = heavy.with_weights(tiny_weights(tmp_path / "other", seed=1), "tuned")
    assert tuned.name == "tuned"
    assert len({heavy.fingerprint, tuned.fingerprint, heavy.with_weights(tmp_path, "tuned").fingerprint}) == 3


def test_fingerprint_follows_what_changes_replies():
    def one(given: Ask) -> str:
        return "one"

    def two(given: Ask) -> str:
        return "two"

    models = [
        ScriptedModel(),
        ScriptedModel({"a": "b"}),
        ScriptedModel({"a": "c"}),
        ScriptedModel(one),
        ScriptedModel(two),
    ]
    assert len({model.fingerprint for model in models}) == 5
    assert ScriptedModel(one).fingerprint == ScriptedModel(one).fingerprint


def test_scores_are_fixed_and_below_zero():
    model = ScriptedModel()
    pair = ((user("a"),), "three words here")
    (first,), (second,) = model.score([pair]), model.score([pair])
    assert first == second
    assert -3 <= first.mean <= -1
    assert first.tokens == 4
    assert model.score([((user("b"),), "three words here")])[0] != first


def test_hostile_replies_are_as_bad_as_they_say():
    given = ask(max_tokens=4)
    assert said(ScriptedModel(HOSTILE["empty"]), given) == [""]
    assert len(said(ScriptedModel(HOSTILE["huge"]), given)[0]) >= 2**20
    assert {"\x00", "\x1b", "\u202e"} <= set(said(ScriptedModel(HOSTILE["controls"]), ask())[0])
    assert replies(ScriptedModel(HOSTILE["error"]), [given])[0].finish == "error"
    for name in HOSTILE:  # they can be stored, at least
        replies(ScriptedModel(HOSTILE[name]), [given])[0].text.encode()
    found = {repr(hostile(ask(sample=number)))[:60] for number in range(200)}
    assert len(found) == len(HOSTILE)


def test_tiny_weights_depend_on_the_seed_only(tmp_path):
    one, same, other = tiny_weights(tmp_path / "a"), tiny_weights(tmp_path / "b"), tiny_weights(tmp_path / "c", seed=1)
    names = sorted(path.name for path in one.iterdir())
    assert "model.safetensors" in names
    for name in names:
        assert (one / name).read_bytes() == (same / name).read_bytes()
    assert (one / "model.safetensors").read_bytes() != (other / "model.safetensors").read_bytes()
    assert sum(path.stat().st_size for path in one.iterdir()) < 1_000_000


def test_the_tiny_tokenizer_round_trips(tmp_path):
    tokenizers = pytest.importorskip("tokenizers", reason="needs the extra [local]")
    tiny_weights(tmp_path)
    tokenizer = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert [tokenizer.token_to_id(token) for token in ("<|endoftext|>", "<|im_start|>", "<|im_end|>")] == [0, 1, 2]
    for text in ("Describe the harbour, please.\n\n\tÜber 庭 😀", " the plan needs", "a\x00b\x1b", ""):
        assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == text
    assert tokenizer.encode("<|im_start|>user").ids[0] == 1
    assert len(tokenizer.encode(" the plan needs a little patience").ids) == 6
    assert tokenizer.get_vocab_size() == len(tiny_tokenizer()["model"]["vocab"])


def test_the_chat_template_is_chatml():
    import jinja2

    turns = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": "a"},
    ]
    text = jinja2.Template(CHAT_TEMPLATE).render(messages=turns, add_generation_prompt=False)
    assert text == "".join(f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in turns)
    assert jinja2.Template(CHAT_TEMPLATE).render(messages=[], add_generation_prompt=True) == "<|im_start|>assistant\n"


def test_tiny_weights_load_as_a_llama(tmp_path):
    torch = pytest.importorskip("torch", reason="needs the extra [local]")
    safetensors = pytest.importorskip("safetensors.torch", reason="needs the extra [local]")
    state = safetensors.load_file(str(tiny_weights(tmp_path) / "model.safetensors"))
    config = json.loads((tmp_path / "config.json").read_bytes())
    assert state["model.embed_tokens.weight"].shape == (config["vocab_size"], config["hidden_size"])
    assert len([name for name in state if "q_proj" in name]) == config["num_hidden_layers"]
    assert all(tensor.dtype is torch.float32 and bool(torch.isfinite(tensor).all()) for tensor in state.values())
    assert state["model.layers.0.mlp.up_proj.weight"].std().item() == pytest.approx(0.02, rel=0.05)


def test_the_instruction_is_the_last_user_message():
    model = ScriptedModel({"second": "found"})
    conversation = (system("s"), user("first"), assistant("a"), user("second"))
    assert replies(model, [Ask(conversation)])[0].text == "found"
