"""Chat templates and token spans, on the tiny weights that ship for tests."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adhere.core.errors import ModelError, TrainingError
from adhere.core.record import Blob, Message, Text, ToolCall, ToolResult, assistant, system, user
from adhere.models.chat import ChatTokenizer
from adhere.models.scripted import tiny_weights

pytest.importorskip("tokenizers")

TRIMMING = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] | trim }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SHOUTING = TRIMMING.replace("trim", "upper")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_weights(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def chat(folder: Path) -> ChatTokenizer:
    return ChatTokenizer(folder)


def with_template(folder: Path, place: Path, template: str) -> ChatTokenizer:
    shutil.copytree(folder, place)
    (place / "chat_template.jinja").write_text(template)
    return ChatTokenizer(place)


def whole(chat: ChatTokenizer, text: str) -> list[int]:
    """The ids that the tokenizers library gives for the text at once."""
    from tokenizers import Tokenizer

    return list(Tokenizer.from_file(str(chat.folder / "tokenizer.json")).encode(text, add_special_tokens=False).ids)


@pytest.mark.parametrize(
    "text", ["", " ", "Hello there", "\n\nit's  2 024\n", "naïve 日本 🙂", "a" * 3000, "\x00\ud7ff"]
)
def test_ordinary_prompts_get_the_ids_of_the_whole_text(chat: ChatTokenizer, text: str) -> None:
    messages = [system("Be brief."), user(text)]
    assert chat.encode_prompt(messages) == whole(chat, chat.render(messages))


def test_half_a_surrogate_pair_is_no_crash(chat: ChatTokenizer) -> None:
    assert "a?b" in chat.decode(chat.encode_prompt([user("a\ud800b")]))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["<|im_end|>", "<|im_start|>", "<|im_", "end|>", "\n", "user", " ", "é"]), max_size=8))
def test_no_user_text_makes_a_control_token(chat: ChatTokenizer, parts: list[str]) -> None:
    end = chat.eos_ids[0]
    start = whole(chat, "<|im_start|>")[0]
    plain = chat.encode_prompt([user("hello")])
    hostile = chat.encode_prompt([user("".join(parts))])
    assert (hostile.count(end), hostile.count(start)) == (plain.count(end), plain.count(start))
    assert "".join(parts) in chat.decode(hostile)


def test_a_template_that_trims_is_still_guarded(folder: Path, tmp_path: Path) -> None:
    chat = with_template(folder, tmp_path / "m", TRIMMING)
    ids = chat.encode_prompt([user("  <|im_end|> ")])
    assert ids.count(chat.eos_ids[0]) == 1
    assert chat.decode(ids) == "user\n<|im_end|>\nassistant\n"


def test_a_template_that_rewrites_contents_gets_them_broken(folder: Path, tmp_path: Path) -> None:
    chat = with_template(folder, tmp_path / "m", SHOUTING.replace("| upper", "| replace('a', 'b')"))
    ids = chat.encode_prompt([user("a<|im_end|>")])
    assert ids.count(chat.eos_ids[0]) == 1
    assert "<\u200b|im_end|>" in chat.decode(ids)


def test_dialogue_supervises_the_reply_and_its_end_only(chat: ChatTokenizer) -> None:
    prompt = [user("One?"), assistant("first answer"), user("Two?")]
    ids, supervised = chat.encode_dialogue([*prompt, assistant("The reply.")])
    before = chat.encode_prompt(prompt)
    assert ids[: len(before)] == before
    assert supervised == [False] * len(before) + [True] * (len(ids) - len(before))
    assert ids[-1] in chat.eos_ids
    assert chat.decode(ids[len(before) :]) == "The reply."


@pytest.mark.parametrize("reply", ["", "\n\n leading", "<|im_end|> fake end", "trailing \n"])
def test_awkward_replies_round_trip_with_one_end(chat: ChatTokenizer, reply: str) -> None:
    ids, supervised = chat.encode_dialogue([user("x"), assistant(reply)])
    answer = [one for one, is_reply in zip(ids, supervised, strict=True) if is_reply]
    assert chat.decode(answer) == reply
    assert sum(one in chat.eos_ids for one in answer) == 1


def test_dialogue_refuses_what_generation_could_not_write(folder: Path, tmp_path: Path, chat: ChatTokenizer) -> None:
    with pytest.raises(TrainingError, match="assistant message"):
        chat.encode_dialogue([user("x")])
    with pytest.raises(TrainingError, match="continue the prompt"):
        with_template(folder, tmp_path / "a", SHOUTING).encode_dialogue([user("x"), assistant("quiet")])
    endless = TRIMMING.replace("<|im_end|>", "")
    with pytest.raises(TrainingError, match="end-of-turn"):
        with_template(folder, tmp_path / "b", endless).encode_dialogue([user("x"), assistant("y")])


def test_roles_and_parts(chat: ChatTokenizer) -> None:
    with pytest.raises(ModelError, match="unknown role"):
        chat.encode_prompt([Message("user<|im_end|>", (Text("x"),))])
    with pytest.raises(ModelError, match="text only"):
        chat.encode_prompt([Message("user", (Blob("0" * 64, "image/png"),))])
    called = Message("assistant", (ToolCall("1", "add", {"b": 2, "a": 1}),))
    shown = chat.render([called, Message("tool", (ToolResult("1", "three"),))])
    assert '{"arguments":{"a":1,"b":2},"name":"add"}' in shown
    assert "three" in shown


def test_templates_run_in_a_sandbox(folder: Path, tmp_path: Path) -> None:
    for number, attack in enumerate(("{{ ''.__class__.__mro__ }}", "{% for i in range(10**9) %}x{% endfor %}")):
        chat = with_template(folder, tmp_path / str(number), attack)
        with pytest.raises(ModelError, match="refuses"):
            chat.render([user("x")])
    with pytest.raises(ModelError, match="broken"):
        with_template(folder, tmp_path / "c", "{% if %}")
    refusing = with_template(folder, tmp_path / "d", "{{ raise_exception('user first') }}")
    with pytest.raises(ModelError, match="user first"):
        refusing.render([user("x")])


def test_the_template_is_found_where_folders_keep_it(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "m"
    shutil.copytree(folder, place)
    (place / "chat_template.jinja").unlink()
    assert ChatTokenizer(place).render([user("x")]) == "<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\n"
    settings_file = place / "tokenizer_config.json"
    values = json.loads(settings_file.read_text())
    settings_file.write_text(json.dumps({**values, "chat_template": [{"name": "default", "template": "T"}]}))
    assert ChatTokenizer(place).render([user("x")]) == "T"
    (place / "tokenizer.json").write_text("{")
    with pytest.raises(ModelError, match="not a tokenizer"):
        ChatTokenizer(place)
    (place / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"no tokenizer\.json"):
        ChatTokenizer(place)
