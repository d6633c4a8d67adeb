"""One's own conversation as a file, Markdown or JSON, which is written while it is sent.

It holds no model, no tokens and no reason of a failure for who may not see the flow's inside.
"""

import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, get_args
from urllib.parse import quote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from flowground.api.errors import answer_error
from flowground.app.runtime import Runtime
from flowground.core.caller import SESSION_ID_CHARS, Caller, Owner
from flowground.core.citations import describe_kept, name_place, split_cited
from flowground.core.errors import FlowgroundError, FlowNotFound, NotSignedIn, StoreUnavailable
from flowground.core.messages import join_surrogates
from flowground.runs.files import FileGone
from flowground.store.runs import transcripts
from flowground.store.runs.records import StoredMessage, find_sender_name, list_file_names
from flowground.store.runs.transcripts import ChatHead
from flowground.store.sql import encode_json
from flowground.ui.conversation.messages import CUT_REASONS, find_text
from flowground.web.cookies import find_caller, read_cookies
from flowground.web.origin import find_own_origin, is_own_download, name_address
from flowground.web.refusal import explain_missing

Handle = Callable[[Runtime, Request], Awaitable[Response]]
NOT_OURS = "This does not come from a page of this server."
FileFormat = Literal["markdown", "json"]
VERSION = 1
"""Version of the JSON format; it grows with changes that readers would notice."""
_ENDINGS: dict[FileFormat, str] = {"markdown": "md", "json": "json"}
MEDIA_TYPES: dict[FileFormat, str] = {"markdown": "text/markdown; charset=utf-8", "json": "application/json"}
_NAME_CHARS = 60
_LINE_END = re.compile(
    r"^[ \t>]*(?:(?:[-+*]|\d{1,9}[.)])[ \t]+)*(`{3,}+(?![^\n]*`)|~{3,}+)[^\n]*\n"
    r".*?(?:^[ \t>]*\1[`~]*[ \t]*(?:\n|\Z)|\Z)|(?<=[^\s\\])\n(?=[^\n])",
    re.M | re.S,
)
"""A whole block of code, which stays as it is, or a line's end inside a paragraph."""
_MARKS = {
    "failed": "*The flow could not answer.*",
    "stopped": "*Stopped.*",
    "interrupted": "*Interrupted: the server stopped while it wrote this.*",
}

_VISITORS = "visitors"
_HEADERS = {"cache-control": "no-store", "vary": "cookie"}


@dataclass(frozen=True, slots=True)
class ChatFile:
    """A conversation to be written. `name`: the flow's name for this reader."""

    head: ChatHead
    flow_id: str
    owner: str
    name: str
    sees_inside: bool

    def write(self, runtime: Runtime, how: FileFormat) -> AsyncIterator[str]:
        """The file's pieces in their order."""
        return self._write_json(runtime) if how == "json" else self._write_markdown(runtime)

    def write_disposition(self, how: FileFormat) -> str:
        """The header that names the file after the conversation, for browsers old and new."""
        name = _make_name(self.head.title)
        plain = _make_name(name.encode("ascii", "ignore").decode())
        ending = _ENDINGS[how]
        return f"attachment; filename=\"{plain}.{ending}\"; filename*=UTF-8''{quote(f'{name}.{ending}', safe='')}"

    async def _read(self, runtime: Runtime) -> AsyncIterator[list[StoredMessage]]:
        place = {"flow_id": self.flow_id, "owner": self.owner, "session_id": self.head.session_id}
        after: int | None = 0
        while after is not None:
            messages, after = await runtime.store.read(transcripts.read_part, **place, after=after)
            yield messages

    async def _write_markdown(self, runtime: Runtime) -> AsyncIterator[str]:
        title, name = _write_line(self.head.title) or "Untitled", _write_line(self.name)
        began = self.head.created_at.astimezone(UTC)
        yield f"# {title}\n\n{name}, {began.day} {began:%B %Y}\n"
        async for part in self._read(runtime):
            yield "".join(self._write_section(message, name) for message in part)

    def _write_section(self, message: StoredMessage, name: str) -> str:
        who = _write_line(find_sender_name(message)) or ("You" if message.role == "user" else name)
        mark = "" if message.role == "user" else _MARKS.get(message.state, "")
        names = ", ".join(map(_write_line, list_file_names(message)))
        files = names and f"*Files: {names}*"
        text = _LINE_END.sub(lambda found: found[0] if found[1] else "  \n", join_surrogates(find_text(message)))
        if message.state == "complete" and not text.strip() and not files:
            mark = "*The answer is empty.*"
        body = "\n\n".join(filter(None, (text, files, mark, _write_sources(message))))
        return f"\n## {who}\n\n{body}\n"

    async def _write_json(self, runtime: Runtime) -> AsyncIterator[str]:
        head = {
            "version": VERSION,
            "flow": {"id": self.flow_id, "name": self.name},
            "session": self.head.session_id,
            "title": self.head.title,
            "exported_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        yield f'{encode_json(head)[:-1]},"messages":['
        before = "\n"
        async for part in self._read(runtime):
            for message in part:
                yield before + encode_json(self._describe(message))
                before = ",\n"
        yield "\n]}\n"

    def _describe(self, message: StoredMessage) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "role": message.role,
            "text": join_surrogates(find_text(message)),
            "state": message.state,
            "at": message.created_at.isoformat(),
        }
        if sender := find_sender_name(message):
            fields["sender_name"] = join_surrogates(sender)
        if message.finish_reason in CUT_REASONS:
            fields["finish_reason"] = message.finish_reason
        fields |= describe_kept(message.text, message.passages)
        if list_file_names(message):
            fields["files"] = [
                {"name": join_surrogates(one.name), "type": one.media_type, "size": one.size} for one in message.value
            ]
        if message.role == "user" or not self.sees_inside:
            return fields
        usage = message.usage
        tokens = None if usage is None else {"input": usage.input_tokens, "output": usage.output_tokens}
        return fields | {"model": message.model, "tokens": tokens}


def _write_sources(message: StoredMessage) -> str:
    """The cited passages, each as a quotation below its number and place; then the places of the other passages."""
    cited, others = split_cited(message.text, message.passages)
    parts = [
        f"[{passage.number}] {_write_line(name_place(passage))}\n\n> "
        + join_surrogates(passage.text).replace("\n", "\n> ")
        for passage in cited
    ]
    if others:
        places = "; ".join(dict.fromkeys(_write_line(name_place(passage)) for passage in others))
        parts.append(f"{'More sources' if cited else 'Sources'}: {places}")
    return "\n\n".join(parts)


def _write_line(text: str) -> str:
    return " ".join(join_surrogates(text).split())


def _make_name(title: str) -> str:
    """The title as a file name that every system takes: letters, digits and hyphens."""
    return re.sub(r"[\W_]+", "-", join_surrogates(title)).strip("-")[:_NAME_CHARS].strip("-") or "chat"


class SentFiles:
    """Counts files that this process is sending: at most `of_one` at once to one owner, or to visitors of one address;
    and `of_visitors` to all visitors."""

    def __init__(self, *, of_one: int, of_visitors: int) -> None:
        self._of_one, self._of_visitors = of_one, of_visitors
        self._sending = Counter[str]()

    def send(
        self, pieces: AsyncIterator[str], request: Request, *, to: Owner, media_type: str, disposition: str
    ) -> Response:
        """The answer with the file, or 429 if too many are being sent."""

        async def begin() -> Response:
            headers = {**_HEADERS, "content-disposition": disposition}
            return StreamingResponse(_encode(pieces), media_type=media_type, headers=headers)

        return self.count(begin, request, to=to)

    def count(self, begin: Callable[[], Awaitable[Response]], request: Request, *, to: Owner) -> Response:
        """The answer of `begin`, which is called if not too many are being sent; else 429."""
        most = {str(to): self._of_one}
        if to.kind == "visitor":
            most |= {f"{_VISITORS} of {name_address(request.scope)}": self._of_one, _VISITORS: self._of_visitors}
        return _CountedFile(begin, self._sending, most)


class _CountedFile(Response):
    """A file that is counted under each name of `most` while it is opened and sent."""

    def __init__(
        self, begin: Callable[[], Awaitable[Response]], sending: Counter[str], most: Mapping[str, int]
    ) -> None:
        super().__init__()
        self._begin, self._sending, self._most = begin, sending, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if any(self._sending[name] >= limit for name, limit in self._most.items()):
            await refuse("Too many files are being sent. Try again in a moment.", 429)(scope, receive, send)
            return
        self._sending.update(self._most.keys())
        try:
            answer = await self._begin()
            await answer(scope, receive, send)
        finally:
            self._sending.subtract(self._most.keys())
            self._sending += Counter()


async def require_caller(runtime: Runtime, request: Request) -> Caller:
    """The caller with their present role; a visitor only from a shareable playground. Raises NotSignedIn."""
    asked = request.query_params
    shared = asked.get("flow", "") if asked.get("at") == "public" else None
    sent, is_local = read_cookies(request.scope, runtime.settings), await runtime.sign_in.is_local_mode()
    caller = await find_caller(runtime, sent, is_local=is_local, shared_flow=shared)
    if caller is None:
        raise NotSignedIn("Sign in first.")
    return await runtime.access.recheck(caller)


def refuse(sentence: str, status: int = 403) -> Response:
    return JSONResponse({"detail": sentence}, status, headers=_HEADERS)


async def _encode(pieces: AsyncIterator[str]) -> AsyncIterator[bytes]:
    try:
        async for piece in pieces:
            yield piece.encode()
    except StoreUnavailable as error:  # only a cut connection shows that the file is not whole
        raise RuntimeError("the database went away while a file was sent") from error


async def answer_page(runtime: Callable[[], Runtime], handle: Handle, request: Request) -> Response:
    """The answer of `handle` to a request of a page of ours; to others, and for whoever may not, a refusal."""
    settings = runtime().settings
    is_ours = (
        is_own_download(request)
        if request.method in ("GET", "HEAD")
        else find_own_origin(request.scope, settings.public_url)
    )
    if not is_ours:
        return refuse(NOT_OURS)
    try:
        return await handle(runtime(), request)
    except NotSignedIn:
        return refuse("Sign in first.")
    except (FlowNotFound, FileGone):
        return explain_missing(request.scope)
    except ClientDisconnect:
        return Response(status_code=499)
    except StoreUnavailable:
        raise  # the edge answers
    except FlowgroundError as error:
        return answer_error(error)


async def send_chat(runtime: Runtime, request: Request, *, sent: SentFiles) -> Response:
    """Sends a conversation. The 404 is the same for an unknown one, another person's, and a closed flow."""
    how = next((name for name in get_args(FileFormat) if name == request.query_params.get("as")), None)
    file = await _find_file(runtime, request)
    if file is None or how is None:
        return explain_missing(request.scope)
    pieces, disposition = file.write(runtime, how), file.write_disposition(how)
    owner = Owner.read(file.owner)
    return sent.send(pieces, request, to=owner, media_type=MEDIA_TYPES[how], disposition=disposition)


async def _find_file(runtime: Runtime, request: Request) -> ChatFile | None:
    """The conversation of the query; None if the caller has no such one. Raises NotSignedIn, FlowNotFound."""
    asked = request.query_params
    flow, session, is_public = asked.get("flow", ""), asked.get("session", ""), asked.get("at") == "public"
    caller = await require_caller(runtime, request)
    wired = await runtime.access.open_flow(caller, flow)
    owner = str(caller.owner)
    found = await runtime.store.read(
        transcripts.find_head, flow_id=wired.id, owner=owner, session_id=session[:SESSION_ID_CHARS]
    )
    name = (wired.flow.chat.title if is_public else None) or wired.name
    sees_inside = caller.sees_inside and not is_public
    return None if found is None else ChatFile(found, wired.id, owner, name, sees_inside)
