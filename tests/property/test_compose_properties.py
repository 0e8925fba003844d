"""Whatever is composed is compatible, and whatever correction claims is true."""

import random
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from adhere.core.record import Record, user
from adhere.verify.catalogue import ALL_TYPES
from adhere.verify.compose import compose
from adhere.verify.conflicts import compatible, conflict
from adhere.verify.guard import degenerate
from adhere.verify.repair import correct

INSTRUCTIONS = (
    "Explain how bread is baked.",
    "Is it wise to travel alone?",
    "Write a letter to a friend, with news from home",
    "List ideas for a rainy day:\n- inside\n- outside",
)
SLOW = {"language:response_language", "change_case:english_capital", "change_case:english_lowercase"}
TYPES = tuple(kind for kind in ALL_TYPES.values() if kind.id not in SLOW)
LOOKUP = {kind.id: kind for kind in TYPES}

replies = st.one_of(
    st.text(max_size=200),
    st.lists(
        st.sampled_from(
            [
                "Bread needs time.",
                "* Mix it",
                "1. Bake it",
                "",
                "Is it, though?",
                '"So," he said',
                "[x] <<y>>",
                "******",
            ]
        ),
        max_size=12,
    ).map("\n".join),
)


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 10**9), st.sampled_from(INSTRUCTIONS), st.integers(1, 4), st.booleans(), replies)
def test_composed_and_corrected(seed: int, instruction: str, count: int, heldout: bool, reply: str) -> None:
    source = Record((user(instruction),))
    record = compose(random.Random(seed), source, count, TYPES, heldout)
    if record is None:
        return
    assert record == compose(random.Random(seed), source, count, TYPES, heldout)
    assert compatible(record.checks)
    for one, other in combinations(record.checks, 2):
        assert conflict(one, other) is None
        assert conflict(other, one) is None
    done = correct(record, reply, LOOKUP)
    before = [
        check for check in record.checks if reply.strip() and LOOKUP[check.kind].verify(check.params, reply).passed
    ]
    for check in record.checks:
        passes = bool(done.reply.strip()) and LOOKUP[check.kind].verify(check.params, done.reply).passed is True
        assert passes == (check not in done.failing)
        assert passes or check not in before
    degenerate(record, done.reply)
