"""`check_method`: what every method promises, checked on its module with the scripted model.

For authors of methods, ours and others': call it from a test with the module. It needs no accelerator, no network
and no weights, and takes a second or two.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from types import ModuleType
from typing import Any

import msgspec

from adhere.core.method import ARROWS, FAMILIES, Card
from adhere.core.model import Ask, Generates, Reply, Sampling
from adhere.core.progress import silent
from adhere.core.proof import Proof
from adhere.core.record import Check, Record, assistant, user
from adhere.core.settings import fill
from adhere.core.step import Dropped
from adhere.core.verifier import Verdict
from adhere.core.world import Policy
from adhere.methods.calling import FURTHER, SIGNATURES, call
from adhere.methods.catalogue import settings_said
from adhere.models.scripted import HOSTILE, ScriptedModel
from adhere.worlds.play import play
from adhere.worlds.tool_graph import ToolGraph

HEAVY = ("torch", "transformers", "openvino", "openvino_genai", "numpy", "pyarrow")
SMALL = {"count": 6, "samples": 2}  # settings that keep a check short, where a method has them


class ContractError(AssertionError):
    """A promise that a method does not keep; the message names the method and says which."""


def check_method(module: ModuleType) -> None:
    """Check a method's module against the contract of its folder; raises `ContractError` at the first breach.

    The card is literal and complete; `Settings` is a frozen dataclass whose docstring names every field and which
    round-trips through plain values and through words of a command line; the arrow function has the folder's
    signature; importing the module imports nothing heavy; a claim comes with an experiment and the other way round.
    For `synth`, `select`, `steer`, `reward` and `act` it is also run: two runs with one seed agree, inputs stay as they
    were, outputs name their parents and `method@version` (a selected row is an input, unchanged), empty input gives
    nothing, and hostile replies or rows do not crash it; a policy decides the same alone and among others, and passes
    nothing where its asks failed. Methods that need white-box access (`Steps`, `Embeds`, `Trains`) are run by
    `check_proof` alone, which takes a model that has it.
    """
    check_card(module)
    check_settings_class(module)
    check_signature(module)
    check_claim(module)
    check_light_import(module)
    check_behaviour(module)


def arrow_of(module: ModuleType) -> str:
    """The folder of a method, which is the name of its function."""
    arrow = module.__name__.split(".")[-2]
    _require(arrow in ARROWS, module, f"lies in {arrow!r}, which is no arrow")
    return arrow


def name_of(module: ModuleType) -> str:
    """The method's name on the command line."""
    return module.__name__.rsplit(".", 1)[-1].replace("_", "-")


def check_card(module: ModuleType) -> None:
    """The card is written in literals, says what the method does in a sentence, and names what it needs."""
    card = module.CARD
    _require(isinstance(card, Card), module, "CARD is not a Card")
    calls = [
        node.value
        for node in ast.parse(inspect.getsource(module)).body
        if isinstance(node, ast.Assign) and [getattr(one, "id", "") for one in node.targets] == ["CARD"]
    ]
    _require(len(calls) == 1 and isinstance(calls[0], ast.Call), module, "CARD is not assigned once, as Card(...)")
    call = calls[0]
    assert isinstance(call, ast.Call)
    try:
        written = {word.arg: ast.literal_eval(word.value) for word in call.keywords if word.arg}
    except ValueError:
        raise ContractError(f"{name_of(module)}: CARD holds something that is no literal") from None
    _require(msgspec.convert(written, Card) == card, module, "CARD as written is not CARD as imported")
    _require(10 <= len(card.summary) <= 100 and card.summary.endswith("."), module, "summary is no short sentence")
    _require(bool(re.fullmatch(r"\d+", card.version)), module, f"version {card.version!r} is no whole number")
    _require(card.family in FAMILIES, module, f"family {card.family!r} is none of {', '.join(FAMILIES)}")
    _require(not card.paper or bool(re.match(r"arXiv:\d{4}\.\d{4,5}$|https://", card.paper)), module, "paper is no id")
    _require(bool(module.__doc__ and "\n" in module.__doc__), module, "the docstring does not tell the idea")
    needs = set(card.needs) - {"Generates", "Scores", "Steps", "Trains", "Embeds"}
    _require(not needs, module, f"needs {sorted(needs)}, which are no capabilities")


def check_settings_class(module: ModuleType) -> None:
    """`Settings` is a frozen dataclass with defaults, documented, and equal after a trip through plain values."""
    kind = module.Settings
    _require(dataclasses.is_dataclass(kind), module, "Settings is no dataclass")
    _require(kind.__dataclass_params__.frozen, module, "Settings is not frozen")
    settings = kind()
    for field in dataclasses.fields(kind):
        said = re.search(rf"(?<!\w){re.escape(field.name)}(?!\w)", settings_said(module))
        _require(said is not None, module, f"the docstring of Settings does not name {field.name!r}")
    values = dataclasses.asdict(settings)
    _require(fill(kind, values, "a recipe") == settings, module, "Settings do not round-trip through a recipe")
    words = {key: ",".join(map(str, v)) if isinstance(v, list | tuple) else str(v) for key, v in values.items()}
    _require(fill(kind, words, "words") == settings, module, "Settings do not round-trip through key=value")


def check_signature(module: ModuleType) -> None:
    """The arrow function takes what its folder says, in that order; anything more has a default."""
    arrow = arrow_of(module)
    function = getattr(module, arrow, None)
    _require(callable(function), module, f"has no function {arrow}")
    assert callable(function)
    _require(bool(inspect.getdoc(function)), module, f"{arrow} has no docstring")
    expected = SIGNATURES[arrow]
    parameters = inspect.signature(function).parameters
    found = tuple(parameters)
    _require(found[: len(expected)] == expected, module, f"{arrow} takes {found}, expected {expected}")
    for name in (one for one in expected if one in ("seed", "progress", "limit", "data", "should_stop")):
        _require(parameters[name].default is not inspect.Parameter.empty, module, f"{name} has no default")
    for name in found[len(expected) :]:
        has_default = parameters[name].default is not inspect.Parameter.empty
        offered = parameters[name].kind is inspect.Parameter.KEYWORD_ONLY and name in FURTHER.get(arrow, ())
        _require(has_default or offered, module, f"{name} has no default, and {arrow} is not offered one by keyword")


def check_light_import(module: ModuleType) -> None:
    """Importing the method, in a fresh interpreter, imports none of `HEAVY`."""
    code = f"import sys, {module.__name__}; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    _require(done.returncode == 0, module, f"cannot be imported alone: {done.stderr[-500:]}")
    _require(not done.stdout.strip(), module, f"importing it imports {done.stdout.strip()}")


def check_claim(module: ModuleType) -> None:
    """A method with a claim has `prove(lab)`, a metric and a margin of at least 0; one without has none of these."""
    card, prove = module.CARD, getattr(module, "prove", None)
    _require(bool(card.claim) == callable(prove), module, "has a claim without prove(lab), or prove without a claim")
    if not card.claim:
        return
    assert prove is not None
    _require(card.claim.endswith(".") and len(card.claim) >= 20, module, "claim is no sentence")
    _require(bool(card.metric), module, "claim without a metric")
    _require(card.margin >= 0, module, f"margin {card.margin} lies below 0")
    _require(tuple(inspect.signature(prove).parameters) == ("lab",), module, "prove does not take lab alone")


def check_proof(module: ModuleType, lab: Any) -> Proof:
    """Run `prove` in a lab that takes a handful of everything; gives the proof, which says nothing about the claim."""
    _require(lab.smoke, module, "check_proof wants a lab made with smoke=True")
    try:
        proof = module.prove(lab)
    except Exception as error:
        raise ContractError(f"{name_of(module)}: prove raised {type(error).__name__}: {error}") from error
    _require(isinstance(proof, Proof), module, f"prove gave a {type(proof).__name__}")
    card = module.CARD
    _require(proof.method == name_of(module) and proof.version == card.version, module, "proves another method")
    declared = (card.claim, card.metric, card.relation, card.margin)
    found = (proof.claim, proof.metric, proof.relation, proof.margin)
    _require(found == declared, module, "the proof is of another claim than the card's")
    _require(proof.interval.n > 0, module, "the proof rests on nothing")
    _require(
        msgspec.json.decode(msgspec.json.encode(proof), type=Proof) == proof, module, "the proof is no plain value"
    )
    return proof  # type: ignore[no-any-return]  # checked above


def check_behaviour(module: ModuleType) -> None:
    """Run a method on small samples with the scripted model; nothing is run for `tune` and `evaluate`."""
    checks = {"synth": _check_synth, "select": _check_select, "steer": _check_steer, "reward": _check_reward,
              "act": _check_act}  # fmt: skip
    run = checks.get(arrow_of(module))
    if run is None or set(module.CARD.needs) - {"Generates", "Scores"}:
        return
    try:
        run(module)
    except ContractError:
        raise
    except Exception as error:
        raise ContractError(f"{name_of(module)} raised {type(error).__name__}: {error}") from error


def sample_records(count: int = 6) -> list[Record]:
    """Plain instructions, none with a check or a reply."""
    subjects = ("tea", "rivers", "old maps", "a bicycle", "the moon", "bread", "a letter", "chess")
    return [
        Record((user(f"Explain {subjects[n % len(subjects)]} to a friend, part {n + 1}."),), notes={"n": n})
        for n in range(count)
    ]


def sample_replies() -> list[Record]:
    """Rows with replies: sound, failing, twice the same, without a reply, and with a check that nobody knows."""
    comma = Check("punctuation:no_comma", {}, "Use no commas.")
    plain, second, *_ = sample_records()
    asked = [msgspec.structs.replace(one, checks=(comma,)) for one in sample_records()]
    sound = asked[2].with_reply("Maps show where rivers run and where roads used to be.")
    return [
        plain.with_reply("Tea is made from leaves in hot water."),
        second,
        sound,
        sound,
        asked[3].with_reply("It has two wheels, a chain, and a bell."),
        msgspec.structs.replace(asked[4], checks=(Check("nobody:knows_this", {"n": 3}),)).with_reply("It is far."),
    ]


def hostile_records() -> list[Record]:
    """Rows whose replies are what the worst of models would say."""
    rows = []
    for number, reply in enumerate(HOSTILE[name] for name in sorted(HOSTILE)):
        said = ScriptedModel(reply)._reply(_ask(number))
        rows.append(Record((user(f"Say something about {number}."), assistant(said.text))))
    return rows


def _ask(number: int) -> Ask:
    return Ask((user(f"Say something about {number}."),))


def _check_synth(module: ModuleType) -> None:
    settings = _small(module.Settings)
    records = sample_records()

    def run(given: Sequence[Record] = records, script: Any = None, name: str = "scripted") -> Iterable[Any]:
        offered = {"records": given, "model": ScriptedModel(script, name), "settings": settings, "seed": 3,
                   "world": ToolGraph()}  # fmt: skip
        return call(module, "synth", offered)  # type: ignore[no-any-return]  # methods are loaded by name

    first, second = (_unchanged(module, records, run) for _ in "12")
    _require(bool(first), module, "made nothing of the sample records")
    _require(_bytes(first) == _bytes(second), module, "two runs with one seed differ")
    made_by = f"{name_of(module)}@{module.CARD.version}"
    given = {record.id for record in records}
    for row in _rows(first):
        _require(row.made_by == made_by, module, f"an output is made_by {row.made_by!r}, expected {made_by!r}")
        _require(bool(row.parents) and set(row.parents) <= given, module, "an output does not name its parents")
    _require(list(run([])) == [], module, "made something of nothing")
    _check_per_record(module, first, lambda one: list(run([one])), records)
    for name, script in HOSTILE.items():
        outcomes = list(run(records, script, f"scripted:{name}"))
        _check_outcomes(module, outcomes)


def _check_select(module: ModuleType) -> None:
    settings = module.Settings()
    for records in (sample_replies(), hostile_records()):
        given = {record.id: record for record in records}
        offered = {"records": records, "settings": settings, "seed": 3, "model": ScriptedModel(), "target": records[:2]}
        run = functools.partial(call, module, "select", offered)
        first, second = (_unchanged(module, records, run) for _ in "12")
        _require(_bytes(first) == _bytes(second), module, "two runs with one seed differ")
        _check_outcomes(module, first)
        for row in _rows(first):
            _require(given.get(row.id) == row, module, "a selected row is not one of the inputs, unchanged")
        _require(
            len(first) == len(records), module, f"{len(records)} rows went in, {len(first)} came out or were dropped"
        )
        alone = functools.partial(_select_one, module, offered)
        _check_per_record(module, first, alone, records)
    nothing = {"records": [], "settings": settings, "seed": 3, "model": ScriptedModel(), "target": sample_replies()}
    _require(list(call(module, "select", nothing)) == [], module, "selected something of nothing")


def _check_steer(module: ModuleType) -> None:
    settings, records = _small(module.Settings), sample_replies()
    comma = sample_replies()[2].prompt
    asks = [Ask(one.prompt, Sampling(64)) for one in sample_records()] + [Ask(comma, Sampling(64, 0.7, seed=1))]

    def answers(script: Any = None, wanted: Sequence[Ask] = asks) -> list[Any]:
        steered = call(module, "steer", {"model": ScriptedModel(script), "records": records, "settings": settings,
                                         "seed": 3, "progress": silent})  # fmt: skip
        _require(isinstance(steered, Generates), module, "does not give a model that answers")
        _require(bool(steered.fingerprint) and bool(steered.name), module, "gives a model without name or fingerprint")
        _require(steered.fingerprint != ScriptedModel(script).fingerprint, module, "has the fingerprint of its model")
        found = list(steered.generate(wanted))
        _require(sorted(at for at, _ in found) == list(range(len(wanted))), module, "does not answer each ask once")
        return sorted(found, key=lambda one: one[0])

    before = _bytes(records)
    _require(answers() == answers(), module, "two runs with one seed differ")
    _require(_bytes(records) == before, module, "changed its inputs")
    _require(answers(wanted=()) == [], module, "answered what was not asked")
    for script in HOSTILE.values():
        answers(script)


def _check_reward(module: ModuleType) -> None:
    settings, records = _small(module.Settings), sample_replies()
    offered = {"records": records, "settings": settings, "seed": 3, "model": ScriptedModel()}
    first, second = call(module, "reward", offered), call(module, "reward", offered)
    for record in (*records, *hostile_records()):
        verdict = first.verify(record, record.reply or "")
        _require(isinstance(verdict, Verdict) and bool(verdict.reason), module, "gives no verdict with a reason")
        _require(verdict == second.verify(record, record.reply or ""), module, "two runs with one seed differ")


def _check_act(module: ModuleType) -> None:
    world, settings, records, seeds = ToolGraph(), _small(module.Settings), sample_replies(), range(4)

    def policy(script: Any = None) -> Any:
        offered = {"model": ScriptedModel(script), "settings": settings, "seed": 3, "records": records, "world": world}
        made = call(module, "act", offered)
        _require(isinstance(made, Policy), module, "does not give a policy")
        _require(bool(made.name) and bool(made.fingerprint), module, "gives a policy without name or fingerprint")
        return made

    before = _bytes(records)
    first, second = policy(), policy()
    _require(first.fingerprint == second.fingerprint, module, "two runs with one seed give two fingerprints")
    together = play(world, first, seeds)
    _require(together == play(world, second, seeds), module, "two runs with one seed differ")
    alone = [one for seed in seeds for one in play(world, first, [seed])]
    _require(alone == together, module, "an episode alone is another one than among others")
    _require(_bytes(records) == before, module, "changed its inputs")
    _require(first.decide([]) == [], module, "decided what was not asked")
    failing = play(world, policy(lambda ask: Reply("", "error", error="busy")), seeds)
    _require(all(one.passed is not True for one in failing), module, "passes with asks that failed")
    for script in HOSTILE.values():
        played = play(world, policy(script), seeds)
        _require(all(one.end != "world error" for one in played), module, "makes the world fall over")


def _select_one(module: ModuleType, offered: dict[str, Any], record: Record) -> list[Any]:
    return list(call(module, "select", {**offered, "records": [record]}))


def _check_per_record(
    module: ModuleType, together: Sequence[Any], alone: Callable[[Record], list[Any]], records: Sequence[Record]
) -> None:
    """Where the card says `per_record`, a record alone gives what it gives among others."""
    if module.CARD.per_record:
        apart = [outcome for record in records for outcome in alone(record)]
        _require(_bytes(apart) == _bytes(together), module, "is per_record, but a record alone gives something else")


def _check_outcomes(module: ModuleType, outcomes: Sequence[Any]) -> None:
    for one in outcomes:
        _require(isinstance(one, Record | Dropped), module, f"yielded a {type(one).__name__}")
        _require(not isinstance(one, Dropped) or bool(one.reason), module, "dropped a row without a reason")
        msgspec.json.encode(one)


def _unchanged(module: ModuleType, records: Sequence[Record], run: Callable[[], Iterable[Any]]) -> list[Any]:
    before = _bytes(records)
    found = list(run())
    _require(_bytes(records) == before, module, "changed its inputs")
    return found


def _rows(outcomes: Iterable[Any]) -> list[Record]:
    return [one if isinstance(one, Record) else one.record for one in outcomes]


def _bytes(values: Sequence[Any]) -> bytes:
    return msgspec.json.encode(list(values), order="deterministic")


def _small(kind: type[Any]) -> Any:
    names = {field.name for field in dataclasses.fields(kind)}
    return kind(**{name: value for name, value in SMALL.items() if name in names})


def _require(holds: bool, module: ModuleType, what: str) -> None:
    if not holds:
        raise ContractError(f"{name_of(module)}: {what}")
