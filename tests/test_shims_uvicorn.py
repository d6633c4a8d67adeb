"""What `flowground/shims` rests on inside uvicorn and websockets is still there, and what it does with it."""

import json
import signal
import subprocess
import sys

import pytest
import uvicorn
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.server import ServerProtocol

from flowground.shims.http_connections import BoundedHeads
from flowground.shims.page_frames import BoundedFrames
from tests.insides import Insides, names_in, require
from tests.servers import ROOT, clean_environment, free_port


def overridden(ours: type, theirs: type) -> set[str]:
    """Methods of ours that theirs does not have: nobody would call them."""
    return {
        name for name, value in vars(ours).items() if callable(value) and not name.startswith("__")
    } - theirs.__dict__.keys()


UVICORN: Insides = {
    "http_connections.py: HttpToolsProtocol calls what BoundedHeads overrides": lambda: (
        overridden(BoundedHeads, HttpToolsProtocol) == set()
    ),
    "http_connections.py: a connection has its client, flow, transport and last request": lambda: (
        {"client", "flow", "transport", "cycle"} <= names_in(HttpToolsProtocol.__init__)
        and "response_complete" in names_in(RequestResponseCycle.__init__)
        and "write_paused" in names_in(FlowControl.__init__)
    ),
    "page_frames.py: WebSocketsSansIOProtocol calls what BoundedFrames overrides": lambda: (
        overridden(BoundedFrames, WebSocketsSansIOProtocol) == set()
    ),
    "page_frames.py: a socket has its connection, transport, frames and state": lambda: (
        {"conn", "transport", "frames", "close_sent", "handshake_initiated"}
        <= names_in(WebSocketsSansIOProtocol.__init__)
        and callable(WebSocketsSansIOProtocol.handle_parser_exception)
    ),
    "page_frames.py: websockets bounds a message by max_message_size": lambda: (
        ServerProtocol(max_size=1).max_message_size == 1 and ServerProtocol().handshake_exc is None
    ),
    "uvicorn_server.py: the server handles signals by its method handle_exit": lambda: (
        {"handle_exit", "signal"} <= names_in(uvicorn.Server.capture_signals)
    ),
    "uvicorn_server.py: the server knows its listeners and connections": lambda: (
        {"servers", "server_state"} <= names_in(uvicorn.Server.shutdown)
    ),
}


@pytest.mark.parametrize("expected", UVICORN)
def test_the_inside_of_uvicorn_is_what_we_think(expected: str) -> None:
    require(UVICORN, expected, {"uvicorn": "0.54", "websockets": "17"})


PROGRAM = """
import json, os, signal, socket, sys, threading
import uvicorn
from flowground.shims.http_connections import find_last_request, count_unread, waits_for_head
from flowground.shims.uvicorn_server import find_server

told = {"waiting": []}

class Waiting:
    def add(self, connection): told["waiting"].append("add")
    def hear(self, connection): told["waiting"].append("hear")
    def remove(self, connection): told["waiting"].append("remove")

def ask(text):
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as client:
        client.sendall(text.encode())
        return client.recv(65536).decode().partition("\\r\\n")[0]

def client():
    head = "GET / HTTP/1.1\\r\\nhost: x\\r\\nx-forwarded-for: 203.0.113.9\\r\\n"
    told["whole"] = ask(head + "\\r\\n")
    told["large"] = ask(head + "x: " + "a" * 2000)
    os.kill(os.getpid(), signal.SIGTERM)

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        app.server = server = find_server()
        told["address"] = server.address
        server.believe_no_header()
        server.bound_heads(Waiting(), largest=1000)
        server.bound_frames(smallest=1, pieces=1, unread=1)
        def on_signal(number):
            told["signal"] = number
            server.stop_listening()
            server.end(number)
        server.take_signals(on_signal, cut_after=1)
        await send({"type": "lifespan.startup.complete"})
        threading.Thread(target=client).start()
        await receive()
        print(json.dumps(told), flush=True)
        await send({"type": "lifespan.shutdown.complete"})
        return
    (connection,) = app.server.connections
    told["client"] = scope["client"][0]
    told["no delay"] = connection.transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    told["at work"] = [waits_for_head(connection), count_unread(connection), find_last_request(connection) is None]
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})

# As `streamlit run` makes it, without uvloop.
options = {"host": "127.0.0.1", "port": int(sys.argv[1]), "log_level": "error", "ws": "websockets-sansio"}
listener = socket.create_server((options["host"], options["port"]))
uvicorn.Server(uvicorn.Config(app, loop="asyncio", **options)).run(sockets=[listener])
"""


def test_a_real_server_is_found_bounded_and_ended() -> None:
    port = free_port()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(port)],
        cwd=ROOT, env=clean_environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    assert json.loads(done.stdout) == {
        "address": f"http://127.0.0.1:{port}",
        "client": "127.0.0.1",
        "no delay": 1,
        "at work": [False, 0, False],
        "waiting": ["add", "hear", "remove", "add", "remove", "add", "hear", "remove"],
        "whole": "HTTP/1.1 204 No Content",
        "large": "HTTP/1.1 431 Request Header Fields Too Large",
        "signal": signal.SIGTERM,
    }
    assert done.returncode == -signal.SIGTERM
