import json
from collections.abc import Iterator, Sequence

import pytest

from adhere.core.errors import SettingsError, StoreError
from adhere.core.model import Ask, Generates, Reply, Scores, Trains
from adhere.core.record import user
from adhere.models.budget import Budget, Ledger, metered, parse_budget
from adhere.models.scripted import ScriptedModel, tiny_weights


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Plain:
    """Generates and nothing else; notes whether its generator was closed."""

    name = "plain"
    fingerprint = "f" * 64

    def __init__(self, clock: Clock | None = None, reply: Reply | None = None) -> None:
        self.clock, self.reply = clock, reply or Reply("x", "stop", 10, 5)
        self.given, self.closed = 0, False

    def generate(self, asks: Sequence[Ask]) -> Iterator[tuple[int, Reply]]:
        try:
            for position in range(len(asks)):
                if self.clock:
                    self.clock.now += 30
                self.given += 1
                yield position, self.reply
        finally:
            self.closed = True


def asks(count: int) -> list[Ask]:
    return [Ask((user(f"p{number}"),)) for number in range(count)]


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("200000 tokens", Budget(200_000)),
        ("200,000 tokens", Budget(200_000)),
        ("200k", Budget(200_000)),
        ("200K tokens", Budget(200_000)),
        ("1.5M", Budget(1_500_000)),
        ("15m", Budget(None, 15.0)),
        ("15 minutes", Budget(None, 15.0)),
        ("1 minute", Budget(None, 1.0)),
        ("2h", Budget(None, 120.0)),
        ("90 s", Budget(None, 1.5)),
        ("200k tokens, 15m", Budget(200_000, 15.0)),
        ("15m and 200,000 tokens", Budget(200_000, 15.0)),
    ],
)
def test_budgets_in_words(text, budget):
    assert parse_budget(text) == budget


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("200", "no unit"),
        ("", "amount and a unit"),
        ("lots", "amount and a unit"),
        ("-5m", "amount and a unit"),
        ("0 tokens", "above zero"),
        ("5 parsecs", "unknown unit 'parsecs'"),
        ("5 dollars", "unknown unit"),
        ("1k, 2k", "twice"),
        ("15m,", "amount and a unit"),
        ("5 m tokens", "unknown unit"),
        ("nan m", "amount and a unit"),
    ],
)
def test_budgets_that_are_refused(text, said):
    with pytest.raises(SettingsError, match=said) as caught:
        parse_budget(text)
    assert caught.value.hint


def test_a_budget_says_itself():
    assert str(Budget(200_000, 15.0)) == "200,000 tokens, 15 minutes"
    assert str(Budget()) == "no limit"
    assert parse_budget(str(Budget(1_234_567, 2.5))) == Budget(1_234_567, 2.5)


def test_replies_pass_through_and_are_counted():
    ledger = Ledger()
    model = metered(ScriptedModel({"p0": Reply("a", "stop", 3, 4), "p1": Reply("", "error", 5, 0, "no")}), ledger)
    found = list(model.generate(asks(2)))
    assert found == [(0, Reply("a", "stop", 3, 4)), (1, Reply("", "error", 5, 0, "no"))]
    total = ledger.total
    assert (total.calls, total.errors, total.tokens_in, total.tokens_out, total.tokens) == (2, 1, 8, 4, 12)


def test_the_token_budget_stops_after_the_reply_that_used_it_up():
    plain, ledger = Plain(), Ledger()
    model = metered(plain, ledger, Budget(tokens=40))
    running = model.generate(asks(10))
    assert [next(running)[0] for _ in range(3)] == [0, 1, 2]  # 45 tokens
    rest = dict(running)
    assert sorted(rest) == list(range(3, 10))  # every ask ends, exactly once
    assert {reply.finish for reply in rest.values()} == {"error"}
    assert all("45 of 40 tokens" in reply.error for reply in rest.values())
    assert plain.closed
    assert plain.given == 3
    assert [reply.finish for _, reply in model.generate(asks(1))] == ["error"]
    assert plain.given == 3  # and nothing further is asked
    assert ledger.total.calls == 3  # what was never asked is not booked


def test_a_budget_used_up_by_the_very_last_reply_is_no_error():
    model = metered(Plain(), Ledger(), Budget(tokens=30))
    assert len(list(model.generate(asks(2)))) == 2
    assert list(model.generate([])) == []


def test_the_minutes_are_wall_time_whatever_used_them():
    clock = Clock()
    ledger = Ledger(clock=clock)
    model = metered(Plain(clock), ledger, Budget(minutes=2))
    assert len(list(model.generate(asks(2)))) == 2
    clock.now += 60  # training, say
    [(_, reply)] = model.generate(asks(1))
    assert "2.0 of 2 minutes" in reply.error
    assert ledger.total.seconds == 60


def test_trained_tokens_are_of_the_budget():
    ledger = Ledger()
    with ledger.at("tune"):
        ledger.book_training(30)
        ledger.book_training(20)
    assert (ledger.stages["tune"].trained, ledger.total.tokens) == (50, 50)
    assert ledger.shortfall(Budget(tokens=50)) == "50 of 50 tokens are used"
    assert Ledger.from_dict(ledger.to_dict()).total.tokens == 50


def test_what_is_left_is_parted_equally():
    clock = Clock()
    ledger = Ledger(clock=clock)
    ledger.book_training(100)
    clock.now += 60
    assert ledger.part_of_rest(Budget(400, 5.0), 4) == Budget(175, 2.0)
    assert ledger.part_of_rest(Budget(400, 5.0), 1) == Budget(400, 5.0)
    assert ledger.part_of_rest(Budget(90, 0.5), 3) == Budget(100, 1.0)  # nothing is left
    assert ledger.part_of_rest(Budget(), 3) == Budget()


def test_time_can_be_booked_while_it_runs():
    clock = Clock()
    ledger = Ledger(clock=clock)
    with ledger.timed() as lap:
        clock.now += 5
        lap()
        assert ledger.total.seconds == 5
        clock.now += 2
    assert ledger.total.seconds == 7


def test_stages_are_booked_apart_and_nest():
    ledger = Ledger()
    model = metered(Plain(), ledger)
    with ledger.at("synthesise"):
        list(model.generate(asks(2)))
        with ledger.at("correct"):
            list(model.generate(asks(1)))
        list(model.generate(asks(1)))
    assert {stage: spent.calls for stage, spent in ledger.stages.items()} == {"synthesise": 3, "correct": 1}
    assert ledger.stage == "all"


def test_a_ledger_goes_on_where_an_earlier_session_stopped():
    clock = Clock()
    ledger = Ledger(clock=clock)
    with ledger.at("synthesise"):
        list(metered(Plain(clock), ledger).generate(asks(3)))
    saved = json.loads(json.dumps(ledger.to_dict()))
    later = Clock()
    later.now = 5_000.0
    again = Ledger.from_dict(saved, later)
    later.now += 10
    assert again.elapsed_s == 100
    assert again.stages == ledger.stages
    assert again.shortfall(Budget(tokens=45)) == "45 of 45 tokens are used"
    with pytest.raises(StoreError):
        Ledger.from_dict({"stages": {"a": {"calls": "many"}}})


def test_capabilities_are_those_of_the_model(tmp_path):
    plain = metered(Plain(), Ledger())
    assert isinstance(plain, Generates)
    assert not isinstance(plain, Scores)
    assert not isinstance(plain, Trains)
    assert (plain.name, plain.fingerprint) == ("plain", "f" * 64)
    inner = ScriptedModel(weights=tiny_weights(tmp_path))
    ledger = Ledger()
    full = metered(inner, ledger, Budget(tokens=5))
    assert isinstance(full, Scores)
    assert isinstance(full, Trains)
    assert full.weights == tmp_path
    tuned = full.with_weights(tmp_path, "tuned")
    list(tuned.generate(asks(0)))
    assert tuned.name == "tuned"
    assert isinstance(tuned, Trains)
    pairs = [((user("a"),), "one two three four five")]
    assert full.score(pairs) == inner.score(pairs)
    assert (ledger.total.calls, ledger.total.tokens_in) == (1, 6)
    [(_, reply)] = tuned.generate(asks(1))
    assert "budget spent" in reply.error  # one budget for both


def test_leaving_early_closes_the_model_too():
    plain = Plain()
    running = metered(plain, Ledger()).generate(asks(3))
    next(running)
    running.close()
    assert plain.closed


def test_metering_twice_counts_once_each(tmp_path):
    inner, outer = Ledger(), Ledger()
    list(metered(metered(Plain(), inner), outer).generate(asks(2)))
    assert inner.total.calls == outer.total.calls == 2
