"""The commands in docs/scale.md that need no cluster are run, one after the other, as a reader would."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from adhere.app.cli import main

PAGE = Path(__file__).parents[2] / "docs" / "scale.md"


def commands() -> list[list[str]]:
    text = PAGE.read_text(encoding="utf-8")
    lines = [line for block in text.split("```sh\n")[1:] for line in block.split("```")[0].splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("adhere") and "--ray" not in line]


def test_the_page_has_commands_to_run() -> None:
    assert {words[0] for words in commands()} == {"synth", "evaluate", "verify", "select", "report", "compare"}


@pytest.mark.slow
def test_the_commands_of_the_page_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [{"prompt": f"Explain tree {n}.", "checks": [{"kind": "punctuation:no_comma"}]} for n in range(60)]
    Path("prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for words in commands():
        with pytest.raises(SystemExit) as end:
            main(words)
        assert end.value.code == 0, words
    assert Path("kept.jsonl").read_bytes() == Path("answered.jsonl").read_bytes()
    assert len(Path("verdicts.jsonl").read_text().splitlines()) == len(Path("kept.jsonl").read_text().splitlines())
