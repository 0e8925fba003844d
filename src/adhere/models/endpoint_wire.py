"""What goes over the wire to an endpoint and how it comes off it: the key, addresses, messages, bodies."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import httpx2
import msgspec

from adhere.core.errors import ModelError
from adhere.core.record import Blob, Message, ToolCall, ToolResult
from adhere.models.endpoint_pace import Refused

_HTTP_LOGGERS = ("httpx2", *(f"httpcore2.{part}" for part in ("connection", "http11", "http2", "proxy", "socks")))
MAX_BODY_BYTES = 32 * 1024 * 1024
_SECRET_NAME = re.compile(r"key|token|secret|password|signature|credential|^sig$|^auth", re.IGNORECASE)


class Secret:
    """A key that shows itself to nobody by accident; `reveal` is called where the header is made."""

    def __init__(self, value: str) -> None:
        self.reveal: Callable[[], str] = lambda: value

    def __repr__(self) -> str:
        return "***"

    def __reduce__(self) -> tuple[type[Secret], tuple[str]]:
        return (Secret, ("",))  # a pickle does not carry it either

    def strip_from(self, text: str) -> str:
        """`text` without the key, wherever a server echoed it."""
        return text.replace(self.reveal(), "***") if self.reveal() else text


class _Redacting(logging.Filter):
    def __init__(self, secret: Secret) -> None:
        super().__init__()
        self._secret = secret

    def filter(self, record: logging.LogRecord) -> bool:
        said = record.getMessage()
        if self._secret.reveal() in said:
            record.msg, record.args = self._secret.strip_from(said), ()
        return True


@contextlib.contextmanager
def kept_from_logs(secret: Secret) -> Iterator[None]:
    """Take the key out of what the HTTP library logs, as long as this lasts.

    At level DEBUG it logs the headers of answers, and a server may have echoed the key in one.
    """
    if not secret.reveal():
        yield
        return
    redacting = _Redacting(secret)
    loggers = [logging.getLogger(name) for name in _HTTP_LOGGERS]
    for logger in loggers:
        logger.addFilter(redacting)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(redacting)


def checked_url(url: str) -> httpx2.URL:
    """The URL without a trailing slash or `/chat/completions`; a `ModelError` when it cannot be an endpoint."""
    form = "The form is http(s)://HOST[:PORT]/v1#MODEL."
    try:
        parsed = httpx2.URL(url.strip())
    except (httpx2.InvalidURL, UnicodeError):
        raise ModelError("the endpoint's address is not a URL", form) from None
    if parsed.userinfo:  # said without showing it
        raise ModelError("the endpoint's address holds a user name or password", "Put the key into ADHERE_API_KEY.")
    if any(_SECRET_NAME.search(name) for name in parsed.params):  # it would be logged and written down
        raise ModelError(
            "the endpoint's address holds what looks like a key in its query", "Put the key into ADHERE_API_KEY."
        )
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ModelError(f"the endpoint's address should be http or https with a host, found {url!r}", form)
    path = parsed.path.rstrip("/").removesuffix("/chat/completions")
    return parsed.copy_with(path=path or "/", fragment=None)


def path_under(url: httpx2.URL, route: str) -> bytes:
    """Path and query of a route of the endpoint at `url`."""
    path, mark, query = url.raw_path.partition(b"?")
    return path.rstrip(b"/") + b"/" + route.encode() + mark + query


def refuse_blobs(messages: Sequence[Message]) -> None:
    """Refuse images and sounds with a `ModelError`, before anything is sent."""
    if any(isinstance(part, Blob) for message in messages for part in message.content):
        raise ModelError("this endpoint is sent text only, found an image or a sound in the conversation")


def wire_message(message: Message) -> dict[str, Any]:
    """A message as the chat protocol writes it. Images and sounds are refused with a `ModelError`."""
    refuse_blobs([message])
    wire: dict[str, Any] = {"role": message.role, "content": sendable(message.text)}
    calls = []
    for part in message.content:
        if isinstance(part, ToolCall):
            arguments = msgspec.json.encode(part.arguments).decode()
            function = {"name": part.name, "arguments": arguments}
            calls.append({"id": part.id, "type": "function", "function": function})
        elif isinstance(part, ToolResult):
            wire |= {"role": "tool", "tool_call_id": part.id, "content": sendable(part.text)}
    return wire | ({"tool_calls": calls} if calls else {})


def sendable(text: str) -> str:
    """The text without lone surrogates, which have no place in JSON."""
    return text.encode("utf-8", "replace").decode()


async def read_body(response: httpx2.Response) -> bytes:
    """The body, or `Refused` once it is longer than any reply.

    A connection on which more came than was asked for is closed: the rest would be read as the next ask's reply.
    """
    found = bytearray()
    async for chunk in response.aiter_bytes():
        found += chunk
        if len(found) > MAX_BODY_BYTES:
            raise Refused(f"the answer is longer than {MAX_BODY_BYTES} bytes")
    if _has_leftover(response):
        await response.extensions["network_stream"].aclose()
    return bytes(found)


def _has_leftover(response: httpx2.Response) -> bool:
    """Whether bytes lie behind the body, read already. (Those not read yet are noticed by the connection pool.)

    httpx2 shows them nowhere, so this looks inside; where its inside is another, there is nothing to see.
    """
    inner: Any = response.stream
    for _ in range(6):
        parser = getattr(getattr(inner, "_connection", None), "_h11_state", None)
        if parser is not None:
            return bool(parser.trailing_data[0])
        inner = getattr(inner, "_stream", None) or getattr(inner, "_httpcore_stream", None)
    return False
