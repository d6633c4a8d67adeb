"""What all HTTP providers share: encoding requests, retries before the first piece, reading answers as they come."""

import asyncio
import json
import logging
import time
from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import aclosing, suppress
from typing import Any
from urllib.parse import quote

import httpx2
import orjson

from flowground.core.errors import ProviderBusy, ProviderError, ProviderRefused, ProviderUnreachable
from flowground.core.messages import FilePart, MessagePart
from flowground.providers.base import Capabilities, Completion, ModelCall, Piece, ProviderSettings
from flowground.providers.connection import Headers
from flowground.providers.egress import EgressSettings
from flowground.providers.event_stream import EventReader, Unreadable, count_most_bytes
from flowground.providers.server import BUSY, RetryPolicy, Server, ServerAnswer, is_outage

_log = logging.getLogger(__name__)
_NO_LIST = (404, 405, 501)
_END_SECONDS = 0.5
"""Seconds to wait for token counts, the last event and the connection's end once a model has finished."""
_PIECE = 3 * 1_000_000
"""Bytes of a file that are encoded at once (three become four letters), before the event loop serves others."""
EncodedFiles = Mapping[FilePart, orjson.Fragment]
_MAPS = {"properties", "$defs", "definitions"}
"""Keywords whose values map names to schemas."""
_DEEPEST = 50


class ModelServer(ABC):
    """One server for one entry of `providers:`; subclasses write requests (`write`) and read answers.

    `name` is the entry's name in config.yaml, `base_url` the URL before `path_word`, with its query, and `usual` what
    its models accept where the entry does not say it. The entry's `timeout` limits the wait for a free connection; then
    the whole answer (`complete`), or its head and each piece (`stream`). After 429, 5xx and broken connections a call
    is retried up to `retries` times, before the first piece only, as far as the run has retries left.

    The key is sent in `key_header`; `headers` are sent with every call; `advice` begins the hint where nothing answers.
    Raises ProviderRefused for a URL or key that cannot be used.
    """

    reader: type[EventReader]
    """Reads an answer."""
    answer_word = "an answer of this kind"
    """The name of the server's answers, as the end of a sentence."""
    files_are_urls = False
    """Whether a file is sent as a data URL, else as base64 alone."""
    path_word = ""
    """The path that follows `base_url`."""
    key_header = b"Authorization"
    headers: Headers = ()
    advice = "Check"

    def __init__(
        self,
        name: str,
        base_url: str,
        entry: ProviderSettings,
        *,
        key: str | None,
        usual: Capabilities,
        egress: EgressSettings,
    ) -> None:
        self._name = name
        self._models = read_address(name, base_url, "/models").raw_path
        self._takes = entry.find_capabilities(usual)
        self._timeout, self._retries = entry.timeout, entry.retries
        self._is_down = False
        self._server = Server(
            name,
            read_address(name, base_url, self.path_word),
            api_key=check_key(name, key),
            timeout=entry.timeout,
            advice=self.advice,
            key_header=self.key_header,
            headers=self.headers,
            egress=egress,
        )

    async def complete(self, call: ModelCall) -> Completion:
        return await Completion.read(self.ask(call, is_streamed=False))

    def stream(self, call: ModelCall) -> AsyncGenerator[Piece, None]:
        return self.ask(call, is_streamed=True)

    async def ask(self, call: ModelCall, *, is_streamed: bool) -> AsyncGenerator[Piece, None]:
        """The pieces of the answer, or one `Completion` where it is not streamed; retries until the first piece."""
        policy = RetryPolicy(self._retries, call.take_retry)
        has_begun = False
        while True:
            try:
                async with aclosing(self._ask_once(call, is_streamed=is_streamed)) as pieces:
                    async for piece in pieces:
                        has_begun = True
                        if self._is_down:
                            self.note_answer()
                        yield piece
                return
            except ProviderError as error:
                if has_begun:
                    raise
                try:
                    await policy.wait(error)
                except ProviderError:
                    self._log_outage(error)
                    raise

    def require_ready(self, model: str) -> None:  # noqa: B027 - most have nothing to do
        """Does nothing: the server has its weights."""

    def takes(self, model: str) -> Capabilities:  # noqa: ARG002 - servers rarely tell what each of their models takes
        return self._takes

    async def look(self) -> bool:
        """Requests the list of the server's models, which costs nothing; False where the server has no list. Raises
        ProviderErrors."""
        try:
            async with self._server.post(b"", is_streamed=False, most_bytes=0, target=self._models, method=b"GET"):
                return True
        except ProviderError as error:
            if error.status not in _NO_LIST:
                raise
            return False

    def note_answer(self) -> None:
        """Notes that the server works."""
        if self._is_down:
            self._is_down = False
            _log.warning("The provider %r answers again.", self._name)

    async def close(self) -> None:
        await self._server.close()

    def _log_outage(self, error: ProviderError) -> None:
        """Logs the beginning of an outage once, however many calls fail until its end."""
        if not self._is_down and is_outage(error):
            self._is_down = True
            _log.warning("The provider %r is down, which is told once: %s", self._name, error.message)
        elif self._is_down and error.status is not None and not is_outage(error):
            self.note_answer()  # a server that refuses a call is up

    @abstractmethod
    def write(self, call: ModelCall, files: EncodedFiles, *, is_streamed: bool) -> bytes:
        """The request's body, with the files of its messages. Raises ProviderRefused."""

    def _find_target(self, call: ModelCall, *, is_streamed: bool) -> bytes | None:  # noqa: ARG002 - for those who need it
        """The path and query of a call; None where it is the server's own address."""
        return None

    async def _ask_once(self, call: ModelCall, *, is_streamed: bool) -> AsyncGenerator[Piece, None]:
        try:
            held = self._takes.check(call, self._name)
            files = await encode_files(held, as_urls=self.files_are_urls) if held else {}
            asked = self.write(call, files, is_streamed=is_streamed)
            del files
            target = self._find_target(call, is_streamed=is_streamed)
            async with self._server.post(
                asked, is_streamed=is_streamed, most_bytes=count_most_bytes(), target=target
            ) as answer:
                del asked  # it may have 27 MB, and an answer may last
                if answer.is_json or not is_streamed:  # some servers cannot stream
                    for whole in self._read_whole(answer, call):
                        yield whole
                    return
                reader, since = self.reader(self._name), time.monotonic()
                while data := await self._read_next(answer, reader):
                    known = reader.events
                    for piece in reader.feed(data):
                        yield piece
                    if reader.events > known:
                        since = time.monotonic()  # restarted here, since the caller may have taken long over the pieces
                    elif time.monotonic() - since > self._timeout:
                        raise self._server.explain_timeout()  # comments keep a connection open, but are no answer
                if reader.events and not reader.has_ended:
                    broken = f"The connection to provider {self._name!r} broke before the answer was complete."
                    raise ProviderUnreachable(broken)
                for last in reader.finish(call.model):
                    yield last
        except Unreadable as problem:
            raise self._explain(problem) from None

    def _read_whole(self, answer: ServerAnswer, call: ModelCall) -> Iterator[Piece]:
        end = self.reader(self._name).read_whole(answer.data, call.model)
        yield from (piece for piece in (end.reasoning, end.text) if piece)
        yield end

    async def _read_next(self, answer: ServerAnswer, reader: EventReader) -> bytes:
        """The next bytes; none when the answer is complete, whatever the server then does with the connection.

        The rest is read if it comes soon: only then can the connection serve another call.
        """
        if not reader.has_ended:
            return await answer.read_chunk()
        reader.end_by = reader.end_by or asyncio.get_running_loop().time() + _END_SECONDS
        with suppress(TimeoutError, ProviderError):
            async with asyncio.timeout_at(reader.end_by):
                while data := await answer.read_chunk():
                    if not reader.is_done and not reader.usage:
                        return data
        return b""

    def _explain(self, problem: Unreadable) -> ProviderError:
        if problem.message:
            kind = ProviderBusy if problem.status in BUSY else ProviderRefused
            sentence = f"The provider {self._name!r} reported: {self._server.clean(problem.message)}"
            return kind(sentence, status=problem.status)
        if problem.did:
            return ProviderRefused(f"The provider {self._name!r} {problem.did}.")
        return ProviderRefused(
            f"The provider {self._name!r} answered with something that is not {self.answer_word}.",
            hint=f"Check that `providers.{self._name}.base_url` in config.yaml ends where `{self.path_word}` follows.",
        )


def read_address(name: str, base_url: str, path: str) -> httpx2.URL:
    """The base URL with a path behind it. Raises ProviderRefused for one that cannot be used."""
    try:
        url = httpx2.URL(base_url)
    except httpx2.InvalidURL:
        url = httpx2.URL()
    if url.scheme not in ("http", "https") or not url.host or url.userinfo:
        raise ProviderRefused(
            f"The address of provider {name!r} cannot be used.",
            hint=f"`providers.{name}.base_url` in config.yaml is like https://host/v1, without a name or password.",
        )
    return url.copy_with(path=url.path.rstrip("/") + path, fragment=None)


def check_key(name: str, api_key: str | None) -> str | None:
    """The key without surrounding spaces. Raises ProviderRefused for one that no header can hold."""
    key = (api_key or "").strip()
    if key and not (key.isascii() and key.isprintable()):
        raise ProviderRefused(
            f"The key of provider {name!r} contains characters that a key cannot have.",
            hint=f"Check `providers.{name}.api_key` in config.yaml.",
        )
    return key or None


def quote_model(model: str) -> str:
    """A model's name as one segment of a path. Raises ProviderRefused for a name that would change the path."""
    if not model.strip("."):
        raise ProviderRefused(f"There is no model {model!r}.")
    return quote(model, safe="", errors="replace")


def encode_body(body: Mapping[str, Any]) -> bytes:
    """The body as JSON, encoded fast."""
    try:
        return orjson.dumps(body)  # a prompt may have 3,000,000 characters: 16 ms at most, four times faster than json
    except TypeError:  # half a character, which the command line may contain
        return json.dumps(body).encode()


def join_turns(
    call: ModelCall, key: str, model: str, write: Callable[[Sequence[MessagePart]], list[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """The conversation, in which each turn of the user and of the `model`, as its role is called, is one message with
    its parts under `key`. Results of tools belong to the user, and all results of one round must be in one message."""
    written: list[dict[str, Any]] = []
    for message in call.messages:
        parts = [] if message.role == "system" else write(message.parts)
        role = model if message.role == "assistant" else "user"
        if parts and written and written[-1]["role"] == role:
            written[-1][key] += parts
        elif parts:
            written.append({"role": role, key: parts})
    return written


async def encode_files(files: Iterable[FilePart], *, as_urls: bool = True) -> EncodedFiles:
    """Each file encoded for JSON: a data URL, or base64 in quotes.

    Raises ProviderRefused for a file that changed since it was stored.
    """
    encoded: dict[FilePart, orjson.Fragment] = {}
    for file in files:
        if file in encoded:
            continue
        data = memoryview(await file.read())
        if len(data) != file.size:
            raise ProviderRefused(f"The file {file.name!r} is not what it was: send it again.")
        start_of_url = b"data:" + orjson.dumps(file.media_type)[1:-1] + b";base64," if as_urls else b""
        url = bytearray(b'"' + start_of_url)
        for start in range(0, len(data), _PIECE):
            url += b64encode(data[start : start + _PIECE])
            await asyncio.sleep(0)
        url += b'"'
        encoded[file] = orjson.Fragment(bytes(url))
    return encoded


def trim_schema(schema: Any, keywords: Set[str], *, is_closed: bool, depth: int = 0) -> Any:
    """The schema with these keywords only; `is_closed` forbids other properties in each object.

    Callers check the answer by the whole schema: the keywords that are left out would only make the model's work
    harder.
    """
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return schema if isinstance(schema, bool) else {}
    trimmed: dict[str, Any] = {}
    for word, value in schema.items():
        if word == "const" and word not in keywords:
            trimmed["enum"] = [value]
        elif word not in keywords:
            continue
        elif word in _MAPS and isinstance(value, Mapping):
            trimmed[word] = {name: trim_schema(item, keywords, is_closed=is_closed, depth=depth + 1)
                             for name, item in value.items()}  # fmt: skip
        elif isinstance(value, Mapping) and word not in ("default", "const", "example"):
            trimmed[word] = trim_schema(value, keywords, is_closed=is_closed, depth=depth + 1)
        elif isinstance(value, list | tuple) and word in ("anyOf", "oneOf", "allOf", "prefixItems"):
            trimmed[word] = [trim_schema(item, keywords, is_closed=is_closed, depth=depth + 1) for item in value]
        else:
            trimmed[word] = value
    if is_closed and (schema.get("type") == "object" or "properties" in schema):
        trimmed["additionalProperties"] = False
    return trimmed
