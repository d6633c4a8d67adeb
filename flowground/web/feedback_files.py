"""The route by which a flow's owners take its feedback as a table: for the cookie alone, as much as their page shows.

Programs for tables read a cell that begins like a formula as one, and what people write is theirs to choose: such a
cell gets an apostrophe before it, which those programs take for "this is text".
"""

import csv
import io
import math
import re
from collections.abc import AsyncIterator, Callable, Iterable

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from flowground.access import feedback
from flowground.errors import FlowNotFound, NotAllowed, NotSignedIn
from flowground.messages import mend
from flowground.runtime import Runtime
from flowground.store.runs.feedback import SHOWN_CHARS, FeedbackFilter, FeedbackItem, RatingValue
from flowground.web.origin import is_own_download
from flowground.web.refusal import explain_missing
from flowground.web.sent_files import SentFiles, refuse_file, require_caller
from flowground.words import cut

PATH = "/export/feedback"
COLUMNS = ("time", "rating", "labels", "reason", "model", "version", "question", "answer", "overrides")
_VALUES: dict[str, RatingValue | None] = {"": None, "good": "good", "bad": "bad"}
_LATEST = 1e11
"""Seconds since 1970: the year 5138, which is in no list."""
_FORMULA = re.compile(r"(^|[;,])([\s\"']*)(?=[=+\-@＝＋－＠])")
"""Where a cell begins, also for a program that takes another character between cells."""
_BYTE_ORDER = "\ufeff"
"""By it Excel knows UTF-8."""


def make_feedback_file_routes(runtime: Callable[[], Runtime], sent: SentFiles) -> list[BaseRoute]:
    """`GET /export/feedback?flow=…`, and as the page filters: `&rating=bad`, `&since=SECONDS`, `&explained=yes`."""

    async def send_feedback(request: Request) -> Response:
        return await _send_feedback(runtime(), request, sent)

    return [Route(PATH, send_feedback, methods=["GET"])]


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
