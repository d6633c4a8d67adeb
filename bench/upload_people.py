"""People who upload: `python -m bench.upload_people URL FILES BYTES`, with a token for each on a line of its input.

Each sends so many files, one after the other, all people at once; every file's bytes are its own. A process of its own,
on bare sockets, so that the cores it shares with the measured one are the server's as far as they can be.
"""

import asyncio
import os
import sys
from urllib.parse import urlsplit

import uvloop

_BOUNDARY = "bench-boundary"
_HEAD = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'.encode()
_TAIL = f"\r\n--{_BOUNDARY}--\r\n".encode()


async def upload_all(url: str, token: str, *, files: int, size: int) -> None:
    """Raises RuntimeError where a file is not kept."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    rest = os.urandom(size - 16)
    length = len(_HEAD) + size + len(_TAIL)
    request = (
        f"POST /api/v2/files HTTP/1.1\r\nhost: {parts.netloc}\r\nx-api-key: {token}\r\ncontent-length: {length}\r\n"
        f"content-type: multipart/form-data; boundary={_BOUNDARY}\r\n\r\n"
    ).encode()
    for _ in range(files):
        writer.writelines((request, _HEAD, os.urandom(16), rest, _TAIL))
        await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]))
        if not head.startswith(b"HTTP/1.1 201"):
            raise RuntimeError((head + body).decode("utf-8", "replace"))
    writer.close()


async def main(url: str, files: int, size: int) -> None:
    tokens = sys.stdin.read().split()
    await asyncio.gather(*(upload_all(url, token, files=files, size=size) for token in tokens))


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
