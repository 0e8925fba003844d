"""Our phrasings are our own words: none takes over a run of words from the prompts of the benchmark."""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from adhere.verify.catalogue import ALL_TYPES
from adhere.verify.constraint import ConstraintType, Drawing

RUN = 8


def prompts_file() -> Path:
    named = os.environ.get("ADHERE_SHARED")
    shared = Path(named) if named else Path(__file__).parents[3] / "shared"
    return shared / "data" / "ifeval" / "input_data.jsonl"


pytestmark = pytest.mark.skipif(
    not prompts_file().exists(), reason="benchmark prompts absent: set ADHERE_SHARED to the folder with data/ifeval"
)


def runs(text: str) -> Iterator[str]:
    """Runs of eight words, case and marks ignored, every number the same."""
    said = [re.sub(r"^\d+$", "#", word) for word in re.findall(r"\w+", text.lower())]
    return (" ".join(said[at : at + RUN]) for at in range(len(said) - RUN + 1))


@cache
def known() -> frozenset[str]:
    with prompts_file().open(encoding="utf-8") as file:
        return frozenset(run for line in file for run in runs(json.loads(line)["prompt"]))


@pytest.mark.parametrize("kind", ALL_TYPES.values(), ids=ALL_TYPES.keys())
def test_no_phrasing_shares_eight_words_in_a_row(kind: ConstraintType) -> None:
    cases = [example.params for example in kind.examples]
    for seed in range(8):
        drawn = kind.draw(random.Random(seed), Drawing("Is it wise to plant trees in autumn?"))
        cases += [drawn] if drawn else []
    for template in (*kind.phrasings, *kind.heldout_phrasings):
        for params in cases:
            shared = known() & set(runs(kind.phrase(params, template)))
            assert not shared, f"{template!r} shares {shared}"
