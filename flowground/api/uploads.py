"""A file in a form, as it comes: no more of it than a piece is held, however large it is."""

import asyncio
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from functools import partial

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from flowground.api.body import BodyCompressed, find_boundary, read_pieces, refuse_field
from flowground.errors import InvalidRequest
from flowground.files import say_too_large
from flowground.files.turns import Turns

FIELD = "file"
"""The field of the form, as Langflow's clients name it."""
_AROUND = 65_536
"""Bytes of a form beside its file."""
_MOST_HEADERS = 8_192
_PIECE = 16_384
"""Bytes that are parsed at once: the parser is Python code, and a form may be nothing but small parts."""
_BREATH = 0.001
"""Seconds of parsing after which the loop serves others: a plain file takes less for all that comes at once."""


@dataclass(slots=True)
class _Form:
    """What the parser found so far. The first part with a file is the file; other parts are passed over."""

    name: str | None = None
    found: list[bytes] = field(default_factory=list)
    is_over: bool = False
    _is_file: bool = False
    _headers: dict[str, str] = field(default_factory=dict)
    _field: bytes = b""
    _value: bytes = b""

    def make_parser(self, boundary: bytes) -> MultipartParser:
        return MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._add_field,
                "on_header_value": self._add_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
                "on_part_data": self._add_data,
                "on_part_end": self._end_part,
            },
        )

    def _begin(self) -> None:
        self._headers, self._field, self._value = {}, b"", b""

    def _add_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]
        self._refuse_long()

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._refuse_long()

    def _refuse_long(self) -> None:
        if len(self._field) + len(self._value) > _MOST_HEADERS:
            raise FormParserError("a header is too long")

    def _end_header(self) -> None:
        self._headers[self._field.decode("latin-1").lower()] = self._value.decode("utf-8", "replace")
        self._field = self._value = b""
        if len(self._headers) > 20:
            raise FormParserError("there are too many headers")

    def _end_headers(self) -> None:
        _, options = parse_options_header(self._headers.get("content-disposition", "").encode())
        given = options.get(b"filename")
        self._is_file = self.name is None and given is not None and options.get(b"name") == FIELD.encode()
        if self._is_file and given is not None:
            self.name = given.decode("utf-8", "replace")

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file and not self.is_over:
            self.found.append(data[start:end])

    def _end_part(self) -> None:
        self.is_over = self.is_over or self._is_file


async def read_upload(
    request: Request, *, most: int, patience: float, turns: Turns
) -> tuple[str, AsyncGenerator[bytes, None]]:
    """The file's name, and its bytes as they come; at most `most` of them. `patience` is in seconds for each piece.
    `turns` are of all uploads: the loop serves others between two pieces, whosever they are.

    Raises InvalidRequest for what is no form with a file, BodyTooLarge, BodyCompressed, BodyTooSlow, ClientDisconnect.
    """
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise BodyCompressed("The body is compressed.", hint="Send it as it is, without a Content-Encoding.")
    form = _Form()
    pieces = _read_form(request, form, most=most, patience=patience, turns=turns)
    first = await anext(pieces, None)
    if first is None or form.name is None:
        raise _refuse_form()
    return form.name, _chain(first, pieces)


async def _chain(first: bytes, others: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    yield first
    async for piece in others:
        yield piece


async def _read_form(
    request: Request, form: _Form, *, most: int, patience: float, turns: Turns
) -> AsyncGenerator[bytes, None]:
    """What of the form's file comes, empty pieces too once its name is there."""
    boundary = _read_boundary(request)
    try:
        parser = form.make_parser(boundary)
        size, began = 0, 0.0
        async for body in read_pieces(
            request, limit=most + _AROUND, patience=patience, too_large=partial(say_too_large, most)
        ):
            async with turns.take():
                for at in range(0, len(body), _PIECE):
                    parser.write(body[at : at + _PIECE])
                    if time.perf_counter() - began > _BREATH:
                        await asyncio.sleep(0)
                        began = time.perf_counter()
            if form.name is None:
                continue
            piece = b"".join(form.found)
            form.found.clear()
            size += len(piece)
            if size > most:
                raise say_too_large(most)
            yield piece
        parser.finalize()
    except FormParserError:
        raise _refuse_form() from None
    if form.name is not None and not form.is_over:
        raise _refuse_form()


def _read_boundary(request: Request) -> bytes:
    boundary = find_boundary(request.headers.get("content-type", ""))
    if not boundary:
        raise _refuse_form()
    return boundary.encode("latin-1", "replace")


def _refuse_form() -> InvalidRequest:
    return refuse_field("Send multipart/form-data with a file in the field `file`.", "form_invalid", "body", FIELD)
