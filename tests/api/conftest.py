"""The API on the flows of api_flows.py."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api.api_flows import FLOWS
from tests.api.calls import Api
from tests.api.serving import serving


@pytest.fixture
async def api(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Api]:
    """With the file's flows, where it says some."""
    async with serving(tmp_path, flows=getattr(request.module, "SERVED", FLOWS)) as opened:
        yield opened
