"""A web site in a thread, whose pages a test changes while it serves."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HTML = "text/html; charset=utf-8"


@dataclass
class SitePage:
    """`etag` and `last_modified` stand in the answer where they are not empty, and are compared with what is asked."""

    body: bytes
    media_type: str = HTML
    etag: str = ""
    last_modified: str = ""
    status: int = 200
    location: str = ""

    def is_known_by(self, headers: Message) -> bool:
        """Whether the client has it."""
        etag, date = headers.get("If-None-Match"), headers.get("If-Modified-Since")
        return bool((self.etag and etag == self.etag) or (self.last_modified and date == self.last_modified))


@dataclass
class Site:
    """`pages` by path; `answered` are the path and status of each answer, in order."""

    url: str
    pages: dict[str, SitePage] = field(default_factory=dict)
    answered: list[tuple[str, int]] = field(default_factory=list)


@contextmanager
def serve_site() -> Iterator[Site]:
    """On loopback, at a free port."""
    site = Site("")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = site.pages.get(self.path, SitePage(b"There is none.", status=404))
            status = 304 if page.is_known_by(self.headers) else page.status
            site.answered.append((self.path, status))
            self.send_response(status)
            marks = {"ETag": page.etag, "Last-Modified": page.last_modified, "Location": page.location}
            for name, value in {"Content-Type": page.media_type, **marks}.items():
                if value:
                    self.send_header(name, value)
            if status != 304:
                self.send_header("Content-Length", str(len(page.body)))
            self.end_headers()
            if status != 304:
                self.wfile.write(page.body)

        def log_message(self, *_: object) -> None:
            """Nothing on the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
