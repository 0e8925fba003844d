"""Any OpenAI-compatible endpoint, asked patiently: chat, completions and embeddings.

Asks run as tasks of one asyncio loop in a thread of their own, so that closing the generator (a spent
budget, Ctrl-C) also ends requests and waits that are under way. How many run at once is found by additive
increase and multiplicative decrease, per endpoint and model (`endpoint_pace`). Every ask ends as exactly one reply,
or as one `Reply` with `finish="error"`; only what would fail every ask alike (a wrong key, URL or model) is a
`ModelError`. A field that a server does not know is left out from then on; `Endpoint.left_out` names it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import httpx2
import msgspec

from adhere.core.errors import ModelError, did_you_mean
from adhere.core.model import Ask, Reply
from adhere.core.record import content_hash
from adhere.models.endpoint_crew import Crew
from adhere.models.endpoint_dialect import OLLAMA_PORT, OWNERS, UNSETTABLE, Server, refuse_impossible, request_body
from adhere.models.endpoint_pace import (
    Gate,
    Passing,
    Patience,
    Refused,
    Tries,
    Unreachable,
    Unsupported,
    parse_retry_after,
    wait_before,
)
from adhere.models.endpoint_reading import (
    BUSY_CODES,
    DISPENSABLE,
    LIMIT_FIELDS,
    PASSING_CODES,
    SHOWN_CHARACTERS,
    Answer,
    parse_answer,
    parse_embeddings,
    parse_reply,
    read_complaint,
    server_message,
)
from adhere.models.endpoint_wire import (
    Secret,
    checked_url,
    kept_from_logs,
    listed_models,
    path_under,
    read_body,
    refuse_blobs,
    sendable,
)
from adhere.models.engine import check_sampling, stop_position
from adhere.models.tool_calls import split_calls

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "Answer",
    "Endpoint",
    "Gate",
    "Passing",
    "Patience",
    "Secret",
    "parse_reply",
    "parse_retry_after",
    "server_message",
]

HOPELESS_CODES = frozenset({401, 402, 403, 404, 405, 407, 410, 501, 505})
EMBEDDED_AT_ONCE = 64  # texts in one request for embeddings
LISTING_S = 5.0  # how long a list of models may take
_FIRST_TRIES = 3  # refused connections are enough where no server ever was
_OUR_MARK = "adhere-"
_log = logging.getLogger(__name__)
T = TypeVar("T")


class Endpoint:
    """A model behind `{url}/chat/completions`; implements `Generates` and `Embeds`.

    `url` ends before `/chat/completions` (usually in `/v1`). One that ends in `/completions` asks that route
    instead, for models without a chat template: the prompt is then the text of the messages, parted by blank lines.
    `key` defaults to the environment variable ADHERE_API_KEY, or for https://api.openai.com only to OPENAI_API_KEY.
    `server` says what stands behind the URL, where its list of models does not tell (`endpoint_dialect`). Raises
    `ModelError` on a URL that cannot be one.

    What it learns (its pace, and the fields that the server does not know) lasts as long as the object. `requests`
    counts `sent` (HTTP requests), `retried`, `busy` and `hedged`.
    """

    def __init__(
        self,
        url: str,
        model: str,
        key: str | None = None,
        patience: Patience | None = None,
        server: Server | None = None,
    ) -> None:
        checked = checked_url(url)
        self._is_chat = not checked.path.endswith("/completions")
        self._url = checked.copy_with(path=checked.path.removesuffix("/completions") or "/")
        self._model = model
        self._openai = (self._url.scheme, self._url.host) == ("https", "api.openai.com")
        self._key = Secret((key if key is not None else self._key_from(os.environ)).strip())
        self._patience = patience or Patience()
        self._answered = False
        self.server: Server | None = server or ("other" if self._openai else None)  # None: not yet looked
        self._gate = Gate(self._patience.max_in_flight)
        self._unknown: set[str] = set(LIMIT_FIELDS[:1] if self._openai else ())
        self._learning = threading.Lock()
        self.requests: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"Endpoint({self._shown_url!r}, {self._model!r})"

    def __getstate__(self) -> dict[str, Any]:
        fresh = {name: value for name, value in vars(self).items() if name not in ("_gate", "_learning")}
        return fresh | {"_unknown": set(self._unknown)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._gate, self._learning = Gate(self._patience.max_in_flight), threading.Lock()

    @property
    def name(self) -> str:
        """`URL#model`."""
        return f"{self._shown_url}{'' if self._is_chat else '/completions'}#{self._model}"

    @property
    def fingerprint(self) -> str:
        """Over URL, route and model name: what stands behind them cannot be seen from here."""
        route = [] if self._is_chat else ["completions"]
        return content_hash(["endpoint", str(self._url), self._model, *route])

    @property
    def left_out(self) -> tuple[str, ...]:
        """The sampling settings that the server turned out not to know, so that replies are drawn without them.

        `stop` among them costs nothing: stop strings are applied here as well.
        """
        return tuple(sorted(self._unknown - set(LIMIT_FIELDS)))

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
        found = self.answers(asks)
        try:
            for position, answer in found:
                yield position, answer.reply
        finally:
            found.close()  # type: ignore[attr-defined]

    def answers(self, asks: Sequence[Ask], logprobs: bool = False) -> Iterator[tuple[int, Answer]]:
        """As `generate`, with log-probabilities of the replies' tokens where asked for and given.

        Raises `SettingsError` for settings out of their range and guides that cannot be read, `ModelError` for what the
        server has no way to do, all before anything is sent.
        """
        if not asks:
            return
        for ask in asks:
            refuse_blobs(ask.messages)
        for sampling in {ask.sampling for ask in asks}:
            check_sampling(sampling)
        refuse_impossible(asks, self._is_chat)

        async def work(client: httpx2.AsyncClient, position: int) -> Answer:
            return await self._answer(client, asks[position], logprobs)

        yield from self._crewed(len(asks), work, self._look_behind)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Rows of length one, `[texts, width]`, in the order of the texts, from `{url}/embeddings`.

        Sent by 64 at a time, at the same pace and with the same patience as asks. An empty text is sent as a space,
        since many servers refuse it. Raises `ModelError` when the endpoint gives none for a text, however often it is
        asked, and when its rows are not all of one length.
        """
        import numpy as np

        batches = [texts[at : at + EMBEDDED_AT_ONCE] for at in range(0, len(texts), EMBEDDED_AT_ONCE)]

        async def work(client: httpx2.AsyncClient, position: int) -> list[list[float]]:
            return await self._embed(client, [sendable(text) or " " for text in batches[position]])

        found = dict(self._crewed(len(batches), work)) if batches else {}
        rows = [vector for position in range(len(batches)) for vector in found[position]]
        if len({len(row) for row in rows}) > 1:
            raise ModelError(f"{self.name} gives embeddings of different lengths", "Check which model answers there.")
        given = np.asarray(rows, dtype=np.float64).reshape(len(rows), -1 if rows else 0)
        unit: NDArray[np.float32] = (given / np.linalg.norm(given, axis=1, keepdims=True)).astype(np.float32)
        return unit

    def _crewed(
        self,
        count: int,
        work: Callable[[httpx2.AsyncClient, int], Any],
        first: Callable[[httpx2.AsyncClient], Any] | None = None,
    ) -> Iterator[tuple[int, Any]]:
        crew: Crew[Any] = Crew(count, 3 * self._patience.max_in_flight, self._client, work, first)
        with kept_from_logs(self._key):
            try:
                yield from crew.results()
            finally:
                crew.close()

    def _body(self, ask: Ask, logprobs: bool) -> dict[str, Any]:
        server = self.server or "other"
        body = request_body(ask, self._model, self._is_chat, server)
        for name in UNSETTABLE.get(server, frozenset()) & body.keys():
            self._learn(name, body)
        return body | ({"logprobs": True if self._is_chat else 1} if logprobs else {})

    def _known(self, body: dict[str, Any]) -> dict[str, Any]:
        """The body without what the server does not know; the limit on tokens goes by the name it takes."""
        limit = next((name for name in LIMIT_FIELDS if name not in self._unknown), LIMIT_FIELDS[0])
        named = {limit if name in LIMIT_FIELDS else name: value for name, value in body.items()}
        return {name: value for name, value in named.items() if name not in self._unknown or name == limit}

    def _client(self) -> httpx2.AsyncClient:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._key.reveal():
            headers["Authorization"] = f"Bearer {self._key.reveal()}"
        patience = self._patience
        read_s = patience.read_timeout_s or patience.timeout_s
        return httpx2.AsyncClient(
            headers=headers,
            timeout=httpx2.Timeout(patience.timeout_s, connect=patience.connect_timeout_s, read=read_s),
            # The gate bounds what is under way; every connection is kept, or each round would make some anew.
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=patience.max_in_flight),
        )

    async def _answer(self, client: httpx2.AsyncClient, ask: Ask, logprobs: bool) -> Answer:
        """One ask, tried until it is answered, refused or out of attempts."""
        route = "chat/completions" if self._is_chat else "completions"
        tries = Tries()
        try:
            answer = await self.exchange(client, route, self._body(ask, logprobs), parse_answer, tries)
        except Refused as refusal:
            return Answer(Reply("", "error", error=str(refusal)[: 2 * SHOWN_CHARACTERS], retries=tries.retries))
        reply = self._finished(answer.reply, ask)
        return msgspec.structs.replace(answer, reply=msgspec.structs.replace(reply, retries=tries.retries))

    def _finished(self, reply: Reply, ask: Ask) -> Reply:
        """The reply without the key, cut at the first stop string (not every server applies them), and what was asked.

        A reply that ended and is not what its guide asks for is a failure: the server did not apply the guide.
        """
        cut = stop_position(reply.text, ask.sampling.stop)
        if cut is not None:
            reply = msgspec.structs.replace(reply, text=reply.text[:cut], finish="stop")
        # A short key ("none", "EMPTY") is a placeholder and may be an ordinary word of the reply.
        if len(self._key.reveal()) >= 12:
            shown = msgspec.to_builtins(reply)
            reply = msgspec.convert(self._key.strip_from_all(shown), Reply)
        if not reply.calls and ask.tools:  # a server without a parser for this model leaves calls in the text
            text, calls = split_calls(reply.text, ask.tools)
            reply = msgspec.structs.replace(reply, text=text, calls=calls)
        if ask.sampling.guide is None:
            return reply
        from adhere.models.endpoint_guides import held

        return held(ask.sampling.guide, reply)

    async def _embed(self, client: httpx2.AsyncClient, texts: Sequence[str]) -> list[list[float]]:
        body = {"model": self._model, "input": list(texts), "encoding_format": "float"}

        def read(kind: str, found: bytes) -> list[list[float]]:
            return parse_embeddings(kind, found, len(texts))

        try:
            return await self.exchange(client, "embeddings", body, read)
        except Refused as refusal:
            if len(texts) == 1:
                raise ModelError(f"{self.name} gives no embedding for {texts[0][:40]!r}: {refusal}") from None
        # Too much at once, or one of them is at fault: halves tell.
        half = len(texts) // 2
        return [*await self._embed(client, texts[:half]), *await self._embed(client, texts[half:])]

    async def exchange(
        self,
        client: httpx2.AsyncClient,
        route: str,
        body: dict[str, Any],
        read: Callable[[str, bytes], T],
        tries: Tries | None = None,
    ) -> T:
        """One request, repeated until `read` (of content type and bytes) takes its answer; `tries` counts along.

        Raises `Refused` when the endpoint will not or did not answer this one, `ModelError` when it answers none.
        """
        patience, last = self._patience, Passing("not tried")
        tries = tries or Tries()
        began = time.monotonic()
        while tries.made < patience.attempts:
            if tries.made:
                wait_s = wait_before(tries.made, last, patience)
                if time.monotonic() - began + wait_s > patience.ask_timeout_s:
                    break
                await asyncio.sleep(wait_s)
                self.requests["retried"] += 1
            entered, failure = await self._gate.enter(again=tries.made > 0), None
            began, tries.made = began if tries.made else entered, tries.made + 1
            try:
                return await self._hedged(client, route, body, read)
            except Passing as passing:
                last = failure = passing
                self.requests["busy"] += passing.busy
            finally:
                await self._gate.leave(entered, failure, patience.max_wait_s)
            if self._never_reached(last) and tries.made >= _FIRST_TRIES:
                break
        if self._never_reached(last):
            raise self._no_connection(tries.made, last)
        raise Refused(self._clean(f"{last} (after {tries.made} attempts)"))

    def _never_reached(self, failure: Passing) -> bool:
        return isinstance(failure, Unreachable) and not self._answered

    async def _hedged(
        self, client: httpx2.AsyncClient, route: str, body: dict[str, Any], read: Callable[[str, bytes], T]
    ) -> T:
        """One attempt; where hedging is on and a place is free, two of them when the first is slow."""
        if self._patience.hedge_after_s is None:
            return await self._learned(client, route, body, read)
        running = {asyncio.create_task(self._learned(client, route, body, read))}
        first = next(iter(running))
        is_free = False
        try:
            await asyncio.wait(running, timeout=self._patience.hedge_after_s)
            is_free = not first.done() and self._gate.enter_if_free()
            if is_free:
                self.requests["hedged"] += 1
                running.add(asyncio.create_task(self._learned(client, route, body, read)))
            while len(running) > 1:
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                good = [task for task in done if task.exception() is None]
                if good or not running:
                    return await (good or list(done))[0]
            return await next(iter(running))
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            if is_free:
                self._gate.give_back()

    async def _learned(
        self, client: httpx2.AsyncClient, route: str, body: dict[str, Any], read: Callable[[str, bytes], T]
    ) -> T:
        """One attempt; made again at once, without it, where the server turns out not to know a field."""
        while True:
            known = self._known(body)
            try:
                return await self._attempt(client, route, known, read)
            except Unsupported as unsupported:
                if not self._learn(unsupported.field, known):
                    raise Refused(self._clean(str(unsupported))) from None

    def _learn(self, field: str, sent: Mapping[str, Any]) -> bool:
        """Leave the field out from now on; False where nothing can be left out any more."""
        with self._learning:
            is_new = field not in self._unknown
            if field in LIMIT_FIELDS and self._unknown.issuperset(set(LIMIT_FIELDS) - {field}):
                return False  # neither name: an ask without a limit could cost anything
            self._unknown.add(field)
        if is_new and field in DISPENSABLE:
            _log.warning("%s does not take %r: replies are drawn without it from now on", self.name, field)
        return field in sent

    async def _attempt(
        self, client: httpx2.AsyncClient, route: str, body: dict[str, Any], read: Callable[[str, bytes], T]
    ) -> T:
        target = self._url.copy_with(raw_path=path_under(self._url, route))
        mark = _OUR_MARK + uuid.uuid4().hex
        self.requests["sent"] += 1
        try:
            async with asyncio.timeout(self._patience.timeout_s):
                content = msgspec.json.encode(body)
                async with client.stream("POST", target, content=content, headers={"X-Request-Id": mark}) as response:
                    self._answered = True
                    found = await read_body(response)
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            raise Unreachable(str(error) or type(error).__name__) from None
        except (TimeoutError, httpx2.TimeoutException):
            raise Passing(f"no full answer within {self._patience.timeout_s:g} s", busy=True) from None
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            raise Passing(f"connection broke: {type(error).__name__} {error}".rstrip()) from None
        if response.status_code != 200:
            await self._raise_for(client, response, found, body)
        named = response.headers.get("x-request-id", "")
        if named.startswith(_OUR_MARK) and named != mark:  # only servers that hand the mark back can tell
            raise Passing("the answer belongs to another request")
        return read(response.headers.get("content-type", ""), found)

    async def _raise_for(
        self, client: httpx2.AsyncClient, response: httpx2.Response, body: bytes, sent: Mapping[str, Any]
    ) -> None:
        code, complaint = response.status_code, read_complaint(body)
        said = complaint.said
        shown = self._clean(f"{self._shown_url} answered {code}" + (f": {said}" if said else ""))
        if code == 429 and ("insufficient_quota" in said or complaint.code == "insufficient_quota"):
            raise ModelError(shown, "The account has no credit left; a later attempt will not help.")
        if complaint.needs_a_flag and code in (400, 500, 501):
            raise Refused(self._clean(f"status {code}: {said}"))
        if complaint.is_too_long and code not in HOPELESS_CODES:
            raise Refused(self._clean(f"too long for the model, status {code}: {said}"))
        if code in (400, 404, 422) and complaint.names_no_model(self._model):
            raise ModelError(shown, await self._model_hint(client))
        if code == 403 and re.search("moderation|flagged", said, re.IGNORECASE):
            raise Refused(self._clean(f"status {code}: {said}"))  # this prompt, not the key
        if code in HOPELESS_CODES or 300 <= code < 400:
            raise ModelError(shown, await self._model_hint(client) if code == 404 else self._hint(code))
        if code in PASSING_CODES or code >= 500:
            retry_after_s = parse_retry_after(response.headers.get("retry-after"))
            raise Passing(f"status {code}: {said}", busy=code in BUSY_CODES, retry_after_s=retry_after_s)
        field = complaint.unsupported(sent) if code in (400, 422) else None
        if field is not None:
            raise Unsupported(field, f"status {code}: {said}")
        raise Refused(self._clean(f"status {code}: {said}"))

    def _hint(self, code: int) -> str:
        if code in (401, 403, 407):
            variable = "ADHERE_API_KEY (or OPENAI_API_KEY)" if self._openai else "ADHERE_API_KEY"
            state = "was refused" if self._key.reveal() else "is missing"
            return f"The key {state}: set the environment variable {variable}."
        if code == 402:
            return "The account has no credit left; a later attempt will not help."
        route = "/chat/completions" if self._is_chat else "/completions"
        return (
            f"Check the address (requests go to {self._shown_url}{route}, so it usually ends in /v1) "
            f"and that the server knows a model called {self._model!r}."
        )

    async def _model_hint(self, client: httpx2.AsyncClient) -> str:
        """The hint on a wrong address or model, with the models that the server lists, if it lists any."""
        try:
            rows = await listed_models(client, self._url, min(LISTING_S, self._patience.timeout_s))
        except Passing:
            rows = []
        known = [row.id[:80] for row in rows if row.id.isprintable()]
        if not known or self._model in known:
            return self._hint(404)
        return self._clean(f"{self._hint(404)} {did_you_mean(self._model, known[:20])}")

    async def _look_behind(self, client: httpx2.AsyncClient) -> None:
        """Find out which server it is, once. Raises `ModelError` when no connection is made."""
        if self.server is not None:
            return
        for tries in range(1, _FIRST_TRIES + 1):
            try:
                rows = await listed_models(client, self._url, min(LISTING_S, self._patience.timeout_s))
                break
            except Passing as passing:
                if tries < _FIRST_TRIES:
                    await asyncio.sleep(wait_before(tries, passing, self._patience))
                elif isinstance(passing, Unreachable):
                    raise self._no_connection(tries, passing) from None
        else:
            return  # still not ready: looked at again by the next call
        mine = [row for row in rows if row.id == self._model] or rows
        owners = {OWNERS.get(row.owned_by or "", "other") for row in mine}
        found = owners.pop() if len(owners) == 1 else "other"
        self.server = "ollama" if found == "other" and self._url.port == OLLAMA_PORT else found

    def _no_connection(self, tries: int, last: Passing) -> ModelError:
        return ModelError(
            f"no connection to {self._shown_url} in {tries} attempts: {self._clean(str(last))}",
            "Check that the server runs and that the address and port are right.",
        )

    def _clean(self, text: str) -> str:
        return self._key.strip_from(text)
