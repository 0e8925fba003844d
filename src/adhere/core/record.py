"""`Record`: one row of anything, frozen, named by its content.

Structs of msgspec rather than plain dataclasses, because message content is a tagged union (text, blob,
tool call, tool result) and only structs carry the tag through JSON.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any

import msgspec

_canonical = msgspec.json.Encoder(order="deterministic")


def canonical_json(value: Any) -> bytes:
    """The one byte string of a value: keys sorted, no spaces. Equal values give equal bytes."""
    return _canonical.encode(value)


def content_hash(value: Any) -> str:
    """sha256 of the canonical JSON of `value`, in hex (64 characters)."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


class Text(msgspec.Struct, frozen=True, tag="text"):
    """A run of text in a message."""

    text: str


class Blob(msgspec.Struct, frozen=True, tag="blob"):
    """Bytes kept elsewhere (an image, a sound), named by their sha256."""

    sha256: str
    media_type: str


class ToolCall(msgspec.Struct, frozen=True, tag="tool_call"):
    """A call that the model asks for."""

    id: str
    name: str
    arguments: dict[str, Any]


class ToolResult(msgspec.Struct, frozen=True, tag="tool_result"):
    """What a tool answered."""

    id: str
    text: str


Part = Text | Blob | ToolCall | ToolResult


class Message(msgspec.Struct, frozen=True):
    """One turn: a role (`system`, `user`, `assistant`, `tool`) and its typed parts."""

    role: str
    content: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The text parts joined; other parts contribute nothing."""
        return "".join(part.text for part in self.content if isinstance(part, Text))


def system(text: str) -> Message:
    """A system message of one text part."""
    return Message("system", (Text(text),))


def user(text: str) -> Message:
    """A user message of one text part."""
    return Message("user", (Text(text),))


def assistant(text: str) -> Message:
    """An assistant message of one text part."""
    return Message("assistant", (Text(text),))


class Check(msgspec.Struct, frozen=True):
    """A constraint as data: which type, with which parameters, in which words it was asked.

    `kind` is a type id known to `adhere.verify` (`length_constraints:number_words`), `params` its
    parameters, `phrase` the words that stand for it in the prompt (empty when there are none).
    """

    kind: str
    params: dict[str, Any] = {}
    phrase: str = ""


class Record(msgspec.Struct, frozen=True, dict=True, omit_defaults=True):
    """One row: a conversation, the checks its reply must pass, and where it came from.

    A trailing assistant message is the reply. `rejected` is a reply that lost against it. `parents` are
    the ids of the records this one was made from, `made_by` is `method@version`. Neither these nor
    `notes` are part of the identity: `id` is the sha256 of messages, checks and rejected reply.
    """

    messages: tuple[Message, ...]
    checks: tuple[Check, ...] = ()
    rejected: str | None = None
    parents: tuple[str, ...] = ()
    made_by: str = ""
    notes: dict[str, Any] = {}

    @cached_property
    def id(self) -> str:
        """sha256 over the content, in hex; equal content has an equal id wherever it stands."""
        return content_hash([self.messages, self.checks, self.rejected])

    @property
    def prompt(self) -> tuple[Message, ...]:
        """The messages a model is asked with: all but a trailing assistant message."""
        return self.messages[:-1] if self.reply is not None else self.messages

    @property
    def reply(self) -> str | None:
        """The text of the trailing assistant message, or None."""
        if self.messages and self.messages[-1].role == "assistant":
            return self.messages[-1].text
        return None

    @property
    def instruction(self) -> str:
        """The text of the last user message; empty when there is none."""
        return next((m.text for m in reversed(self.messages) if m.role == "user"), "")

    def with_reply(self, text: str) -> Record:
        """The same record with `text` as its reply; identity changes with it."""
        return msgspec.structs.replace(self, messages=(*self.prompt, assistant(text)))

    def derive(self, made_by: str, **changes: Any) -> Record:
        """A changed copy that names this record as its parent."""
        return msgspec.structs.replace(self, parents=(self.id,), made_by=made_by, **changes)

    def noted(self, **notes: Any) -> Record:
        """The same record with further notes; identity stays."""
        return msgspec.structs.replace(self, notes={**self.notes, **notes})
