"""A model that answers as it is told, and tools for it, in a run without a store."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, ClassVar

from flowground.components import COMPONENTS
from flowground.components.base import Component, Context, Output, ToolComponent, declare
from flowground.core.caller import RunRequest
from flowground.core.errors import ProviderUnreachable
from flowground.core.events import RunFinished
from flowground.core.messages import Reasoning, ToolCall, ToolResult, Usage
from flowground.core.values import ValueKind
from flowground.flows.parse import parse_flow
from flowground.flows.wiring import WiredFlow, wire
from flowground.providers.base import Capabilities, Completion, ModelCall, Piece
from flowground.runs.inner import RunBudget
from flowground.runs.runner import run_flow
from flowground.settings.limits import Limits
from tests.flow_runs import nothing_said, read_into

FLOW = """
components:
  ChatInput: {type: ChatInput}
  Agent: {type: Agent, model: m, system_prompt: Be brief., input_value: "${ChatInput}", tools: [Calculator, Note]}
  Calculator: {type: Calculator}
  Note: {type: Note, prefix: "${ChatInput}: "}
  ChatOutput: {type: ChatOutput, input_value: "${Agent}"}
"""


class Note(ToolComponent):
    """Gives back what it is told. More about it."""

    type_name: ClassVar[str] = "Note"
    title: ClassVar[str] = "Note"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"text": "text"}
    seen: ClassVar[list[str]] = []

    prefix: str = declare("", "Prefix", "What stands before.")
    text: str = declare(..., "Text", "What is said.", model_may_set=True)
    times: int = declare(1, "Times", "How often.", ge=1, le=100_000, model_may_set=True)

    async def run(self, context: Context) -> Output:
        self.seen.append(self.text)
        if self.text == "fail":
            raise ProviderUnreachable("Nobody is there.")
        return Output({"text": self.prefix + self.text * self.times})


TYPES: dict[str, type[Component]] = {**COMPONENTS, "Note": Note}


class Calling:
    """Gives these answers in turn: a text, or calls of tools, before which it may say a text. Notes what is asked."""

    def __init__(self, *answers: str | Sequence[str | ToolCall], takes: bool = True) -> None:
        self.answers = list(answers)
        self.asked: list[ModelCall] = []
        self._takes = Capabilities(tools=takes)

    def resolve(self, model: str | None) -> tuple["Calling", str]:
        return self, model or "default"

    def takes(self, model: str) -> Capabilities:
        return self._takes

    def require_ready(self, model: str) -> None:
        """Always."""

    async def close(self) -> None:
        """Nothing to free."""

    async def complete(self, call: ModelCall) -> Completion:
        return await Completion.read(self.stream(call))

    async def stream(self, call: ModelCall) -> AsyncGenerator[Piece, None]:
        self._takes.check(call, "calling")
        self.asked.append(call)
        answer = self.answers.pop(0) if self.answers else "Nothing more."
        if isinstance(answer, str):
            yield Reasoning("Hm.")
            for piece in (answer[:3], answer[3:]):
                yield piece
            yield Completion(answer, "m", Usage(1, 2), "stop", (), Reasoning("Hm."))
        else:
            calls = tuple(part for part in answer if isinstance(part, ToolCall))
            text = "".join(part for part in answer if isinstance(part, str))
            if text:
                yield text
            yield Completion(text, "m", Usage(10, 20), "tool_calls", calls)


def use(name: str, number: int = 1, **arguments: Any) -> ToolCall:
    return ToolCall(f"call-{number}", name, arguments)


def wired(text: str = FLOW) -> WiredFlow:
    return wire(parse_flow(text, "agent.yaml"), types=TYPES)


async def run(
    models: Any, flow: str | WiredFlow = FLOW, *, stream: bool = True, limits: Limits | None = None, budget: Any = None
) -> list[Any]:
    limits = limits or Limits()
    budget = budget or RunBudget(limits)
    made, events = wired(flow) if isinstance(flow, str) else flow, list[Any]()
    request = RunRequest("hi", stream=stream)
    run = run_flow(made, request, history=nothing_said, models=models, limits=limits, budget=budget)
    await read_into(events, run)
    return events


def find_answer(events: list[Any]) -> str:
    assert isinstance(events[-1], RunFinished)
    return events[-1].outputs[0].text


def find_results(call: ModelCall) -> list[ToolResult]:
    return [part for part in call.messages[-1].parts if isinstance(part, ToolResult)]
