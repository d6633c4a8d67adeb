"""Every kind of block that an answer may have (markdown_corpus.md), and a server of pages that draw one each."""

import re
from pathlib import Path
from urllib.parse import urlencode

import streamlit as st
from starlette.middleware import Middleware
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from flowground.ui import assets
from flowground.web.edge import add_headers
from tests.servers import ROOT, AppServer

CORPUS = ROOT / "tests" / "markdown_corpus.md"
COMPARED = ["paragraphs", "headings", "lists", "loose lists", "task list", "quote", "table", "rule"]
"""Blocks that look as Streamlit's. Code, formulas in brackets, diagrams, notes and directions it draws otherwise."""


def read_corpus() -> dict[str, str]:
    """Texts by their name."""
    parts = re.split(r"^<!-- (.+?) -->\n", CORPUS.read_text("utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


class Headers:
    """What our pages tell browsers to refuse counts here too."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            send = add_headers(send, is_for_api=False, is_secure=False)
        await self.app(scope, receive, send)


class CorpusServer(AppServer):
    """Serves `?way=ours|native&block=NAME`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, flows=[], health="/_stcore/health", environment={"PYTHONPATH": str(ROOT)})

    def address(self, *blocks: str, way: str = "ours") -> str:
        return f"{self.url}/?{urlencode([('way', way), *(('block', block) for block in blocks)])}"

    def _command(self) -> list[str]:
        options = ["--server.port", str(self.port), "--server.headless", "true"]
        return ["streamlit", "run", __file__, *options]


app = st.App(
    Path(__file__).with_name("markdown_page.py"),
    middleware=[Middleware(Headers)],
    routes=[
        Mount("/assets", StaticFiles(directory=assets.FOLDER)),
        Mount("/app/static", StaticFiles(directory=ROOT / "pages" / "static")),
    ],
)
