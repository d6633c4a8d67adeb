"""What st.App is given beside the script, and the runtime behind it from the process's start to its end."""

import gc
import os
import sys
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from flowground.api import create_api
from flowground.conversation import ConversationDoor
from flowground.errors import ConfigError, StoreUnavailable
from flowground.runtime import Runtime, install
from flowground.settings import Settings, find_config
from flowground.shims.uvicorn_server import find_server
from flowground.web.chat_files import make_chat_file_routes
from flowground.web.clients import ClientPatience, bound_clients
from flowground.web.edge import Edge
from flowground.web.ending import Ending
from flowground.web.feedback_files import make_feedback_file_routes
from flowground.web.first_load.files import FirstLoad
from flowground.web.first_load.first_screen import apply_colors, compose_index
from flowground.web.greeting import compose_greeting
from flowground.web.log_lines import escape_log_lines
from flowground.web.open_pages.chats import ChatSockets
from flowground.web.open_pages.sockets import PageSockets
from flowground.web.page_files import make_page_file_routes
from flowground.web.process import allow_open_files, give_large_pieces_back
from flowground.web.sent_files import SentFiles
from flowground.web.session_routes import make_session_routes

_AT_ROOT = frozenset({"router", "home", "sign_in", "owner_code", "public_flow"})
"""Pages without an address of their own."""


@dataclass(frozen=True, slots=True)
class _Started:
    """What serves requests once the lifespan has begun."""

    runtime: Runtime
    api: ASGIApp
    pages: PageSockets
    files: FirstLoad
    chats: ChatSockets


class Web:
    """`routes`, `middleware` and `lifespan` for st.App. `folder` is where app.py and config.yaml stand.

    Nothing is read or opened before the lifespan begins.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: _Started | None = None
        sent = SentFiles()
        self.routes: Sequence[BaseRoute] = [
            *make_session_routes(self.get_runtime, sent),
            *make_chat_file_routes(self.get_runtime, sent),
            *make_feedback_file_routes(self.get_runtime, sent),
            *make_page_file_routes(self.get_runtime),
        ]
        self.middleware: Sequence[Middleware] = [
            Middleware(
                Edge,
                runtime=self.get_runtime,
                api=lambda: self._started.api,
                pages=lambda: self._started.pages,
                files=lambda: self._started.files,
                chats=lambda: self._started.chats,
            )
        ]

    def get_runtime(self) -> Runtime:
        """The runtime of this process. Only asked for while the lifespan runs."""
        return self._started.runtime

    @property
    def _started(self) -> _Started:
        if self._running is None:
            raise RuntimeError("the server has not started")
        return self._running

    def _list_pages(self) -> Collection[str]:
        """Each file of pages/ stands at its name, but for those at `/`."""
        return {file.stem for file in (self._folder / "pages").glob("*.py")} - _AT_ROOT

    def _list_routes(self) -> Collection[str]:
        """Our addresses below the pages'; where they hold a name, what stands before it."""
        paths = (route.path for route in self.routes if isinstance(route, Route))
        return {path.partition("{")[0] for path in paths if not path.endswith("/")}

    def _make_doors(self, runtime: Runtime, *, descriptors: int) -> _Started:
        settings = runtime.settings
        apply_colors(settings.organization)  # before the first page is composed
        return _Started(
            runtime,
            api=create_api(self.get_runtime, allows_cors=settings.api.cors),
            pages=PageSockets(settings.limits, descriptors=descriptors),
            files=FirstLoad(compose_index(settings), pages=self._list_pages(), routes=self._list_routes()),
            chats=ChatSockets(ConversationDoor(runtime), settings.limits, descriptors=descriptors),
        )

    async def _open(self) -> Runtime:
        """Ends the process where config.yaml or the database do not let it start."""
        try:
            runtime = Runtime(Settings.load(find_config(self._folder)))
            await runtime.start()
        except (ConfigError, StoreUnavailable) as error:
            _give_up(error)
        return runtime

    @asynccontextmanager
    async def lifespan(self, _: object) -> AsyncGenerator[None, None]:
        """Opens the runtime on the server's loop and tells the terminal; ends what runs before the process ends."""
        restore_log_records = escape_log_lines()
        runtime = await self._open()
        settings = runtime.settings
        descriptors = allow_open_files()
        self._running = started = self._make_doors(runtime, descriptors=descriptors)
        install(runtime)
        server = find_server()
        ending = Ending(runtime, server=server, grace=settings.limits.shutdown_seconds)
        patience = ClientPatience(server, seconds=settings.limits.request_seconds)
        if server is not None:
            bound_clients(server, descriptors=descriptors)
        give_large_pieces_back()
        say(await compose_greeting(runtime, settings.public_url or (server.address if server else None)))
        runtime.catalogue.log_problems()
        gc.collect()
        gc.freeze()  # what start-up made lives as long as the process: no collection needs to look at it again
        gc.enable()  # app.py disabled it
        try:
            yield
        finally:
            await ending.finish()
            await patience.end()
            started.pages.end()
            started.chats.end()
            install(None)
            await runtime.close()
            restore_log_records()


def say(lines: Sequence[str]) -> None:
    """To the terminal of whoever started the process, never to a log."""
    sys.stderr.write("\n".join(("", *lines, "", "")))
    sys.stderr.flush()


def _give_up(error: ConfigError | StoreUnavailable) -> NoReturn:
    """Ends the process with status 1 and the error's sentences alone.

    An exception out of a lifespan becomes a traceback and status 3 in uvicorn; nothing is served yet that would need
    an orderly end.
    """
    say(["Flowground cannot start:", *(f"  {line}" for line in error.message.splitlines())])
    if error.hint:
        say([error.hint])
    sys.stdout.flush()
    os._exit(1)
