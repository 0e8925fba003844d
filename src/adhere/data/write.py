"""Writing records: our own JSON lines, and the forms that other trainers read."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from adhere.core.errors import DataError, SettingsError, did_you_mean
from adhere.core.record import Blob, Message, Record, ToolCall, ToolResult, canonical_json
from adhere.store.files import write_atomically


def write_records(path: Path | str, records: Iterable[Record], form: str = "records") -> int:
    """Write one JSON object a line and return how many; `-` writes to standard output.

    The file appears whole or not at all. `form` is one of `FORMS`: `records` keeps everything, the others keep
    what they have room for. Raises `StoreError` when the disk refuses and `DataError` for a record that the form
    cannot hold.
    """
    if form not in FORMS:
        raise SettingsError(f"unknown form {form!r}", did_you_mean(form, FORMS))
    written = 0

    def lines() -> Iterator[bytes]:
        nonlocal written
        for record in records:
            yield canonical_json(FORMS[form](record)) + b"\n"
            written += 1

    if str(path) == "-":
        for line in lines():
            sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
    else:
        write_atomically(Path(path), lines())
    return written


def to_messages(record: Record) -> dict[str, Any]:
    """`{"messages": [{"role", "content"}, ...]}` as chat trainers read it."""
    return {"messages": [_chat_message(message) for message in record.messages]}


def to_alpaca(record: Record) -> dict[str, Any]:
    """`{"instruction", "input", "output"}`; a `DataError` where the record has more than one turn."""
    for message in record.messages:
        _refuse_blobs(message)
    asked = [message for message in record.prompt if message.role != "system"]
    if len(asked) != 1:
        raise DataError(f"an Alpaca row holds one turn, found {len(asked)}", "Use the form messages.")
    preface = "\n\n".join(message.text for message in record.prompt if message.role == "system")
    row = {"instruction": asked[0].text, "input": "", "output": record.reply or ""}
    return row | ({"system": preface} if preface else {})


def to_sharegpt(record: Record) -> dict[str, Any]:
    """`{"conversations": [{"from", "value"}, ...]}` with the roles `system`, `human`, `gpt` and `tool`."""
    names = {"user": "human", "assistant": "gpt"}
    for message in record.messages:
        _refuse_blobs(message)
    turns = [{"from": names.get(one.role, one.role), "value": _flat_text(one)} for one in record.messages]
    return {"conversations": turns}


def to_preference(record: Record) -> dict[str, Any]:
    """`{"prompt", "chosen", "rejected"}` in messages; a `DataError` without both replies."""
    if record.reply is None or record.rejected is None:
        raise DataError(f"record {record.id[:12]} has no pair of replies", "Use the form messages.")
    reply = {"role": "assistant", "content": record.reply}
    return {
        "prompt": [_chat_message(message) for message in record.prompt],
        "chosen": [reply],
        "rejected": [{"role": "assistant", "content": record.rejected}],
    }


FORMS: Mapping[str, Callable[[Record], Any]] = {
    "records": lambda record: record,
    "messages": to_messages,
    "alpaca": to_alpaca,
    "sharegpt": to_sharegpt,
    "preference": to_preference,
}


def _chat_message(message: Message) -> dict[str, Any]:
    _refuse_blobs(message)
    calls = [part for part in message.content if isinstance(part, ToolCall)]
    results = [part for part in message.content if isinstance(part, ToolResult)]
    if results:
        return {"role": "tool", "tool_call_id": results[0].id, "content": _flat_text(message)}
    text: str | None = message.text
    if calls and not text:
        text = None  # a call without words, as the chat protocol has it
    wire: dict[str, Any] = {"role": message.role, "content": text}
    if calls:
        wire["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": _json_text(call.arguments)},
            }
            for call in calls
        ]
    return wire


def _flat_text(message: Message) -> str:
    """All text of a message, a tool's answers included."""
    return message.text + "".join(part.text for part in message.content if isinstance(part, ToolResult))


def _json_text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _refuse_blobs(message: Message) -> None:
    if any(isinstance(part, Blob) for part in message.content):
        raise DataError("this form holds text only, found an image or a sound", "Use the form records.")
