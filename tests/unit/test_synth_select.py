"""The synthesis and selection methods on rows as people bring them."""

from __future__ import annotations

import msgspec
import pytest

from adhere.core.errors import SettingsError
from adhere.core.record import Check, Record, assistant, user
from adhere.core.step import Dropped, divided
from adhere.methods.select import verified_novel
from adhere.methods.synth import complex_to_simple
from adhere.models.scripted import ScriptedModel

COMMA = Check("punctuation:no_comma", {}, "Use no commas.")
WORDS = Check("length_constraints:number_words", {"relation": "at least", "num_words": 5})
SUBJECTS = ("tea", "rivers", "old maps", "a bicycle", "the moon", "bread", "a letter", "chess", "glass", "rain")


def test_seeds_that_are_rows_of_an_earlier_run_are_taken_for_their_prompt() -> None:
    seeds = [
        Record(
            (user(f"Explain {subject} to a friend."), assistant("An old reply, with commas.")),
            (COMMA, Check("nobody:knows_this", {"n": 3})),
            "A reply that lost.",
            notes={"how": "repaired", "repaired": ["x"], "sampled": 99, "instruction": "Something else.", "skill": "y"},
        )
        for subject in SUBJECTS[:5]
    ]
    before = msgspec.json.encode(seeds)
    settings = complex_to_simple.Settings(count=12, plain_share=0.5, samples=2)
    outcomes = list(complex_to_simple.synth(seeds, ScriptedModel(), settings, 1))
    assert len(outcomes) == 12
    rows = [one.record if isinstance(one, Dropped) else one for one in outcomes]
    assert {len(row.checks) == 0 for row in rows} == {True, False}
    known = {seed.id for seed in seeds}
    for row in rows:
        assert set(row.parents) <= known
        assert COMMA not in row.checks
        assert row.reply != "An old reply, with commas."
        assert row.rejected != "A reply that lost."
        assert row.notes["skill"] == "y"
        assert row.notes["sampled"] < 99
        assert row.notes.get("instruction") != "Something else."
    assert {row.notes["how"] for row in divided(outcomes)[0]} <= {"passed", "repaired", "asked again"}
    assert msgspec.json.encode(seeds) == before


def sound(count: int) -> list[Record]:
    """Rows that verify and share few words; every fourth has a check more."""
    rows = []
    for number in range(count):
        words = " ".join(f"w{number}x{place}" for place in range(12))
        checks = (COMMA, WORDS) if number % 4 == 0 else (COMMA,)
        rows.append(Record((user(f"Write about {words}."), assistant(f"here are {words}")), checks))
    return rows


def chosen(records: list[Record], **settings: object) -> tuple[list[Record], list[Dropped]]:
    return divided(verified_novel.select(records, verified_novel.Settings(**settings), 3))  # type: ignore[arg-type]


@pytest.mark.parametrize(("count", "kept"), [(20, 17), (3, 2), (1, 1), (0, 0)])
def test_without_a_limit_a_share_is_kept(count: int, kept: int) -> None:
    rows, dropped = chosen(sound(count))
    assert (len(rows), len(dropped)) == (kept, count - kept)
    assert all(one.reason.startswith("balance") for one in dropped)


def test_what_is_left_out_is_of_the_fullest_family() -> None:
    rows, dropped = chosen(sound(20))
    assert {len(one.record.checks) for one in dropped} == {1}
    assert sum(len(row.checks) == 2 for row in rows) == 5


def test_keep_one_keeps_all_and_a_limit_goes_before_it() -> None:
    assert chosen(sound(20), keep=1.0)[0] == sound(20)
    assert len(chosen(sound(20), keep=0.1, limit=15)[0]) == 15


@pytest.mark.parametrize("keep", [0.0, -1.0, 1.5, float("nan")])
def test_a_share_that_is_none_is_refused(keep: float) -> None:
    with pytest.raises(SettingsError, match="keep should be above 0"):
        chosen(sound(2), keep=keep)


def test_one_bad_row_stops_nothing() -> None:
    asked = user("Say something about rivers.")
    reply = assistant("They run to the sea.")
    bad = [
        Record((asked,)),
        Record((asked, assistant(" \n"))),
        Record((asked, assistant("")), (COMMA,)),
        Record((asked, reply), (Check(WORDS.kind, {"relation": "at most", "num_words": 3}),)),
        Record((asked, reply), (Check(WORDS.kind, {}),)),
        Record((asked, reply), (Check("nobody:knows_this", {"n": 3}), COMMA)),
        Record((asked, assistant("They run, slowly.")), (COMMA,)),
    ]
    rows, dropped = chosen([*bad, *sound(4)], keep=1.0)
    assert rows == sound(4)
    reasons = [one.reason for one in dropped]
    assert reasons[:3] == ["no reply"] * 3
    assert [reason.split(":")[0] for reason in reasons[3:]] == ["not judged"] * 3 + ["not verified"]
    assert "relation should be one of less than, at least, found 'at most'" in reasons[3]
    assert "needs parameter" in reasons[4]
    assert "no constraint type 'nobody:knows_this'" in reasons[5]
