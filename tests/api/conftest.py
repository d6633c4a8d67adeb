"""The API on a real runtime in a temporary folder, called in process."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from flowground.api import create_api
from flowground.runtime import Runtime
from flowground.settings import Settings
from flowground.store import tokens
from tests.api.api_flows import FLOWS
from tests.api.calls import Api


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
