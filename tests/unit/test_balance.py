"""Choosing records evenly over families and numbers of constraints."""

from collections import Counter

import pytest

from adhere.core.errors import SettingsError
from adhere.core.record import Check, Record, user
from adhere.data.balance import balanced


def families_of(record: Record) -> list[str]:
    return [check.kind.split(":")[0] for check in record.checks]


def row(text: str, *families: str) -> Record:
    return Record((user(text),), tuple(Check(f"{family}:x") for family in families))


def crowd() -> list[Record]:
    many = [row(f"case {i}", "case") for i in range(60)]
    some = [row(f"length {i}", "length") for i in range(20)]
    few = [row(f"both {i}", "case", "length") for i in range(10)]
    return many + some + few


def test_rare_families_and_counts_are_taken_as_often_as_common_ones() -> None:
    kept = balanced(crowd(), families_of, 15, seed=0)
    assert len(kept) == 15
    assert Counter(tuple(families_of(record)) for record in kept) == {
        ("case",): 5,
        ("length",): 5,
        ("case", "length"): 5,
    }


def test_used_up_cells_leave_the_rest_to_the_others() -> None:
    kept = balanced(crowd(), families_of, 85, seed=0)
    counts = Counter(tuple(families_of(record)) for record in kept)
    assert counts == {("case",): 55, ("length",): 20, ("case", "length"): 10}


def test_the_choice_depends_on_seed_and_content_only() -> None:
    rows = crowd()
    ids = {record.id for record in balanced(rows, families_of, 15, seed=1)}
    assert ids == {record.id for record in balanced(rows[::-1], families_of, 15, seed=1)}
    assert ids != {record.id for record in balanced(rows, families_of, 15, seed=2)}


def test_the_order_of_the_input_is_kept() -> None:
    rows = crowd()
    kept = balanced(rows, families_of, 30, seed=3)
    positions = [rows.index(record) for record in kept]
    assert positions == sorted(positions)


@pytest.mark.parametrize("limit", [None, 90, 1000])
def test_all_are_kept_when_the_limit_allows(limit: int | None) -> None:
    assert balanced(crowd(), families_of, limit, seed=0) == crowd()


def test_equal_rows_and_rows_without_families_are_rows_too() -> None:
    rows = [row("plain")] * 4 + [row("case", "case")] * 4
    kept = balanced(rows, families_of, 4, seed=0)
    assert Counter(record.instruction for record in kept) == {"plain": 2, "case": 2}
    assert balanced(rows, lambda record: iter(()), 3, seed=0).__len__() == 3


def test_nothing_from_nothing() -> None:
    assert balanced([], families_of, 5, seed=0) == []
    assert balanced(crowd(), families_of, 0, seed=0) == []
    with pytest.raises(SettingsError, match="-1"):
        balanced(crowd(), families_of, -1, seed=0)
