"""The API on a real runtime in a temporary folder, called in process."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

from flowground.api.app import create_api
from tests.api.api_flows import FLOWS
from tests.api.calls import Api
from tests.running import running


@asynccontextmanager
async def serving(
    folder: Path, *, config: Mapping[str, Any] | None = None, flows: Mapping[str, str] = FLOWS
) -> AsyncIterator[Api]:
    """A client with an organization token that reaches every flow."""
    async with running(folder, flows, config=config) as runtime:
        transport = httpx2.ASGITransport(app=create_api(lambda: runtime), raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://flowground") as client:
            api = Api(client, runtime)
            _, headers = await api.token()
            client.headers.update(headers)
            yield api
