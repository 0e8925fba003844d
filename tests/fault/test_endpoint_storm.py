"""Endpoints that misbehave without hurting anybody: storms, pace, odd servers, secrets, and being stopped."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from statistics import fmean

import pytest
from fault_server import FAULTS, FaultServer, Plan, completion

from adhere.core.errors import ModelError
from adhere.core.model import Ask, Reply, Sampling, Scores, replies
from adhere.core.record import ToolCall, assistant, user
from adhere.models.endpoint import Answer, Endpoint, Gate, Passing, Patience
from adhere.models.endpoint_pace import Refused
from adhere.models.endpoint_reading import parse_answer, parse_embeddings, read_complaint, split_thinking
from adhere.models.endpoint_scores import ScoringEndpoint, scoring
from adhere.store.run import Plan as RunPlan
from adhere.store.run import Run

KEY = "sk-recognise-me-0123456789abcdef"
QUICK = Patience(timeout_s=0.9, attempts=14, wait_s=0.01, max_wait_s=0.1, max_in_flight=16)
GREEDY = Sampling()
Told = tuple[int, bytes] | None


def asks(count: int, sampling: Sampling = GREEDY) -> list[Ask]:
    return [Ask((user(f"ask {number}"),), sampling) for number in range(count)]


def calm(also: Callable[[str, dict], Told] | None = None, **changes: object) -> FaultServer:
    return FaultServer(Plan(**{"fault_share": 0.0, "quirk_share": 0.0, "work_s": 0.002, **changes}), also)


def used_slots(server: FaultServer, count: int) -> float:
    """The share of the slots that were taken, tick by tick, as long as there was enough to do."""
    slots = server.plan.slots
    return fmean(min(taken, slots) / slots for good, taken in server.counts.ticks if good < count - 4 * slots)


# --- the storm ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2])
def test_a_storm_costs_no_reply_no_second_call_and_little_throughput(seed):
    count, slots = 320, 16
    with FaultServer(Plan(seed=seed, slots=slots, in_ticks=True, slow_s=4.0)) as server:
        patience = replace(QUICK, timeout_s=2.0)  # far longer than a good reply can take
        found = list(Endpoint(server.url, "m", KEY, patience).generate(asks(count)))
    counts = server.counts

    assert sorted(position for position, _ in found) == list(range(count))  # exactly one end for each
    assert all(reply == Reply(f"reply to {position}", "stop", 7, 3) for position, reply in found)
    assert set(counts.good.values()) == {1}  # nothing was asked again once it had been answered
    assert set(counts.faults) == set(FAULTS)
    faults = sum(counts.faults.values())
    assert 0.2 < faults / (faults + count) < 0.4
    assert sum(counts.sent.values()) == count + faults  # each fault costs one request and no more
    # The healthy share allows `slots` requests at a time. The end, where there is nothing left to ask, is left out.
    assert used_slots(server, count) > 0.8
    assert max(counts.under_way) <= slots + 3  # those given up for slowness may still be writing


def test_a_storm_leaves_each_reply_in_the_journal_and_the_key_nowhere(tmp_path, caplog):
    with FaultServer(Plan(seed=3, work_s=0.01, key=KEY)) as server, caplog.at_level(logging.DEBUG):
        endpoint = Endpoint(server.url, "m", KEY, QUICK)
        run = Run.create(tmp_path, RunPlan("storm", {}, {"model": endpoint.fingerprint}), [])
        found = list(run.remember(endpoint).generate(asks(100)))
        run.close()
        again = Run.open(run.folder)
        with_replay = list(again.remember(endpoint).generate(asks(100)))
        again.close()
    assert sorted(position for position, _ in found) == list(range(100))
    assert sorted(position for position, _ in with_replay) == list(range(100))
    assert set(server.counts.good.values()) == {1}
    written = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert all(f"reply to {number}" in written for number in range(100))
    assert "httpx2" in caplog.text
    assert KEY not in written + caplog.text + repr(found) + repr(endpoint) + repr(vars(endpoint))
    assert not any(logging.getLogger(name).filters for name in ("httpx2", "httpcore2.http11"))


def test_what_never_comes_is_one_recorded_failure_and_no_key_in_it(tmp_path, caplog):
    plan = Plan(fault_share=1.0, work_s=0.001, slow_s=0.3, key=KEY)
    patience = Patience(timeout_s=0.1, attempts=3, wait_s=0.001, max_wait_s=0.01)
    with FaultServer(plan) as server, caplog.at_level(logging.DEBUG):
        endpoint = Endpoint(server.url, "m", KEY, patience)
        run = Run.create(tmp_path, RunPlan("storm", {}, {}), [])
        found = dict(run.remember(endpoint).generate(asks(60)))
        run.close()
    assert [reply.finish for reply in found.values()] == ["error"] * 60
    assert all("(after 3 attempts)" in reply.error for reply in found.values())
    assert len(server.counts.faults) == len(FAULTS)
    assert set(server.counts.sent.values()) == {3}
    written = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert '"failure"' in written
    assert KEY not in written + caplog.text + repr(found)


def test_the_command_line_writes_no_key_anywhere(tmp_path):
    with FaultServer(Plan(work_s=0.001, slow_s=0.3, fault_share=0.2, faults=("500", "502 page"), key=KEY)) as server:
        model = f"{server.url}#m"
        words = ["synth", "complex-to-simple", "--model", model, "--limit", "4", "-o", "rows.jsonl", "count=4"]
        done = subprocess.run(
            check=False,
            args=[sys.executable, "-c", "from adhere.app.cli import main; main()", *words],
            cwd=tmp_path,
            env={**os.environ, "ADHERE_API_KEY": KEY, "ADHERE_CACHE": str(tmp_path / "cache")},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert server.counts.sent, done.stderr
    assert any(path.name == "journal.jsonl" for path in tmp_path.rglob("*"))
    written = "".join(path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file())
    assert KEY not in written + done.stdout + done.stderr


# --- connections ----------------------------------------------------------------------------------------------


def test_a_reply_sent_twice_is_not_taken_for_the_next_one():
    plan = Plan(fault_share=0.0, quirk_share=1.0, work_s=0.001)
    with FaultServer(plan) as server:
        found = replies(Endpoint(server.url, "m", patience=Patience(max_in_flight=2)), asks(80))
    assert [reply.text for reply in found] == [f"reply to {number}" for number in range(80)]
    assert set(server.counts.good.values()) == {1}


def test_connections_are_kept():
    with calm() as server:
        replies(Endpoint(server.url, "m"), asks(200))
    assert server.counts.connections <= 32


# --- pace -----------------------------------------------------------------------------------------------------


def test_the_room_at_a_full_server_is_found_and_used():
    slots = 8
    patience = Patience(attempts=12, wait_s=0.04, max_wait_s=0.3, max_in_flight=64)
    with calm(slots=slots, refuses=True, in_ticks=True) as server:
        found = replies(Endpoint(server.url, "m", patience=patience), asks(300))
    assert {reply.finish for reply in found} == {"stop"}
    assert used_slots(server, 300) > 0.8
    assert server.counts.refused < 0.5 * 300  # places are given back within a round


def test_two_models_at_one_endpoint_have_a_pace_each():
    def also(path: str, body: dict) -> Told:
        return (429, b'{"error": "not now"}') if body["model"] == "full" else None

    with calm(also) as server:
        full = Endpoint(server.url, "full", patience=Patience(attempts=4, wait_s=0.2, max_wait_s=0.4))
        free = Endpoint(server.url, "free")
        stuck = threading.Thread(target=lambda: replies(full, asks(40)))
        stuck.start()
        found = replies(free, asks(200))
        still_stuck = stuck.is_alive()
        stuck.join()
    assert still_stuck
    assert {reply.finish for reply in found} == {"stop"}
    assert free._gate.limit == 32
    assert full._gate.limit == 1


def test_the_pace_is_kept_between_calls_and_shared_by_threads():
    with calm(work_s=0.01) as server:
        endpoint = Endpoint(server.url, "m", patience=Patience(max_in_flight=6))
        threads = [threading.Thread(target=lambda: replies(endpoint, asks(60))) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert max(server.counts.under_way) <= 6
    assert endpoint._gate.limit == 6
    assert endpoint._gate.under_way == 0


async def _cancelled_waiters() -> tuple[int, int]:
    gate = Gate(1)
    entered = await gate.enter()
    waiting = [asyncio.create_task(gate.enter()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await gate.leave(entered, None, 1.0)
    waiting[1].cancel()  # its place is on the way to it
    last = await waiting[2]
    held = gate.under_way
    await gate.leave(last, None, 1.0)
    return held, gate.under_way


def test_cancelled_waiters_lose_no_place():
    assert asyncio.run(_cancelled_waiters()) == (1, 0)


async def _after_bursts(shares: list[float]) -> list[float]:
    gate, limits = Gate(64, start=32), []
    for share in shares:
        entered = [await gate.enter() for _ in range(int(gate.limit))]
        for number, one in enumerate(entered):
            await gate.leave(one, Passing("busy", busy=True) if number < share * len(entered) else None, 1.0)
        limits.append(gate.limit)
    return limits


def test_a_few_busy_signals_cut_little_and_many_cut_much():
    (once,) = asyncio.run(_after_bursts([1.0]))
    assert once == 16  # all at once: half, and only once
    strays = asyncio.run(_after_bursts([0.0, 0.0, 0.03, 0.03]))
    assert strays[-1] > 0.9 * strays[1]


def test_hedging_is_off_unless_asked_for_and_then_the_faster_answer_counts():
    slow_first = {"ask 0"}

    def also(path: str, body: dict) -> Told:
        said = body["messages"][-1]["content"]
        if said in slow_first:
            slow_first.discard(said)
            time.sleep(0.5)  # holds the whole server up: the second request is answered after it as well
        return None

    with calm(also) as server:
        plain = Endpoint(server.url, "m")
        assert replies(plain, asks(1))[0].finish == "stop"
        assert plain.requests["hedged"] == 0
        slow_first.add("ask 0")
        hedged = Endpoint(server.url, "m", patience=Patience(hedge_after_s=0.05))
        assert replies(hedged, asks(2))[0].text == "reply to 0"
    assert hedged.requests["hedged"] >= 1
    assert hedged._gate.under_way == 0


def test_an_ask_has_a_time_limit_over_all_its_attempts():
    plan = Plan(fault_share=1.0, faults=("500",), work_s=0.001)
    patience = Patience(attempts=50, wait_s=0.1, max_wait_s=0.1, ask_timeout_s=0.5)
    with FaultServer(plan) as server:
        (reply,) = replies(Endpoint(server.url, "m", patience=patience), asks(1))
    assert reply.finish == "error"
    assert 2 <= server.counts.sent["0"] <= 6
    assert f"(after {server.counts.sent['0']} attempts)" in reply.error


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
    named = parse_answer("", chat_body({"content": "four", "reasoning_content": "two and two"}))
    assert (named.reply.text, named.thinking) == ("four", "two and two")
    assert parse_answer("", chat_body({"content": None, "reasoning": "cut"}, finish_reason="length")) == Answer(
        Reply("", "length"), "cut"
    )
    assert split_thinking("<think>\nhm\n</think>\n\nyes") == ("yes", "hm")
    assert split_thinking("\n<think>never ends") == ("", "never ends")
    assert split_thinking("hm\n</think>\n\nyes") == ("yes", "hm")
    for text in ("plain", "say <think> aloud</think>\n", "close it with </think> always", ""):
        assert split_thinking(text) == (text, "")
    blocks = [{"type": "thinking", "text": "hm"}, {"type": "text", "text": "yes"}, {"type": "text", "text": None}]
    assert parse_answer("", chat_body({"content": blocks})).reply.text == "yes"


def test_splitting_thinking_takes_linear_time():
    began = time.monotonic()
    for text in ("\n</think>x" * 300_000, "<think>" * 300_000, "\n" * 2_000_000, "</think>" * 300_000):
        split_thinking(text)
    assert time.monotonic() - began < 3


def test_tool_calls_are_read_and_broken_arguments_kept():
    def call(arguments: object) -> dict:
        return {"id": "1", "type": "function", "function": {"name": "look", "arguments": arguments}}

    found = parse_answer("", chat_body({"content": None, "tool_calls": [call('{"at": 1}'), call("{"), 3, {}]}))
    assert found.reply == Reply("")
    assert found.calls == (ToolCall("1", "look", {"at": 1}), ToolCall("1", "look", {"unparsed": "{"}))
    assert parse_answer("", chat_body({"content": "x", "tool_calls": "y"})).calls == ()


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


def test_embeddings_come_in_the_order_of_the_texts():
    sizes = []

    def also(path: str, body: dict) -> Told:
        assert path == "/v1/embeddings"
        sizes.append(len(body["input"]))
        if len(body["input"]) > 16:
            return 400, b'{"error": "too many inputs"}'
        rows = [{"index": at, "embedding": [float(text), 1.0]} for at, text in enumerate(body["input"])]
        return 200, json.dumps({"data": rows[::-1]}).encode()

    with calm(also) as server:
        endpoint = Endpoint(server.url, "m")
        found = endpoint.embed([str(number) for number in range(100)])
        assert endpoint.embed([]) == []
    assert found == [[float(number), 1.0] for number in range(100)]
    with calm(lambda path, body: (400, b'{"error": "no"}')) as server, pytest.raises(ModelError, match="embedding"):
        Endpoint(server.url, "m").embed(["a", "b"])


@pytest.mark.parametrize(
    "data",
    [[], [{"embedding": [1.0], "index": 0}] * 2, [{"embedding": [1.0]}], [{"embedding": [1]}, {"embedding": [1, 2]}]],
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


def test_scoring_is_refused_where_it_is_not_offered():
    with calm() as server:
        assert not isinstance(Endpoint(server.url, "m"), Scores)
        for chat in (None, Letters()):
            with pytest.raises(ModelError, match="does not offer log-probabilities"):
                scoring(server.url, "m", chat=chat)
        with pytest.raises(ModelError, match="pair 0"):
            ScoringEndpoint(server.url, "m").score([((user("a"),), "b")])


# --- being stopped --------------------------------------------------------------------------------------------


def test_closing_early_cancels_requests_and_waits_and_frees_the_places():
    with calm(work_s=0.05) as server:
        endpoint = Endpoint(server.url, "m", patience=Patience(max_in_flight=4))
        running = endpoint.generate(asks(400))
        next(running)
        running.close()
        asked = sum(server.counts.sent.values())
        time.sleep(0.3)
        assert sum(server.counts.sent.values()) <= asked + 4  # those on the wire
        assert endpoint._gate.under_way == 0
        assert {reply.finish for reply in replies(endpoint, asks(20))} == {"stop"}  # and it still works
    assert not [thread for thread in threading.enumerate() if thread.name == "adhere-endpoint"]


STOPPED = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
import sys
from adhere.core.model import Ask
from adhere.core.record import user
from adhere.models.endpoint import Endpoint
try:
    for position, reply in Endpoint(sys.argv[1], "m").generate([Ask((user(f"ask {n}"),)) for n in range(1000)]):
        print(position, flush=True)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def test_ctrl_c_ends_what_is_under_way():
    with calm(also=None, work_s=0.1) as server:
        child = subprocess.Popen([sys.executable, "-c", STOPPED, server.url], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        child.stdout.readline()
        child.send_signal(signal.SIGINT)
        said, _ = child.communicate(timeout=20)
        asked = sum(server.counts.sent.values())
        time.sleep(0.3)
        assert sum(server.counts.sent.values()) == asked
    assert child.returncode == 0
    assert said.endswith("interrupted\n")
    assert asked < 1000
