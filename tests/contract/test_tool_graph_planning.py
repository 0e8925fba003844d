"""Planning from documentation or demonstrations: what the prompt holds, and how a plan is scored."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adhere.core.model import Ask, Reply
from adhere.core.record import Record, user
from adhere.evals.lab import Lab
from adhere.methods.act import tool_graph_planning
from adhere.methods.act.tool_graph_planning import Settings, act, demonstrations, nearest, plan_guide, tools_named
from adhere.methods.contract import check_method, check_proof
from adhere.models.guides import read_guide
from adhere.models.scripted import ScriptedModel
from adhere.worlds.controls import controls
from adhere.worlds.play import play
from adhere.worlds.tool_graph import ToolGraph, documentation
from adhere.worlds.tool_plans import written

WORLD = ToolGraph()
GOLD = {WORLD.task(seed).request: written(WORLD.task(seed).plan) for seed in range(12)}


def told(ask: Ask) -> str:
    """The gold plan of the request that it reads; nothing where there is none."""
    return GOLD.get(ask.messages[-1].text, "[]")


def prompts(settings: Settings) -> list[Ask]:
    asked: list[Ask] = []

    def script(ask: Ask) -> str:
        asked.append(ask)
        return "[]"

    play(WORLD, act(ScriptedModel(script), settings, records=demonstrations(WORLD, range(20, 30))), [0])
    return asked


def test_it_keeps_the_contract(tmp_path: Path) -> None:
    check_method(tool_graph_planning)
    proof = check_proof(tool_graph_planning, Lab(ScriptedModel(), tmp_path, smoke=True))
    assert proof.unit == "requests"
    assert proof.baseline.tokens > 0 < proof.treated.tokens


def test_the_prompt_holds_documentation_or_demonstrations() -> None:
    (with_documents,) = prompts(Settings())
    assert documentation() in with_documents.messages[0].text
    assert len(with_documents.messages) == 2
    (with_demonstrations,) = prompts(Settings(False, 0, 3))
    assert "upper_case(" not in with_demonstrations.messages[0].text
    assert len(with_demonstrations.messages) == 8
    assert with_demonstrations.messages[-1].text == WORLD.task(0).request


def test_the_nearest_documents_are_those_with_rare_words_of_the_request() -> None:
    documents = ["sort the words", "count the words", "add the numbers"]
    assert nearest("Please count these words", documents, 1) == ["count the words"]
    assert nearest("words, numbers", documents, 2) == ["sort the words", "add the numbers"]
    (few,) = prompts(Settings(documents=4))
    assert few.messages[0].text.count(") -> ") == 4


def test_a_policy_that_reads_passes_and_fails_without_reading() -> None:
    rows = controls(WORLD, act(ScriptedModel(told), Settings()), range(12))
    shares = {name: one.passed.share for name, one in rows.items() if one.passed is not None}
    assert shares == {"policy": 1, "blind": 0, "swapped": 0, "no-op": 0, "random": 0, "expert": 1}


def test_a_guide_leaves_nothing_but_plans_and_every_plan_of_the_world() -> None:
    (free,), (guided,) = prompts(Settings()), prompts(Settings(guided=True))
    assert (free.sampling.guide, guided.sampling.guide) == (None, plan_guide())
    read_guide(plan_guide())  # a grammar can be made of it
    schema = json.loads(plan_guide().text)
    arguments, call = schema["$defs"]["arguments"], schema["items"]
    text, _, words, _ = arguments["additionalProperties"]["anyOf"]
    for plan in (WORLD.task(seed).plan for seed in range(60)):
        assert len(plan) <= schema["maxItems"]
        for node in plan:
            assert node.tool in call["properties"]["tool"]["enum"]
            assert 1 <= len(node.arguments) <= arguments["maxProperties"]
            for name, value in node.arguments.items():
                assert len(name) <= arguments["propertyNames"]["maxLength"]
                if isinstance(value, list):
                    assert len(value) <= words["maxItems"]
                    assert all(len(str(one)) <= words["items"]["maxLength"] for one in value)
                else:
                    assert len(str(value)) <= (text["maxLength"] if isinstance(value, str) else 3)


def test_plans_are_scored_and_failed_asks_are_not() -> None:
    (right,) = play(WORLD, act(ScriptedModel(told), Settings()), [1])
    (wrong,) = play(WORLD, act(ScriptedModel(lambda ask: "no"), Settings()), [1])
    (lost,) = play(WORLD, act(ScriptedModel(lambda ask: Reply("", "error", error="busy")), Settings()), [1])
    assert [tools_named(WORLD, one) for one in (right, wrong, lost)] == [1, 0, None]


@pytest.mark.parametrize("records", [[], [Record((user("No reply."),))]])
def test_without_demonstrations_it_plans_all_the_same(records: list[Record]) -> None:
    assert len(play(WORLD, act(ScriptedModel(), Settings(demonstrations=4), records=records), [0, 1])) == 2
