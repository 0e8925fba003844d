"""DeCRIM tells the model what it missed, in the user's own words, and stops when nothing is missed."""

from __future__ import annotations

from adhere.core.model import Ask, Reply, Sampling, replies
from adhere.core.record import user
from adhere.methods.contract import check_method
from adhere.methods.steer import decrim
from adhere.methods.steer.decrim import UNNAMED, Settings, steer
from adhere.models.scripted import ScriptedModel

WISH = "Do not use any commas in your answer."
ASK = Ask((user(f"Tell me about tea. {WISH}"),), Sampling(64))
FREE = Ask((user("Tell me about tea."),), Sampling(64))


def by_turn(*texts: str) -> ScriptedModel:
    """Answers the k-th turn of a conversation with the k-th text."""
    return ScriptedModel(lambda ask: texts[sum(one.role == "assistant" for one in ask.messages)])


def test_it_keeps_the_contract() -> None:
    check_method(decrim)


def test_what_is_missed_is_named_and_a_reply_that_passes_is_final() -> None:
    seen: list[Ask] = []

    def script(ask: Ask) -> str:
        seen.append(ask)
        return "Hot, strong, sweet." if len(ask.messages) == 1 else "Hot and strong."

    (reply,) = replies(steer(ScriptedModel(script), [], Settings(rounds=5)), [ASK])
    assert reply.text == "Hot and strong."
    assert len(seen) == 2
    assert WISH.rstrip(".") in seen[1].messages[-1].text
    assert [one.role for one in seen[1].messages] == ["user", "assistant", "user"]


def test_the_last_round_stands_where_none_passes() -> None:
    model = by_turn("a, b", "c, d", "e, f", "never, asked")
    assert replies(steer(model, [], Settings(rounds=1)), [ASK])[0].text == "c, d"
    assert model.calls == 2


def test_plain_refinement_names_nothing_and_a_prompt_without_constraints_is_left_alone() -> None:
    seen: list[Ask] = []

    def script(ask: Ask) -> str:
        seen.append(ask)
        return "x, y"

    replies(steer(ScriptedModel(script), [], Settings(rounds=1, critic="none")), [ASK, FREE])
    assert [one.messages[-1].text for one in seen[2:]] == [UNNAMED]


def test_what_is_not_named_stops_as_what_is_named() -> None:
    seen: list[Ask] = []

    def script(ask: Ask) -> str:
        seen.append(ask)
        return "Hot, sweet." if len(ask.messages) == 1 else "Hot and sweet."

    (reply,) = replies(steer(ScriptedModel(script), [], Settings(rounds=5, critic="unnamed")), [ASK])
    assert reply.text == "Hot and sweet."
    assert [one.messages[-1].text for one in seen[1:]] == [UNNAMED]


def test_the_weak_critic_is_believed() -> None:
    def script(verdict: str) -> ScriptedModel:
        return ScriptedModel(
            lambda ask: verdict if "Say yes or no" in ask.messages[-1].text else f"x, {len(ask.messages)}"
        )

    assert replies(steer(script("Yes."), [], Settings(critic="model")), [ASK])[0].text == "x, 1"
    assert replies(steer(script("No, it has commas."), [], Settings(rounds=1, critic="model")), [ASK])[0].text == "x, 3"


def test_a_round_that_fails_changes_nothing_and_all_calls_are_paid_for() -> None:
    def script(ask: Ask) -> str | Reply:
        return Reply("a, b", "stop", 10, 3) if len(ask.messages) == 1 else Reply("", "error", error="busy")

    (reply,) = replies(steer(ScriptedModel(script), [], Settings(rounds=2)), [ASK])
    assert (reply.text, reply.finish, reply.tokens_in, reply.tokens_out) == ("a, b", "stop", 10, 3)
