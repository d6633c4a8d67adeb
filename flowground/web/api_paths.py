"""The API beside Streamlit: one route that takes every address the API owns and hands it over whole."""

from collections.abc import Callable
from typing import Any

from starlette.datastructures import URLPath
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import ASGIApp, Receive, Scope, Send

FIRST_PARTS = frozenset({"api", "v1", "lf", "mcp", "health", "health_check", "healthz"})


def is_api(path: str) -> bool:
    """Whether the address belongs to the API, known or unknown: what is not there answers JSON, not a page."""
    return path[1:].partition("/")[0] in FIRST_PARTS


class ApiPaths(BaseRoute):
    """Not a Mount: that would strip the prefix, and several would split the OpenAPI document."""

    def __init__(self, api: Callable[[], ASGIApp]) -> None:
        self._api = api

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return (Match.FULL if scope["type"] == "http" and is_api(scope["path"]) else Match.NONE), {}

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        raise NoMatchFound(name, path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._api()(scope, receive, send)
