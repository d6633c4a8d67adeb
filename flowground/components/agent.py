"""Agent: a model that answers with the help of tools."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, PrivateAttr, ValidationError
from pydantic import Field as PydanticField

from flowground.components.base import AsksModel, Context, Mistake, Output, Tool, ToolComponent, declare
from flowground.components.connectors import CANNOT_BE_USED
from flowground.components.models import ask_for_json, ask_model, find_schema_mistake, read_json, read_schema
from flowground.components.shown_files import declare_files, show_files
from flowground.core.messages import Message, ToolCall, ToolResult, Usage, sum_usage
from flowground.core.values import FileReference, ValueKind
from flowground.providers.base import Completion, ModelCall

_OPTIONS = ("temperature", "max_tokens")
_MOST_FAILURES = 3
"""The number of failures of the same call after which the agent answers without tools."""
_BETWEEN = "\n\n"
"""The separator between texts before and after a call of a tool."""
_NO_END = "Stopped without an answer: too many tool calls in a row."
"""The answer of an agent that may call no more tools and has nothing to say. Langflow's agent has a similar
sentence."""
_WITHOUT = "Some tools of this flow cannot be used now: the model answered without them."
_DATA = "structured_response"
_AS_DATA = "Say this answer as data. Leave out, or leave empty, what it does not say; invent nothing."


class ToolUse(BaseModel):
    """One entry of `tools`; the component's id alone is enough."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    use: str = PydanticField(description="The id of the component that is the tool.")
    name: str | None = PydanticField(
        None,
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="What the model calls it; the id, with `_` for what is no letter or digit, when left out.",
    )
    description: str | None = PydanticField(
        None,
        min_length=1,
        max_length=1_000,
        description="What the model is told that it does; the type's own sentence when left out.",
    )
    confirm: bool | Literal["always"] | None = PydanticField(
        None,
        description="Whether a person is asked before a call. Left out: where the tool may change something. `always`: "
        "before each one; nobody can allow it for the rest of a chat.",
    )


class Agent(ToolComponent, AsksModel):
    """The answer of a model that may call tools on its way: other components of the file.

    The last time that it is asked it may call no tool; without a text then, a sentence is the answer. With
    `output_schema`, `${id.structured_response}` is the answer as data; what does not fit is sent back, then the
    component fails.
    """

    outputs: ClassVar[Mapping[str, ValueKind]] = {"response": "text"}
    streams: ClassVar[bool] = True

    system_prompt: str = declare(
        "You are a helpful assistant that can use tools to answer questions.",
        "Agent Instructions",
        "The model's instructions; not sent when empty.",
        multiline=True,
    )
    input_value: str = declare(..., "Input", "The question, usually a reference.", multiline=True, model_may_set=True)
    files: tuple[FileReference, ...] | None = declare_files()
    tools: list[str | dict[str, Any]] = declare(
        [],
        "Tools",
        "Components that it may call, by id, or as `{use: ID, name: …, description: …, confirm: …}`. One that only "
        "stands here runs only when called.",
        fixed=True,
        kind="data",
    )
    max_iterations: int = declare(15, "Max Iterations", "How often the model is asked at most.", ge=1, le=100)
    n_messages: int = declare(
        100, "Number of Chat History Messages", "How many earlier messages it sees.", ge=0, le=1_000
    )
    temperature: float | None = declare(
        None, "Temperature", "How freely the model answers; at 0 it takes the likeliest words.", ge=0, le=2
    )
    max_tokens: int | None = declare(None, "Max Tokens", "The longest single answer, in tokens.", ge=1, le=1_000_000)
    output_schema: dict[str, Any] | list[dict[str, Any]] | None = declare(
        None, "Output Schema", "The schema of the answer as data, as in a Structured Output.", fixed=True, kind="data"
    )

    _uses: tuple[ToolUse, ...] = PrivateAttr(())
    _wrong: str | None = PrivateAttr(None)

    def model_post_init(self, context: Any) -> None:  # noqa: ARG002 - pydantic's argument
        entries = [{"use": entry} if isinstance(entry, str) else entry for entry in self.tools]
        try:
            self._uses = tuple(ToolUse.model_validate(entry) for entry in entries)
        except ValidationError as error:
            detail = error.errors(include_url=False)[0]
            self._wrong = f"`{'.'.join(map(str, detail['loc']))}`: {detail['msg']}"

    @property
    def uses(self) -> tuple[ToolUse, ...]:
        """The validated entries of `tools`."""
        return self._uses

    @cached_property
    def schema_of_answer(self) -> dict[str, Any] | None:
        """The JSON Schema of the answer as data; None where no output needs it."""
        return None if self.output_schema is None else read_schema(self.output_schema)[0]

    def list_outputs(self) -> Mapping[str, ValueKind]:
        return self.outputs if self.output_schema is None else {**self.outputs, _DATA: "data"}

    def list_mistakes(self) -> Iterator[Mistake]:
        """Wrong entries of `tools`, and a wrong schema."""
        if self.output_schema is not None and (wrong := find_schema_mistake(self.output_schema)):
            yield Mistake("output_schema", wrong)
        if self._wrong:
            yield Mistake(
                "tools", f"An entry of `tools` is an id, or `{{use: ID, name: …, description: …}}`: {self._wrong}."
            )

    async def run(self, context: Context) -> Output:
        return await _AgentRun(self, context).run()


class _AgentRun:
    """One run of an agent: its messages and calls so far."""

    def __init__(self, agent: Agent, context: Context) -> None:
        self._agent, self._context = agent, context
        self._tools: dict[str, Tool] = {}
        self._missing: dict[str, None] = {}
        """The reasons why tools cannot be used now, each once."""
        self._failures: Counter[tuple[str, str]] = Counter()
        self._texts: list[str] = []
        self._usage: Usage | None = None
        self._unseen: tuple[str, ...] = ()

    async def run(self) -> Output:
        messages = await self._begin()
        for number in range(1, self._agent.max_iterations + 1):
            is_last = number == self._agent.max_iterations or max(self._failures.values(), default=0) >= _MOST_FAILURES
            end = await self._ask(messages, may_call=not is_last)
            if not end.tool_calls or is_last:
                break
            results = await asyncio.gather(*(self._call(call) for call in end.tool_calls))
            messages = (*messages, end.message, Message("tool", tuple(results)))
        if is_last and number > 1 and not end.text:
            await self._end_without_answer()
        response = _BETWEEN.join(self._texts)
        schema = self._agent.schema_of_answer
        data = {} if schema is None else {_DATA: await self._ask_for_data(end.text, schema)}
        return Output(
            {"response": response, **data},
            end.model,
            self._usage,
            end.finish_reason,
            note=" ".join(self._missing),
            unseen=(*self._unseen, *([_WITHOUT] if self._missing else [])),
        )

    async def _begin(self) -> tuple[Message, ...]:
        agent = self._agent
        self._tools = {tool.spec.name: tool for tool in await self._context.list_tools()}
        texts = (tool.spec.description for tool in self._tools.values())
        self._missing = dict.fromkeys(one[len(CANNOT_BE_USED) :] for one in texts if one.startswith(CANNOT_BE_USED))
        provider, model = self._context.models.resolve(agent.model)
        shown = agent.system_prompt, agent.input_value, agent.files
        messages, self._unseen = await show_files(
            self._context, provider.takes(model), *shown, n_messages=agent.n_messages, max_tokens=agent.max_tokens
        )
        return messages

    async def _ask(self, messages: Sequence[Message], *, may_call: bool) -> Completion:
        provider, model = self._context.models.resolve(self._agent.model)
        options = {name: value for name in _OPTIONS if (value := getattr(self._agent, name)) is not None}
        specs = tuple(tool.spec for tool in self._tools.values())
        choice, retries = "auto" if may_call else "none", self._context.retries
        call = ModelCall(model, tuple(messages), options, tools=specs, tool_choice=choice, retries=retries)
        before = _BETWEEN if self._texts else ""
        end = await ask_model(self._context, provider, call, is_streamed=True, before=before)
        if end.usage:
            self._usage = end.usage if self._usage is None else self._usage + end.usage
        if end.text:
            self._texts.append(end.text)
        return end

    async def _end_without_answer(self) -> None:
        if self._context.emit:
            await self._context.emit(_BETWEEN + _NO_END if self._texts else _NO_END)
        self._texts.append(_NO_END)

    async def _ask_for_data(self, answer: str, schema: Mapping[str, Any]) -> Any:
        """The answer as data that fits the schema. Raises RunError."""
        value, misfit = await asyncio.to_thread(read_json, answer, schema)
        if misfit is None:
            return value
        agent, options = self._agent, {} if self._agent.max_tokens is None else {"max_tokens": self._agent.max_tokens}
        asked = Message("system", _AS_DATA), Message("user", f"{agent.input_value}\n\n---\n\n{answer}")
        found = await ask_for_json(self._context, agent.model, asked, schema, **options)
        self._usage = sum_usage((self._usage, found.usage))
        return found.require()

    async def _call(self, call: ToolCall) -> ToolResult:
        """The tool's result, or why there is none, for the model. Raises only what ends the run."""
        same = call.name, json.dumps(call.arguments, sort_keys=True, default=str)
        tool = self._tools.get(call.name)
        if tool is None:
            text, is_error = f"There is no tool `{call.name}`; there are {', '.join(self._tools)}.", True
        elif call.misfit:
            text, is_error = f"The arguments could not be read: {call.misfit}", True
        else:
            text, is_error = await tool.call(call)
        if is_error:
            self._failures[same] += 1
        return ToolResult(call.id, call.name, text, is_error)
