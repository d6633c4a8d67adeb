"""Calls of the API as its tests make them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx2

from flowground.runtime import Runtime
from flowground.store.people import tokens
from flowground.store.people.tokens import StoredToken


@dataclass
class Api:
    """A client with a token in its headers, and the runtime behind it."""

    client: httpx2.AsyncClient
    runtime: Runtime

    async def run(self, flow: str, body: object = None, *, query: str = "") -> httpx2.Response:
        return await self.client.post(f"/api/v1/run/{flow}{query}", json={} if body is None else body)

    async def text(self, flow: str, body: object = None) -> str:
        """The answer's text of a run that must succeed."""
        response = await self.run(flow, body)
        assert response.status_code == 200, response.text
        text: str = response.json()["outputs"][0]["outputs"][0]["results"]["message"]["text"]
        return text

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
