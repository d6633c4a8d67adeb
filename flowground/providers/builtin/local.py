"""The built-in model: weights that are checked by digest, run by a child process with OpenAI's protocol on loopback.

Tools are described in the prompt: at each step the model gives JSON of a schema, either a call of one tool or an
answer. llama.cpp's own tool calls need a model trained on their form. The built-in one writes them as plain text,
continues with invented calls after the first result, and `tool_choice` changes nothing (docs/decisions.md). llama.cpp
turns a schema into a grammar, so that every model gives one or the other.

Each reason why the process cannot run has a sentence for people.
"""

import asyncio
import json
import os
import secrets
import signal
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field
from pydantic_core import from_json

from flowground.core.errors import ModelNotReady, ProviderRefused, ProviderTimeout, ProviderUnreachable
from flowground.core.events import ModelProgress
from flowground.core.messages import Message, ToolCall, ToolResult
from flowground.core.processes import ChildProcess
from flowground.providers.base import (
    Capabilities,
    Completion,
    ModelCall,
    Piece,
    Provider,
    ProviderContext,
    ProviderSettings,
    ToolSpec,
)
from flowground.providers.builtin.sources import measure_file
from flowground.providers.builtin.weights import QWEN, Download, LocalStatus, Weights, distrust, forget_failure
from flowground.providers.egress import EgressSettings
from flowground.providers.openai import OpenAI, OpenAISettings

PROGRAM = (sys.executable, "-P", str(Path(__file__).with_name("local_server.py")))
"""The command of the child process; tests start a smaller one."""
CONTEXT_TOKENS = 4096
"""Tokens of one call, question and answer; each of the two slots takes about 50 MB for them."""
_SLOTS = 2
_START_SECONDS = 120.0
_BESIDES_THE_FILE = 300_000_000
_OTHER = "Name another provider's model in the flow or as `default_model` in config.yaml."
_REASONS = {
    "no_wheel": (
        "The built-in model's runtime is not installed.",
        f"Run `pip install xllamacpp`; where no package fits this platform: {_OTHER}",
    ),
    "no_libgomp": (
        "The built-in model needs the system library libgomp1.",
        "Install it (Debian, Ubuntu: `apt-get install libgomp1`) and send the message again.",
    ),
    "wheel_broken": (
        "The built-in model's runtime does not fit this computer.",
        f"Run `pip install --force-reinstall xllamacpp`. If that does not help: {_OTHER}",
    ),
    "model_broken": (
        "The model file cannot be loaded: it is damaged or not a GGUF file.",
        "Send the message again: a damaged built-in file is replaced. A file that `path` names is yours to replace.",
    ),
    "no_avx2": ("This computer's processor lacks AVX2, which the built-in model needs.", _OTHER),
    "no_memory": (
        "There is not enough free memory for the built-in model: it needs about {needed:.1f} GB.",
        f"Close other programs and send the message again. Or: {_OTHER}",
    ),
    "ended": (
        "The built-in model's process ended while it started.",
        f"Send the message again. If this keeps happening: {_OTHER}",
    ),
}
_TOOLS = """\
You can call these tools:

{tools}

If one of them gives what is asked, reply with {{"tool": its name, "arguments": {{...}}}}. Where its result is there, \
or no tool gives it, reply with {{"answer": your answer}}."""
_NEXT = {True: "Reply with the answer, or call another tool.", False: "Reply with the answer."}
_PROGRESS_SECONDS = 0.3
_IDLE_SECONDS = 600.0
_PASSAGE_BYTES = 3_500
"""Some 1,000 tokens, and hardly ever over 1,500: two cores read a hundred a second."""
_USUAL = Capabilities(tools=True, response_schema=True, window=CONTEXT_TOKENS)
_DEFAULTS = {"max_tokens": 1024}
_QWEN_DEFAULTS = _DEFAULTS | {"temperature": 0.3, "top_p": 0.8, "top_k": 20, "repeat_penalty": 1.05}
"""Values that the model's makers recommend, for options that the flow does not set."""


class CannotStart(ProviderRefused):
    """The process cannot run; `reason` is a key of `_REASONS`."""

    def __init__(self, reason: str, *, needed: int = 0) -> None:
        sentence, hint = _REASONS.get(reason, _REASONS["ended"])
        super().__init__(sentence.format(needed=needed / 1e9), hint=hint)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class _Child:
    """A running child process and the client for it, on one event loop."""

    process: ChildProcess
    provider: OpenAI

    async def has_ended(self) -> bool:
        """Whether the process has ended; waits a moment, as the news may arrive after a broken connection."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.process.wait(), 1)
        return not self.process.is_alive

    async def close(self) -> None:
        """Ends the process, whatever it is doing."""
        await self.provider.close()
        await self.process.kill()


def check_memory(size: int, available: int | None) -> None:
    """Raises CannotStart when a model file of `size` bytes does not fit into memory; None counts as enough."""
    needed = size + _BESIDES_THE_FILE
    if available is not None and available < needed:
        raise CannotStart("no_memory", needed=needed)


def find_available_memory() -> int | None:
    """Bytes of memory that this process may still take, the computer's or its container's; None where neither is
    known."""
    known = (_read_computer_memory(), _read_container_memory())
    return min((amount for amount in known if amount is not None), default=None)


def put_tools_into_words(call: ModelCall) -> ModelCall:
    """The call for a model without tool support: tools are described in the system message, calls and results are
    texts."""
    tools = [tool for tool in call.tools if call.tool_choice in ("auto", tool.name)]
    messages = [said for message in call.messages for said in _write_message(message, may_call=bool(tools))]
    if not tools:
        return replace(call, messages=tuple(messages), tools=())
    prompt = _TOOLS.format(tools="\n".join(_describe(tool) for tool in tools))
    if messages and messages[0].role == "system":
        prompt = f"{messages.pop(0).text}\n\n{prompt}"
    schema = _make_schema(tools, may_answer=call.tool_choice == "auto")
    return replace(call, messages=(Message("system", prompt), *messages), tools=(), response_schema=schema)


async def read_choice(stream: AsyncGenerator[Piece, None], number: int) -> AsyncGenerator[Piece, None]:
    """The answer or the tool call in the model's JSON, whole; `number` makes the call's id unique in the
    conversation."""
    async with aclosing(stream) as pieces:
        async for piece in pieces:
            if isinstance(piece, Completion):
                end = _read_chosen(piece, number)
                if end.text:
                    yield end.text
                yield end


class LocalSettings(ProviderSettings):
    """The built-in model, or a GGUF file of one's own."""

    type: Literal["local"] = "local"
    # Two cores read a long prompt for half a minute, and calls queue.
    timeout: float = Field(300, gt=0, le=3600, description="seconds to wait for the first and for each next piece.")
    download: Literal["auto", "on_first_message", "off"] = Field(
        "on_first_message", description="when the built-in model's weights are fetched."
    )
    path: Path | None = Field(None, description="a GGUF file of your own instead of the built-in one.")
    only_model: ClassVar[str] = "local"

    def open(self, name: str, context: ProviderContext) -> Provider:
        return Local(name, self, context.folder)

    def count_paths_from(self, root: Path) -> Self:
        return self.model_copy(update={"path": root / self.path}) if self.path else self


class Local:
    """One model in one child process, which the first call starts. It is restarted after a crash, and ended after ten
    idle minutes.

    `folder` holds the fetched weights; an entry with `path` uses that GGUF file instead and fetches nothing.
    """

    def __init__(
        self,
        name: str,
        entry: LocalSettings,
        folder: Path,
        *,
        weights: Weights = QWEN,
        program: tuple[str, ...] | None = None,
        idle_seconds: float = _IDLE_SECONDS,
    ) -> None:
        self._name = name
        self._entry = entry
        self._folder = folder
        self._weights = weights
        self._takes = entry.find_capabilities(replace(_USUAL, passage_bytes=0 if entry.path else _PASSAGE_BYTES))
        self._program = program or PROGRAM
        self._idle_seconds = idle_seconds
        self._title = entry.path.stem if entry.path else weights.title
        self._download = Download(folder, weights, absent=self._invite())
        self._child: _Child | None = None
        self._starting: asyncio.Task[_Child] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._calls = 0
        self._timer: asyncio.TimerHandle | None = None

    def read_status(self) -> LocalStatus:
        """The state of the model: cheap, and callable from any thread."""
        path = self._entry.path
        if path is None:
            return self._download.read_status()
        if path.is_file():
            return LocalStatus("ready", path.stat().st_size, path.stat().st_size)
        return LocalStatus("failed", message=_explain_no_file(self._name).message)

    def begin(self) -> None:
        """Starts fetching the weights now, where the settings say `download: auto`."""
        if self._entry.download == "auto" and not self._find_file():
            self._download.start()

    async def stream(self, call: ModelCall) -> AsyncGenerator[Piece, None]:
        self._takes.check(call, self._name)
        for step in (self._fetch_first(), self._ask(call, is_streamed=True)):
            async with aclosing(step) as pieces:
                async for piece in pieces:
                    yield piece

    async def complete(self, call: ModelCall) -> Completion:
        self._takes.check(call, self._name)
        self.require_ready(call.model)
        return await Completion.read(self._ask(call, is_streamed=False))

    def require_ready(self, model: str) -> None:  # noqa: ARG002 - one model answers to every name
        if not self._find_file():
            raise self._explain_refusal() if self._entry.download == "off" else self._download.explain_not_ready()

    def takes(self, model: str) -> Capabilities:  # noqa: ARG002 - one model answers to every name
        return self._takes

    async def close(self) -> None:
        """Ends the process and the fetching."""
        if self._timer:
            self._timer.cancel()
        await self._download.close()
        if self._starting and not self._starting.done():
            self._starting.cancel()
            await asyncio.wait({self._starting})
        self._end_child()
        if self._ending:
            await asyncio.wait(self._ending)

    def _find_file(self) -> Path | None:
        return self._entry.path or self._download.find_file()

    async def _ask(self, call: ModelCall, *, is_streamed: bool) -> AsyncGenerator[Piece, None]:
        """The process's answer; a call is repeated once where the process ended before the first piece."""
        asked = put_tools_into_words(self._add_defaults(call))
        is_choice = asked.response_schema is not call.response_schema
        with self._keep_busy():
            for is_last in (False, True):
                is_running = self._child and self._child.process.is_alive
                if not is_running and (status := self.read_status()).state == "ready":
                    yield self._make_progress(status)
                child, has_begun = await self._run_child(), False
                try:
                    stream = child.provider.ask(asked, is_streamed=is_streamed)
                    async with aclosing(read_choice(stream, len(call.messages)) if is_choice else stream) as pieces:
                        async for piece in pieces:
                            has_begun = True
                            yield replace(piece, model=self._title) if isinstance(piece, Completion) else piece
                        return
                except ProviderUnreachable:
                    if has_begun or is_last or not await child.has_ended():
                        raise _explain_break() from None
                except ProviderRefused as error:
                    raise _explain(error) from None

    async def _fetch_first(self) -> AsyncGenerator[ModelProgress, None]:
        if self._find_file():
            return
        if self._entry.download == "off":
            raise self._explain_refusal()
        fetching = self._download.start()
        while not fetching.done():
            yield self._make_progress(self._download.read_status())
            await asyncio.wait({fetching}, timeout=_PROGRESS_SECONDS)
        self._download.check(fetching)

    async def _run_child(self) -> _Child:
        """The running process; calls that come while it starts share it."""
        if self._child and self._child.process.is_alive:
            return self._child
        if self._starting is None or self._starting.done():
            self._starting = asyncio.create_task(self._start(), name="start the built-in model")
            self._starting.add_done_callback(forget_failure)
        return await asyncio.shield(self._starting)

    async def _start(self) -> _Child:
        """Starts the process and waits until it answers. Raises CannotStart, ProviderTimeout and ModelNotReady."""
        self._end_child()
        path = self._find_file()
        if path is None:
            raise self._explain_refusal()
        if self._entry.path and not await asyncio.to_thread(path.is_file):
            raise _explain_no_file(self._name)
        check_memory(await asyncio.to_thread(measure_file, path), await asyncio.to_thread(find_available_memory))
        key = secrets.token_urlsafe(32)
        # Spinning threads cost ten times the speed on a busy computer.
        environment = os.environ | {"OMP_WAIT_POLICY": "passive"}
        process = await ChildProcess.start(*self._program, environment=environment)
        try:
            address = await _wait_for_address(process, path, key)
        except BaseException as error:
            await process.kill()
            if isinstance(error, CannotStart) and error.reason == "model_broken" and self._entry.path is None:
                await asyncio.to_thread(distrust, self._folder, self._weights)
            raise
        # The server closes a stream's connection silently, a moment after its end: a call that meets that is repeated.
        entry = OpenAISettings(timeout=self._entry.timeout, retries=1)
        client = OpenAI(self._name, f"{address}/v1", entry, key=key, egress=EgressSettings(trust_env=False))
        self._child = _Child(process, client)
        return self._child

    def _end_child(self) -> None:
        """Ends the process in the background; `close` waits for that."""
        child, self._child = self._child, None
        if child:
            ending = asyncio.create_task(child.close())
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    @contextmanager
    def _keep_busy(self) -> Iterator[None]:
        """Keeps the process from counting as idle during a call."""
        self._calls += 1
        if self._timer:
            self._timer.cancel()
        try:
            yield
        finally:
            self._calls -= 1
            if self._calls == 0:
                self._timer = asyncio.get_running_loop().call_later(self._idle_seconds, self._end_child)

    def _add_defaults(self, call: ModelCall) -> ModelCall:
        defaults = _DEFAULTS if self._entry.path else _QWEN_DEFAULTS
        return replace(call, model="local", options={**defaults, **call.options})

    def _make_progress(self, status: LocalStatus) -> ModelProgress:
        return ModelProgress(self._title, status.received, status.total, status.seconds_left)

    def _invite(self) -> str:
        if self._entry.download == "off":
            return f"{self._weights.title} is not here yet: run `python -m flowground model download`."
        size, licence = f"{self._weights.size / 1e9:.1f} GB", self._weights.licence
        return f"The first message fetches the built-in model, {self._weights.title}, {size}, {licence}."

    def _explain_refusal(self) -> ModelNotReady:
        return ModelNotReady(
            f"The built-in model {self._weights.title} is not here, and `download: off` keeps it from being fetched.",
            total=self._weights.size,
            hint="Run `python -m flowground model download`, or name another provider's model.",
        )


async def _wait_for_address(process: ChildProcess, path: Path, key: str) -> str:
    asked = {"path": str(path), "key": key, "threads": _count_threads(), "slots": _SLOTS, "context": CONTEXT_TOKENS}
    await process.send(asked)
    try:
        async with asyncio.timeout(_START_SECONDS):
            answer = await process.receive()
        if "failed" in answer:
            raise CannotStart(answer["failed"])
        return str(answer["ready"])
    except TimeoutError:
        raise ProviderTimeout(
            f"The built-in model did not start within {_START_SECONDS:g} seconds.", hint=_OTHER
        ) from None
    except EOFError:
        reason = _explain_end(await process.wait())
        raise CannotStart(reason, needed=measure_file(path) + _BESIDES_THE_FILE) from None
    except (ValueError, KeyError, TypeError):
        raise CannotStart("ended") from None


def _explain_end(code: int) -> str:
    """The reason of an end without a message: by signal on POSIX, by status on Windows."""
    if code in (-signal.SIGILL, 0xC000001D):
        return "no_avx2"
    if sys.platform != "win32" and code == -signal.SIGKILL:
        return "no_memory"  # the system ends a process like this when there is no more memory
    return "ended"


def _count_threads() -> int:
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return min(cores, 4)


def _read_computer_memory() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, StopIteration):
        return None


def _read_container_memory(folder: Path = Path("/sys/fs/cgroup")) -> int | None:
    try:
        limit = int((folder / "memory.max").read_text("ascii"))
        used = int((folder / "memory.current").read_text("ascii"))
        stat = dict(line.split() for line in (folder / "memory.stat").read_text("ascii").splitlines())
        return limit - used + int(stat.get("inactive_file", 0))  # memory of cached files can be reclaimed
    except (OSError, ValueError):
        return None


def _read_chosen(end: Completion, number: int) -> Completion:
    try:
        chosen = json.loads(end.text)
        if "answer" in chosen:
            return replace(end, text=str(chosen["answer"]))
        call = ToolCall(f"call_{number}", str(chosen["tool"]), dict(chosen["arguments"]))
    except (ValueError, TypeError, LookupError, RecursionError):
        begun: Any = {}
        with suppress(ValueError):
            begun = from_json(end.text, allow_partial="trailing-strings")  # `max_tokens` cut it
        return replace(end, text=str(begun.get("answer", "")) if isinstance(begun, dict) else "")
    return replace(end, text="", tool_calls=(call,), finish_reason="tool_calls")


def _write_message(message: Message, *, may_call: bool) -> Iterator[Message]:
    """The messages for a model without tool support: calls in the model's own JSON, results as messages of the user."""
    if message.text:
        yield Message(message.role, message.text)
    for part in message.parts:
        if isinstance(part, ToolCall):
            chosen = {"tool": part.name, "arguments": part.arguments}
            yield Message("assistant", json.dumps(chosen, ensure_ascii=False))
    results = [
        f"{'Error' if part.is_error else 'Result'} of {part.name}: {part.text}"
        for part in message.parts
        if isinstance(part, ToolResult)
    ]
    if results:
        yield Message("user", "\n".join((*results, "", _NEXT[may_call])))


def _describe(tool: ToolSpec) -> str:
    arguments = json.dumps(tool.parameters.get("properties", {}), ensure_ascii=False)
    return f"- {tool.name}: {tool.description} Arguments: {arguments}"


def _make_schema(tools: list[ToolSpec], *, may_answer: bool) -> dict[str, Any]:
    choices = [_close({"tool": {"const": tool.name}, "arguments": dict(tool.parameters)}) for tool in tools]
    if may_answer:
        choices.append(_close({"answer": {"type": "string"}}))
    return {"anyOf": choices}


def _close(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _explain_break() -> ProviderUnreachable:
    return ProviderUnreachable(
        "The built-in model stopped in the middle of its work.",
        hint="Send the message again. If this happens often, the computer may have too little memory.",
    )


def _explain(error: ProviderRefused) -> ProviderRefused:
    """The runtime's error for a prompt that is too long (status 400), in words for people."""
    if error.status != 400 or "context size" not in error.message:
        return error
    return ProviderRefused(
        f"The conversation is longer than the built-in model can read: {CONTEXT_TOKENS} tokens, about 3,000 words.",
        status=400,
        hint="Start a new session, send less text, or lower `n_messages` of the flow's Message History.",
    )


def _explain_no_file(name: str) -> ProviderRefused:
    return ProviderRefused(
        "The model file does not exist.", hint=f"Check `providers.{name}.path` in config.yaml: it names a GGUF file."
    )
