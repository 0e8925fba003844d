"""In-context vectors: the direction of the demonstrations, and a step along it that keeps the norm."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import torch

from adhere.core.errors import DataError, ModelError, SettingsError
from adhere.core.model import Ask, Sampling, replies
from adhere.core.record import Record, user
from adhere.evals.lab import Lab
from adhere.methods.contract import check_method, check_proof
from adhere.methods.steer import in_context_vectors
from adhere.methods.steer.in_context_vectors import (
    Settings,
    differences,
    direction_of,
    in_style,
    moved,
    restyled,
    steer,
)
from adhere.models.local import LocalModel
from adhere.models.scripted import ScriptedModel, tiny_weights


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    return LocalModel(tiny_weights(tmp_path_factory.mktemp("tiny")), "tiny", engine="torch")


def asks(count: int = 4) -> list[Ask]:
    return [Ask((user(f"Write a line about number {n}."),), Sampling(12)) for n in range(count)]


def demonstrations(count: int = 3) -> list[Record]:
    rows = [Record((user(f"Name thing {n}."),)).with_reply(f"it is number {n}!") for n in range(count)]
    return [msgspec.structs.replace(one, rejected=f"It is number {n}.") for n, one in enumerate(rows)]


def test_it_keeps_the_contract_and_its_experiment_runs(tiny: LocalModel, tmp_path: Path) -> None:
    check_method(in_context_vectors)
    proof = check_proof(in_context_vectors, Lab(tiny, tmp_path, smoke=True))
    assert proof.baseline.tokens > proof.treated.tokens > 0  # the demonstrations left the prompt


def test_the_direction_is_that_of_the_differences() -> None:
    found = torch.tensor([[[3.0, 0.0], [0.0, 1.0]], [[5.0, 0.0], [0.0, 1.0]]])  # two rows, two layers
    for direction in ("mean", "component"):
        torch.testing.assert_close(direction_of(found, direction), torch.eye(2))
        torch.testing.assert_close(direction_of(found[:1], direction), torch.eye(2))
    torch.testing.assert_close(direction_of(-found, "component"), -torch.eye(2))


def test_a_step_keeps_the_norm_and_goes_further_where_the_state_points_away() -> None:
    vector = torch.tensor([1.0, 0.0])
    stream = torch.tensor([[0.0, 2.0], [-3.0, 4.0]])
    found = moved(stream, vector, 0.5)
    torch.testing.assert_close(found.norm(dim=-1), torch.tensor([2.0, 5.0]))
    torch.testing.assert_close(found[0], 2 * torch.tensor([0.5, 1.0]) / 1.25**0.5)
    away = torch.tensor([-0.6 + 0.5 * 1.6, 0.8])
    torch.testing.assert_close(found[1], 5 * away / away.norm())
    torch.testing.assert_close(moved(stream, vector, 0.0), stream)


def test_differences_are_of_the_last_tokens_of_the_texts(tiny: LocalModel) -> None:
    same = [msgspec.structs.replace(one, rejected=one.reply) for one in demonstrations()]
    assert differences(tiny, same).shape == (3, 2, 64)
    assert not differences(tiny, same).any()
    assert differences(tiny, demonstrations()).any()


def test_strength_moves_what_is_said_and_none_leaves_it(tiny: LocalModel) -> None:
    plain = [one.text for one in replies(tiny, asks())]
    rows = demonstrations()
    assert [one.text for one in replies(steer(tiny, rows, Settings(strength=0.0)), asks())] == plain
    assert [one.text for one in replies(steer(tiny, rows, Settings(strength=2.0)), asks())] != plain
    prints = {steer(tiny, some, Settings(strength)).fingerprint for some in (rows, rows[:1]) for strength in (0.1, 0.2)}
    assert len(prints) == 4


def test_what_cannot_be_steered_is_refused(tiny: LocalModel) -> None:
    with pytest.raises(ModelError, match="needs the inside"):
        steer(ScriptedModel(), demonstrations(), Settings())
    with pytest.raises(DataError, match="needs demonstrations"):
        steer(tiny, [Record((user("Name a thing."),))], Settings())
    with pytest.raises(SettingsError, match="strength"):
        steer(tiny, demonstrations(), Settings(strength=-1.0))


def test_of_equal_strengths_the_strongest_is_taken_that_harms_nothing(
    tiny: LocalModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound, loop = "Tea is a warm drink for all.", "tea " * 200
    texts = {0.01: sound, 0.02: sound, 0.05: loop}

    def steered(model: object, rows: object, settings: Settings) -> ScriptedModel:
        return ScriptedModel(lambda ask: texts.get(settings.strength, loop))

    monkeypatch.setattr(in_context_vectors, "steer", steered)
    lab = Lab(ScriptedModel(lambda ask: sound), tmp_path, smoke=True)
    choose = in_context_vectors._chosen_strength
    assert choose(lab, demonstrations(), Sampling(24), "lower case") == 0.02
    texts[0.005] = "tea is a warm drink for all"
    assert choose(lab, demonstrations(), Sampling(24), "lower case") == 0.005
    texts.clear()
    assert choose(lab, demonstrations(), Sampling(24), "lower case") == in_context_vectors.STRENGTHS[0]


def test_the_styles_are_what_they_are_called() -> None:
    text = "The sea is wide. Is it deep?"
    assert in_style("the sea is wide. is it deep?", "lower case")
    assert restyled(text, "exclamation") == "The sea is wide! Is it deep!"
    assert in_style(restyled(text, "exclamation"), "exclamation")
    assert not in_style(text, "exclamation")
    assert not in_style("go on, " * 60, "lower case")
    assert not in_style("", "lower case")
