from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adhere.core.errors import VerifierError
from adhere.core.verifier import Verdict
from adhere.verify.catalogue import UNSEEN_FAMILIES
from adhere.verify.families import structure

TYPES = {kind.id: kind for kind in structure.TYPES}
PROSE = (
    "Bread needs four things. Flour comes first. Water comes next. Salt is small but it counts.\n\n"
    "Time does the rest. Let the dough stand overnight. Bake it hot. Let it cool before you cut it."
)


def verdict(kind: str, params: dict[str, Any], reply: str) -> Verdict:
    return TYPES[kind].verify(TYPES[kind].validated(params), reply)


def repaired(kind: str, params: dict[str, Any], reply: str) -> str | None:
    repair = TYPES[kind].repair
    assert repair is not None
    return repair(params, reply)


def pointed_at(found: Verdict, reply: str) -> list[str]:
    return [reply[slice(*span)] for span in found.spans]


def test_what_says_how_a_reply_begins_is_held_out() -> None:
    assert len(TYPES) == len(structure.TYPES) == 15
    held_out = {kind.id for kind in structure.TYPES if kind.family in UNSEEN_FAMILIES}
    assert held_out == {"opening:letter", "opening:email", "tally:links"}


# ---------------------------------------------------------------- sections

NAMES = {"names": ["Needs", "Steps", "Tips"]}


def test_sections_in_any_style_of_heading_are_found() -> None:
    reply = "### 1. needs\nRye.\n\n**Steps**\r\nMix.\n\nTips:\nWait."
    found = verdict("detectable_format:named_sections", NAMES, reply)
    assert found.passed
    assert pointed_at(found, reply) == ["### 1. needs", "**Steps**", "Tips:"]


def test_the_more_sections_are_there_the_better() -> None:
    scores = [
        verdict("detectable_format:named_sections", NAMES, reply).score
        for reply in (
            "Rye.",
            "## Tips\nWait.",
            "## Tips\nWait.\n## Needs\nRye.",
            "## Tips\na\n## Needs\nb\n## Steps\nc",
        )
    ]
    assert scores == sorted(set(scores))


def test_repair_keeps_the_words_under_new_headings() -> None:
    done = repaired("detectable_format:named_sections", NAMES, PROSE)
    assert done is not None
    assert verdict("detectable_format:named_sections", NAMES, done).passed
    assert [word for word in done.split() if word not in ("##", "Needs", "Steps", "Tips")] == PROSE.split()


@given(sections=st.integers(1, 5), bullets=st.integers(1, 4), wanted=st.integers(1, 5))
def test_bullets_under_headings_are_counted(sections: int, bullets: int, wanted: int) -> None:
    block = "\n".join("- a point" for _ in range(bullets))
    reply = "# All\n\n" + "\n\n".join(f"## S{at}\nWords first:\n{block}" for at in range(sections))
    params = {"num_sections": wanted, "num_bullets": bullets}
    found = verdict("detectable_format:bulleted_sections", params, reply)
    assert found.passed is (sections == wanted)
    assert found.miss == sections - wanted


def test_an_empty_section_beside_others_counts() -> None:
    params = {"num_sections": 1, "num_bullets": 1}
    assert verdict("detectable_format:bulleted_sections", params, "## A\n- a\n## B\nNo bullets.").passed is False


# ---------------------------------------------------------------- fields, contents, dividers

FIELDS = {"fields": ["Name", "First name"], "num_items": 1}


def test_a_field_whose_name_ends_in_another_is_told_apart() -> None:
    reply = "Name: Hill\nFirst name: Jo"
    found = verdict("structure:items_with_fields", FIELDS, reply)
    assert found.passed
    assert pointed_at(found, reply) == ["Name", "First name"]


def test_a_field_is_taken_literally() -> None:
    params = {"fields": ["Price (€)", "A.B"], "num_items": 1}
    assert verdict("structure:items_with_fields", params, "Price (€): 3; A.B: x").passed
    assert verdict("structure:items_with_fields", params, "Price (€): 3; AxB: x").passed is False


@pytest.mark.parametrize(
    ("opening", "passes"),
    [("Contents", True), ("**Table of Contents**", True), ("## contents:", True), ("List", False)],
)
def test_the_table_of_contents_is_known_by_its_name(opening: str, passes: bool) -> None:
    reply = f"{opening}\n\n* A\n\n## A\nText."
    assert verdict("structure:contents", {"num_sections": 1}, reply).passed is passes


def test_contents_are_made_from_the_headings() -> None:
    reply = "## A\nOne.\n\n## B\nTwo."
    done = repaired("structure:contents", {"num_sections": 2}, reply)
    assert done == f"Contents:\n\n- A\n- B\n\n{reply}"
    assert verdict("structure:contents", {"num_sections": 2}, done).passed
    assert repaired("structure:contents", {"num_sections": 3}, reply) is None


@pytest.mark.parametrize("divider", ["---", "===", "~~~~", "* * *"])
def test_parts_are_divided_by_the_line_itself(divider: str) -> None:
    params = {"num_parts": 3, "divider": divider}
    done = repaired("length_constraints:divided_parts", params, PROSE)
    assert done is not None
    assert verdict("length_constraints:divided_parts", params, done).passed
    assert verdict("length_constraints:divided_parts", params, done.replace(divider, divider + "!")).passed is False


def test_a_closing_section_with_later_headings_does_not_close() -> None:
    params = {"label": "In short"}
    assert verdict("structure:closing_section", params, f"{PROSE}\n\n## In short\nBake.").passed
    assert (
        verdict("structure:closing_section", params, f"{PROSE}\n\n## In short\nBake.\n\n## More\nEat.").passed is False
    )
    assert verdict("structure:closing_section", params, f"{PROSE}\n\n## In short\n").passed is False


# ---------------------------------------------------------------- speakers and letters


@given(turns=st.integers(1, 9), wanted=st.integers(2, 9))
def test_turns_of_a_dialogue_are_counted(turns: int, wanted: int) -> None:
    reply = "\n".join(f"{('Ann', 'Bo')[at % 2]}: well" for at in range(turns))
    found = verdict("structure:dialogue", {"speakers": ["Ann", "Bo"], "num_turns": wanted}, reply)
    assert found.passed is (turns == wanted)


def test_a_speaker_whose_name_begins_another_is_told_apart() -> None:
    params = {"speakers": ["Ann", "Anna"], "num_turns": 2}
    assert verdict("structure:dialogue", params, "Anna: hello\nAnn: hello").passed


@pytest.mark.parametrize(
    "reply",
    ["<a>x</a><b>y</b>", "\n<a>\nx\n</a>\n\n<b>y</b>\n"],
)
def test_two_tags_hold_everything(reply: str) -> None:
    params = {"first_tag": "a", "second_tag": "b"}
    found = verdict("structure:two_tags", params, reply)
    assert found.passed
    assert pointed_at(found, reply) == ["<a>", "</a>", "<b>", "</b>"]


@pytest.mark.parametrize(
    "reply", ["<a>x</a><b>y</b>.", "<a>x<b>y</b></a>", "<a>x</a><a>z</a><b>y</b>", "<a>x</a> <b> </b>"]
)
def test_tags_that_repeat_cross_or_leave_text_out_fail(reply: str) -> None:
    assert verdict("structure:two_tags", {"first_tag": "a", "second_tag": "b"}, reply).passed is False


@pytest.mark.parametrize("tags", [("a", "a"), ("a b", "c"), ("", "c")])
def test_tags_that_are_no_names_are_refused(tags: tuple[str, str]) -> None:
    with pytest.raises(VerifierError, match="names of tags"):
        verdict("structure:two_tags", {"first_tag": tags[0], "second_tag": tags[1]}, "text")


def test_a_letter_is_made_around_any_text_once() -> None:
    params = {"sign_off": "Best wishes,"}
    done = repaired("opening:letter", params, PROSE)
    assert done is not None
    assert PROSE in done
    assert verdict("opening:letter", params, done).passed
    greeted = repaired("opening:letter", params, "Hi Jo!\n\nThe roof leaks.")
    assert greeted is not None
    assert greeted.startswith("Hi Jo!\n\nThe roof leaks.")


@pytest.mark.parametrize("most", [1, 3, 8])
def test_a_subject_is_put_first_where_one_is_short_enough(most: int) -> None:
    done = repaired("opening:email", {"max_words": most}, f"Subject: {'very ' * 9}long\n\n{PROSE}")
    if most == 1:
        assert done is None
    else:
        assert done is not None
        assert done.count("Subject:") == 1
        assert verdict("opening:email", {"max_words": most}, done).passed


# ---------------------------------------------------------------- sources and links


@given(sources=st.integers(1, 6), cited=st.integers(0, 7), wanted=st.integers(1, 6))
def test_every_source_is_cited_and_listed(sources: int, cited: int, wanted: int) -> None:
    text = " ".join(f"Claim [{at}]." for at in range(1, cited + 1)) or "Claim."
    listing = "\n".join(f"[{at}] Book {at}." for at in range(1, sources + 1))
    found = verdict("structure:citations", {"num_sources": wanted}, f"{text}\n\nSources\n\n{listing}\n")
    assert found.passed is (sources == cited == wanted)


def test_links_are_pointed_at_and_taken_out() -> None:
    reply = "See https://a.example/x?y=1#z, [that](http://b.example) or www.c.example."
    found = verdict("tally:links", {"num_links": 3}, reply)
    assert found.passed
    assert pointed_at(found, reply)[1] == "http://b.example"
    done = repaired("structure:no_links", {}, reply)
    assert done is not None
    assert "that" in done
    assert verdict("structure:no_links", {}, done).passed
    assert verdict("structure:no_links", {}, done).vacuous
