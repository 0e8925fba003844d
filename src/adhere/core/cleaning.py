"""Text from a model or a file, made fit to be shown: what could command a terminal or turn the reading is taken out."""

from __future__ import annotations

import re

_SEQUENCES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]?"  # CSI: colours, cursor moves
    r"|\x1b[\]PX^_][^\n]*?(?:\x07|\x1b\\|\x9c|(?=\n)|\Z)"  # OSC, DCS and others that carry a string, to its end
    r"|\x9b[0-?]*[ -/]*[@-~]?|[\x90\x98\x9d-\x9f][^\n]*?(?:\x07|\x9c|\x1b\\|(?=\n)|\Z)"  # the same as C1 characters
    r"|\x1b[ -/]*[0-~]?"  # short escapes
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def clean(text: str) -> str:
    """`text` without terminal control sequences, control characters (newline and tab stay) and direction overrides."""
    return _CONTROLS.sub("", _SEQUENCES.sub("", text))
