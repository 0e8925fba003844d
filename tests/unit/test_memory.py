"""How many models are in memory at a time, and which of them makes room."""

from __future__ import annotations

from pathlib import Path

import pytest

from adhere.models.memory import Loaded


class Held:
    def __init__(self) -> None:
        self.is_idle = True
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


def test_the_one_asked_longest_ago_makes_room() -> None:
    loaded, models = Loaded(2), [Held() for _ in range(4)]
    for one in models[:2]:
        loaded.enter(one)
    loaded.enter(models[0])
    loaded.enter(models[2])
    assert [one.closed for one in models] == [0, 1, 0, 0]
    loaded.enter(models[3])
    assert [one.closed for one in models] == [1, 1, 0, 0]


def test_a_model_at_work_is_left_alone() -> None:
    loaded, models = Loaded(1), [Held() for _ in range(3)]
    models[0].is_idle = False
    for one in models:
        loaded.enter(one)
    assert [one.closed for one in models] == [0, 1, 0]
    models[0].is_idle = True
    loaded.enter(models[2])
    assert [one.closed for one in models] == [1, 1, 0]


def test_nothing_is_kept_alive() -> None:
    loaded, model = Loaded(1), Held()
    loaded.enter(model)
    del model
    loaded.enter(other := Held())
    loaded.enter(other)
    assert not other.closed


def test_a_model_that_made_room_answers_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    from adhere.core.model import Ask, Sampling, replies
    from adhere.core.record import user
    from adhere.models import local
    from adhere.models.scripted import tiny_weights

    monkeypatch.setattr(local, "LOADED", Loaded(1))
    one, other = (local.LocalModel(tiny_weights(tmp_path / name), engine="torch") for name in ("one", "other"))
    asks = [Ask((user("Say something."),), Sampling(4))]
    first = replies(one, asks)
    running = other.generate(asks * 2)
    next(running)
    assert replies(one, asks) == first  # `other` is at work, so that both are in memory
    running.close()
    assert other.is_idle
    assert replies(other, asks)
    assert replies(one, asks) == first
