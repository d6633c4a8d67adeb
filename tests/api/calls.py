"""Calls of the API as its tests make them."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx2

from flowground.caller import Role
from flowground.runtime import Runtime
from flowground.runtime.stream_turns import StreamTurns
from flowground.store.flows import publications
from flowground.store.flows.publications import Sharing
from flowground.store.people import members, tokens
from flowground.store.people.tokens import StoredToken
from tests.stored import list_running, list_runs

Headers = Mapping[str, str] | None


def find_message(body: Any) -> dict[str, Any]:
    """The message of the first output, of a plain answer's body or a stream's `result`."""
    message: dict[str, Any] = body["outputs"][0]["outputs"][0]["results"]["message"]
    return message


@dataclass
class Api:
    """A client with a token in its headers, and the runtime behind it."""

    client: httpx2.AsyncClient
    runtime: Runtime

    async def run(self, flow: str, body: object = None, *, query: str = "", headers: Headers = None) -> httpx2.Response:
        return await self.client.post(f"/api/v1/run/{flow}{query}", json={} if body is None else body, headers=headers)

    async def text(self, flow: str, body: object = None) -> str:
        """The answer's text of a run that must succeed."""
        response = await self.run(flow, body)
        assert response.status_code == 200, response.text
        text: str = find_message(response.json())["text"]
        return text

    async def messages(self, headers: Headers = None, **query: Any) -> list[dict[str, Any]]:
        """What may be read back."""
        answer = await self.client.get("/api/v1/monitor/messages", params=query, headers=headers)
        found: list[dict[str, Any]] = answer.json()
        return found

    async def find_last_run(self, headers: Headers = None, **query: Any) -> str:
        """The id of the run whose message came last."""
        found: str = (await self.messages(headers, **query))[-1]["session_metadata"]["graph_run_id"]
        return found

    async def count_runs(self, flow: str) -> int:
        return len(await self.runtime.store.read(list_runs, flow_id=flow, limit=10_000))

    async def find_running(self, said: str, *, besides: str | None = None) -> str:
        """The id of the one run that runs, `besides` one that does, once its answer begins with this."""
        for _ in range(1_000):
            for found in await self.runtime.store.read(list_running):
                texts = self.runtime.running.read_texts(found.id) or {}
                if found.id != besides and any(text.startswith(said) for text in texts.values()):
                    return found.id
            await asyncio.sleep(0.02)
        raise AssertionError("nothing runs")

    def forget_turns(self) -> None:
        """As after a restart, or after `limits.resume_seconds`: what ran here is told from the store."""
        self.runtime._stream_turns = StreamTurns()

    async def add(self, *names: str, role: Role = "author") -> None:
        """People of the organization."""
        for name in names:
            await self.runtime.store.write(members.add, name=name, display_name=name, role=role, by="tests")

    async def share(self, *flows: str, on: bool = True) -> None:
        """With everybody in the organization, programs included."""
        for flow in flows:
            sharing = Sharing(is_shared=on, shares_api=True)
            await self.runtime.store.write(publications.change, flow_id=flow, sharing=sharing, by="tests")

    async def token(
        self,
        *,
        owner: str | None = None,
        flows: tuple[str, ...] | None = None,
        expires_at: datetime | None = None,
        **rights: Any,
    ) -> tuple[StoredToken, dict[str, str]]:
        """One more token, and the headers of a call with it."""
        made, secret = await self.runtime.store.write(
            tokens.create, name="other", owner=owner, flows=flows, expires_at=expires_at, by="tests", **rights
        )
        return made, {"x-api-key": secret}
