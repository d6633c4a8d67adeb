"""The API on a real runtime in a temporary folder, called in process."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from api_flows import FLOWS

from flowground.api import create_api
from flowground.runtime import Runtime
from flowground.settings import Settings
from flowground.store import tokens


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


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    (tmp_path / "flows").mkdir()
    for name, text in FLOWS.items():
        (tmp_path / "flows" / f"{name}.yaml").write_text(text)
    runtime = Runtime(Settings.load(tmp_path / "config.yaml"))
    await runtime.start()
    _, secret = await runtime.store.write(
        tokens.create, name="tests", owner=None, flows=None, expires_at=None, by="tests"
    )
    transport = httpx2.ASGITransport(app=create_api(lambda: runtime), raise_app_exceptions=False)
    async with httpx2.AsyncClient(
        transport=transport, base_url="http://flowground", headers={"x-api-key": secret}
    ) as client:
        yield Api(client, runtime)
    await runtime.close()
