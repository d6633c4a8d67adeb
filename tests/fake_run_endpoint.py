"""A tiny run endpoint in Langflow's shapes that keeps what it was sent: what clients of the API are tested against."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

TOKEN = "fg-test-token"


class _QuietServer(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves in the middle of an answer is none of the test's output."""


@dataclass
class FakeRunEndpoint:
    """Answers `POST /api/v1/run/…` with `You said: …`, plain or streamed.

    Set `refusal` to (status, body) to have every call refused, `failure` to the data of an error event that ends a
    stream, `described` to what `GET /api/v1/flows/…` says of the flow, `artifacts` to those of the output.
    """

    paths: list[str] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    refusal: tuple[int, Any] | None = None
    failure: dict[str, Any] | None = None
    described: dict[str, Any] | None = None
    artifacts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                endpoint._answer(self)

            def do_GET(self) -> None:
                is_there = endpoint.described is not None and self.path.startswith("/api/v1/flows/")
                _send(self, *((200, endpoint.described) if is_there else (404, {"detail": "Flow not found"})))

            def log_message(self, *_: Any) -> None:
                pass

        self.server = _QuietServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.server.shutdown()
        self.server.server_close()

    def _answer(self, call: BaseHTTPRequestHandler) -> None:
        raw = call.rfile.read(int(call.headers["content-length"]))
        self.paths.append(call.path)
        if call.headers["x-api-key"] != TOKEN:
            missing = {"detail": "Invalid or missing API key", "code": "key_invalid", "hint": "Make one in API access."}
            return _send(call, 403, missing)
        if self.refusal:
            return _send(call, *self.refusal)
        assert call.headers["content-type"] == "application/json"
        body = json.loads(raw.decode("utf-8"))
        self.bodies.append(body)
        text = f"You said: {body['input_value']}"
        if "stream=true" in call.path:
            return _stream(call, self._events(text))
        return _send(call, 200, _result(text, self.artifacts))

    def _events(self, text: str) -> Iterator[dict[str, Any]]:
        yield {"event": "add_message", "data": {"text": "hello", "sender": "User", "error": False}}
        yield {"event": "token", "data": {"chunk": "", "id": "1"}}
        half = len(text) // 2
        for piece in (text[:half], text[half:]):
            yield {"event": "token", "data": {"chunk": piece, "id": "1"}}
        if self.failure:
            yield {"event": "error", "data": {"text": "a message about it", "category": "error", "error": False}}
            yield {"event": "error", "data": self.failure}
        else:
            yield {"event": "end", "data": {"result": _result(text, self.artifacts)}}


def _result(text: str, artifacts: dict[str, Any]) -> dict[str, Any]:
    output = {
        "results": {"message": {"text": text, "data": {"text": text, "id": "1"}}},
        "outputs": {"message": {"message": text, "type": "text"}},
        "messages": [{"message": text, "sender": "Machine"}],
        "artifacts": artifacts,
    }
    return {"session_id": "s", "outputs": [{"inputs": {}, "outputs": [output]}]}


def _send(call: BaseHTTPRequestHandler, status: int, body: Any) -> None:
    said = json.dumps(body, ensure_ascii=False).encode()
    call.send_response(status)
    call.send_header("content-type", "application/json")
    call.send_header("content-length", str(len(said)))
    call.end_headers()
    call.wfile.write(said)


def _stream(call: BaseHTTPRequestHandler, events: Iterator[dict[str, Any]]) -> None:
    call.send_response(200)
    call.send_header("content-type", "text/event-stream; charset=utf-8")
    call.send_header("transfer-encoding", "chunked")
    call.end_headers()
    for event in events:
        said = f"{json.dumps(event)}\n\n".encode()
        call.wfile.write(b"%x\r\n%s\r\n" % (len(said), said))
    call.wfile.write(b"0\r\n\r\n")
