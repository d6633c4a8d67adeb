"""A package of somebody else's: one component type and one kind of provider, named by the entry points beside it."""

from collections.abc import AsyncGenerator, Mapping
from typing import ClassVar, Literal

from pydantic import Field

from flowground.components.base import Context, Output, ToolComponent, declare
from flowground.core.values import ValueKind
from flowground.providers.base import (
    Capabilities,
    Completion,
    ModelCall,
    Piece,
    Provider,
    ProviderContext,
    ProviderSettings,
)


class Whisper(ToolComponent):
    """The text in small letters, with a mark behind it."""

    type_name: ClassVar[str] = "Whisper"
    title: ClassVar[str] = "Whisper"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"text": "text"}
    waits: ClassVar[bool] = False

    input_value: str = declare(..., "Text", "What is whispered.", model_may_set=True)
    mark: str = declare("…", "Mark", "What stands behind the whisper.", max_length=5)

    async def run(self, context: Context) -> Output:
        return Output({"text": self.input_value.lower() + self.mark})


class MumbleSettings(ProviderSettings):
    """A model that repeats what it hears, so many times."""

    type: Literal["mumble"] = "mumble"
    times: int = Field(2, ge=1, le=9, description="how often it says a word.")

    def open(self, name: str, context: ProviderContext) -> Provider:
        return Mumble(self.times)


class Mumble:
    """Raises ProviderRefused for files, tools and schemas."""

    def __init__(self, times: int) -> None:
        self._times = times

    async def complete(self, call: ModelCall) -> Completion:
        self.takes(call.model).check(call, "mumble")
        return Completion(" ".join([call.messages[-1].text] * self._times), call.model)

    async def stream(self, call: ModelCall) -> AsyncGenerator[Piece, None]:
        completion = await self.complete(call)
        yield completion.text
        yield completion

    def require_ready(self, model: str) -> None:
        """It always is."""

    def takes(self, model: str) -> Capabilities:
        return Capabilities()

    async def close(self) -> None:
        """There is nothing to close."""
