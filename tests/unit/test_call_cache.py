"""The call cache: what is a hit, what goes first, what comes out as a replay file, and what answers from one."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from adhere.app import caching
from adhere.app.caching import cache_command, counts_in_words, is_worth_caching, parse_size, size_in_words
from adhere.core.errors import DataError, ModelError, SettingsError, StoreError
from adhere.core.model import Ask, Generates, Guide, Reply, Sampling, Scores, Tool, Trains, replies
from adhere.core.record import Message, Text, ToolCall, assistant, content_hash, system, user
from adhere.models.budget import Ledger, metered
from adhere.models.cached import cached
from adhere.models.replay import ReplayModel, call_of_line, replay_line
from adhere.models.scripted import ScriptedModel, tiny_weights
from adhere.store.call_key import Call, call_key
from adhere.store.calls import CallCache, CallCounts
from adhere.store.run import Plan, Run

WARM = Sampling(temperature=0.7, seed=3)
ASK = Ask((user("Name a river."),), WARM, 1)


class Numbered:
    """Answers with the number of the call, so that paying twice shows; `fails` of its calls fail."""

    def __init__(self, name: str = "numbered", fails: Sequence[int] = ()) -> None:
        self.name, self.fingerprint = name, f"{name}-1"
        self.calls, self.closed, self._fails = 0, 0, fails

    def generate(self, asks: Sequence[Ask]) -> Iterator[tuple[int, Reply]]:
        try:
            for position in reversed(range(len(asks))):
                self.calls += 1
                if self.calls in self._fails:
                    yield position, Reply("", "error", error="busy")
                else:
                    yield position, Reply(f"reply {self.calls}", "stop", 10, 2)
        finally:
            self.closed += 1


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[CallCache]:
    with CallCache(tmp_path / "calls.sqlite") as opened:
        yield opened


def call(number: int, text: str = "", fingerprint: str = "model-1") -> Call:
    ask = Ask((user(f"question {number}"),), Sampling(temperature=1.0, seed=number))
    return Call(fingerprint, "a model", ask, Reply(text or f"answer {number}", "stop", 5, 2))


# -- the key --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        Ask((user("Name a lake."),), WARM, 1),
        Ask((system("Be brief."), user("Name a river.")), WARM, 1),
        Ask((user("Name a river."), assistant("The Elbe."), user("Name a river.")), WARM, 1),
        Ask((assistant("Name a river."),), WARM, 1),
        Ask((user("Name a river. "),), WARM, 1),
        Ask((Message("user", (Text("Name a river."), ToolCall("1", "map", {"x": 1}))),), WARM, 1),
        Ask(ASK.messages, WARM, 2),
        Ask(ASK.messages, WARM, 1, (Tool("map"),)),
        *(
            Ask(ASK.messages, msgspec.structs.replace(WARM, **{name: value}), 1)
            for name, value in {
                "max_tokens": 7, "temperature": 0.8, "top_p": 0.9, "top_k": 5, "repetition_penalty": 1.1,
                "presence_penalty": 0.5, "stop": ("\n",), "seed": 4, "min_p": 0.1, "guide": Guide("regex", "[a-z]+"),
            }.items()
        ),
    ],
)  # fmt: skip
def test_each_part_of_an_ask_changes_the_key(changed: Ask) -> None:
    assert call_key("model", changed) != call_key("model", ASK)


def test_every_setting_of_sampling_is_covered_by_the_test_above() -> None:
    assert set(Sampling.__struct_fields__) == {
        "max_tokens", "temperature", "top_p", "top_k", "repetition_penalty", "presence_penalty", "stop", "seed",
        "min_p", "guide",
    }  # fmt: skip


def test_the_model_changes_the_key() -> None:
    assert call_key("model", ASK) != call_key("other", ASK)


@pytest.mark.parametrize(
    "same",
    [
        Ask((Message("user", (Text("Name "), Text("a river."))),), WARM, 1),
        Ask(ASK.messages, msgspec.structs.replace(WARM, top_p=1, presence_penalty=-0.0), 1),
        Ask(ASK.messages, msgspec.structs.replace(WARM, stop=()), 1),
    ],
)
def test_what_changes_no_reply_changes_no_key(same: Ask) -> None:
    assert call_key("model", same) == call_key("model", ASK)


def test_a_key_is_the_same_in_every_version_of_this_scheme() -> None:
    plain = Ask((user("Name a river."),), Sampling(max_tokens=64))
    assert call_key("model", plain) == "4ec768e11dc6472a03b179dbe5035d4ed5ede2ae7ff2954bce02287b7d5ae59d"


def test_at_temperature_0_the_seed_decides_nothing_and_the_sample_still_counts() -> None:
    first, second = (Ask(ASK.messages, Sampling(seed=seed, top_p=top_p), 0) for seed, top_p in ((1, 1.0), (2, 0.5)))
    assert call_key("m", first) == call_key("m", second)
    assert call_key("m", first) != call_key("m", Ask(ASK.messages, Sampling(), 1))
    assert call_key("m", first) != call_key("m", Ask(ASK.messages, Sampling(repetition_penalty=1.2)))


# -- hits and misses ------------------------------------------------------------------------------------------


def asks(count: int, seed: int = 0) -> list[Ask]:
    return [Ask((user(f"question {number}"),), Sampling(temperature=1.0, seed=seed)) for number in range(count)]


def test_a_second_run_with_the_same_seed_pays_nothing_and_one_with_another_seed_pays_all(cache: CallCache) -> None:
    model = Numbered()
    first = replies(cached(model, cache), asks(3))
    again = replies(cached(model, cache), asks(3))
    assert model.calls == 3
    assert [one.text for one in again] == [one.text for one in first]
    assert [one.cached for one in first + again] == [False] * 3 + [True] * 3
    assert [(one.tokens_in, one.tokens_out) for one in again] == [(10, 2)] * 3
    replies(cached(model, cache), asks(3, seed=1))
    assert model.calls == 6
    assert cache.counts == CallCounts(hits=3, misses=6, stored=6)


def test_added_rows_pay_only_for_themselves(cache: CallCache) -> None:
    model = Numbered()
    replies(cached(model, cache), asks(250))
    replies(cached(model, cache), asks(253))
    assert model.calls == 253


def test_models_share_nothing(cache: CallCache) -> None:
    one, other = Numbered("one"), Numbered("other")
    replies(cached(one, cache), asks(2))
    replies(cached(other, cache), asks(2))
    assert (one.calls, other.calls) == (2, 2)


def test_equal_asks_in_one_batch_are_paid_once(cache: CallCache) -> None:
    model = Numbered()
    found = replies(cached(model, cache), [*asks(2), *asks(2), asks(1)[0]])
    assert model.calls == 2
    assert [one.text for one in found] == ["reply 2", "reply 1", "reply 2", "reply 1", "reply 2"]
    assert [one.cached for one in found] == [False, False, True, True, True]
    assert cache.counts == CallCounts(hits=3, misses=2, stored=2)


def test_failed_replies_are_never_kept(cache: CallCache) -> None:
    model = Numbered(fails=[1, 2])
    found = replies(cached(model, cache), [asks(1)[0], asks(1)[0]])
    assert [one.finish for one in found] == ["error", "error"]
    assert [one.finish for one in replies(cached(model, cache), asks(1))] == ["error"]
    assert cache.totals().calls == 0
    assert replies(cached(model, cache), asks(1))[0].finish == "stop"
    assert cache.totals().calls == 1


def test_a_reply_is_kept_before_it_is_handed_on_and_the_generator_of_the_model_is_closed(cache: CallCache) -> None:
    model = Numbered()
    generator = cached(model, cache).generate(asks(3))
    position, reply = next(generator)
    key = call_key(model.fingerprint, asks(3)[position])
    assert cache.find([key]) == {key: msgspec.structs.replace(reply, cached=True)}
    generator.close()  # type: ignore[attr-defined]
    assert model.closed == 1


def test_the_first_of_two_replies_to_one_ask_stays(cache: CallCache) -> None:
    assert cache.keep([call(1, "first")])
    assert cache.keep([call(1, "second")])
    assert cache.find([call(1).key])[call(1).key].text == "first"
    assert cache.counts.stored == 1


def test_what_cannot_be_written_as_json_is_asked_and_not_kept(cache: CallCache) -> None:
    half = Ask((user("half \ud800 pair"),))
    model = Numbered()
    assert replies(cached(model, cache), [half, half])[1].text == "reply 1"
    assert model.calls == 2
    assert not cache.keep([call(1, "half \udfff pair")])
    assert cache.counts == CallCounts(lost=3)


@pytest.mark.parametrize("text", ["", "\x00\r\n\u202e", "long " * 100_000, "\U0001f600 \u4e2d\u6587"])
def test_replies_come_back_as_they_were(cache: CallCache, text: str) -> None:
    kept = Call("m", "m", ASK, Reply(text, "length", 1, 2))
    assert cache.keep([kept])
    assert cache.find([kept.key]) == {kept.key: Reply(text, "length", 1, 2, "", True)}
    assert [one.reply for one in cache.calls()] == [kept.reply]


def test_capabilities_are_those_of_the_model(cache: CallCache, tmp_path: Path) -> None:
    plain = cached(Numbered(), cache)
    assert isinstance(plain, Generates)
    assert not isinstance(plain, Scores | Trains)
    assert not hasattr(plain, "close")
    scripted = ScriptedModel(weights=tiny_weights(tmp_path / "tiny"))
    whole = cached(scripted, cache)
    assert isinstance(whole, Scores)
    assert isinstance(whole, Trains)
    assert whole.score([(ASK.messages, "x")]) == scripted.score([(ASK.messages, "x")])
    assert (whole.name, whole.fingerprint) == (scripted.name, scripted.fingerprint)
    other = whole.with_weights(scripted.weights, "other")
    replies(other, asks(1))
    assert replies(other, asks(1))[0].cached
    assert not replies(whole, asks(1))[0].cached


def test_hits_cost_no_budget_and_the_ledger_hears_of_them(cache: CallCache) -> None:
    ledger, booked = Ledger(), list[Reply]()
    model = cached(metered(Numbered(), ledger), cache, booked.append)
    replies(model, asks(2))
    assert (ledger.total.calls, ledger.total.tokens_in, booked) == (2, 20, [])
    replies(model, [*asks(3), asks(3)[2]])
    assert (ledger.total.calls, ledger.total.tokens_in) == (3, 30)
    assert [one.cached for one in booked] == [True] * 3


def test_a_journal_tells_paid_replies_from_cached_ones_and_old_journals_are_read(
    cache: CallCache, tmp_path: Path
) -> None:
    run = Run.create(tmp_path, Plan("synth", {}, {"model": "m"}), ["adhere"])
    model = Numbered()
    replies(cached(model, cache), asks(1))
    replies(run.remember(cached(model, cache)), asks(2))
    run.close()
    journal = run.folder / "journal.jsonl"
    assert [json.loads(line)["reply"].get("cached", False) for line in journal.read_bytes().splitlines()] == [
        True,
        False,
    ]
    journal.write_bytes(journal.read_bytes().replace(b',"cached":true', b""))
    again = Run.open(run.folder)
    assert [reply.cached for _, reply in again.accepted] == [False, False]
    assert replies(again.remember(cached(model, cache)), asks(2))[0].text == "reply 1"
    again.close()
    assert model.calls == 2


# -- size and order of use ------------------------------------------------------------------------------------


def filled(cache: CallCache, count: int) -> list[str]:
    noise = [f"{number} " + "".join(chr(33 + (number * 7 + k * k) % 90) for k in range(400)) for number in range(count)]
    calls = [call(number, text) for number, text in enumerate(noise)]
    assert cache.keep(calls)
    return [one.key for one in calls]


def test_what_was_used_longest_ago_goes_first(cache: CallCache) -> None:
    keys = filled(cache, 600)
    cache.find(keys[:100])  # the oldest are used again
    limit = cache.totals().bytes * 2 // 3
    assert cache.set_limit(limit) == cache.counts.evicted > 0
    assert cache.totals().bytes <= limit
    left = set(cache.find(keys))
    assert set(keys[:100]) <= left
    gone = [number for number, key in enumerate(keys) if key not in left]
    assert gone == list(range(100, 100 + len(gone)))


def test_new_calls_drop_old_ones_and_the_file_stays_within_the_limit(cache: CallCache) -> None:
    cache.set_limit(300_000)
    keys = filled(cache, 900)
    found = cache.find(keys)
    assert cache.totals().bytes <= 300_000
    assert keys[-1] in found
    assert keys[0] not in found
    assert cache.counts.evicted == 900 - len(found)
    assert cache.path.stat().st_size < 1_000_000


def test_the_limit_holds_for_later_runs(cache: CallCache) -> None:
    cache.set_limit(5_000_000)
    with CallCache(cache.path) as other:
        assert other.totals().limit == 5_000_000


def test_a_clock_that_jumps_backwards_changes_no_order(cache: CallCache, monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(2_000_000_000, 0, -1_000_000))
    monkeypatch.setattr(time, "time", lambda: float(next(now)))
    monkeypatch.setattr(time, "time_ns", lambda: next(now) * 10**9)
    for number in range(3):
        cache.keep([call(number)])
    cache.find([call(0).key])
    cache.totals()
    with sqlite3.connect(cache.path) as database:
        order = [row[0].hex() for row in database.execute("SELECT key FROM call ORDER BY used")]
    assert order == [call(1).key, call(2).key, call(0).key]


def test_hits_of_several_openings_add_up(cache: CallCache) -> None:
    cache.keep([call(1), call(2)])
    cache.find([call(1).key])
    with CallCache(cache.path) as other:
        other.find([call(1).key, call(1).key, call(2).key])
        assert other.counts == CallCounts(hits=3)
    totals = cache.totals()
    assert (totals.calls, totals.hits) == (2, 3)  # two of one batch are one use of the entry
    assert totals.models[0].name == "a model"


def test_clearing_forgets_all_and_gives_the_space_back(cache: CallCache) -> None:
    filled(cache, 300)
    before = cache.totals().bytes
    assert cache.clear() == 300
    assert cache.totals().calls == 0
    assert cache.path.stat().st_size == cache.totals().bytes < before / 2
    assert cache.keep([call(1)])
    assert list(cache.find([call(1).key])) == [call(1).key]


def test_a_closed_cache_is_an_empty_one(tmp_path: Path) -> None:
    cache = CallCache(tmp_path / "calls.sqlite")
    cache.keep([call(1)])
    cache.close()
    cache.close()
    assert cache.find([call(1).key]) == {}
    assert not cache.keep([call(2)])
    with pytest.raises(StoreError, match="closed"):
        cache.totals()


# -- replay files ---------------------------------------------------------------------------------------------


def exported(cache: CallCache, path: Path) -> Path:
    path.write_bytes(b"".join(replay_line(one) for one in cache.calls()))
    return path


def test_a_replay_answers_as_the_model_did_without_it(cache: CallCache, tmp_path: Path) -> None:
    model = Numbered()
    recorded = replies(cached(model, cache), asks(30))
    replay = ReplayModel(exported(cache, tmp_path / "r.jsonl"))
    assert (replay.name, replay.fingerprint, len(replay)) == (model.name, model.fingerprint, 30)
    assert isinstance(replay, Generates)
    assert replies(replay, asks(30)) == recorded
    assert cached(replay, cache) is replay


def test_the_bytes_of_a_replay_file_do_not_depend_on_how_the_cache_came_to_be(tmp_path: Path) -> None:
    files = []
    for name, order in (("a", range(20)), ("b", reversed(range(20)))):
        with CallCache(tmp_path / name) as cache:
            for number in order:
                cache.keep([call(number)])
            cache.find([call(7).key])
            files.append(exported(cache, tmp_path / f"{name}.jsonl").read_bytes())
    assert files[0] == files[1]
    keys = [json.loads(line)["key"] for line in files[0].splitlines()]
    assert keys == sorted(keys)


def test_a_replay_names_the_ask_it_does_not_hold_and_what_differs(cache: CallCache, tmp_path: Path) -> None:
    cache.keep([call(1)])
    replay = ReplayModel(exported(cache, tmp_path / "r.jsonl"))
    other = Ask(call(1).ask.messages, Sampling(temperature=1.0, seed=99))
    with pytest.raises(ModelError, match=r"'question 1' \(1 messages, sample 0, seed 99, temperature 1") as caught:
        replies(replay, [other])
    assert "recorded with seed=1" in caught.value.hint
    with pytest.raises(ModelError, match="something else"):
        replies(replay, [Ask((user("something else"),))])
    with pytest.raises(ModelError, match="no reply"):
        replies(replay, [Ask((user("half \ud800"),))])


def test_one_of_several_models_is_chosen(cache: CallCache, tmp_path: Path) -> None:
    cache.keep([call(1, "from a", "aa-1"), call(1, "from b", "bb-1")])
    path = exported(cache, tmp_path / "r.jsonl")
    with pytest.raises(ModelError, match="2 models are in it"):
        ReplayModel(path)
    assert replies(ReplayModel(path, "bb"), [call(1).ask])[0].text == "from b"
    with pytest.raises(ModelError, match="0 models fit 'cc'"):
        ReplayModel(path, "cc")


def test_a_replay_file_changed_while_in_use_is_noticed(cache: CallCache, tmp_path: Path) -> None:
    cache.keep([call(1)])
    path = exported(cache, tmp_path / "r.jsonl")
    replay = ReplayModel(path)
    path.write_bytes(path.read_bytes().replace(b"question 1", b"question 2"))
    with pytest.raises(ModelError, match="changed while in use"):
        replies(replay, [call(1).ask])
    replay.close()


GOOD: dict[str, Any] = json.loads(replay_line(call(1)))


@pytest.mark.parametrize(
    "line",
    [
        b"not json\n",
        b"[]\n",
        b"{}\n",
        b'"\xff\xfe"\n',
        b'{"ask":' + b"[" * 20_000 + b"\n",
        json.dumps(GOOD).encode()[:-30] + b"\n",
        json.dumps({**GOOD, "replay": 2}).encode(),
        json.dumps({**GOOD, "key": "0" * 64}).encode(),
        json.dumps({**GOOD, "key": "../../etc/passwd"}).encode(),
        json.dumps({**GOOD, "fingerprint": "other"}).encode(),
        json.dumps({**GOOD, "headers": {"Authorization": "x"}}).encode(),
        json.dumps({**GOOD, "reply": {**GOOD["reply"], "finish": "error"}}).encode(),
        json.dumps({**GOOD, "reply": {**GOOD["reply"], "tokens_in": -1}}).encode(),
        json.dumps({**GOOD, "reply": {**GOOD["reply"], "tokens_out": 10**30}}).encode(),
        json.dumps({**GOOD, "reply": {**GOOD["reply"], "text": 5}}).encode(),
        json.dumps({**GOOD, "ask": {**GOOD["ask"], "sample": 3}}).encode(),
        json.dumps({**GOOD, "ask": {**GOOD["ask"], "sampling": {"temperature": 10**400}}}).encode(),
        json.dumps({**GOOD, "ask": {**GOOD["ask"], "messages": [{"role": "user", "content": [{}]}]}}).encode(),
    ],
)  # fmt: skip
def test_a_line_that_is_no_recorded_call_is_refused_with_its_place(line: bytes, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(replay_line(call(1)) + line)
    with pytest.raises(DataError, match=r"r\.jsonl:2: "):
        ReplayModel(path)


def test_a_line_survives_the_round_trip() -> None:
    tools = Message("assistant", (Text("a"), ToolCall("1", "map", {"x": [1, {"y": None}]})))
    whole = Call("f", "n", Ask((system("s"), tools), Sampling(stop=("a", "b"), top_k=3), 2), Reply("x", "length", 1, 2))
    assert call_of_line(replay_line(whole)) == whole
    assert call_of_line(json.dumps(json.loads(replay_line(whole)), indent=None).encode()) == whole


def test_two_replies_to_one_ask_are_refused_and_a_repeated_line_is_not(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(replay_line(call(1)) * 2)
    assert len(ReplayModel(path)) == 1
    path.write_bytes(replay_line(call(1)) + replay_line(call(1, "another")))
    with pytest.raises(ModelError, match="another reply"):
        ReplayModel(path)


def test_an_empty_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_bytes(b"\n\n")
    with pytest.raises(ModelError, match="holds no call"):
        ReplayModel(tmp_path / "r.jsonl")
    with pytest.raises(ModelError, match="no replay file"):
        ReplayModel(tmp_path / "none.jsonl")


def test_addresses_are_kept_without_user_and_query(cache: CallCache, tmp_path: Path) -> None:
    secret = "s3cr3t"
    name = f"https://me:{secret}@host/v1?key={secret}#model"
    cache.keep([Call("f", name, ASK, Reply("x", error=secret))])
    assert cache.totals().models[0].name == "https://host/v1#model"
    cache.close()
    for file in (cache.path, exported(CallCache(cache.path), tmp_path / "r.jsonl")):
        assert secret.encode() not in file.read_bytes()


# -- the command ----------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ADHERE_CACHE", str(tmp_path / "home"))
    monkeypatch.delenv("ADHERE_CALL_CACHE", raising=False)
    return tmp_path


def test_the_cache_can_be_named_and_switched_off(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADHERE_CALL_CACHE", str(home / "mine.sqlite"))
    model = Numbered()
    for _ in range(2):
        with caching.through_cache(model) as asked:
            replies(asked, asks(2))
    assert model.calls == 2
    assert (home / "mine.sqlite").is_file()
    monkeypatch.setenv("ADHERE_CALL_CACHE", "OFF")
    with caching.through_cache(model) as asked:
        replies(asked, asks(2))
    assert model.calls == 4


def test_the_command_lists_exports_imports_and_clears(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with caching.open_cache() as cache:
        filled(cache, 5)
        cache.keep([call(1, "x", "other-1")])
    assert cache_command(as_json=True) == 0
    listed = json.loads(capsys.readouterr().out)
    assert (listed["calls"], listed["hits"], [one["calls"] for one in listed["models"]]) == (6, 0, [5, 1])
    assert cache_command() == 0
    assert "5 calls" in capsys.readouterr().out
    assert cache_command(export=home / "r.jsonl") == 0
    before = (home / "r.jsonl").read_bytes()
    assert cache_command(clear=True) == 0
    assert cache_command(source=home / "r.jsonl") == 0
    assert "6 calls read" in capsys.readouterr().err
    assert cache_command(export=home / "again.jsonl") == 0
    assert (home / "again.jsonl").read_bytes() == before
    assert cache_command(limit="3MB") == 0
    capsys.readouterr()
    assert cache_command(as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["limit"] == 3_000_000


def test_only_the_calls_of_a_run_are_exported(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run.create(home / "runs", Plan("synth", {}, {"model": "m"}), ["adhere"])
    with caching.open_cache() as cache:
        replies(cached(Numbered("other"), cache), asks(4))
        replies(run.remember(cached(Numbered(), cache)), asks(2))
        cache.keep([call(9)])
        run.log("reply", key="of an ask with another seed", nth=0, reply={}, call=call(9).key)
        run.log("failure", key="x", nth=0, call=call_key("other-1", asks(1)[0]))
    run.close()
    shard = run.folder / "shards" / "000000"
    shard.mkdir(parents=True)
    (shard / "journal.jsonl").write_bytes(b'{"kind": "reply", "key": "x", "call": "%s"}\n' % call(10).key.encode())
    with caching.open_cache() as cache:
        cache.keep([call(10)])
    assert cache_command(export=home / "r.jsonl", run=run.folder) == 0
    assert len((home / "r.jsonl").read_bytes().splitlines()) == 4  # two of the walk, one of the cache, one of a shard
    assert replies(ReplayModel(home / "r.jsonl", "numbered"), asks(2))[0].text == "reply 2"
    assert replies(ReplayModel(home / "r.jsonl", "a model"), [call(9).ask]) == [call(9).reply]
    with pytest.raises(StoreError, match="not a run folder"):
        cache_command(export=home / "r.jsonl", run=home)


def test_lines_that_are_no_calls_are_set_aside_on_import(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = home / "r.jsonl"
    path.write_bytes(b"x\n" * 7 + replay_line(call(1)))
    assert cache_command(source=path, as_json=True) == 0
    told = capsys.readouterr()
    assert json.loads(told.out) == {"read": 1, "imported": 1, "rejected": 7}
    assert "r.jsonl:1: set aside" in told.err.replace("\n", "")
    assert "2 further lines" in told.err
    path.write_bytes(b"x\n")
    with pytest.raises(DataError, match="no recorded call"):
        cache_command(source=path)
    with pytest.raises(DataError, match="no replay file"):
        cache_command(source=home / "none")


@pytest.mark.parametrize(
    "options", [{"clear": True, "limit": "2GB"}, {"run": Path("x")}, {"limit": "lots"}, {"limit": "10"}]
)
def test_options_that_make_no_sense_are_refused(home: Path, options: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        cache_command(**options)


@pytest.mark.parametrize(
    ("text", "size"), [("2GB", 2 * 10**9), ("1.5 GiB", 3 << 29), ("500mb", 5 * 10**8), ("1000000", 10**6)]
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_size(text) == size


def test_sizes_and_counts_are_told() -> None:
    assert [size_in_words(size) for size in (0, 999, 1_500, 2 * 10**9)] == ["0 B", "999 B", "1.5 KB", "2 GB"]
    assert counts_in_words(CallCounts()) == ""
    told = counts_in_words(CallCounts(hits=1, misses=2, stored=2, lost=1))
    assert told == "call cache: 1 of 3 asks were answered before, 2 stored, 1 could not be stored"


def test_a_model_is_asked_through_the_cache_of_the_user(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, scripted = Numbered(), ScriptedModel()
    for count in (2, 3):
        with caching.through_cache(model) as asked:
            replies(asked, asks(count))
    assert model.calls == 3
    assert "2 of 3 asks were answered before, 1 stored" in capsys.readouterr().err
    with caching.through_cache(model, on=False) as asked:
        assert asked is model
    with caching.through_cache(scripted) as asked:
        assert asked is scripted
    assert capsys.readouterr().err == ""


def test_a_scripted_model_is_not_worth_caching() -> None:
    assert not is_worth_caching(ScriptedModel())
    assert is_worth_caching(Numbered())


def test_settings_that_came_later_change_no_draw_while_they_do_nothing() -> None:
    """The key decides the seed of a draw: an ask keeps its replies when a setting is added to `Sampling`."""
    before = {name: value for name, value in msgspec.structs.asdict(WARM).items() if name not in ("min_p", "guide")}
    assert ASK.key == content_hash([ASK.messages, before, ASK.sample])
    warm = msgspec.structs.replace
    changed = [warm(WARM, min_p=0.1), warm(WARM, guide=Guide("regex", "a")), warm(WARM, guide=Guide("ebnf", "a"))]
    keys = {Ask(ASK.messages, one, ASK.sample).key for one in (WARM, *changed)}
    assert len(keys | {warm(ASK, tools=(Tool("map"),)).key}) == 5
