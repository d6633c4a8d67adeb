"""What somebody writes who follows a recipe of CONTRIBUTING: a component, a provider with its server, a page."""

SHOUT = '''\
"""Shout: a text in capitals."""

from collections.abc import Mapping
from typing import ClassVar

from flowground.components.base import Component, Context, Output, declare
from flowground.core.values import ValueKind


class Shout(Component):
    """The text in capitals, with a mark behind it."""

    outputs: ClassVar[Mapping[str, ValueKind]] = {"text": "text"}
    waits: ClassVar[bool] = False

    input_value: str = declare(..., "Text", "What is shouted.")
    mark: str = declare("!", "Mark", "What stands behind it.", max_length=5)

    async def run(self, context: Context) -> Output:  # noqa: ARG002 - the contract's argument
        return Output({"text": self.input_value.upper() + self.mark})
'''

PARROT = '''\
"""Parrot: a server that is sent plain text and answers with plain text."""

from collections.abc import AsyncGenerator
from typing import Literal

import httpx2
from pydantic import Field

from flowground.core.errors import ProviderRefused
from flowground.providers.base import (
    Capabilities,
    Completion,
    ModelCall,
    Piece,
    Provider,
    ProviderSettings,
    ProviderContext,
)
from flowground.providers.server import Server


class ParrotSettings(ProviderSettings):
    """A parrot's address and what it says first."""

    type: Literal["parrot"] = "parrot"
    greeting: str = Field("", description="what it says first.")

    def open(self, name: str, context: ProviderContext) -> Provider:  # noqa: ARG002 - the contract's argument
        if not self.base_url:
            raise ProviderRefused(f"The provider {name!r} has no address.", hint=f"Set `providers.{name}.base_url`.")
        url = httpx2.URL(self.base_url)
        server = Server(name, url, api_key=self.read_key(name), timeout=self.timeout)
        return Parrot(name, server, self.greeting, takes=self.find_capabilities(Capabilities()))


class Parrot:
    """Says what it is told."""

    def __init__(self, name: str, server: Server, greeting: str, *, takes: Capabilities) -> None:
        self._name = name
        self._takes = takes
        self._server = server
        self._greeting = greeting

    async def complete(self, call: ModelCall) -> Completion:
        self._takes.check(call, self._name)
        said = call.messages[-1].text.encode()
        async with self._server.post(said, is_streamed=False, most_bytes=1_000_000) as answer:
            return Completion(self._greeting + answer.data.decode(), call.model)

    async def stream(self, call: ModelCall) -> AsyncGenerator[Piece, None]:
        completion = await self.complete(call)
        yield completion.text
        yield completion

    def require_ready(self, model: str) -> None:
        """It always is."""

    def takes(self, model: str) -> Capabilities:  # noqa: ARG002 - one model answers to every name
        return self._takes

    async def close(self) -> None:
        await self._server.close()
'''

PARROT_SERVER = """

@asynccontextmanager
async def parrot(_folder: Path) -> AsyncIterator[tuple[Entry, str]]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\\r\\n\\r\\n")
        size = int(head.lower().partition(b"content-length:")[2].split(b"\\r\\n")[0])
        said = await reader.readexactly(size)
        writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(said) + said)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    yield {"base_url": f"http://127.0.0.1:{port}", "greeting": "Ahoy, "}, "Ahoy, Hi"
    server.close()
"""

STATUS = '''\
"""Whether everything is well."""

import streamlit as st

st.header("Status", anchor=False)
st.markdown("All is well.")
'''
