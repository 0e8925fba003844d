"""Print one of the README's commands: the first (`improve`) or the second (`test`) of its first code blocks."""

from __future__ import annotations

import re
import sys
from pathlib import Path


def commands() -> list[str]:
    """The first lines of the README's `sh` blocks."""
    text = Path("README.md").read_text(encoding="utf-8")
    return [block.strip().splitlines()[0] for block in re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)]


if __name__ == "__main__":
    print(commands()[{"improve": 0, "test": 1}[sys.argv[1]]])
