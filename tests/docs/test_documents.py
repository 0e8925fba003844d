"""What the documents say about commands, recipes and JSON objects holds."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from adhere.app.cli import app
from adhere.app.recipe import read_recipe, recipe_from
from adhere.core.settings import parse_assignments
from adhere.methods.catalogue import entry
from adhere.verify.catalogue import constraint_type

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(path for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")) if path.is_file())
RECIPES = sorted(ROOT.glob("recipes/*.toml"))
INSTALL = "python -m venv .venv && . .venv/bin/activate && pip install -e "
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)


def blocks(path: Path, language: str) -> list[str]:
    return [text for name, text in BLOCK.findall(path.read_text(encoding="utf-8")) if name == language]


def adhere_lines(text: str) -> Iterator[list[str]]:
    """The words of every `adhere ...` in a shell block; placeholders in capitals stay words."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line.removeprefix("$ ").strip(), comments=True)
        for start, word in enumerate(words):
            if word == "adhere" and (start == 0 or words[start - 1] in ("&&", ";", "|", "time")):
                rest = words[start + 1 :]
                end = next((n for n, one in enumerate(rest) if one in ("&&", ";", "|", ">", "2>", "<")), len(rest))
                yield rest[:end]


COMMANDS = [
    pytest.param(words, id=f"{path.name}-{' '.join(words)[:50]}")
    for path in DOCUMENTS
    for text in blocks(path, "sh")
    for words in adhere_lines(text)
]


def test_the_readme_begins_with_the_two_commands() -> None:
    found = [text.strip() for text in blocks(ROOT / "README.md", "sh")]
    assert len(found) >= 2, "README.md has no two sh blocks"
    improve, test = found[:2]
    assert improve.splitlines() == [improve], "the first block is one line"
    assert improve.startswith(f"{INSTALL}'.[local]'"), improve
    assert improve.endswith("&& adhere improve"), improve
    assert test.splitlines()[0].startswith(INSTALL), test
    assert re.search(r"&& (python -m )?pytest\b", test.splitlines()[0]), test


def test_commands_are_found_in_the_documents() -> None:
    """So that the next test cannot pass for want of anything to check."""
    assert any(words.values[0][:1] == ["improve"] for words in COMMANDS), "no `adhere improve` in any sh block"


def parsed(words: list[str]) -> tuple[click.Command, dict[str, Any]]:
    """The command and what click makes of its words, without running it."""
    with click.Context(app, info_name="adhere") as root:
        _, command, rest = app.resolve_command(root, list(words))
        assert command is not None
        return command, command.make_context(words[0], list(rest), parent=root).params


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_line_in_the_documents_parses(words: list[str]) -> None:
    if words in (["--help"], ["--version"]):
        return
    command, params = parsed(words)
    values = parse_assignments(params.get("assignments", ()))
    if command.name == "improve":
        recipe_from(read_recipe(None, params["assignments"]), "the command line")
        assert params["recipe"] is None or (ROOT / params["recipe"]).is_file() or params["recipe"].stem.isupper()
    elif ":" in params.get("method", ""):
        assert constraint_type(params["method"])
    elif "method" in params and params["method"] != params["method"].upper():
        known = entry(params["method"], None if command.name == "show" else command.name)
        from adhere.methods.catalogue import load, settings_of

        assert set(values) <= {name for name, _, _ in settings_of(load(known))}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_every_recipe_is_valid_and_round_trips(path: Path) -> None:
    recipe = recipe_from(read_recipe(path, ()), str(path))
    assert recipe_from(recipe.as_values(), "again") == recipe


def test_the_long_run_has_its_recipe() -> None:
    assert ROOT / "recipes" / "ifeval-135m.toml" in RECIPES


def test_a_parse_error_would_be_noticed() -> None:
    for words in (["improve", "--no-such-option"], ["synth"], ["evaluate", "ifeval", "--limit", "x"]):
        with pytest.raises(click.UsageError):
            parsed(words)
    assert list(adhere_lines("cd x && adhere list --json | head -1  # adhere show")) == [["list", "--json"]]


# --- JSON objects ---------------------------------------------------------------------------------------------


def improve_object() -> dict[str, Any]:
    from adhere.app.outcome import slices_for_json
    from adhere.app.summary import Floor, ImproveSummary, Slice

    one = Slice(
        name="seen",
        measured="constraints followed",
        base=0.4,
        tuned=0.6,
        difference=0.2,
        interval=(0.1, 0.3),
        n=10,
        seeds=3,
        floor=Floor('""', 0.3),
    )
    slices = tuple(type(one)(**{f: getattr(one, f) for f in one.__struct_fields__} | {"name": n}) for n in SLICES)
    summary = ImproveSummary(
        run="r",
        folder="runs/r",
        command="adhere improve",
        version="0",
        model="m",
        fingerprint="0",
        started="2026-01-01T00:00:00+00:00",
        kept=True,
        why="",
        slices=slices,
    )
    return slices_for_json(summary)


def ifeval_object() -> dict[str, Any]:
    from adhere.core.benchmark import Benchmark
    from adhere.core.model import Sampling
    from adhere.core.record import Check, Record, user
    from adhere.evals.floor import null_floor
    from adhere.evals.grade import grade
    from adhere.evals.ifeval import ifeval_report
    from adhere.models.scripted import ScriptedModel
    from adhere.verify.catalogue import IFEVAL_TYPES
    from adhere.verify.score import ConstraintVerifier

    records = tuple(
        Record((user(f"Describe {word}. Use no commas."),), (Check("punctuation:no_comma"),)) for word in ("tea", "ink")
    )
    benchmark = Benchmark("ifeval", "1", records, ConstraintVerifier(IFEVAL_TYPES))
    graded = grade(ScriptedModel(), benchmark, (0,), Sampling())
    return ifeval_report(graded, benchmark, null_floor(records, IFEVAL_TYPES)).for_json()


SLICES = ("seen", "unseen", "plain")
# The objects as the issue of the first release fixed them; further keys may be added, none may go.
IMPROVE_KEYS = {"kept", "minutes", "floor", "slices", "run"}
SLICE_KEYS = {"base", "tuned", "difference", "interval", "n", "seeds"}
IFEVAL_KEYS = {
    "prompt_strict",
    "instruction_strict",
    "prompt_loose",
    "instruction_loose",
    "intervals",
    "floor",
    "not_judged",
}


def test_the_objects_have_their_fixed_keys() -> None:
    found = improve_object()
    assert found.keys() >= IMPROVE_KEYS
    assert found["slices"].keys() == set(SLICES)
    assert all(one.keys() >= SLICE_KEYS for one in found["slices"].values())
    assert ifeval_object().keys() >= IFEVAL_KEYS


def documented(text: str) -> dict[str, Any] | None:
    """A JSON example in a document: numbers, strings and lists as they are, `...` for what is left out."""
    try:
        value = json.loads(re.sub(r",?\s*\.\.\.", "", text).replace("{,", "{"))
    except json.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def test_json_objects_in_the_readme_have_the_keys_that_the_code_gives() -> None:
    """Every `json` block is one of the two objects, and names no key that the code does not give."""
    real = {"kept": improve_object(), "prompt_strict": ifeval_object()}
    seen = set()
    for text in blocks(ROOT / "README.md", "json"):
        shown = documented(text)
        assert shown is not None, f"not JSON: {text[:80]}"
        kind = next((key for key in real if key in shown), None)
        assert kind is not None, f"neither object of the command line: {sorted(shown)}"
        assert shown.keys() <= real[kind].keys()
        for name, part in shown.get("slices", {}).items():
            assert part.keys() <= real["kept"]["slices"][name].keys()
        assert shown.get("intervals", {}).keys() <= real["prompt_strict"]["intervals"].keys()
        seen.add(kind)
    assert "kept" in seen, "the README shows the object of adhere improve in a json block"


def test_the_readme_names_the_keys_of_the_ifeval_object() -> None:
    """In the sentence on `adhere evaluate ifeval --json`, every key is real and no fixed one is missing."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"`adhere evaluate ifeval[^`]*--json` gives(.*?\.)(?:\s|\Z)", text, flags=re.DOTALL)
    assert found is not None, "README.md does not say what adhere evaluate ifeval --json gives"
    told = set(re.findall(r"`([a-z_]+)`", found[1]))
    real = ifeval_object()
    assert told <= real.keys() | real["floor"].keys()
    assert told >= IFEVAL_KEYS


SNIPPETS = [
    pytest.param(text, id=f"{path.name}-{n}") for path in DOCUMENTS for n, text in enumerate(blocks(path, "python"))
]


def runnable(text: str) -> bool:
    """Whether a block is a program of its own: those that show part of a method begin with no import."""
    return text.startswith(("from adhere", "import adhere"))


def test_there_is_a_program_in_the_readme() -> None:
    assert any(runnable(text) for text in blocks(ROOT / "README.md", "python"))


@pytest.mark.parametrize("text", SNIPPETS)
def test_programs_in_the_documents_print_what_they_say(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each `print(...)  # ...` prints its comment."""
    if not runnable(text):
        pytest.skip("part of a file, not a program")
    exec(compile(text, "a document", "exec"), {})
    said = [
        line.split("  # ", 1)[1].strip() for line in text.splitlines() if line.startswith("print(") and "  # " in line
    ]
    assert capsys.readouterr().out.splitlines() == said
