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
from tests.house import House
from tests.servers import ROOT, AppServer

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


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of all routes, those included that a setting turns on."""
    wanted = {"server.enableStaticServing", "server.scriptHealthCheckEnabled"}
    before = config.get_option
    monkeypatch.setattr(config, "get_option", lambda name: True if name in wanted else before(name))
    monkeypatch.setattr(Runtime, "_instance", None)
    runtime = Runtime(
        RuntimeConfig(
            script_path=str(ROOT / "pages" / "router.py"),
            media_file_storage=MemoryMediaFileStorage("/media"),
            uploaded_file_manager=MemoryUploadedFileManager("/_stcore/upload_file"),
            cache_storage_manager=create_default_cache_storage_manager(),
            is_hello=False,
        )
    )
    routes = create_streamlit_routes(runtime)
    assert all(isinstance(route, Route | Mount | WebSocketRoute) for route in routes)
    sockets = [route.path for route in routes if isinstance(route, WebSocketRoute)]
    assert sockets == ["/_stcore/stream"]  # the edge takes every websocket for this one
    return [route.path for route in routes if isinstance(route, Route | Mount)]


def test_every_route_is_known_and_only_named_ones_are_served(registered: list[str]) -> None:
    assert set(registered) == OPEN | SHUT
    assert {path for path in registered if is_served(path)} == OPEN


HOUSE = House()


@pytest.mark.parametrize("base", ["", "/public_flow/echo"])
@pytest.mark.parametrize("path", sorted(path for path in SHUT if path.startswith("/_stcore")))
def test_shut_routes_answer_404_to_everybody(house: AppServer, server: AppServer, base: str, path: str) -> None:
    for running in (house, server):
        for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS"):
            answer = requests.request(method, running.url + base + path, timeout=10, allow_redirects=False)
            assert (answer.status_code, answer.text) == (404, '{"detail":"Not Found"}'), method


@pytest.mark.parametrize("path", ["/auth/login", "/auth/logout", "/auth/login/", "/oauth2callback", "/component/a/b"])
def test_streamlits_own_sign_in_and_foreign_components_answer_404(house: AppServer, path: str) -> None:
    answer = requests.get(house.url + path, timeout=10, allow_redirects=False)
    assert (answer.status_code, answer.text) == (404, '{"detail":"Not Found"}')


@pytest.mark.parametrize(
    "path",
    ["/_stcore//metrics", "/_stcore/metrics/", "/_stcore/./metrics", "/_stcore/health/../metrics", "/%61uth/login"],
)
def test_other_spellings_open_nothing(house: AppServer, path: str) -> None:
    request = requests.Request("GET", house.url).prepare()
    request.url = house.url + path  # as it stands: requests would tidy it
    assert requests.Session().send(request, timeout=10).status_code in (400, 404)


def test_no_other_site_may_steer_the_pages(house: AppServer) -> None:
    assert requests.get(f"{house.url}/_stcore/host-config", timeout=10).json()["allowedOrigins"] == []
