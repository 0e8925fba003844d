"""Servers differ: what they are sent, what they know less, what they answer, and the routes beside chat."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from fault_server import Told, asks, calm, completion

from adhere.core.errors import ModelError, SettingsError
from adhere.core.model import Ask, Embeds, Guide, Reply, Sampling, Scores, Tool, replies
from adhere.core.record import Message, Text, ToolCall, ToolResult, assistant, user
from adhere.models.endpoint import Answer, Endpoint, Passing, Patience
from adhere.models.endpoint_guides import follows
from adhere.models.endpoint_pace import Refused
from adhere.models.endpoint_reading import parse_answer, parse_embeddings, read_complaint, split_thinking
from adhere.models.endpoint_scores import ScoringEndpoint, scoring

KEY = "sk-recognise-me-0123456789abcdef"
QUICK = Patience(timeout_s=0.9, attempts=14, wait_s=0.01, max_wait_s=0.1, max_in_flight=16)


# --- servers that are known ------------------------------------------------------------------------------------

DRAWN = Sampling(max_tokens=9, temperature=0.7)
PENALISED = Sampling(max_tokens=9, repetition_penalty=1.2)
SCHEMA = {
    "type": "object",
    "properties": {"at": {"type": "integer"}},
    "required": ["at"],
    "additionalProperties": False,
}
JSON, REGEX = Guide("json_schema", json.dumps(SCHEMA)), Guide("regex", "ask [0-9]+")
EBNF = Guide("ebnf", 'root ::= "reply to " [0-9]+')
FORMAT = {"type": "json_schema", "json_schema": {"name": "reply", "strict": True, "schema": SCHEMA}}


def listing(owner: str) -> tuple[dict, ...]:
    return ({"id": "other", "owned_by": "someone"}, {"id": "m", "owned_by": owner})


def sent_to(owner: str | None, sampling: Sampling, **more: object) -> dict:
    """The body that a server of this owner gets, without what all of them get."""
    models = None if owner is None else listing(owner)
    with calm(models=models) as server:
        list(Endpoint(server.url, "m").generate([Ask((user("ask 0"),), sampling, **more)]))
    (body,) = server.counts.bodies
    return {name: value for name, value in body.items() if name not in ("model", "messages", "max_tokens", "seed")}


@pytest.mark.parametrize(
    ("owner", "drawn", "penalised"),
    [
        (None, {}, {"repetition_penalty": 1.2}),
        ("organization", {}, {"repetition_penalty": 1.2}),
        (
            "vllm",
            {"top_p": 1.0, "top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0},
            {"repetition_penalty": 1.2},
        ),
        (
            "sglang",
            {"top_p": 1.0, "top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0},
            {"repetition_penalty": 1.2},
        ),
        (
            "llamacpp",
            {"top_p": 1.0, "top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0},
            {"repeat_penalty": 1.2, "repeat_last_n": 131072},
        ),
        ("library", {}, {}),
    ],
)
def test_what_is_switched_off_is_said_to_servers_that_fill_it_in(owner, drawn, penalised, caplog):
    assert sent_to(owner, DRAWN) == {"temperature": 0.7} | drawn
    assert caplog.text == ""
    assert sent_to(owner, PENALISED) == {"temperature": 0.0} | penalised
    assert ("does not take 'repetition_penalty'" in caplog.text) == (owner == "library")


def test_every_setting_goes_by_the_name_that_the_server_has_for_it():
    full = Sampling(9, 0.7, 0.9, 40, 1.2, 0.5, ("END",), 3, min_p=0.1)
    plain = {"temperature": 0.7, "top_p": 0.9, "top_k": 40, "min_p": 0.1, "presence_penalty": 0.5, "stop": ["END"]}
    for owner in (None, "vllm", "sglang"):
        assert sent_to(owner, full) == plain | {"repetition_penalty": 1.2}
    assert sent_to("llamacpp", full) == plain | {"repeat_penalty": 1.2, "repeat_last_n": 131072}
    assert sent_to("library", full) == {name: plain[name] for name in plain.keys() - {"top_k", "min_p"}}


@pytest.mark.parametrize(
    ("owner", "as_json", "as_regex", "as_ebnf"),
    [
        (None, {"response_format": FORMAT}, None, None),
        ("library", {"response_format": FORMAT}, None, None),
        (
            "vllm",
            {"response_format": FORMAT},
            {"structured_outputs": {"regex": REGEX.text}},
            {"structured_outputs": {"grammar": EBNF.text}},
        ),
        ("sglang", {"response_format": FORMAT}, {"regex": REGEX.text}, {"ebnf": EBNF.text}),
        ("llamacpp", {"response_format": FORMAT}, "grammar", {"grammar": EBNF.text}),
    ],
)
def test_guides_go_as_each_server_takes_them_and_are_refused_where_none_does(owner, as_json, as_regex, as_ebnf):
    for guide, wanted in ((JSON, as_json), (REGEX, as_regex), (EBNF, as_ebnf)):
        sampling = Sampling(max_tokens=9, guide=guide, repetition_penalty=1.0)
        if wanted is None:
            with pytest.raises(ModelError, match="only vLLM, SGLang and llama"):
                sent_to(owner, sampling)
            continue
        found = {name: value for name, value in sent_to(owner, sampling).items() if "penalty" not in name}
        if wanted == "grammar":
            assert found.keys() == {"temperature", "grammar"}
            assert found["grammar"].startswith("root ::=")
        else:
            assert found == {"temperature": 0.0} | wanted


def test_the_server_is_looked_for_once_and_not_where_it_is_said():
    seen: list[str] = []

    def also(path: str, body: dict) -> Told:
        seen.append(path)
        return (200, json.dumps({"data": listing("vllm")}).encode()) if path.endswith("/models") else None

    with calm(also) as server:
        endpoint = Endpoint(server.url, "m")
        assert endpoint.server is None
        replies(endpoint, asks(3))
        replies(endpoint, asks(3))
        assert (endpoint.server, seen.count("/v1/models")) == ("vllm", 1)
        replies(Endpoint(server.url, "m", server="sglang"), asks(3))
    assert seen.count("/v1/models") == 1
    assert Endpoint("https://api.openai.com/v1", "m").server == "other"


@pytest.mark.parametrize("answer", [(500, b"oops"), (200, b"<html>"), (200, b'{"data": 7}'), (401, b"{}")])
def test_a_list_of_models_that_is_none_stops_nobody(answer):
    with calm(lambda path, body: answer if path.endswith("/models") else None) as server:
        endpoint = Endpoint(server.url, "m")
        assert {reply.finish for reply in replies(endpoint, asks(5))} == {"stop"}
    assert endpoint.server == "other"


def test_a_server_that_is_not_ready_is_looked_at_again():
    listed = json.dumps({"data": listing("vllm")}).encode()
    states = iter([(503, b'{"error": {"message": "Loading model"}}'), (200, listed)])

    with calm(lambda path, body: next(states) if path.endswith("/models") else None) as server:
        endpoint = Endpoint(server.url, "m", patience=QUICK)
        assert {reply.finish for reply in replies(endpoint, asks(2))} == {"stop"}
    assert endpoint.server == "vllm"
    with calm(lambda path, body: (503, b"{}") if path.endswith("/models") else None) as server:
        endpoint = Endpoint(server.url, "m", patience=QUICK)
        assert {reply.finish for reply in replies(endpoint, asks(2))} == {"stop"}
    assert endpoint.server is None  # the next call looks again


# --- guides ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("guide", "text", "verdict"),
    [
        (JSON, '{"at": 1}', True),
        (JSON, "Sure! Here it is: {}", False),
        (JSON, "[" * 100_000, None),
        (REGEX, "ask 17", True),
        (REGEX, "ask 17\n", False),
        (REGEX, "", False),
        (Guide("regex", "(a+)+b"), "a" * 40 + "c", False),
        (Guide("regex", "(a*)*"), "a" * 200, True),
        (Guide("regex", "(a*)*"), "a" * 30_000, None),
        (Guide("regex", "[a-z ]*"), "some words " * 3_000, True),
        (Guide("regex", "(a?){30}a{30}"), "a" * 45, True),
        (Guide("regex", "(.*,)*"), "x," * 40_000, None),
        (EBNF, "reply to 5", True),
        (EBNF, "reply to five", False),
        (Guide("ebnf", 'root ::= "(" root ")" | "x"'), "((x))", True),
        (Guide("ebnf", 'root ::= "(" root ")" | "x"'), "((x)", False),
        (Guide("ebnf", 'root ::= "(" root ")" | "x"'), "(" * 50_000, None),
    ],
)
def test_whether_a_reply_is_what_its_guide_asks_for(guide, text, verdict):
    assert follows(guide, text) is verdict


def test_a_reply_that_the_server_did_not_hold_to_its_guide_is_a_failure_and_not_asked_again():
    sampling = Sampling(guide=Guide("regex", "reply to [02468]"))
    with calm(models=listing("vllm")) as server:
        found = replies(Endpoint(server.url, "m"), asks(4, sampling))
    assert [reply.finish for reply in found] == ["stop", "error", "stop", "error"]
    assert "did not hold the reply to its regex: 'reply to 1'" in found[1].error
    assert (found[1].text, found[1].tokens_in, found[1].tokens_out) == ("", 7, 3)
    assert set(server.counts.sent.values()) == {1}


def test_a_guided_reply_that_was_cut_is_no_failure():
    body = chat_body({"content": '{"at": '}, finish_reason="length")
    with calm(lambda path, sent: (200, body) if "messages" in sent else None) as server:
        (reply,) = replies(Endpoint(server.url, "m"), asks(1, Sampling(guide=JSON)))
    assert (reply.text, reply.finish) == ('{"at": ', "length")


@pytest.mark.parametrize("guide", [Guide("json_schema", "{"), Guide("regex", "(a"), Guide("ebnf", "root ::= other")])
def test_a_guide_that_cannot_be_read_is_refused_before_anything_is_sent(guide):
    with calm() as server, pytest.raises(SettingsError):
        list(Endpoint(server.url, "m").generate(asks(2, Sampling(guide=guide))))
    assert not server.counts.sent


# --- tools -----------------------------------------------------------------------------------------------------


def test_tools_and_what_became_of_them_go_over_the_wire():
    tools = (Tool("look", "Looks \ud800.", {"type": "object", "properties": {"at": {"type": "string"}}}), Tool("end"))
    seen: list[dict] = []

    def also(path: str, body: dict) -> Told:
        seen.append(body)
        return None

    turns = (
        user("ask 0"),
        Message("assistant", (ToolCall("a", "look", {"at": "x"}), ToolCall("b", "look", {"unparsed": "{"}))),
        Message("tool", (ToolResult("a", "one"), ToolResult("b", "two"))),
        Message("user", (ToolResult("c", "three"), Text("and now?"))),
    )
    with calm(also) as server:
        list(Endpoint(server.url, "m", server="other").generate([Ask(turns, tools=tools)]))
    (body,) = seen
    described = [
        {"name": "look", "description": "Looks ?.", "parameters": tools[0].parameters},
        {"name": "end", "description": "", "parameters": {"type": "object", "properties": {}}},
    ]
    assert body["tools"] == [{"type": "function", "function": one} for one in described]
    assert [call["function"]["arguments"] for call in body["messages"][1]["tool_calls"]] == ['{"at":"x"}', "{"]
    assert body["messages"][2:] == [
        {"role": "tool", "tool_call_id": "a", "content": "one"},
        {"role": "tool", "tool_call_id": "b", "content": "two"},
        {"role": "user", "content": "and now?"},
        {"role": "tool", "tool_call_id": "c", "content": "three"},
    ]


def test_a_call_that_the_server_left_in_the_text_is_found_where_tools_were_offered():
    said = 'So: <tool_call>{"name": "look", "arguments": {"at": "x"}}</tool_call>'

    def also(path: str, body: dict) -> Told:
        return 200, completion(said)

    with calm(also) as server:
        model = Endpoint(server.url, "m", server="other")
        offered, plain = replies(model, [Ask((user("ask 0"),), tools=(Tool("look"),)), Ask((user("ask 1"),))])
    assert (offered.text, offered.calls) == ("So:", (ToolCall("call00000", "look", {"at": "x"}),))
    assert (plain.text, plain.calls) == (said, ())


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (500, "tools param requires --jinja flag"),
        (400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'),
        (400, "tools is not supported in this model"),
        (400, "This response_format type is unavailable now"),
    ],
)
def test_a_server_that_takes_no_tools_or_guides_says_so_once_per_ask_and_nothing_is_left_out(code, said):
    def also(path: str, body: dict) -> Told:
        return (code, json.dumps({"error": {"message": said}}).encode()) if "tools" in body else None

    asked = [Ask(ask.messages, Sampling(guide=JSON), tools=(Tool("look"),)) for ask in asks(2)]
    with calm(also) as server:
        endpoint = Endpoint(server.url, "m", patience=QUICK)
        found = replies(endpoint, asked)
    assert [reply.finish for reply in found] == ["error", "error"]
    assert all(said[:40] in reply.error and reply.retries == 0 for reply in found)
    assert endpoint.left_out == ()
    assert endpoint.requests["sent"] == 2


def test_tools_are_refused_on_the_completions_route():
    with pytest.raises(ModelError, match="takes no tools"):
        list(Endpoint("http://127.0.0.1:9/v1/completions", "m").generate([Ask((user("x"),), tools=(Tool("look"),))]))


# --- counting --------------------------------------------------------------------------------------------------


def test_retries_are_counted_on_the_reply_and_on_the_failure():
    turns = {"ask 1": 2, "ask 2": 99}

    def also(path: str, body: dict) -> Told:
        said = body["messages"][-1]["content"] if "messages" in body else ""
        if turns.get(said, 0) > 0:
            turns[said] -= 1
            return 500, b"{}"
        return None

    with calm(also) as server:
        patience = Patience(attempts=4, wait_s=0.001, max_wait_s=0.01)
        found = replies(Endpoint(server.url, "m", patience=patience), asks(3))
    assert [reply.retries for reply in found] == [0, 2, 3]
    assert [reply.finish for reply in found] == ["stop", "stop", "error"]


@pytest.mark.parametrize(
    ("usage", "kept"),
    [
        ({"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4}}, 4),
        ({"prompt_tokens": 9, "prompt_cache_hit_tokens": 5}, 5),
        ({"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 400}}, 9),
        ({"prompt_tokens": 9, "prompt_tokens_details": None}, 0),
        ({"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": "many"}}, 0),
    ],
)
def test_tokens_that_the_server_had_kept_are_told_apart(usage, kept):
    body = json.dumps({"choices": [{"text": "x"}], "usage": usage}).encode()
    assert parse_answer("", body).reply == Reply("x", tokens_in=9, tokens_kept=kept)


# --- servers that know less -----------------------------------------------------------------------------------

FULL = Sampling(max_tokens=9, temperature=0.7, top_k=40, top_p=0.9, stop=("END",), seed=3)
COMPLAINTS = [
    ("top_k", 400, {"error": {"message": "Unrecognized request argument supplied: top_k"}}),
    ("seed", 400, {"error": {"message": "Unknown parameter: 'seed'.", "param": "seed", "code": "unknown_parameter"}}),
    ("top_k", 422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "top_k"], "msg": "no extras"}]}),
    ("top_p", 400, {"error": {"message": "property 'top_p' is unsupported"}}),
    ("top_k", 400, [{"error": {"message": 'Invalid JSON payload. Unknown name "top_k": Cannot find field.'}}]),
    (
        "temperature",
        400,
        {"error": {"message": "only the default (1)", "param": "temperature", "code": "unsupported_value"}},
    ),
]


@pytest.mark.parametrize(("field", "code", "said"), COMPLAINTS)
def test_a_field_that_the_server_does_not_know_is_left_out_from_then_on(field, code, said, caplog):
    complaints = []

    def also(path: str, body: dict) -> Told:
        if field not in body:
            return None
        complaints.append(body)
        return code, json.dumps(said).encode()

    with calm(also) as server:
        endpoint = Endpoint(server.url, "m", KEY, Patience(max_in_flight=1))
        found = replies(endpoint, asks(30, FULL))
    assert {reply.finish for reply in found} == {"stop"}
    assert len(complaints) == 1
    assert endpoint.left_out == (field,)
    assert set(server.counts.sent.values()) == {1}
    assert all(set(complaints[0]) - set(body) == {field} for body in server.counts.bodies)
    assert caplog.text.count(f"does not take '{field}'") == 1


def test_the_limit_on_tokens_goes_by_the_name_that_the_server_takes():
    said = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."

    def also(path: str, body: dict) -> Told:
        return (400, json.dumps({"error": {"message": said}}).encode()) if "max_tokens" in body else None

    with calm(also) as server:
        endpoint = Endpoint(server.url, "m")
        assert {reply.finish for reply in replies(endpoint, asks(9, FULL))} == {"stop"}
    assert all(body["max_completion_tokens"] == 9 for body in server.counts.bodies)
    assert endpoint.left_out == ()

    refused = calm(lambda path, body: (400, b'{"error": "max_tokens and max_completion_tokens are not supported"}'))
    with refused as server:
        (reply,) = replies(Endpoint(server.url, "m"), asks(1, FULL))  # never without a limit
    assert reply.finish == "error"


@pytest.mark.parametrize(
    "said",
    [
        "temperature must be at most 1",
        "'max_tokens' is too large: 9. This model's maximum context length is 8 tokens; that is not supported",
        "top_n is not supported",
    ],
)
def test_other_complaints_are_failures_of_that_ask(said):
    def also(path: str, body: dict) -> Told:
        refuses = body["messages"][-1]["content"] == "ask 1"
        return (400, json.dumps({"error": {"message": said}}).encode()) if refuses else None

    with calm(also) as server:
        endpoint = Endpoint(server.url, "m")
        found = replies(endpoint, asks(3, FULL))
    assert [reply.finish for reply in found] == ["stop", "error", "stop"]
    assert said[:20] in found[1].error
    assert endpoint.left_out == ()


@pytest.mark.parametrize("code", [400, 413, 429, 500])
def test_an_ask_that_is_too_long_fails_alone_and_at_once(code):
    calls = []

    def also(path: str, body: dict) -> Told:
        if body["messages"][-1]["content"] != "ask 1":
            return None
        calls.append(1)
        return code, b'{"error": {"message": "the request exceeds the available context size"}}'

    with calm(also) as server:
        found = replies(Endpoint(server.url, "m", patience=QUICK), asks(3))
    assert [reply.finish for reply in found] == ["stop", "error", "stop"]
    assert "too long" in found[1].error
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("code", "body"),
    [
        (404, b'{"error": {"message": "model \\"smal\\" not found, try pulling it first"}}'),
        (400, b'{"error": {"message": "Model Not Exist", "code": "invalid_request_error"}}'),
        (404, b"<html><head><title>404 Not Found</title></head></html>"),
    ],
)
def test_a_model_that_is_not_there_ends_the_call_and_names_those_that_are(code, body):
    asked = []

    def also(path: str, sent: dict) -> Told:
        if path.endswith("/models"):
            return 200, b'{"data": [{"id": "small-1b"}, {"id": "large-9b"}]}'
        asked.append(1)
        return code, body

    with calm(also) as server, pytest.raises(ModelError) as caught:
        list(Endpoint(server.url, "smal", KEY, Patience(max_in_flight=1)).generate(asks(50)))
    assert str(code) in caught.value.message
    assert "'small-1b'" in caught.value.hint
    assert "<html" not in str(caught.value)
    assert len(asked) <= 2


def test_stop_strings_are_applied_where_the_server_ignores_them():
    with calm() as server:
        (reply,) = replies(Endpoint(server.url, "m"), asks(1, Sampling(stop=(" to",))))
    assert reply == Reply("reply", "stop", 7, 3)


def test_a_key_in_the_query_of_the_address_is_refused():
    with pytest.raises(ModelError, match="query") as caught:
        Endpoint(f"https://host/v1?api-key={KEY}", "m")
    assert KEY not in str(caught.value)
    assert Endpoint("https://host/v1?api-version=2", "m").name == "https://host/v1#m"


# --- answers --------------------------------------------------------------------------------------------------


def chat_body(message: dict, **choice: object) -> bytes:
    return json.dumps({"choices": [{"message": message, "finish_reason": "stop", **choice}]}).encode()


def test_thinking_is_kept_apart_from_the_answer():
    def reply_of(message: dict, **choice: object) -> Reply:
        return parse_answer("", chat_body(message, **choice)).reply

    assert reply_of({"content": "four", "reasoning_content": "two and two"}) == Reply("four", thinking="two and two")
    assert reply_of({"content": "<think>\nhm\n</think>\n\nyes"}) == Reply("yes", thinking="hm")
    assert reply_of({"content": None, "reasoning": "cut"}, finish_reason="length") == Reply(
        "", "length", thinking="cut"
    )
    assert split_thinking("<think>\nhm\n</think>\n\nyes") == ("yes", "hm")
    assert split_thinking("\n<think>never ends") == ("", "never ends")
    assert split_thinking("hm\n</think>\n\nyes") == ("yes", "hm")
    for text in ("plain", "say <think> aloud</think>\n", "close it with </think> always", ""):
        assert split_thinking(text) == (text, "")
    for part in ({"text": "hm"}, {"thinking": "hm"}, {"reasoning": "hm"}):
        blocks = [{"type": "thinking", **part}, {"type": "text", "text": "yes"}, {"type": "text", "text": None}]
        assert reply_of({"content": blocks}) == Reply("yes", thinking="hm")


def test_thinking_and_tool_calls_reach_the_caller_without_the_key_in_them():
    call = {"id": "1", "type": "function", "function": {"name": "look", "arguments": json.dumps({"at": KEY})}}
    message = {"content": "four", "reasoning": f"the key is {KEY}", "tool_calls": [call]}
    with calm(lambda path, body: (200, chat_body(message))) as server:
        (reply,) = replies(Endpoint(server.url, "m", KEY), asks(1))
    assert reply == Reply("four", thinking="the key is ***", calls=(ToolCall("1", "look", {"at": "***"}),))


def test_splitting_thinking_takes_linear_time():
    began = time.process_time()
    for text in ("\n</think>x" * 300_000, "<think>" * 300_000, "\n" * 2_000_000, "</think>" * 300_000):
        split_thinking(text)
    assert time.process_time() - began < 3


def test_tool_calls_are_read_and_broken_arguments_kept():
    def call(arguments: object) -> dict:
        return {"id": "1", "type": "function", "function": {"name": "look", "arguments": arguments}}

    found = parse_answer("", chat_body({"content": None, "tool_calls": [call('{"at": 1}'), call("{"), 3, {}]}))
    calls = (ToolCall("1", "look", {"at": 1}), ToolCall("1", "look", {"unparsed": "{"}))
    assert found.reply == Reply("", calls=calls)
    assert parse_answer("", chat_body({"content": "x", "tool_calls": "y"})).reply.calls == ()


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("STOP", "stop"), ("end_turn", "stop"), ("MAX_TOKENS", "length"), ("", "stop"), ("weird", "error"), (7, "error")],
)
def test_reasons_to_end_that_servers_give(reason, finish):
    assert parse_answer("", chat_body({"content": "x"}, finish_reason=reason)).reply.finish == finish


def test_answers_in_odd_forms():
    assert parse_answer("text/html", completion("x")).reply.text == "x"  # it parses, and it has been paid for
    assert parse_answer("", b"\xef\xbb\xbf" + completion("x")).reply.text == "x"
    assert parse_answer("", completion("x", copies=3)).reply.text == "x"  # the last of them is number 0
    assert parse_answer("", chat_body({"content": None, "refusal": "I will not."})).reply.text == "I will not."
    for usage in (None, [], {"prompt_tokens": "many"}, {"completion_tokens": -3}, {"prompt_tokens": 1e999}):
        body = json.dumps({"choices": [{"text": "x"}], "usage": usage}).replace("Infinity", "1e308").encode()
        assert parse_answer("", body).reply.text == "x"
    with pytest.raises(Refused, match="flagged"):
        parse_answer("", b'{"error": {"code": 400, "message": "flagged"}}')
    for body in (b'{"error": {"code": 502}}', b'{"choices": null}', chat_body({"content": "x"}, finish_reason="abort")):
        with pytest.raises(Passing):
            parse_answer("", body)


def test_complaints_are_read_from_anything():
    assert read_complaint(b"<html><head><title>Bad\nGateway</title>").said == "a web page: Bad Gateway"
    assert read_complaint(b'{"error": null, "message": "m"}').said == "m"
    assert read_complaint(b'{"detail": []}').said
    for body in (b"", b"\xff", b"[]", b"[[]]", b"7", b'{"error": [1]}', b'{"detail": [{"loc": []}]}'):
        read_complaint(body)


# --- other routes ---------------------------------------------------------------------------------------------


def test_the_completions_route():
    seen: list[dict] = []

    def also(path: str, body: dict) -> Told:
        if path.endswith("/models"):
            return None
        seen.append(body | {"path": path})
        return 200, b'{"choices": [{"text": " four", "logprobs": {"token_logprobs": [-0.5]}, "finish_reason": "stop"}]}'

    with calm(also) as server:
        endpoint = Endpoint(f"{server.url}/completions", "base")
        ask = Ask((user("Q: two and two?"), assistant("A:")), Sampling(max_tokens=4))
        ((_, answer),) = endpoint.answers([ask], logprobs=True)
    assert answer == Answer(Reply(" four"), logprobs=(-0.5,))
    sent = {"model": "base", "prompt": "Q: two and two?\n\nA:", "max_tokens": 4, "temperature": 0.0, "logprobs": 1}
    assert seen == [{**sent, "path": "/v1/completions"}]
    assert endpoint.name == f"{server.url}/completions#base"
    assert endpoint.fingerprint != Endpoint(server.url, "base").fingerprint


def test_log_probabilities_of_the_answer_where_they_are_given():
    logprobs = {"content": [{"token": "x", "logprob": -0.25}, {"token": "y", "logprob": -1}]}
    with calm(lambda path, body: (200, chat_body({"content": "xy"}, logprobs=logprobs))) as server:
        ((_, answer),) = Endpoint(server.url, "m").answers(asks(1), logprobs=True)
    assert answer.logprobs == (-0.25, -1.0)
    assert parse_answer("", chat_body({"content": "xy"}, logprobs={"content": [None]})).logprobs is None


def test_embeddings_are_unit_rows_in_the_order_of_the_texts():
    sizes = []

    def also(path: str, body: dict) -> Told:
        assert path == "/v1/embeddings"
        sizes.append(len(body["input"]))
        if len(body["input"]) > 16:
            return 400, b'{"error": "too many inputs"}'
        assert all(body["input"])  # an empty text goes as a space
        rows = [{"index": at, "embedding": [float(text.strip() or 7), 1.0]} for at, text in enumerate(body["input"])]
        return 200, json.dumps({"data": rows[::-1]}).encode()

    with calm(also) as server:
        endpoint = Endpoint(server.url, "m")
        assert isinstance(endpoint, Embeds)
        found = endpoint.embed([str(number) for number in range(100)])
        assert endpoint.embed([]).shape == (0, 0)
        assert endpoint.embed([""]).tolist() == endpoint.embed(["7"]).tolist()
    assert found.dtype == np.float32
    wanted = np.array([[number, 1.0] for number in range(100)])
    assert np.allclose(found, wanted / np.linalg.norm(wanted, axis=1, keepdims=True), atol=1e-6)
    assert max(sizes) == 64
    with calm(lambda path, body: (400, b'{"error": "no"}')) as server, pytest.raises(ModelError, match="embedding"):
        Endpoint(server.url, "m").embed(["a", "b"])


def test_embeddings_come_through_a_storm():
    """Faults of every kind; each batch is answered well once, and no row is lost or exchanged."""
    good: list[str] = []

    def also(path: str, body: dict) -> Told:
        turn = len(good) + also.bad  # type: ignore[attr-defined]
        if turn % 3 == 1:
            also.bad += 1  # type: ignore[attr-defined]
            return [(429, b"{}"), (500, b"oops"), (200, b'{"data": ['), (200, b'{"data": []}')][turn % 4]
        good.extend(body["input"][:1])
        rows = [{"index": at, "embedding": [float(text), 1.0]} for at, text in enumerate(body["input"])]
        return 200, json.dumps({"data": rows}).encode()

    also.bad = 0  # type: ignore[attr-defined]
    with calm(also) as server:
        endpoint = Endpoint(server.url, "m", patience=QUICK)
        found = endpoint.embed([str(number) for number in range(1, 640)])
    assert np.allclose(found[:, 0] / found[:, 1], np.arange(1, 640), rtol=1e-3)
    assert sorted(map(int, good)) == list(range(1, 640, 64))
    assert also.bad > 2  # type: ignore[attr-defined]


def test_embeddings_of_two_widths_are_refused():
    def also(path: str, body: dict) -> Told:
        width = 2 if body["input"][0] == "0" else 3
        return 200, json.dumps({"data": [{"embedding": [1.0] * width}] * len(body["input"])}).encode()

    with calm(also) as server, pytest.raises(ModelError, match="different lengths"):
        Endpoint(server.url, "m").embed([str(number) for number in range(100)])


@pytest.mark.parametrize(
    "data",
    [
        [],
        [{"embedding": [1.0], "index": 0}] * 2,
        [{"embedding": [1.0]}],
        [{"embedding": [1]}, {"embedding": [1, 2]}],
        [{"embedding": [1]}, {"embedding": [0]}],
        [{"embedding": [1]}, {"embedding": [None]}],
    ],
)
def test_embeddings_that_do_not_fit_are_asked_for_again(data):
    with pytest.raises(Passing):
        parse_embeddings("", json.dumps({"data": data}).encode(), 2)


class Letters:
    """A chat tokenizer of one token per letter: 1 opens the prompt, 2 the reply, 3 ends it."""

    def encode_prompt(self, messages) -> list[int]:
        return [1, *map(ord, messages[0].text), 2]

    def encode_dialogue(self, messages) -> tuple[list[int], list[bool]]:
        before, reply = self.encode_prompt(messages[:-1]), [*map(ord, messages[-1].text), 3]
        return before + reply, [False] * len(before) + [True] * len(reply)


def vllm(path: str, body: dict) -> Told:
    """A letter's log-probability is a hundredth of its number, negative."""
    chat = Letters()
    if path.endswith("/chat/completions"):
        turns = [user(turn["content"]) for turn in body["messages"]]
        ids = chat.encode_prompt(turns) if body["add_generation_prompt"] else [*chat.encode_dialogue(turns)[0], 10]
        rows = [
            {str(one): {"logprob": -one / 100, "decoded_token": chr(one) if one > 9 else f"<{one}>"}} for one in ids
        ]
        return 200, json.dumps({"choices": [], "prompt_logprobs": [None, *rows[1:]]}).encode()
    logprobs = {"token_logprobs": [None, *(-one / 100 for one in body["prompt"][1:]), -9.0]}
    return 200, json.dumps({"choices": [{"text": "", "logprobs": logprobs}]}).encode()


def test_given_replies_are_scored_both_ways_alike():
    pairs = [((user("ab"),), "cd"), ((user("x"),), "")]
    with calm(vllm) as server:
        rendered = scoring(server.url, "m")
        echoed = scoring(server.url, "m", chat=Letters())
        assert isinstance(rendered, Scores)
        found, again = rendered.score(pairs), echoed.score(pairs)
    assert [(round(one.logprob, 6), one.tokens) for one in found] == [(-(99 + 100 + 3) / 100, 3), (-0.03, 1)]
    assert [(round(one.logprob, 6), one.tokens) for one in again] == [(-(99 + 100 + 3) / 100, 3), (-0.03, 1)]
    lengths = [len(Letters().encode_prompt(prompt)) for prompt, _ in pairs]
    assert [one.prompt_tokens for one in found] == [one.prompt_tokens for one in again] == lengths


def test_scoring_is_refused_where_it_is_not_offered():
    with calm() as server:
        assert not isinstance(Endpoint(server.url, "m"), Scores)
        for chat in (None, Letters()):
            with pytest.raises(ModelError, match="does not offer log-probabilities"):
                scoring(server.url, "m", chat=chat)
        with pytest.raises(ModelError, match="pair 0"):
            ScoringEndpoint(server.url, "m").score([((user("a"),), "b")])
