"""Minimum Bayes risk gives the reply that the others agree with."""

from pathlib import Path

import pytest

from adhere.core.model import Ask, Reply, Sampling, replies
from adhere.core.record import user
from adhere.evals.lab import Lab
from adhere.methods.contract import check_method, check_proof
from adhere.methods.steer import mbr
from adhere.methods.steer.mbr import Settings, most_agreed, steer
from adhere.models.scripted import ScriptedModel

ASK = Ask((user("Where do storks spend the winter?"),), Sampling(64))


def test_it_keeps_the_contract() -> None:
    check_method(mbr)


@pytest.mark.parametrize(
    ("texts", "winner"),
    [
        (("no idea at all", "storks fly south to africa", "storks fly to africa", "they fly south"), 1),
        (("a b c", "x y z", "a b d"), 0),
        (("one two", "one two", "one two"), 0),
        (("", "", "word"), 0),
        (("鹳飞向非洲", "完全不知道", "鹳飞往非洲"), 0),
    ],
)
def test_the_candidate_with_the_highest_mean_agreement_wins_and_the_first_of_equals(
    texts: tuple[str, ...], winner: int
) -> None:
    assert most_agreed([Reply(text) for text in texts]) == winner


def test_every_ask_gets_its_own_winner_and_pays_for_all() -> None:
    texts = ("no idea", "to africa", "south to africa", "off to africa")
    model = ScriptedModel(lambda ask: texts[ask.sample % 1000])
    (best,) = replies(steer(model, [], Settings(samples=4)), [ASK])
    assert best.text in texts[1:]
    assert model.calls == 4
    assert best.tokens_in == 4 * replies(model, [ASK])[0].tokens_in


def test_greedy_decoding_stands_beside_the_proof(tmp_path: Path) -> None:
    proof = check_proof(mbr, Lab(ScriptedModel(), tmp_path, smoke=True))
    assert 0.0 <= proof.numbers["greedy decoding"] <= 1.0


def test_a_megabyte_is_compared_by_its_beginning() -> None:
    long = Reply("word " * 300_000)
    assert most_agreed([long, long, Reply("word")]) == 0
