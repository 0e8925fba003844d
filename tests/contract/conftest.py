"""What contract tests share."""

from __future__ import annotations

from typing import Any

import pytest

from adhere.evals.lab import Lab, Outcome


@pytest.fixture
def given_to_arms(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What an experiment hands to `tuned_arms` after the lab: rows, tests, score, names, sampling. Nothing is tuned."""
    given: list[Any] = []

    def arms(lab: Lab, *words: Any) -> Outcome:
        given.extend(words)
        values = [0.0] * len(words[1]) * len(lab.seeds)
        return Outcome(values, values, values, words[3])

    monkeypatch.setattr("adhere.evals.arms.tuned_arms", arms)
    return given
