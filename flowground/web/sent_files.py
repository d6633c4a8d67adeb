"""Files that are written while they are sent, for the cookie alone: one's own conversation, and a flow's feedback.

Programs for tables read a cell that begins like a formula as one, and what people write is theirs to choose: such a
cell of the feedback gets an apostrophe before it, which those programs take for "this is text".
"""

import csv
import io
import math
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, get_args

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from flowground.access import feedback
from flowground.caller import SESSION_ID_CHARS, Caller, Owner
from flowground.conversation.files import MEDIA_TYPES, ChatFile, FileFormat
from flowground.errors import FlowNotFound, NotAllowed, NotSignedIn, StoreUnavailable
from flowground.messages import mend
from flowground.runtime import Runtime
from flowground.store.runs import transcripts
from flowground.store.runs.feedback import SHOWN_CHARS, FeedbackFilter, FeedbackItem, RatingValue
from flowground.web.cookies import find_caller, read_cookies
from flowground.web.origin import is_own_download, name_address
from flowground.web.refusal import explain_missing
from flowground.words import cut

_MOST_OF_ONE, _MOST_OF_VISITORS = 3, 10
"""Files that are sent at once, of one owner and to visitors of one address, and to all visitors together: one that
nobody reads holds some 10 MB."""
_VISITORS = "visitors"
_HEADERS = {"cache-control": "no-store", "vary": "cookie"}
COLUMNS = ("time", "rating", "labels", "reason", "model", "version", "question", "answer", "overrides")
_VALUES: dict[str, RatingValue | None] = {"": None, "good": "good", "bad": "bad"}
_LATEST = 1e11
"""Seconds since 1970: the year 5138, which is in no list."""
_FORMULA = re.compile(r"(^|[;,])([\s\"']*)(?=[=+\-@＝＋－＠])")
"""Where a cell begins, also for a program that takes another character between cells."""
_BYTE_ORDER = "\ufeff"
"""By it Excel knows UTF-8."""


def make_file_routes(runtime: Callable[[], Runtime], sent: "SentFiles") -> list[BaseRoute]:
    """`GET /export/chat?flow=…&session=…&as=markdown` (or `json`); `&at=public` from a shareable playground.

    `GET /export/feedback?flow=…`, and as the page filters: `&rating=bad`, `&since=SECONDS`, `&explained=yes`.
    """

    async def send_chat(request: Request) -> Response:
        return await _send_chat(runtime(), request, sent)

    async def send_feedback(request: Request) -> Response:
        return await _send_feedback(runtime(), request, sent)

    return [
        Route("/export/chat", send_chat, methods=["GET"]),
        Route("/export/feedback", send_feedback, methods=["GET"]),
    ]


class SentFiles:
    """Those that this process sends just now."""

    def __init__(self) -> None:
        self._sending = Counter[str]()

    def send(
        self, pieces: AsyncIterator[str], request: Request, *, to: Owner, media_type: str, disposition: str
    ) -> Response:
        """The file, or 429 where too many are on their way."""
        most = {str(to): _MOST_OF_ONE}
        if to.kind == "visitor":
            most |= {f"{_VISITORS} of {name_address(request.scope)}": _MOST_OF_ONE, _VISITORS: _MOST_OF_VISITORS}
        if any(self._sending[name] >= limit for name, limit in most.items()):
            return refuse_file("Too many files are being sent. Try again in a moment.", 429)
        headers = {**_HEADERS, "content-disposition": disposition}
        counting: dict[str, Any] = {"sending": self._sending, "counted": tuple(most)}
        return _CountedFile(_encode(pieces), media_type=media_type, headers=headers, **counting)


class _CountedFile(StreamingResponse):
    """Counts while it is sent, for each of `counted`."""

    def __init__(self, pieces: AsyncIterator[bytes], *, sending: Counter[str], counted: tuple[str, ...], **how: Any):
        super().__init__(pieces, **how)
        self._sending, self._counted = sending, counted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._sending.update(self._counted)
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._sending.subtract(self._counted)
            for name in self._counted:
                if not self._sending[name]:
                    del self._sending[name]


async def require_caller(runtime: Runtime, request: Request, *, shared_flow: str | None = None) -> Caller:
    """Who asks, with their present role. Raises NotSignedIn."""
    sent = read_cookies(request.scope, runtime.settings)
    is_local = await runtime.sign_in.is_local_mode()
    caller = await find_caller(runtime, sent, is_local=is_local, shared_flow=shared_flow)
    if caller is None:
        raise NotSignedIn("Sign in first.")
    return await runtime.access.recheck(caller)


def refuse_file(sentence: str, status: int = 403) -> Response:
    return JSONResponse({"detail": sentence}, status, headers=_HEADERS)


async def _encode(pieces: AsyncIterator[str]) -> AsyncIterator[bytes]:
    try:
        async for piece in pieces:
            yield piece.encode()
    except StoreUnavailable as error:  # the file has begun: only a cut connection can say that it is not whole
        raise RuntimeError("the database went away while a file was sent") from error


async def _send_chat(runtime: Runtime, request: Request, sent: SentFiles) -> Response:
    """The same answer for a conversation that is not there, for somebody else's, and for a flow that is not theirs."""
    if not is_own_download(request):
        return refuse_file("This does not come from a page of this server.")
    how = next((name for name in get_args(FileFormat) if name == request.query_params.get("as")), None)
    try:
        file = await _find_file(runtime, request)
    except NotSignedIn:
        return refuse_file("Sign in first.")
    if file is None or how is None:
        return explain_missing(request.scope)
    pieces, disposition = file.write(runtime, how), file.write_disposition(how)
    owner = Owner.read(file.owner)
    return sent.send(pieces, request, to=owner, media_type=MEDIA_TYPES[how], disposition=disposition)


async def _find_file(runtime: Runtime, request: Request) -> ChatFile | None:
    """Raises NotSignedIn."""
    asked = request.query_params
    flow, session, is_public = asked.get("flow", ""), asked.get("session", ""), asked.get("at") == "public"
    caller = await require_caller(runtime, request, shared_flow=flow if is_public else None)
    try:
        wired = await runtime.access.open_flow(caller, flow)
    except FlowNotFound:
        return None
    owner = str(caller.owner)
    found = await runtime.store.read(
        transcripts.find_head, flow_id=wired.id, owner=owner, session_id=session[:SESSION_ID_CHARS]
    )
    name = (wired.flow.chat.title if is_public else None) or wired.name
    sees_inside = caller.sees_inside and not is_public
    return None if found is None else ChatFile(found, wired.id, owner, name, sees_inside)


async def _send_feedback(runtime: Runtime, request: Request, sent: SentFiles) -> Response:
    """The same answer for a flow that is not there, and for one whose feedback is not theirs to read."""
    if not is_own_download(request):
        return refuse_file("This does not come from a page of this server.")
    only = _read_filter(request.query_params)
    try:
        caller = await require_caller(runtime, request)
        wired = await feedback.open_own(runtime.access, caller, request.query_params.get("flow", ""))
    except NotSignedIn:
        return refuse_file("Sign in first.")
    except (FlowNotFound, NotAllowed):
        return explain_missing(request.scope)
    if only is None:
        return explain_missing(request.scope)
    pieces = _write_table(feedback.list_all(runtime.access, caller, wired.id, only))
    disposition = f'attachment; filename="feedback-{wired.id}.csv"'
    how = {"media_type": "text/csv; charset=utf-8", "disposition": disposition}
    return sent.send(pieces, request, to=caller.owner, **how)


def _read_filter(asked: QueryParams) -> FeedbackFilter | None:
    """None where it says what there is not."""
    try:
        since = float(asked.get("since", "0"))
        value = _VALUES[asked.get("rating", "")]
    except (ValueError, KeyError):
        return None
    if not math.isfinite(since) or not 0 <= since <= _LATEST:
        return None
    return FeedbackFilter(value, is_explained=asked.get("explained") == "yes", since=since)


async def _write_table(items: AsyncIterator[FeedbackItem]) -> AsyncIterator[str]:
    yield _BYTE_ORDER + _write_row(COLUMNS)
    async for item in items:
        rating, turn = item.rating, item.shared
        yield _write_row(
            (
                item.at.isoformat(timespec="seconds"),
                rating.value,
                " ".join(rating.labels),
                rating.reason,
                item.model or "",
                item.flow_version or "",
                cut(turn.question, SHOWN_CHARS) if turn else "",
                cut(turn.answer, SHOWN_CHARS) if turn else "",
                " ".join(item.overrides),
            )
        )


def _write_row(cells: Iterable[str]) -> str:
    row = io.StringIO()
    csv.writer(row, quoting=csv.QUOTE_ALL).writerow([_write_cell(cell) for cell in cells])
    return row.getvalue()


def _write_cell(text: str) -> str:
    """One line, and never a formula."""
    return _FORMULA.sub(r"\1\2'", " ".join(mend(text).split()))
