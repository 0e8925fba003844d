"""Proofs: when a claim holds, when a proof goes stale, and what the catalogue says of a method."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from adhere.app.cli import app
from adhere.app.proving import forget_models, prove_command
from adhere.core.errors import AdhereError, DataError, StoreError
from adhere.core.proof import Proof, Relation, holds
from adhere.core.statistics import Interval
from adhere.evals.lab import Lab
from adhere.methods import proofs
from adhere.methods.catalogue import Entry, entry, load
from adhere.methods.proofs import fingerprint, imported, read_proof_at, status_of, write_proof
from adhere.models.scripted import ScriptedModel
from adhere.store.run import Plan, Run

METHOD = '''"""A method.

With a docstring.
"""

from adhere.core.method import Card
from adhere.core.record import Record

CARD = Card(summary="Does a thing well.", version="1")


def synth(records):
    """Its docstring."""
    return [Record(one.messages) for one in records]  # a comment
'''


@pytest.fixture
def proof(tmp_path: Path) -> Proof:
    module = load(entry("best-of-n"))
    found: Proof = module.prove(Lab(ScriptedModel(), tmp_path, smoke=True))
    return msgspec.structs.replace(found, fingerprint=fingerprint(entry("best-of-n")))


@pytest.mark.parametrize(
    ("relation", "margin", "low", "high", "expected"),
    [
        ("higher", 0.0, 0.01, 0.2, True),
        ("higher", 0.0, 0.0, 0.2, False),
        ("higher", 0.05, 0.01, 0.2, False),
        ("lower", 0.0, -0.2, -0.01, True),
        ("lower", 0.0, -0.2, 0.01, False),
        ("lower", 0.05, -0.2, -0.04, False),
        ("not lower", 0.05, -0.04, 0.3, True),
        ("not lower", 0.05, -0.06, 0.3, False),
        ("same", 0.05, -0.04, 0.04, True),
        ("same", 0.05, -0.04, 0.06, False),
        ("same", 0.05, -0.06, 0.04, False),
    ],
)
def test_a_claim_holds_when_the_whole_interval_lies_on_its_side(
    relation: Relation, margin: float, low: float, high: float, expected: bool
) -> None:
    assert holds(relation, margin, Interval((low + high) / 2, low, high, 30), 0.5) is expected


@pytest.mark.parametrize("relation", ["not lower", "same"])
def test_nothing_is_shown_where_both_sides_may_fail_alike(relation: Relation) -> None:
    assert not holds(relation, 0.05, Interval(0.0, 0.0, 0.0, 30), 0.02)
    assert holds(relation, 0.05, Interval(0.0, 0.0, 0.0, 30), 0.2)


def test_no_difference_is_said_as_such(proof: Proof) -> None:
    unclear = Interval(0.02, -0.05, 0.09, 40, minimum_detectable=0.1)
    missed = msgspec.structs.replace(proof, interval=unclear, holds=False)
    assert "no difference found" in missed.verdict
    assert "0.100" in missed.verdict
    worse = msgspec.structs.replace(proof, interval=Interval(-0.1, -0.2, -0.01, 40), holds=False)
    assert "no difference" not in worse.verdict


def method_at(path: Path, text: str) -> Entry:
    path.write_text(text, encoding="utf-8")
    card = entry("best-of-n").card
    return Entry("mine", "synth", str(path), "", card)


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ("# a comment", "# another", False),
        ('"""Its docstring."""', '"""Other words."""', False),
        ("With a docstring.", "With another docstring.", False),
        ("return [", "return  [", False),
        ("one.messages", "one.messages[:1]", True),
        ('version="1"', 'version="2"', True),
        ("adhere.core.record import Record", "adhere.core.step import Dropped as Record", True),
    ],
)
def test_a_fingerprint_follows_the_code_and_not_the_words(tmp_path: Path, old: str, new: str, changes: bool) -> None:
    assert old in METHOD
    before = fingerprint(method_at(tmp_path / "a.py", METHOD))
    assert (fingerprint(method_at(tmp_path / "b.py", METHOD.replace(old, new))) != before) is changes


def test_a_change_in_a_module_that_is_imported_makes_it_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "adhere"
    (root / "core").mkdir(parents=True)
    for name in ("method", "record"):
        (root / "core" / f"{name}.py").write_text("A = 1\n", encoding="utf-8")
    monkeypatch.setattr(proofs, "_ROOT", root)
    found = method_at(tmp_path / "m.py", METHOD)
    assert [one.name for one in imported(Path(found.path))] == ["method.py", "record.py"]
    before = fingerprint(found)
    (root / "core" / "record.py").write_text("A = 1  # said otherwise\n", encoding="utf-8")
    assert fingerprint(found) == before
    (root / "core" / "record.py").write_text("A = 2 + 0\n", encoding="utf-8")
    assert fingerprint(found) != before


def test_the_status_of_a_method(proof: Proof) -> None:
    found = entry("best-of-n")
    assert status_of(found, None) == "runs"
    assert status_of(entry("sft"), None) in ("sketch", "runs")
    held = msgspec.structs.replace(proof, holds=True)
    assert status_of(found, held) == "tiny"
    assert status_of(found, msgspec.structs.replace(held, size="full")) == "full"
    assert status_of(found, msgspec.structs.replace(held, holds=False)) == "refuted"
    assert status_of(found, msgspec.structs.replace(held, fingerprint="0" * 64)) == "stale"


def test_a_proof_survives_the_disk_and_a_damaged_one_is_named(proof: Proof, tmp_path: Path) -> None:
    path = write_proof(proof, tmp_path / "proof.json")
    assert read_proof_at(path) == proof
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(StoreError, match=r"proof\.json is not a proof"):
        read_proof_at(path)


def test_list_filters_by_arrow_status_and_words() -> None:
    def names(*words: str) -> list[str]:
        done = CliRunner().invoke(app, ["list", "--json", *words])
        return [one["name"] for one in json.loads(done.stdout)]

    assert "best-of-n" in names()
    assert "best-of-n" in names("--arrow", "steer", "checks", "FOUND")
    assert "best-of-n" not in names("--arrow", "tune")
    assert names("--arrow", "steer", "no-such-word-anywhere") == []
    assert set(names("--status", "sketch")).isdisjoint(names("--status", "runs"))


def test_list_has_the_documented_keys() -> None:
    done = CliRunner().invoke(app, ["list", "--json"])
    for one in json.loads(done.stdout):
        assert {"name", "arrow", "seed", "paper", "status", "claim", "effect", "interval"} <= one.keys()


def test_every_stored_proof_is_of_a_method_and_says_what_its_card_says() -> None:
    for path in sorted(proofs.proof_path("x").parent.glob("*.json")):
        found, stored = entry(path.stem), read_proof_at(path)
        assert stored.method == found.name
        assert stored.holds == holds(stored.relation, stored.margin, stored.interval, stored.baseline.value)
        if status_of(found, stored) != "stale":
            card = found.card
            assert (stored.claim, stored.metric, stored.relation) == (card.claim, card.metric, card.relation)


def test_the_models_of_a_finished_proof_are_taken_away_and_nothing_else(tmp_path: Path) -> None:
    run = Run.create(tmp_path, Plan("prove", {}, {"model": "m"}), ["adhere"])
    (run.folder / "models" / "base" / "0").mkdir(parents=True)
    before = {path.name for path in run.folder.iterdir()}
    forget_models(run)
    forget_models(run)
    assert {path.name for path in run.folder.iterdir()} == before - {"models"}
    run.close()


def test_an_experiment_that_ends_with_an_error_costs_the_others_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from adhere.methods.steer import decrim

    def broken(lab: Lab) -> Proof:
        raise DataError("expected rows, found none", "Give some.")

    monkeypatch.setattr(decrim, "prove", broken)
    options = {"model_name": "scripted", "runs_folder": tmp_path / "runs", "seeds": 1, "no_cache": True, "keep": False}
    shared = {"workers": None, "ray": None, "as_json": True}
    with pytest.raises(AdhereError, match="1 of 2 experiments ended with an error: decrim"):
        prove_command(["decrim", "verbalizers"], None, **options, **shared)
    said = capsys.readouterr()
    assert "decrim ended with an error: expected rows, found none\nGive some." in said.err
    assert [one["method"] for one in json.loads(said.out)] == ["verbalizers"]
    with pytest.raises(AdhereError, match="expected rows, found none") as told:
        prove_command(["decrim"], None, **options | {"runs_folder": tmp_path / "again"}, **shared)
    assert (told.value.hint, told.value.code) == ("Give some.", DataError.code)
