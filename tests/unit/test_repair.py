import pytest

from adhere.core.errors import VerifierError
from adhere.core.record import Check, Record, user
from adhere.verify.constraint import UNRANKED
from adhere.verify.families import combination, content, formats, punctuation, startend, unseen
from adhere.verify.repair import correct

TYPES = {
    kind.id: kind for module in (combination, content, formats, punctuation, startend, unseen) for kind in module.TYPES
}
INSTRUCTION = "Explain how to plan a garden."
REPLY = (
    "Plan the garden before spring. First, choose a sunny place. Good soil matters more than anything else.\n\n"
    "Water young plants in the evening. Pull the weeds while they are small, and enjoy the harvest."
)
BULLETS = Check("detectable_format:number_bullet_lists", {"num_bullets": 4})
TITLE = Check("detectable_format:title")
ENDING = Check("startend:end_checker", {"end_phrase": "Let me know how it goes."})
POSTSCRIPT = Check("detectable_content:postscript", {"postscript_marker": "P.S."})
QUOTED = Check("startend:quotation")
NO_COMMA = Check("punctuation:no_comma")
REPEAT = Check("combination:repeat_prompt", {"prompt_to_repeat": INSTRUCTION})


def record(*checks: Check) -> Record:
    return Record((user(INSTRUCTION),), checks)


def all_pass(checks: tuple[Check, ...], text: str) -> bool:
    return all(TYPES[check.kind].verify(check.params, text).passed for check in checks)


@pytest.mark.parametrize(
    "checks",
    [
        (BULLETS, TITLE, ENDING),
        (ENDING, POSTSCRIPT, NO_COMMA),
        (QUOTED, ENDING, BULLETS, NO_COMMA),
        (REPEAT, TITLE, NO_COMMA),
        (Check("detectable_format:multiple_sections", {"section_spliter": "Part", "num_sections": 2}), POSTSCRIPT),
        (Check("detectable_format:number_highlighted_sections", {"num_highlights": 5}), NO_COMMA, TITLE),
        (Check("detectable_format:json_format"),),
        (Check("lines:numbered_steps", {"num_steps": 3}), Check("lipogram:no_contractions")),
    ],
    ids=lambda checks: "+".join(check.kind.partition(":")[2] for check in checks),
)
def test_several_checks_are_repaired_together(checks: tuple[Check, ...]) -> None:
    if REPEAT in checks and TITLE in checks:
        checks = (TITLE, *(check for check in checks if check is not TITLE))
    done = correct(record(*checks), REPLY, TYPES)
    assert done.failing == ()
    assert done.passes
    assert done.repaired
    assert all_pass(checks, done.reply)


def test_a_passing_reply_is_left_as_it_is() -> None:
    done = correct(record(ENDING), "Dig. Let me know how it goes.", TYPES)
    assert done.reply == "Dig. Let me know how it goes."
    assert done.repaired == ()


def test_what_passed_still_passes_after_repair() -> None:
    quoted = f'"{REPLY}"'
    done = correct(record(QUOTED, ENDING, TITLE), quoted, TYPES)
    assert TYPES[QUOTED.kind].verify({}, done.reply).passed
    assert QUOTED not in done.failing


def test_what_code_cannot_repair_is_reported_and_nothing_is_lost() -> None:
    letter = Check("lipogram:avoid_letter", {"letter": "e"})
    done = correct(record(letter, ENDING), REPLY, TYPES)
    assert done.failing == (letter,)
    assert done.repaired == (ENDING,)


def test_contradictory_checks_end_with_one_failing() -> None:
    other = Check("startend:end_checker", {"end_phrase": "Nothing more needs to be said."})
    done = correct(record(ENDING, other), REPLY, TYPES)
    assert len(done.failing) == 1


def test_the_title_names_the_subject() -> None:
    done = correct(record(TITLE), REPLY, TYPES)
    assert done.reply.startswith("<<How to Plan a Garden>>\n\n")


def test_blank_replies_are_not_dressed_up() -> None:
    done = correct(record(TITLE, ENDING), " \n", TYPES)
    assert done.reply == " \n"
    assert done.failing == (TITLE, ENDING)


def test_unknown_types_and_bad_parameters_are_errors() -> None:
    with pytest.raises(VerifierError, match="startend:quotatoin"):
        correct(record(Check("startend:quotatoin")), REPLY, TYPES)
    with pytest.raises(VerifierError, match="num_bullets"):
        correct(record(Check(BULLETS.kind, {})), REPLY, TYPES)


def test_repair_is_deterministic() -> None:
    checks = (BULLETS, TITLE, POSTSCRIPT)
    assert correct(record(*checks), REPLY, TYPES) == correct(record(*checks), REPLY, TYPES)


def test_a_postscript_under_another_mark_is_relabelled() -> None:
    done = correct(record(POSTSCRIPT), "Dig in spring.\n\nPS: Bring a spade.", TYPES)
    assert done.reply == "Dig in spring.\n\nP.S. Bring a spade."
    later = Check(POSTSCRIPT.kind, {"postscript_marker": "P.P.S"})
    done = correct(record(later), "Dig in spring.\n\nP.S. Bring a spade.", TYPES)
    assert done.reply == "Dig in spring.\n\nP.P.S Bring a spade."


def test_commas_go_without_leaving_gaps() -> None:
    done = correct(record(NO_COMMA), "Take bread, milk and tea. In May, we sow 1,000 seeds, mostly peas.", TYPES)
    assert done.reply == "Take bread and milk and tea. In May we sow 1000 seeds mostly peas."
    done = correct(record(NO_COMMA), "So, hurry, and get a lamp. His voice, a gift, and his hat are safe.", TYPES)
    assert done.reply == "So hurry and get a lamp. His voice a gift and his hat are safe."


def test_sections_follow_the_paragraphs_of_the_reply() -> None:
    parts = Check("detectable_format:multiple_sections", {"section_spliter": "Part", "num_sections": 2})
    done = correct(record(parts), "One is here.\n\nTwo:\n* a\n* b", TYPES)
    assert done.reply.split("\n\n")[1].split("\n", 1)[1] == "Two:\n* a\n* b"


def test_ranks_put_content_before_structure_and_what_wraps_the_whole_last() -> None:
    order = sorted(TYPES.values(), key=lambda kind: kind.rank)
    ranks = {kind.id: kind.rank for kind in order if kind.repair}
    assert ranks["punctuation:no_comma"] < ranks[BULLETS.kind] < ranks[TITLE.kind] < ranks[ENDING.kind]
    assert ranks[ENDING.kind] < ranks[QUOTED.kind] < ranks["detectable_format:json_format"] < ranks[REPEAT.kind]
    assert all(rank != UNRANKED for rank in ranks.values())


def test_repairs_take_their_order_from_the_types() -> None:
    """A title put in front of a quotation would break it, so that the quotation is made last, however they stand."""
    for checks in ((QUOTED, ENDING), (ENDING, QUOTED)):
        done = correct(record(*checks), REPLY, TYPES)
        assert done.passes
        assert done.reply.endswith('Let me know how it goes."')
