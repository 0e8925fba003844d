from collections.abc import Iterator, Sequence

import pytest

from adhere.core.errors import SettingsError
from adhere.core.model import Ask, Generates, Reply, Scores, Trains
from adhere.core.record import user
from adhere.models.budget import Budget, Ledger, Spent, metered, parse_budget, prompt_at_most
from adhere.models.limits import check_priced
from adhere.models.prices import Price
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
        ("2.50 USD", Budget(None, None, 2.5, "USD")),
        ("200k tokens, 15m, 0.3 EUR", Budget(200_000, 15.0, 0.3, "EUR")),
        ("5 MIN", Budget(None, 5.0)),
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
        ("5 usd", "unknown unit"),
        ("1 USD, 2 EUR", "limits money twice"),
        ("0 USD", "above zero"),
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
    assert parse_budget(str(Budget(9, 2.5, 0.07, "USD"))) == Budget(9, 2.5, 0.07, "USD")
    assert Budget(100, 10.0, 1.0, "USD").part(0.35) == Budget(35, 3.5, 0.35, "USD")
    assert not Budget()


def test_replies_pass_through_and_are_counted():
    ledger = Ledger()
    model = metered(ScriptedModel({"p0": Reply("a", "stop", 3, 4), "p1": Reply("", "error", 5, 0, "no")}), ledger)
    found = list(model.generate(asks(2)))
    assert found == [(0, Reply("a", "stop", 3, 4)), (1, Reply("", "error", 5, 0, "no"))]
    total = ledger.total
    assert (total.calls, total.errors, total.tokens_in, total.tokens_out, total.tokens) == (2, 1, 8, 4, 12)


ROOM = prompt_at_most(Plain(), asks(1)[0]) + asks(1)[0].sampling.max_tokens  # what one of these asks may cost


def test_no_ask_is_made_that_could_pass_the_token_budget():
    plain, ledger = Plain(), Ledger()
    model = metered(plain, ledger, Budget(tokens=ROOM + 30))
    found = dict(model.generate(asks(10)))  # each takes 15 of the ROOM that is held for it
    assert sorted(found) == list(range(10))  # every ask ends, exactly once
    assert [position for position, reply in found.items() if reply.finish == "stop"] == [0, 1, 2]
    assert all("45 of" in reply.error and "may take" in reply.error for reply in list(found.values())[3:])
    assert plain.closed
    assert plain.given == 3
    assert [reply.finish for _, reply in model.generate(asks(1))] == ["error"]
    assert plain.given == 3  # and nothing further is asked
    assert ledger.total.calls == 3  # what was never asked is not booked


def test_far_from_the_limit_everything_is_handed_over_at_once():
    sizes = []

    class Sized(Plain):
        def generate(self, asks):
            sizes.append(len(asks))
            return super().generate(asks)

    list(metered(Sized(), Ledger(), Budget(tokens=41 * ROOM)).generate(asks(40)))
    assert sizes == [40]
    sizes.clear()
    list(metered(Sized(), Ledger(), Budget(tokens=20 * ROOM + 99)).generate(asks(40)))
    assert sizes == [20, 19, 1]  # what replies leave over is used, in slices
    sizes.clear()
    list(metered(Sized(), Ledger(), Budget(minutes=5)).generate(asks(40)))
    assert sizes == [40]


def test_what_is_in_flight_elsewhere_is_held_back_too():
    ledger = Ledger()
    one, other = (metered(Plain(), ledger, Budget(tokens=2 * ROOM + 20)) for _ in range(2))
    first = one.generate(asks(2))
    next(first)  # 15 are spent, and ROOM is held for the other ask
    assert [reply.finish for _, reply in other.generate(asks(2))] == ["stop", "error"]
    assert [reply.finish for _, reply in first] == ["stop"]
    assert ledger.total.tokens == 45


def test_what_was_held_is_given_back_when_a_consumer_leaves_early():
    ledger = Ledger()
    model = metered(Plain(), ledger, Budget(tokens=3 * ROOM))
    running = model.generate(asks(3))
    next(running)
    assert ledger.shortfall(Budget(tokens=3 * ROOM), Spent(tokens_in=ROOM))
    running.close()
    assert not ledger.shortfall(Budget(tokens=3 * ROOM), Spent(tokens_in=ROOM))


def test_a_server_that_counts_more_than_was_held_raises_what_is_held_next():
    ledger, greedy = Ledger(), Plain(reply=Reply("x", "stop", ROOM, ROOM))
    found = list(metered(greedy, ledger, Budget(tokens=6 * ROOM)).generate(asks(3)))
    assert len(found) == 3  # three fit at first; after two the limit is in sight and the third is not waited for
    assert [reply.finish for _, reply in found].count("stop") == greedy.given


def test_tokens_that_a_server_does_not_count_stand_at_an_upper_bound():
    ledger = Ledger()
    [(_, reply)] = metered(Plain(reply=Reply("four words of text")), ledger).generate(asks(1))
    assert reply.tokens_in == prompt_at_most(Plain(), asks(1)[0])
    assert reply.tokens_out == len("four words of text") + 1
    assert (ledger.total.uncounted, ledger.total.tokens) == (1, reply.tokens_in + reply.tokens_out)
    list(metered(Plain(reply=Reply("x", cached=True)), ledger).generate(asks(1)))
    assert ledger.total.uncounted == 1


def test_a_prompt_is_counted_exactly_where_the_tokenizer_is_at_hand():
    class Chat:
        def encode_prompt(self, messages):
            return [0] * 7

    local = Plain()
    local.chat = Chat()
    assert prompt_at_most(local, asks(1)[0]) == 7
    odd = Ask((user("\ud800" * 50),))
    assert prompt_at_most(Plain(), odd) > 200
    tokens = len("Jedes Wort zählt, \u4f60\u597d".encode())
    assert prompt_at_most(Plain(), Ask((user("Jedes Wort zählt, \u4f60\u597d"),))) > tokens


def test_a_budget_used_up_by_the_very_last_reply_is_no_error():
    model = metered(Plain(reply=Reply("x", "stop", ROOM - 5, 5)), Ledger(), Budget(tokens=2 * ROOM))
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
    earlier_s = ledger.elapsed_s
    later = Clock()
    later.now = 5_000.0
    again = Ledger(dict(ledger.stages), earlier_s, later)
    later.now += 10
    assert again.elapsed_s == 100
    assert again.stages == ledger.stages
    assert again.shortfall(Budget(tokens=45)) == "45 of 45 tokens are used"


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
    assert (ledger.total.calls, ledger.total.tokens_in) == (1, 7)  # one of the prompt, five, the end of the turn
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


# --- money ------------------------------------------------------------------------------------------------------

DEAR = Price("USD", input=1.0, output=4.0, cached_input=0.25)


def test_a_limit_in_money_holds_back_what_a_call_may_cost():
    room = DEAR.at_most(prompt_at_most(Plain(), asks(1)[0]), asks(1)[0].sampling.max_tokens)
    ledger, plain = Ledger(price=DEAR), Plain()
    limit = Budget(money=room + 0.00005, currency="USD")  # a reply costs 0.00003
    found = [reply for _, reply in metered(plain, ledger, limit).generate(asks(9))]
    assert [reply.finish for reply in found].count("stop") == plain.given == 2
    assert "USD are used, and what comes next may take" in found[-1].error
    assert ledger.money() == pytest.approx(2 * 0.00003)
    assert ledger.money() <= limit.money


def test_money_is_not_known_without_a_price_and_never_nothing():
    ledger = Ledger()
    list(metered(Plain(), ledger).generate(asks(1)))
    assert ledger.money() is None
    assert ledger.money(ledger.total) is None
    assert "no price in it is given" in ledger.shortfall(Budget(money=1.0, currency="USD"))


def test_a_machine_is_paid_for_all_the_time_of_the_run():
    clock = Clock()
    ledger = Ledger(clock=clock, price=Price("USD", per_hour=3.6))
    limit = Budget(money=0.1, currency="USD")
    list(metered(Plain(clock), ledger, limit).generate(asks(2)))  # 60 s
    clock.now += 30
    assert ledger.money() == pytest.approx(0.09)
    assert ledger.money(ledger.stages["all"]) == pytest.approx(0.06)
    assert not ledger.shortfall(limit)
    clock.now += 10
    assert ledger.shortfall(limit)


def test_what_the_server_had_in_its_cache_costs_what_the_file_says():
    ledger = Ledger(price=DEAR)
    reply = Reply("x", "stop", 1_000_000, 0, tokens_kept=400_000, retries=2)
    list(metered(Plain(reply=reply), ledger).generate(asks(1)))
    assert ledger.money() == pytest.approx(0.6 + 0.1)
    assert (ledger.total.kept, ledger.total.retries) == (400_000, 2)
    assert Price("USD", 1.0, 4.0).money(1_000_000, 0, 400_000) == 1.0


def test_a_budget_in_money_needs_the_price_in_that_currency():
    check_priced(Budget(money=1.0, currency="USD"), DEAR, "m")
    check_priced(Budget(tokens=5), None, "m")
    for price, said in ((None, "needs the price of m"), (Price("EUR", per_hour=1.0), "in EUR")):
        with pytest.raises(SettingsError, match=said) as caught:
            check_priced(Budget(money=1.0, currency="USD"), price, "m")
        assert caught.value.hint
