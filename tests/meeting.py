"""A fake provider that shows what runs side by side: its answers wait until as many calls came as are expected."""

import asyncio
from collections.abc import AsyncGenerator

from flowground.core.errors import ProviderRefused
from flowground.core.messages import Usage
from flowground.providers.base import Capabilities, Completion, ModelCall, Piece


class Meeting:
    """Answers with the model's name, as many tokens as it has letters; once all have come, models named "fails" fail
    and others, "waits", never end."""

    def __init__(self, expected: int) -> None:
        self._expected = expected
        self._met = asyncio.Event()
        self.second = asyncio.Event()
        self.came: list[str] = []
        self.cancelled: list[str] = []

    def resolve(self, model: str | None) -> tuple["Meeting", str]:
        return self, model or ""

    def takes(self, model: str) -> Capabilities:
        return Capabilities()

    def require_ready(self, model: str) -> None:
        """Always."""

    async def close(self) -> None:
        """Nothing to free."""

    async def wait_for(self, count: int) -> None:
        """Returns once so many calls came, and a few turns of the loop later, when one more would be here too."""
        async with asyncio.timeout(60):
            while len(self.came) < count:  # noqa: ASYNC110 - who waits is no part of what is tested
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)

    async def complete(self, call: ModelCall) -> Completion:
        self.came.append(call.model)
        if len(self.came) == 2:
            self.second.set()
        if len(self.came) == self._expected:
            self._met.set()
        try:
            await self._met.wait()
            if call.model == "waits":
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.append(call.model)
            raise
        if call.model == "fails":
            raise ProviderRefused("The model fails.", status=500)
        return Completion(call.model, call.model, Usage(len(call.model), 2 * len(call.model)))

    async def stream(self, call: ModelCall) -> AsyncGenerator[Piece, None]:
        whole = await self.complete(call)
        for letter in whole.text:
            yield letter
        yield whole
