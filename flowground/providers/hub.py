"""A source of the built-in model: the address where its makers publish it."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx2

from flowground.providers.sources import NoAnswer, opened, size_of

_DECIDE_SECONDS = 3.0
_STALL_SECONDS = 30.0
_TRIES = 4


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file at an address that answers range requests. It is given three seconds to begin."""

    url: str

    @property
    def extra_space(self) -> int:
        return 0

    async def fill(self, partial: Path, size: int) -> None:
        timeout = httpx2.Timeout(_STALL_SECONDS)
        async with httpx2.AsyncClient(follow_redirects=True, timeout=timeout) as client:
            for _ in range(_TRIES):
                have = size_of(partial)
                if have >= size:
                    return
                with suppress(httpx2.HTTPError):  # a broken connection: go on where it ended
                    await self._continue(client, partial, size)
                if size_of(partial) <= have:
                    break
        if size_of(partial) < size:
            raise NoAnswer

    async def _continue(self, client: httpx2.AsyncClient, partial: Path, size: int) -> None:
        have = size_of(partial)
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        request = client.build_request("GET", self.url, headers=headers)
        try:
            async with asyncio.timeout(_DECIDE_SECONDS):
                response = await client.send(request, stream=True)
        except (TimeoutError, httpx2.HTTPError, httpx2.InvalidURL):
            raise NoAnswer from None
        try:
            have = _begins_at(response, have)
            if have + int(response.headers.get("content-length", size - have)) != size:
                raise NoAnswer  # another file
            with opened(partial, have) as file:
                async for chunk in response.aiter_raw():
                    have += len(chunk)
                    if have > size:
                        raise NoAnswer
                    await asyncio.to_thread(_write, file, chunk)
        finally:
            await response.aclose()


def _begins_at(response: httpx2.Response, have: int) -> int:
    """Where an answer's bytes belong: the asked place for 206, the start for 200."""
    if response.status_code == 206:
        if response.headers.get("content-range", "").startswith(f"bytes {have}-"):
            return have
    elif response.status_code == 200:
        return 0
    raise NoAnswer


def _write(file: IO[bytes], data: bytes) -> None:
    file.write(data)
    file.flush()  # what has come counts, whenever we are stopped
