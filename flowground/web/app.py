"""What st.App takes beside the script, and the runtime from the start of the process to its end."""

import gc
import os
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote

from starlette.middleware import Middleware

from flowground.api.app import create_api
from flowground.app.runtime import Runtime, install
from flowground.core.errors import ConfigError, StoreUnavailable
from flowground.core.words import count
from flowground.settings import LocalMode, Settings, find_config
from flowground.ui.conversation.socket import ConversationEndpoint
from flowground.ui.shims.page_messages import SMALLEST
from flowground.ui.shims.uvicorn_server import find_server
from flowground.web.edge import Edge, Started
from flowground.web.first_load import FirstLoad, apply_colors, compose_index
from flowground.web.open_pages import OpenSockets
from flowground.web.origin import Proxies
from flowground.web.process import Ending, allow_open_files, enable_malloc_trim, escape_log_lines
from flowground.web.routes import make_routes

_AT_ROOT = frozenset({"router", "home", "sign_in", "owner_code", "public_flow"})
"""Files of pages/ without an address of their own."""
_DESCRIPTORS_A_WAITING, _MOST_WAITING = 4, 1_000
"""Connections without a whole request get a quarter of the process's descriptors, and are at most 1,000: these hold
64 MB of incomplete heads."""


class Web:
    """`routes`, `middleware` and `lifespan` for st.App. `folder` is where app.py and config.yaml stand.

    Nothing is read or opened before the lifespan begins.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: Started | None = None
        self.routes = make_routes(self.get_runtime)
        self.middleware: Sequence[Middleware] = [Middleware(Edge, started=lambda: self._started)]

    def get_runtime(self) -> Runtime:
        """The runtime of this process, while the lifespan runs."""
        return self._started.runtime

    @property
    def _started(self) -> Started:
        if self._running is None:
            raise RuntimeError("the server has not started")
        return self._running

    def _start(self, runtime: Runtime, *, descriptors: int) -> Started:
        settings = runtime.settings
        apply_colors(settings.organization)  # before the first page is composed
        pages = {file.stem for file in (self._folder / "pages").glob("*.py")} - _AT_ROOT
        routes = {route.path for route in self.routes if not route.path.endswith("/")}
        return Started(
            runtime,
            api=create_api(self.get_runtime, allows_cors=settings.api.cors),
            files=FirstLoad(compose_index(settings), pages=pages, routes=routes),
            sockets=OpenSockets(ConversationEndpoint(runtime), settings.limits, descriptors=descriptors),
            proxies=Proxies(settings.trusted_proxies),
        )

    async def _open(self) -> Runtime:
        """The started runtime; ends the process if config.yaml or the database do not let it start."""
        try:
            runtime = Runtime(Settings.load(find_config(self._folder)))
            await runtime.start()
        except (ConfigError, StoreUnavailable) as error:
            _give_up(error)
        return runtime

    @asynccontextmanager
    async def lifespan(self, _: object) -> AsyncGenerator[None, None]:
        """Opens the runtime on the server's loop and greets the terminal; stops what runs before the process ends."""
        restore_log_records = escape_log_lines()
        runtime = await self._open()
        settings = runtime.settings
        descriptors = allow_open_files()
        self._running = started = self._start(runtime, descriptors=descriptors)
        install(runtime)
        server = find_server()
        ending = Ending(runtime, server=server, grace=settings.limits.shutdown_seconds)
        if server is not None:
            server.believe_no_header()
            most = max(1, min(descriptors // _DESCRIPTORS_A_WAITING, _MOST_WAITING))
            server.bound_connections(waiting=most, idle=settings.limits.request_seconds, frame=SMALLEST)
        enable_malloc_trim()
        print_lines(await compose_greeting(runtime, settings.public_url or (server.address if server else None)))
        runtime.catalogue.log_problems()
        gc.freeze()  # objects of the start live as long as the process: no collection ever looks at them
        gc.enable()  # app.py disabled it
        try:
            yield
        finally:
            await ending.finish()
            started.sockets.tidying.end()
            install(None)
            await runtime.close()
            restore_log_records()


def print_lines(lines: Sequence[str]) -> None:
    """Prints to the terminal that started the process, never to a log."""
    sys.stderr.write("\n".join(("", *lines, "", "")))
    sys.stderr.flush()


def _give_up(error: ConfigError | StoreUnavailable) -> NoReturn:
    """Prints the error's sentences and ends the process with status 1.

    uvicorn would turn an exception of a lifespan into a traceback and status 3. Nothing is served yet that needs an
    orderly end.
    """
    print_lines(["Flowground cannot start:", *(f"  {line}" for line in error.message.splitlines())])
    if error.hint:
        print_lines([error.hint])
    sys.stdout.flush()
    os._exit(1)


_LOCAL_MODE: dict[LocalMode, Sequence[str]] = {
    "open": (
        "No account was made yet, so only this computer is served (local mode): whoever uses it, and whatever forwards",
        "to it, sees flows and chats. `local_mode: link` in config.yaml asks each browser for the link below.",
        "Flow files, sharing, tokens, documents and the first account ask for the owner code once.",
    ),
    "link": ("No account was made yet: only this computer is served, and only browsers that opened this link.",),
    "off": ("No account was made yet: only this computer is served, and only the page that makes the first one.",),
}


async def compose_greeting(runtime: Runtime, address: str | None) -> Sequence[str]:
    """Lines for the terminal, the only place where the owner code is shown."""
    flows, problems = runtime.catalogue.list_flows(), runtime.catalogue.list_problems()
    lines = [f"Flowground: {count(len(flows), 'flow')}, {len(problems)} with mistakes"]
    for error in problems.values():
        lines += [f"  {line}" for line in error.message.splitlines()]
    is_local, mode = await runtime.sign_in.is_local_mode(), runtime.settings.local_mode
    if address and not (is_local and mode != "open"):
        lines.append(f"Open {address}")
    if is_local:
        code = runtime.sign_in.owner_code
        lines += ["", *_LOCAL_MODE[mode], f"The owner code: {code}"]
        if address:
            lines.append(f"{'Or open' if mode == 'open' else 'Open'} {address}/?code={quote(code)}")
    elif not await runtime.sign_in.has_admin():
        lines.append("No admin can sign in: python -m flowground members add NAME --role admin")
    return lines
