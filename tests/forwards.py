"""What may stand between a client and the app: a bare TCP forward, and a proxy that does what an nginx file says."""

import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

Change = Callable[[bytes], bytes]
_HEAD = re.compile(rb"[A-Z]+ \S+ HTTP/1\.1\r\n")
_SET = re.compile(r"^\s*proxy_set_header\s+(\S+)\s+(.+?);", re.MULTILINE)


@contextmanager
def forward(to: int, change: Change | None = None) -> Iterator[int]:
    """A TCP forward as `ssh -R` or socat make one; its port. `change` gets what a client sends, piece by piece."""
    listener = socket.create_server(("127.0.0.1", 0))
    ends: list[socket.socket] = [listener]

    def pump(source: socket.socket, sink: socket.socket, change: Change | None) -> None:
        with suppress(OSError):
            while piece := source.recv(65_536):
                sink.sendall(change(piece) if change else piece)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", to))
                ends.extend((client, server))
                threading.Thread(target=pump, args=(client, server, change), daemon=True).start()
                threading.Thread(target=pump, args=(server, client, None), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def as_nginx(written: str, *, client: str, scheme: str) -> Change:
    """What nginx makes of a request's head by the `proxy_set_header` lines of a location, for a client at this address.

    A head has to come in one piece. nginx sends Host as the upstream's name and `Connection: close` unless told
    otherwise, drops the client's own Connection and Upgrade, and leaves out a header whose value is empty.
    """
    lines = {name.lower(): value.strip('"') for name, value in _SET.findall(written)}

    def change(piece: bytes) -> bytes:
        if not _HEAD.match(piece):
            return piece
        head, _, rest = piece.partition(b"\r\n\r\n")
        first, *said = head.decode("latin-1").split("\r\n")
        sent = {name.lower(): value for name, _, value in (line.partition(": ") for line in said)}
        chain = ", ".join(filter(None, (sent.get("x-forwarded-for"), client)))
        values = {
            "$host": sent["host"].partition(":")[0],
            "$remote_addr": client,
            "$proxy_add_x_forwarded_for": chain,
            "$scheme": scheme,
            "$http_upgrade": sent.get("upgrade", ""),
        }
        passed = {name: value for name, value in sent.items() if name not in ("connection", "upgrade")}
        passed |= {"host": "upstream", "connection": "close"}
        passed |= {name: _filled(value, values) for name, value in lines.items()}
        written = [f"{name}: {value}" for name, value in passed.items() if value]
        return "\r\n".join((first, *written)).encode("latin-1") + b"\r\n\r\n" + rest

    return change


def _filled(value: str, values: Mapping[str, str]) -> str:
    if not value.startswith("$"):
        return value
    return values[value]  # a variable that is not known here fails the test
