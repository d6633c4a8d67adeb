"""The API on the flows of api_flows.py."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api.calls import Api
from tests.api.serving import serving


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(tmp_path) as opened:
        yield opened
