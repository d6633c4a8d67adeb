"""The route by which one takes a conversation of one's own as a file: for the cookie alone, as one's data is."""

from collections.abc import Callable
from typing import get_args

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from flowground.caller import SESSION_ID_CHARS, Owner
from flowground.conversation.files import MEDIA_TYPES, ChatFile, FileFormat
from flowground.errors import FlowNotFound, NotSignedIn
from flowground.runtime import Runtime
from flowground.store.runs import transcripts
from flowground.web.origin import is_own_download
from flowground.web.refusal import explain_missing
from flowground.web.sent_files import SentFiles, refuse_file, require_caller

PATH = "/export/chat"


def make_chat_file_routes(runtime: Callable[[], Runtime], sent: SentFiles) -> list[BaseRoute]:
    """`GET /export/chat?flow=…&session=…&as=markdown` (or `json`); `&at=public` from a shareable playground."""

    async def send_chat(request: Request) -> Response:
        return await _send_chat(runtime(), request, sent)

    return [Route(PATH, send_chat, methods=["GET"])]


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
