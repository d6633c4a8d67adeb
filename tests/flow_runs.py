"""Running a flow without a turn."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from flowground.core.caller import OutputType, RunRequest
from flowground.core.events import RunEvent
from flowground.core.values import AddedMessage, PastMessage
from flowground.flows.parse import parse_flow
from flowground.flows.wiring import WiredFlow, wire
from flowground.runs.runner import run_flow
from tests.meeting import Meeting


def two_models(left: str, right: str) -> WiredFlow:
    text = f"""
components:
  ChatInput: {{type: ChatInput}}
  Left: {{type: LanguageModel, model: {left}, input_value: "${{ChatInput}}"}}
  Right: {{type: LanguageModel, model: {right}, input_value: "${{ChatInput}}"}}
  Both: {{type: Prompt, template: "{{a}} {{b}}", a: "${{Left}}", b: "${{Right}}"}}
  Joined: {{type: ChatOutput, input_value: "${{Both}}"}}
  Alone: {{type: ChatOutput, display_name: Only left, input_value: "${{Left}}"}}
"""
    return wire(parse_flow(text, "two.yaml"))


class SaidBefore:
    """`History` of these messages."""

    def __init__(self, *messages: PastMessage) -> None:
        self.messages = messages
        self.asked: list[int] = []
        """How many were wanted, each time."""
        self.added: list[AddedMessage] = []

    async def read(self, limit: int) -> Sequence[PastMessage]:
        self.asked.append(limit)
        return self.messages[-limit:]

    def append(self, message: AddedMessage) -> bool:
        self.added.append(message)
        return True


nothing_said = SaidBefore()


async def read_into(read: list[RunEvent], run: AsyncGenerator[RunEvent, None]) -> None:
    async with asyncio.timeout(60), aclosing(run) as events:
        async for event in events:
            read.append(event)


async def events_of(
    flow: WiredFlow, models: Meeting, *, stream: bool, output_type: OutputType = "chat"
) -> list[RunEvent]:
    request = RunRequest(input_value="hi", stream=stream, output_type=output_type)
    run = run_flow(flow, request, history=nothing_said, models=models)
    async with asyncio.timeout(60), aclosing(run) as events:
        return [event async for event in events]
