"""GET /session/my-data: one's own data as a file. Not by Streamlit's /media, which asks for no sign-in."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from flowground.runtime import Runtime
from flowground.web.cookies import read_cookies

_NO_STORE = {"cache-control": "no-store", "vary": "cookie"}
_FILE = {"content-disposition": 'attachment; filename="flowground-my-data.json"'}


def my_data_routes(runtime: Callable[[], Runtime]) -> list[BaseRoute]:
    """The sign-in cookie opens it: whose it is, theirs is the data. Nobody else's can be named."""

    async def my_data(request: Request) -> Response:
        # Other sites could at most start a download; they have no business to. Browsers say where a request begins.
        if request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return _refused("This does not come from a page of this server.")
        for value in read_cookies(request.scope, runtime().settings).sign_ins:
            caller = await runtime().sign_in.verify_cookie(value)
            if caller is not None and caller.kind == "member":
                break
        else:
            return _refused("Sign in first.")
        data = await runtime().account.my_data(caller)
        return Response(data, headers=_NO_STORE | _FILE, media_type="application/json")

    return [Route("/session/my-data", my_data, methods=["GET"])]


def _refused(sentence: str) -> Response:
    return JSONResponse({"detail": sentence}, 403, headers=_NO_STORE)
