"""Composed prompts come back as the checks they were composed from; any text at all is read, in linear time."""

from __future__ import annotations

import json
import random
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adhere.core.record import Check
from adhere.data.seeds import shipped_seeds
from adhere.verify.catalogue import IFEVAL_TYPES
from adhere.verify.compose import compose
from adhere.verify.find import find

PROMPTS = 160
TYPES = list(IFEVAL_TYPES.values())


def key(check: Check) -> str:
    """Kind and parameters, case and the order of lists apart."""
    params: dict[str, Any] = {
        name: sorted(word.lower() for word in value)
        if isinstance(value, list | tuple)
        else " ".join(str(value).lower().split())
        for name, value in check.params.items()
    }
    return f"{check.kind} {json.dumps(params, sort_keys=True)}"


@pytest.mark.parametrize(("heldout", "least"), [(False, 0.99), (True, 0.97)])
def test_composed_prompts_come_back(heldout: bool, least: float) -> None:
    seeds = shipped_seeds()
    right = tried = 0
    for number in range(PROMPTS):
        rng = random.Random(f"find {number}")
        record = compose(rng, rng.choice(seeds), rng.randint(1, 4), TYPES, heldout=heldout)
        if record is None:
            continue
        tried += 1
        wanted = sorted(key(check) for check in record.checks)
        right += wanted == sorted(key(one.check) for one in find(record.instruction))
    assert tried > 0.9 * PROMPTS
    assert right / tried >= least, f"{right} of {tried}"


def test_the_shipped_instructions_state_nothing() -> None:
    said = [(seed.instruction, find(seed.instruction)) for seed in shipped_seeds()]
    assert [text for text, found in said if found] == []


PIECES = st.sampled_from(
    [
    "at least", "no more than", "3", "three", "12,000", "words", "sentences", "commas", "no", "not", '"', "'",
    "“", "”", "`", "```", "***", "******", "<<", ">>", "[x]", "*x*", "P.S.", "Text:", "\n", "\n\n", "\r\n",
    "\x00", "\ud800", "İ", "e\u0301", "語", "ﷺ", "\u202e", "the word", "letter", "end with",
    "repeat the request above", "in German", "JSON", "paragraph 2 starts with", "SECTION X", "bullet points",
    "highlight", ":", ".", "?", "- ", "1. ", "or more", "-", "once", "hundred", "and", "placeholders",
    "all caps", "My answer is yes.",
    ]
)  # fmt: skip


@given(st.lists(PIECES | st.text(max_size=8), max_size=40), st.sampled_from(["", " "]))
@settings(max_examples=150, deadline=None)
def test_any_text_is_read_and_what_is_found_holds_up(pieces: list[str], joint: str) -> None:
    text = joint.join(pieces)
    found = find(text)
    assert [one.span for one in found] == sorted(one.span for one in found)
    for one in found:
        start, stop = one.span
        assert 0 <= start < stop <= len(text)
        assert one.check.phrase == text[start:stop]
        assert 0.0 < one.confidence <= 1.0
        IFEVAL_TYPES[one.check.kind].validated(one.check.params)


@given(st.sampled_from([seed.instruction for seed in shipped_seeds()]), st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_what_stands_in_a_fence_changes_nothing(instruction: str, seed: int) -> None:
    rng = random.Random(seed)
    kind = rng.choice(TYPES)
    phrase = kind.phrase(kind.examples[0].params, rng.choice(kind.phrasings)).replace("```", "")
    fenced = f"```\n{phrase}\n```\n\n{instruction}"
    assert find(fenced) == ()


HOSTILE = (
    '"a ', "<<", "*", "include the words a and b ", "at least 3 ", '"a" and ', "paragraph ", "[", "'x ", "a",
    "p. ", "text: \n\n", 'the word "a" at least 3 times, ', "``` ", "section 1 ", "***\nx\n",
    "include keywords:\n- a\n", 'end with "x" ', "1,", "letters a and b ", "hundred and ", '"x" should ',
    "using words and ", "repeat the request above ", "at least 3 capitals ",
)  # fmt: skip


@pytest.mark.parametrize("unit", HOSTILE)
def test_time_is_linear_in_the_length(unit: str) -> None:
    def seconds(length: int) -> float:
        text = (unit * (length // len(unit) + 1))[:length]
        start = time.process_time()
        find(text)
        return time.process_time() - start

    seconds(1_000)  # compiles patterns
    short = min(seconds(4_000) for _ in range(3))
    long = min(seconds(16_000) for _ in range(3))
    # Four times the text; quadratic work would take sixteen times as long.
    assert long < 10 * short + 0.05, (short, long)
