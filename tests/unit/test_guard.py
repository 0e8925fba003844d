import pytest

from adhere.core.record import Check, Record, user
from adhere.verify.guard import degenerate, repetition

RECORD = Record((user("Explain to a child how volcanoes form."),))
GOOD = (
    "Deep under the ground it is so hot that rock melts. The melted rock is called magma. Because it is lighter than "
    "the rock around it, it slowly rises and gathers in a big chamber. When too much of it is squeezed in there, it "
    "breaks out through a crack, and we call it lava. The lava cools, turns hard, and piles up. After many such "
    "eruptions there is a whole mountain, which we call a volcano."
)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (" \n ", "empty"),
        ("<<>> ****** [name]", "short"),
        ('""', "short"),
        ("<<Volcanoes>>\n\nP.S.", "short"),
        (GOOD + " <|im_start|>user", "marker"),
        (GOOD + "\nUser:\nThanks", "marker"),
        ("Lava is hot. " + "It goes up and up and on. " * 6, "repetition"),
        (GOOD + " very" * 12, "repetition"),
        ("Lava is hot rock.\n" + "\n".join(f"{n}. The rock is hot there." for n in range(9)), "repetition"),
        ("a" * 300 + " is the sound that a volcano makes", "repetition"),
        ("Explain to a child how volcanoes form. Explain to a child how volcanoes form. Yes.", "copy"),
        ("Explain to a child how volcanoes form, explain to a child how volcanoes form, and so on.", "copy"),
        (" ".join(f"word{n}" for n in range(1200)), "long"),
    ],
)
def test_degenerate_replies_are_named(reply: str, reason: str) -> None:
    found = degenerate(RECORD, reply)
    assert found is not None
    assert found.startswith(reason + ":")


@pytest.mark.parametrize("reply", [GOOD, f'"{GOOD}"', f"<<Volcanoes>>\n\n{GOOD}\n\nP.S. Ask me more.", GOOD.upper()])
def test_answers_are_left_alone(reply: str) -> None:
    assert degenerate(RECORD, reply) is None


def test_refusals_are_left_alone() -> None:
    assert degenerate(RECORD, "I am sorry, but I cannot help with that request.") is None


def test_a_demanded_repetition_is_no_copy() -> None:
    request = RECORD.instruction
    record = Record(RECORD.messages, (Check("combination:repeat_prompt", {"prompt_to_repeat": request}),))
    assert degenerate(record, f"{request}\n\n{GOOD}") is None
    found = degenerate(record, f"{request}\n\n{request}")
    assert found is not None
    assert found.startswith(("copy", "short", "repetition"))
    assert degenerate(record, request) is not None


def test_two_responses_are_looked_at_apart() -> None:
    record = Record(RECORD.messages, (Check("combination:two_responses"),))
    assert degenerate(record, f"{GOOD}\n******\n{GOOD.replace('child', 'kid')} The end.") is None


def test_short_answers_are_fine_where_the_task_is_short() -> None:
    assert degenerate(Record((user("Classify the sentiment of: I love it."),)), "Positive") is None
    assert degenerate(Record((user("What is the capital of Norway?"),)), "Oslo.") is None
    constrained = Record((user("Is rain wet?"),), (Check("detectable_format:constrained_response"),))
    assert degenerate(constrained, "My answer is yes.") is None


def test_reciting_a_requirement_is_a_copy() -> None:
    phrase = "Make sure that your answer has no commas at all."
    record = Record(RECORD.messages, (Check("punctuation:no_comma", {}, phrase),))
    found = degenerate(record, GOOD.replace(",", "") + " " + phrase)
    assert found is not None
    assert found.startswith("copy: recites")


def test_editing_tasks_may_take_over_the_input() -> None:
    text = "The cat sat on the mat and it were happy because the sun was shining on its back."
    record = Record((user(f"Correct the grammar: {text}"),))
    assert degenerate(record, text.replace("were", "was")) is None


@pytest.mark.parametrize(
    "text",
    [
        "* wash the apples\n* peel the apples\n* cut the apples\n* cook the apples",
        "Row, row, row your boat gently down the stream. Merrily, merrily, merrily, merrily, life is but a dream.",
        "------------------------------\nA table\n------------------------------",
    ],
)
def test_lists_and_verse_are_no_loops(text: str) -> None:
    assert repetition(text) is None


def test_a_score_of_languages_and_long_demands_are_no_fault() -> None:
    words = Check("length_constraints:number_words", {"relation": "at least", "num_words": 600})
    long = " ".join(f"Hill {n} has {n * 7} trees and {n * 3} springs near village {n + 40}." for n in range(100))
    assert str(degenerate(Record(RECORD.messages), long)).startswith("long:")
    assert not str(degenerate(Record(RECORD.messages, (words,)), long)).startswith("long:")
    assert degenerate(RECORD, "ज्वालामुखी तब बनता है जब धरती के भीतर का पिघला हुआ पत्थर ऊपर आता है और बाहर निकलता है।") is None


def test_the_given_ending_is_no_answer_by_itself() -> None:
    ending = Check("startend:end_checker", {"end_phrase": "Let me know how it goes."})
    found = degenerate(Record(RECORD.messages, (ending,)), "Lava. Let me know how it goes.")
    assert found is not None
    assert found.startswith("short")


def test_a_chorus_comes_back_without_being_a_loop() -> None:
    verses = [
        f"Verse {n} tells of a {thing} that nobody else has seen\n" for n, thing in enumerate(("fox", "owl", "bee"))
    ]
    chorus = "Sing it with me now\n"
    filler = "The night is long and the road goes on over hills and past the mill where water turns the wheel\n"
    assert repetition(chorus.join(verses) + filler + chorus) is None
