"""Streamlit's own routes: everything 1.67 registers is named here, open or shut; what it adds later fails this file."""

import pytest
import requests
from starlette.routing import Mount, Route, WebSocketRoute
from streamlit import config
from streamlit.runtime import Runtime, RuntimeConfig
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.web.cache_storage_manager_config import create_default_cache_storage_manager
from streamlit.web.server.starlette.starlette_app import create_streamlit_routes

from flowground.web.paths import is_served
from tests.servers import ROOT, AppServer, House

OPEN = {"/_stcore/health", "/_stcore/host-config", "/media/{file_id:path}", "/app/static/{path:path}", ""}
SHUT = {
    "/_stcore/metrics",
    "/_stcore/script-health-check",
    "/_stcore/upload_file/{session_id}/{file_id}",
    "/_stcore/bidi-components/{path:path}",
    "/_stcore/agent/interact",
    "/_stcore/agent/openapi.json",
    "/_stcore/agent/mcp",
    "/auth/login",
    "/auth/logout",
    "/component/{path:path}",
    "/oauth2callback",
}


def test_every_route_is_known_and_only_named_ones_are_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those included that a setting turns on."""
    wanted = {"server.enableStaticServing", "server.scriptHealthCheckEnabled"}
    before = config.get_option
    monkeypatch.setattr(config, "get_option", lambda name: True if name in wanted else before(name))
    monkeypatch.setattr(Runtime, "_instance", None)
    media, files = MemoryMediaFileStorage("/media"), MemoryUploadedFileManager("/_stcore/upload_file")
    script, caches = str(ROOT / "pages" / "router.py"), create_default_cache_storage_manager()
    routes = create_streamlit_routes(Runtime(RuntimeConfig(script, media, files, caches)))
    assert all(isinstance(route, Route | Mount | WebSocketRoute) for route in routes)
    sockets = [route.path for route in routes if isinstance(route, WebSocketRoute)]
    assert sockets == ["/_stcore/stream"]  # the edge takes every websocket for this one
    registered = [route.path for route in routes if isinstance(route, Route | Mount)]
    assert set(registered) == OPEN | SHUT
    assert {path for path in registered if is_served(path)} == OPEN


HOUSE = House()


@pytest.mark.parametrize("path", sorted({*SHUT, "/auth/login/", "/component/a/b"}))
def test_shut_routes_answer_404_to_everybody(house: AppServer, server: AppServer, path: str) -> None:
    for running in (house, server):
        for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS") if path.startswith("/_stcore") else ("GET",):
            for base in ("", "/public_flow/echo") if path.startswith("/_stcore") else ("",):
                answer = requests.request(method, running.url + base + path, timeout=10, allow_redirects=False)
                assert (answer.status_code, answer.text) == (404, '{"detail":"Not Found"}'), method


OTHERWISE = (
    "/_stcore//metrics",
    "/_stcore/metrics/",
    "/_stcore/./metrics",
    "/_stcore/health/../metrics",
    "/%61uth/login",
)


@pytest.mark.parametrize("path", OTHERWISE)
def test_other_spellings_open_nothing(house: AppServer, path: str) -> None:
    request = requests.Request("GET", house.url).prepare()
    request.url = house.url + path  # as it stands: requests would tidy it
    assert requests.Session().send(request, timeout=10).status_code in (400, 404)


def test_no_other_site_may_steer_the_pages(house: AppServer) -> None:
    assert requests.get(f"{house.url}/_stcore/host-config", timeout=10).json()["allowedOrigins"] == []
