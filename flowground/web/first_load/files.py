"""Serves what a page's first load consists of: small, once for all pages, and kept by browsers.

Streamlit sends 2.1 MB of scripts uncompressed, and again below each `/public_flow/…`. Here each file is compressed when
it is first asked for and kept for the process: 8 MB if all of them are, 0.6 MB for those that our pages need. So are
the files built from `frontend/`, at `/assets/…`.
"""

import asyncio
import gzip
import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.types import Scope

from flowground.assets import list_assets
from flowground.shims import page_files
from flowground.web import paths

_LEVEL = 9
_FOR_GOOD = "public, immutable, max-age=31536000"
"""Their names hold a digest of what they are."""
_KINDS = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".png": "image/png",
    ".gif": "image/gif",
    ".txt": "text/plain",
}
_ASK_AGAIN = "private, no-cache"
"""Not by caches that people share: the answer may give a browser its name."""
_AT_ROOT = frozenset({"/home", "/sign_in"})
"""Pages that stand at `/`; somebody may type their names."""


class FirstLoad:
    """Answers for one process. `index` is what stands at each of `pages`, which are named by the first and only part
    of their address; `routes` is what else we serve."""

    def __init__(self, index: str, *, pages: Collection[str], routes: Collection[str]) -> None:
        self._pages = pages
        self._routes = routes
        self._files: Mapping[str, Path] = page_files.find_files() | list_assets()
        self._compressed: dict[str, bytes] = {}
        self._index = index.encode()
        self._small_index = gzip.compress(self._index, _LEVEL)
        self._index_tag = _make_tag(self._index)

    async def find_answer(self, scope: Scope) -> Response | None:
        """None for what somebody else serves."""
        if scope["method"] not in ("GET", "HEAD"):
            return None
        path: str = scope["path"]
        headers = Headers(scope=scope)
        if path in self._files:
            return await self._answer_file(path, headers)
        if paths.is_page(path, self._pages):
            return self._answer_index(headers)
        return RedirectResponse("/") if path in _AT_ROOT else None

    def is_nowhere(self, path: str) -> bool:
        """Whether nobody else serves it either."""
        return paths.is_nowhere(path, self._routes)

    def _answer_index(self, headers: Headers) -> Response:
        is_small = takes_gzip(headers)
        about = _describe(self._index_tag, _ASK_AGAIN, is_small=is_small)
        if _has_already(headers, self._index_tag):
            return Response(status_code=304, headers=about)
        body = self._small_index if is_small else self._index
        return Response(body, headers=about, media_type="text/html")

    async def _answer_file(self, path: str, headers: Headers) -> Response:
        tag = f'W/"{path.rpartition("/")[2]}"'
        is_small = page_files.is_text(self._files[path]) and takes_gzip(headers)
        about = _describe(tag, _FOR_GOOD, is_small=is_small)
        if _has_already(headers, tag):
            return Response(status_code=304, headers=about)
        if is_small:
            body = self._compressed.get(path) or await asyncio.to_thread(self._make_small, path)
        else:
            body = await asyncio.to_thread(page_files.read_file, self._files[path])
        return Response(body, headers=about, media_type=_KINDS[self._files[path].suffix])

    def _make_small(self, path: str) -> bytes:
        """Two at once for the same file do the same."""
        self._compressed[path] = gzip.compress(page_files.read_file(self._files[path]), _LEVEL)
        return self._compressed[path]


def takes_gzip(headers: Headers) -> bool:
    """Whether the client said so; `gzip;q=0` says no."""
    for part in headers.get("accept-encoding", "").lower().split(","):
        name, _, options = part.partition(";")
        if name.strip() in ("gzip", "*"):
            return options.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _has_already(headers: Headers, tag: str) -> bool:
    return tag in headers.get("if-none-match", "")


def _make_tag(data: bytes) -> str:
    """Weak: it is the same file, compressed or not."""
    return f'W/"{hashlib.sha256(data).hexdigest()[:20]}"'


def _describe(tag: str, kept: str, *, is_small: bool) -> dict[str, str]:
    about = {"cache-control": kept, "etag": tag, "vary": "Accept-Encoding"}
    return about | {"content-encoding": "gzip"} if is_small else about
