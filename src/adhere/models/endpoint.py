"""Any OpenAI-compatible chat endpoint, asked patiently.

Asks run as tasks of one asyncio loop in a thread of their own, so that closing the generator (a spent
budget, Ctrl-C) also ends requests and waits that are under way. How many run at once is found by additive
increase and multiplicative decrease. Every ask ends as exactly one reply, or as one `Reply` with
`finish="error"`; only what would fail every ask alike (a wrong key, URL or model) is a `ModelError`.
"""

from __future__ import annotations

import asyncio
import email.utils
import math
import os
import queue
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx2
import msgspec

from adhere.core.errors import ModelError
from adhere.core.model import Ask, Reply
from adhere.core.record import Message, Text, ToolCall, ToolResult, content_hash

MAX_BODY_BYTES = 32 * 1024 * 1024
SHOWN_CHARACTERS = 300
FINISHES = {"stop": "stop", "length": "length", "tool_calls": "stop", "function_call": "stop", "eos": "stop"}
BUSY_CODES = frozenset({429, 503, 529})
PASSING_CODES = frozenset({408, 409, 425, 429})  # and every 5xx but 501 and 505
HOPELESS_CODES = frozenset({401, 402, 403, 404, 405, 407, 410, 501, 505})


@dataclass(frozen=True)
class Patience:
    """How long and how often to try. None of it can change a reply.

    `timeout_s` bounds one request from its first byte to its last, so a body that drips forever is cut.
    `attempts` bounds the requests for one ask; between them it waits `wait_s`, doubled each time up to
    `max_wait_s`, with as much again at random, or what `Retry-After` asks for up to `max_wait_s`.
    """

    timeout_s: float = 180.0
    connect_timeout_s: float = 10.0
    attempts: int = 6
    wait_s: float = 0.5
    max_wait_s: float = 60.0
    max_in_flight: int = 32


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


class Passing(Exception):
    """A failure that another attempt may cure. `busy` asks for fewer requests at once."""

    def __init__(self, reason: str, busy: bool = False, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.busy = busy
        self.retry_after_s = retry_after_s


class Unreachable(Passing):
    """No connection could be made."""


class Refused(Exception):
    """The endpoint will not answer this ask, however often it comes."""


class Gate:
    """How many requests may be under way: one more per round that went well, half after a busy signal."""

    def __init__(self, most: int, start: int = 4) -> None:
        self.limit = float(min(start, most))
        self.under_way = 0
        self._most = most
        self._closed_until = 0.0
        self._last_cut = 0.0
        self._changed = asyncio.Condition()

    async def enter(self) -> float:
        """Wait for a place; gives the time of entry."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.under_way < int(self.limit))
            self.under_way += 1
        pause_s = self._closed_until - time.monotonic()
        if pause_s > 0:
            await asyncio.sleep(pause_s)
        return time.monotonic()

    async def leave(self, entered: float, failure: Passing | None, most_s: float) -> None:
        """Give the place back. One burst of busy signals cuts the limit once, not once per request."""
        now = time.monotonic()
        if failure is None:
            self.limit = min(self.limit + 1 / self.limit, self._most)
        elif failure.busy and entered >= self._last_cut:
            self.limit, self._last_cut = max(self.limit / 2, 1.0), now
        if failure is not None and failure.retry_after_s:
            self._closed_until = max(self._closed_until, now + min(failure.retry_after_s, most_s))
        async with self._changed:
            self.under_way -= 1
            self._changed.notify_all()


class Endpoint:
    """A model behind `{url}/chat/completions`; implements `Generates`.

    `url` ends before `/chat/completions` (usually in `/v1`). `key` defaults to the environment variable
    ADHERE_API_KEY, or for https://api.openai.com only to OPENAI_API_KEY. Raises `ModelError` on a URL that
    cannot be one.
    """

    def __init__(self, url: str, model: str, key: str | None = None, patience: Patience | None = None) -> None:
        self._url = checked_url(url)
        self._model = model
        self._openai = (self._url.scheme, self._url.host) == ("https", "api.openai.com")
        self._key = Secret((key if key is not None else self._key_from(os.environ)).strip())
        self._patience = patience or Patience()
        self._answered = False

    def __repr__(self) -> str:
        return f"Endpoint({self._shown_url!r}, {self._model!r})"

    @property
    def name(self) -> str:
        """`URL#model`."""
        return f"{self._shown_url}#{self._model}"

    @property
    def fingerprint(self) -> str:
        """Over URL and model name: what stands behind them cannot be seen from here."""
        return content_hash(["endpoint", str(self._url), self._model])

    @property
    def _shown_url(self) -> str:
        return str(self._url.copy_with(query=None))

    def _key_from(self, environment: Mapping[str, str]) -> str:
        own = environment.get("ADHERE_API_KEY", "")
        return own or (environment.get("OPENAI_API_KEY", "") if self._openai else "")

    def generate(self, asks: Sequence[Ask]) -> Iterator[tuple[int, Reply]]:
        """Yield `(position, reply)` once per ask, in the order they finish.

        Raises `ModelError` when the endpoint refuses the key, the model or the path, and when no connection
        was ever made. Closing the generator cancels what is under way.
        """
        if not asks:
            return
        payloads = [self._payload(ask) for ask in asks]
        crew = _Crew(self, payloads)
        try:
            yield from crew.results()
        finally:
            crew.close()

    def _payload(self, ask: Ask) -> bytes:
        drawn = ask.sampling
        body: dict[str, Any] = {
            "model": self._model,
            "messages": [wire_message(message) for message in ask.messages],
            "max_completion_tokens" if self._openai else "max_tokens": drawn.max_tokens,
            "temperature": drawn.temperature,
        }
        if drawn.temperature > 0:
            body["seed"] = (drawn.seed * 1_000_003 + ask.sample) % 2**31
        # Only what differs from the endpoint's default: not every server knows every field.
        optional = {
            "top_p": (drawn.top_p, 1.0),
            "top_k": (drawn.top_k, 0),
            "repetition_penalty": (drawn.repetition_penalty, 1.0),
            "presence_penalty": (drawn.presence_penalty, 0.0),
            "stop": (drawn.stop, ()),
        }
        body |= {field: value for field, (value, default) in optional.items() if value != default}
        return msgspec.json.encode(body)

    def _client(self) -> httpx2.AsyncClient:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._key.reveal():
            headers["Authorization"] = f"Bearer {self._key.reveal()}"
        patience = self._patience
        return httpx2.AsyncClient(
            headers=headers,
            timeout=httpx2.Timeout(patience.timeout_s, connect=patience.connect_timeout_s),
            limits=httpx2.Limits(max_connections=patience.max_in_flight),
        )

    async def answer(self, client: httpx2.AsyncClient, gate: Gate, payload: bytes) -> Reply:
        """One ask, tried until it is answered, refused or out of attempts."""
        patience, attempt, last = self._patience, 0, Passing("not tried")
        for attempt in range(patience.attempts):
            if attempt:
                await asyncio.sleep(self._wait_s(attempt, last))
            entered, failure = await gate.enter(), None
            try:
                return await self._attempt(client, payload)
            except Refused as refusal:
                return self._failed(str(refusal))
            except Passing as passing:
                last = failure = passing
            finally:
                await gate.leave(entered, failure, patience.max_wait_s)
            if self._never_reached(last) and attempt >= 2:
                break  # three refusals are enough where no server ever was
        if self._never_reached(last):
            raise ModelError(
                f"no connection to {self._shown_url} in {attempt + 1} attempts: {self._clean(str(last))}",
                "Check that the server runs and that the address and port are right.",
            )
        return self._failed(f"{last} (after {patience.attempts} attempts)")

    def _never_reached(self, failure: Passing) -> bool:
        return isinstance(failure, Unreachable) and not self._answered

    def _wait_s(self, attempt: int, failure: Passing) -> float:
        patience = self._patience
        backoff = min(patience.wait_s * 2.0 ** (attempt - 1), patience.max_wait_s)
        if failure.retry_after_s is not None:
            return min(failure.retry_after_s, patience.max_wait_s) + random.uniform(0, patience.wait_s)
        return backoff + random.uniform(0, backoff)

    async def _attempt(self, client: httpx2.AsyncClient, payload: bytes) -> Reply:
        target = self._url.copy_with(raw_path=completions_path(self._url))
        try:
            async with asyncio.timeout(self._patience.timeout_s):
                async with client.stream("POST", target, content=payload) as response:
                    self._answered = True
                    body = await read_body(response)
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            raise Unreachable(str(error) or type(error).__name__) from None
        except (TimeoutError, httpx2.TimeoutException):
            raise Passing(f"no full answer within {self._patience.timeout_s:g} s", busy=True) from None
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            raise Passing(f"connection broke: {type(error).__name__} {error}".rstrip()) from None
        if response.status_code != 200:
            self._raise_for(response, body)
        reply = parse_reply(response.headers.get("content-type", ""), body)
        # A short key ("none", "EMPTY") is a placeholder and may be an ordinary word of the reply.
        return self._cleaned(reply) if len(self._key.reveal()) >= 12 else reply

    def _raise_for(self, response: httpx2.Response, body: bytes) -> None:
        code, said = response.status_code, server_message(body)
        shown = self._clean(f"{self._shown_url} answered {code}" + (f": {said}" if said else ""))
        if code == 429 and "insufficient_quota" in said:
            raise ModelError(shown, "The account has no credit left; a later attempt will not help.")
        if code in HOPELESS_CODES or 300 <= code < 400:
            raise ModelError(shown, self._hint(code))
        if code in PASSING_CODES or code >= 500:
            retry_after_s = parse_retry_after(response.headers.get("retry-after"))
            raise Passing(f"status {code}: {said}", busy=code in BUSY_CODES, retry_after_s=retry_after_s)
        raise Refused(f"status {code}: {said}")

    def _hint(self, code: int) -> str:
        if code in (401, 403, 407):
            variable = "ADHERE_API_KEY (or OPENAI_API_KEY)" if self._openai else "ADHERE_API_KEY"
            state = "was refused" if self._key.reveal() else "is missing"
            return f"The key {state}: set the environment variable {variable}."
        if code == 402:
            return "The account has no credit left; a later attempt will not help."
        return (
            f"Check the address (requests go to {self._shown_url}/chat/completions, so it usually ends in /v1) "
            f"and that the server knows a model called {self._model!r}."
        )

    def _clean(self, text: str) -> str:
        return self._key.strip_from(text)

    def _failed(self, reason: str) -> Reply:
        return Reply("", "error", error=self._clean(reason)[: 2 * SHOWN_CHARACTERS])

    def _cleaned(self, reply: Reply) -> Reply:
        return msgspec.structs.replace(reply, text=self._clean(reply.text), error=self._clean(reply.error))


class _Crew:
    """The thread, its loop and its tasks behind one call of `generate`."""

    def __init__(self, endpoint: Endpoint, payloads: Sequence[bytes]) -> None:
        self._endpoint = endpoint
        self._payloads = payloads
        self._size = min(endpoint._patience.max_in_flight, len(payloads))
        self._found: queue.SimpleQueue[tuple[int, Reply] | BaseException] = queue.SimpleQueue()
        self._loop = asyncio.new_event_loop()
        self._room = asyncio.Semaphore(2 * self._size)
        self._main: asyncio.Task[None] | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="adhere-endpoint", daemon=True)

    def results(self) -> Iterator[tuple[int, Reply]]:
        """Start, and hand results over as they come. A slow consumer slows the asking down."""
        self._thread.start()
        for _ in self._payloads:
            found = self._found.get()
            if isinstance(found, BaseException):
                raise found
            self._tell(self._room.release)
            yield found

    def close(self) -> None:
        """Cancel what is under way and wait for the thread to end."""
        self._closed = True
        if self._thread.ident is None:
            self._loop.close()
            return
        self._tell(self._cancel)
        self._thread.join()

    def _tell(self, what: Any) -> None:
        if not self._loop.is_closed():
            try:
                self._loop.call_soon_threadsafe(what)
            except RuntimeError:  # it closed between the two lines: then nothing is left to tell
                return

    def _cancel(self) -> None:
        if self._main is not None:
            self._main.cancel()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            try:
                runner.run(self._work())
            except asyncio.CancelledError:
                pass
            except BaseExceptionGroup as group:
                self._found.put(_first_cause(group))
            except BaseException as error:
                self._found.put(error)

    async def _work(self) -> None:
        self._main = asyncio.current_task()
        if self._closed:
            return
        gate = Gate(self._size)
        positions = iter(range(len(self._payloads)))
        async with self._endpoint._client() as client, asyncio.TaskGroup() as group:
            for _ in range(self._size):
                group.create_task(self._serve(client, gate, positions))

    async def _serve(self, client: httpx2.AsyncClient, gate: Gate, positions: Iterator[int]) -> None:
        for position in positions:
            await self._room.acquire()
            self._found.put((position, await self._endpoint.answer(client, gate, self._payloads[position])))


def _first_cause(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return _first_cause(first) if isinstance(first, BaseExceptionGroup) else first


def checked_url(url: str) -> httpx2.URL:
    """The URL without a trailing slash or `/chat/completions`; a `ModelError` when it cannot be an endpoint."""
    form = "The form is http(s)://HOST[:PORT]/v1#MODEL."
    try:
        parsed = httpx2.URL(url.strip())
    except (httpx2.InvalidURL, UnicodeError):
        raise ModelError("the endpoint's address is not a URL", form) from None
    if parsed.userinfo:  # said without showing it
        raise ModelError("the endpoint's address holds a user name or password", "Put the key into ADHERE_API_KEY.")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ModelError(f"the endpoint's address should be http or https with a host, found {url!r}", form)
    path = parsed.path.rstrip("/").removesuffix("/chat/completions")
    return parsed.copy_with(path=path or "/", fragment=None)


def completions_path(url: httpx2.URL) -> bytes:
    """Path and query of the chat endpoint under `url`."""
    path, mark, query = url.raw_path.partition(b"?")
    return path.rstrip(b"/") + b"/chat/completions" + mark + query


def wire_message(message: Message) -> dict[str, Any]:
    """A message as the chat protocol writes it. Images and sounds are refused with a `ModelError`."""
    wire: dict[str, Any] = {"role": message.role, "content": _sendable(message.text)}
    calls = []
    for part in message.content:
        if isinstance(part, ToolCall):
            arguments = msgspec.json.encode(part.arguments).decode()
            function = {"name": part.name, "arguments": arguments}
            calls.append({"id": part.id, "type": "function", "function": function})
        elif isinstance(part, ToolResult):
            wire |= {"role": "tool", "tool_call_id": part.id, "content": _sendable(part.text)}
        elif not isinstance(part, Text):
            raise ModelError("this endpoint is sent text only, found an image or a sound in the conversation")
    return wire | ({"tool_calls": calls} if calls else {})


def _sendable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()  # a lone surrogate has no place in JSON


async def read_body(response: httpx2.Response) -> bytes:
    """The body, or `Refused` once it is longer than any reply."""
    found = bytearray()
    async for chunk in response.aiter_bytes():
        found += chunk
        if len(found) > MAX_BODY_BYTES:
            raise Refused(f"the answer is longer than {MAX_BODY_BYTES} bytes")
    return bytes(found)


def parse_retry_after(value: str | None) -> float | None:
    """Seconds from a `Retry-After` header, which holds seconds or a date (RFC 9110, section 10.2.3)."""
    if value is None:
        return None
    try:
        wait_s = float(value)
    except ValueError:
        try:
            wait_s = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return None
    return min(max(wait_s, 0.0), 3600.0) if math.isfinite(wait_s) else None


def server_message(body: bytes) -> str:
    """What the server said went wrong, on one line and shortened."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        found = body[: 4 * SHOWN_CHARACTERS].decode("utf-8", "replace")
    if isinstance(found, dict):
        found = found.get("error", found.get("detail", found.get("message", found)))
    if isinstance(found, dict):
        parts = [str(found[key]) for key in ("code", "message") if found.get(key)]
        found = ": ".join(parts) or found
    line = " ".join("".join(char if char.isprintable() else " " for char in str(found)).split())
    return line if len(line) <= SHOWN_CHARACTERS else line[:SHOWN_CHARACTERS] + "..."


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _ChatMessage(msgspec.Struct):
    content: str | list[dict[str, Any]] | None = None


class _Choice(msgspec.Struct):
    message: _ChatMessage
    finish_reason: str | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice] = []
    usage: _Usage | None = None


def parse_reply(content_type: str, body: bytes) -> Reply:
    """The reply in a 200 answer; `Passing` when it is not a whole chat completion."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind and kind != "application/json" and not kind.endswith("+json"):
        raise Passing(f"expected JSON, found content type {kind!r}")
    try:
        found = msgspec.json.decode(body, type=_Completion)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Passing(f"the answer is not a chat completion: {str(error)[:120]} ({len(body)} bytes)") from None
    if not found.choices:
        raise Passing("the answer holds no choice")
    choice, usage = found.choices[0], found.usage or _Usage()
    content = choice.message.content
    if isinstance(content, list):
        content = "".join(str(part.get("text", "")) for part in content)
    tokens_in, tokens_out = max(usage.prompt_tokens or 0, 0), max(usage.completion_tokens or 0, 0)
    finish = FINISHES.get(choice.finish_reason or "stop")
    if finish is None:
        return Reply("", "error", tokens_in, tokens_out, f"the endpoint ended with {choice.finish_reason[:80]!r}")  # type: ignore[index]
    return Reply(content or "", finish, tokens_in, tokens_out)
