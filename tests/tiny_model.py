"""A stand-in for the built-in model's process (providers/builtin/local_server.py), with its manners and no model.

The "model file" is JSON that says how to behave: {"end": "SIGILL"} dies so while starting, {"say": line} answers that
line, {"starts": path} appends a line there at each start. A message "crash" ends the process in the middle of its
answer, "crash once" only the first time, "wait" begins an answer that never goes on.
"""

import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    key = ""
    starts: Path

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = body["messages"][-1]["content"]
        if self.headers["Authorization"] != f"Bearer {self.key}":
            return self._whole(401, {"error": {"message": "Invalid API Key"}})
        if text == "long":
            return self._whole(400, {"error": {"message": "request (9 tokens) exceeds the available context size (4)"}})
        if text == "crash once" and len(self.starts.read_text().splitlines()) == 1:
            os._exit(3)
        usage = {"prompt_tokens": 3, "completion_tokens": 2}
        if not body.get("stream"):
            choices = [{"message": {"content": f"tiny: {text} {sorted(body)}"}, "finish_reason": "stop"}]
            return self._whole(200, {"choices": choices, "usage": usage})
        return self._stream(text, usage)

    def _whole(self, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, text: str, usage: dict[str, int]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self._event({"choices": [{"delta": {"content": "tiny: "}}]})
        if text == "crash":
            os._exit(3)
        if text == "wait":
            try:
                while True:
                    self._chunk(b": still here\n\n")
                    time.sleep(0.05)
            except OSError:
                self.starts.with_name("left").touch()
                return
        self._event({"choices": [{"delta": {"content": text}, "finish_reason": "stop"}], "usage": usage})
        self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")
        time.sleep(0.02)
        self.close_connection = True  # as llama.cpp does after a stream, without a word before

    def _event(self, body: Any) -> None:
        self._chunk(b"data: " + json.dumps(body).encode() + b"\n\n")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the base class's name
        """Silent."""


class Server(ThreadingHTTPServer):
    request_queue_size = 128


def main() -> None:
    asked = json.loads(sys.stdin.readline())
    manners = json.loads(Path(asked["path"]).read_text())
    starts = Path(asked["path"]).with_name("starts")
    with starts.open("a") as file:
        file.write(f"{os.getpid()} {asked['threads']} {os.environ['OMP_WAIT_POLICY']}\n")
    if "end" in manners:
        os.kill(os.getpid(), getattr(signal, manners["end"]))
    if "say" in manners:
        sys.stdout.write(manners["say"] + "\n")
        return
    Answers.key, Answers.starts = asked["key"], starts
    server = Server(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(json.dumps({"ready": f"http://127.0.0.1:{server.server_port}"}) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    os._exit(0)


main()
