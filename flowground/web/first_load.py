"""What a browser is sent before the first message of a page: index.html, and Streamlit's scripts and styles.

Streamlit sends 2.7 MB of them uncompressed, and again below each `/public_flow/…`. Here they are sent once for all
pages, compressed, and kept by browsers: 1.2 MB at most. Each file is compressed when it is first asked for and kept for
the process: 11 MB if all of them are, 0.6 MB for those that our pages need. So are the files built from `frontend/`, at
`/assets/…`.
"""

import asyncio
import gzip
import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Collection, Mapping
from functools import partial
from html import escape
from io import BytesIO
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.types import Scope

from flowground.core.yaml_file import make_lighter
from flowground.settings import Settings
from flowground.settings.organization import OrganizationSettings
from flowground.ui.assets import find_asset, list_assets
from flowground.ui.shims import page_messages
from flowground.web import paths
from flowground.web.refusal import explain_missing

_LEVEL = 9
_PIECE_BYTES = 65_536
"""What is held of a file for a client that takes no gzip."""
_FOR_GOOD = "public, immutable, max-age=31536000"
"""For files with a digest of their content in the name."""
_ASK_AGAIN = "private, no-cache"
"""Private, because the answer may set a browser's cookie."""
_KINDS = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".png": "image/png",
    ".gif": "image/gif",
    ".txt": "text/plain",
    ".webp": "image/webp",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
}
_AT_ROOT = frozenset({"/home", "/sign_in"})
"""Names of pages at `/`, which somebody may type."""
_ICON = "/app/static/icon.svg"
_FONT = "/app/static/inter-latin.woff2"
_OPTIONS = {
    "primary": "primaryColor",
    "background": "backgroundColor",
    "sidebar": "sidebar.backgroundColor",
    "text": "textColor",
}
"""Streamlit's options for the colours of config.yaml."""
ELEMENTS = ("BidiComponent", "Button", "Html", "PageLink")
"""Elements whose scripts Streamlit fetches when the first of the kind is rendered."""
_IMPORT = re.compile(r'(?:from|import)\s*"\./([^"]+\.js)"')


class FirstLoad:
    """Answers requests of a first load. `index`: the HTML at each of `pages`, which are names of one-part addresses;
    `routes`: our other addresses."""

    def __init__(self, index: str, *, pages: Collection[str], routes: Collection[str]) -> None:
        self._pages = pages
        self._routes = routes
        self._files: Mapping[str, Path] = page_messages.find_files() | list_assets()
        self._kept: dict[str, asyncio.Task[bytes]] = {}
        self._small_index = gzip.compress(index.encode(), _LEVEL)
        self._index_tag = f'W/"{hashlib.sha256(index.encode()).hexdigest()[:20]}"'

    async def find_answer(self, scope: Scope) -> Response | None:
        """The answer; None for an address that is served elsewhere."""
        path: str = scope["path"]
        if scope["method"] in ("GET", "HEAD"):
            headers = Headers(scope=scope)
            if path in self._files or paths.is_page(path, self._pages):
                return await self._answer(path, headers)
            if path in _AT_ROOT:
                return RedirectResponse("/")
        return explain_missing(scope) if paths.is_nowhere(path, self._routes) else None

    async def _answer(self, path: str, headers: Headers) -> Response:
        """The file at the path, else the index."""
        file = self._files.get(path)
        tag = f'W/"{path.rpartition("/")[2]}"' if file else self._index_tag
        is_text = file is None or page_messages.is_text(file)
        is_small = is_text and takes_gzip(headers)
        # The tag is weak: the file is the same, compressed or not.
        about = {"cache-control": _FOR_GOOD if file else _ASK_AGAIN, "etag": tag, "vary": "Accept-Encoding"}
        if is_small:
            about["content-encoding"] = "gzip"
        if tag in headers.get("if-none-match", ""):
            return Response(status_code=304, headers=about)
        body = await self._read(path) if file else self._small_index
        kind = _KINDS[file.suffix] if file else "text/html"
        if is_text and not is_small:
            pieces = iter(partial(gzip.GzipFile(fileobj=BytesIO(body)).read, _PIECE_BYTES), b"")
            return StreamingResponse(pieces, headers=about, media_type=kind)
        return Response(body, headers=about, media_type=kind)

    async def _read(self, path: str) -> bytes:
        """The file, text compressed: made once for all who ask meanwhile, and kept."""
        if path not in self._kept:
            self._kept[path] = asyncio.create_task(asyncio.to_thread(_make_body, self._files[path]))
        try:
            return await asyncio.shield(self._kept[path])
        except OSError:
            self._kept.pop(path, None)  # the next request tries again
            raise


def _make_body(file: Path) -> bytes:
    data = page_messages.read_file(file)
    return gzip.compress(data, _LEVEL) if page_messages.is_text(file) else data


def takes_gzip(headers: Headers) -> bool:
    """Whether the client accepts gzip; `gzip;q=0` means no."""
    for part in headers.get("accept-encoding", "").lower().split(","):
        name, _, options = part.partition(";")
        if name.strip() in ("gzip", "*"):
            return options.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def apply_colors(organization: OrganizationSettings) -> None:
    """Sets the organization's colours for the process, instead of those of .streamlit/config.toml."""
    for kind, colors in (("light", organization.colors.light), ("dark", organization.colors.dark)):
        for name, option in _OPTIONS.items():
            if color := getattr(colors, name):
                page_messages.set_color(kind, option, color)
        if colors.primary:
            link = colors.primary if kind == "light" else make_lighter(colors.primary)
            page_messages.set_color(kind, "linkColor", link)


def compose_index(settings: Settings) -> str:
    """index.html, the same for every page and caller, with the organization's name, icon and background colours."""
    organization = settings.organization
    modules = find_chat_modules(page_messages.write_index(head=""))
    script = _read("head.js").replace("SIDEBAR_KEY", page_messages.SIDEBAR_KEY)
    for word, value in (("LOOKS", page_messages.describe_looks()), ("CHAT_MODULES", modules)):
        script = script.replace(word, json.dumps(value).replace("</", "<\\/"))
    return page_messages.write_index(
        head=f"""<title>{escape(organization.name)}</title>
    <link rel="icon" href="{_find_icon(organization)}">
    <link rel="preload" href="{_FONT}" as="font" type="font/woff2" crossorigin>
    <style>{_write_styles(organization)}</style>
    <script>{script}{_read("field.js")}</script>"""
    )


def _find_icon(organization: OrganizationSettings) -> str:
    """The icon's address; an organization's own icon is a data URL, which needs no request."""
    if organization.icon is None:
        return _ICON
    kind = _KINDS[organization.icon.suffix.lower()]
    return f"data:{kind};base64,{b64encode(organization.icon.read_bytes()).decode()}"


def _write_styles(organization: OrganizationSettings) -> str:
    """The styles of the head, with the organization's name for beside the icon; without it if there is a logo."""
    styles = _read("head.css")
    for kind in ("light", "dark"):
        for word, name in (("PAPER", "backgroundColor"), ("ACCENT", "primaryColor")):
            styles = styles.replace(f"{kind.upper()}_{word}", page_messages.read_color(kind, name))
    if organization.logo:
        return styles
    letters = (letter if letter.isalnum() else f"\\{ord(letter):x} " for letter in organization.name)
    return styles + f':root {{ --fg-name: "{"".join(letters)}" }}'


def _read(file: str) -> str:
    """The file without its comment lines, since every page has it."""
    return re.sub(r"^ *//.*\n", "", (Path(__file__).parent / file).read_text("utf-8"), flags=re.MULTILINE)


def find_chat_modules(index: str) -> list[str]:
    """Addresses of the scripts that a page with a conversation needs, and of all that they import, except those that
    `index` names: the browser then fetches them at once, and not one after the other."""
    files: Mapping[str, Path] = page_messages.find_files() | list_assets()
    wanted = [page_messages.find_script(name) for name in ELEMENTS] + [find_asset("chat.js")]
    found: list[str] = []
    while wanted:
        address = wanted.pop(0)
        if address in found or address in index:
            continue
        found.append(address)
        folder = address.rpartition("/")[0]
        wanted += [f"{folder}/{name}" for name in _IMPORT.findall(files[address].read_text("utf-8"))]
    return found
