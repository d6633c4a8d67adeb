"""Who is the visitor of this page run? Asked anew at every action: headers are frozen when the page's socket opens."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import wraps
from typing import Any, ParamSpec

import streamlit as st

from flowground import runtime
from flowground.caller import LOCAL_OWNER, Caller, PageHeader
from flowground.errors import NotSignedIn, StoreUnavailable
from flowground.shims.streamlit_process import is_served
from flowground.ui.page import bridge

P = ParamSpec("P")

_PROVEN = "flowground:owner_code_given"
_SEEN = "flowground:caller"


def read_caller() -> Caller:
    """Whom the edge saw when this page's socket opened. Whoever acts for them asks `access.recheck` first.

    Raises NotSignedIn when that was nobody, StoreUnavailable when the database could not tell.
    """
    claimed = _read_claim()
    if claimed is None:
        raise NotSignedIn("Nobody is signed in on this page.")
    if claimed.kind == "local" and st.session_state.get(_PROVEN):
        return replace(claimed, is_proven=True)
    return claimed


def require_visitor() -> Caller:
    """The caller with the role they have now; asks the database. Ends the run when nobody is signed in (any more)."""
    known = find_visitor()
    if known is None:
        # The router draws the sign-in page on a whole run; a fragment alone could only go on without a caller.
        st.rerun(scope="app")
    return known


def needs_owner() -> bool:
    """Whether nobody may use this page yet but the owner, once they gave the code: local mode that is not open."""
    claimed, running = _read_claim(), runtime.get()
    is_local = claimed is not None and claimed.kind == "local" and running.settings.local_mode != "open"
    return is_local and find_visitor() is None and bridge.call(running.sign_in.is_local_mode())


def is_owner_proven() -> bool:
    """Whether this browser gave the owner code (always true for members), also where `require_visitor` ends the run."""
    if needs_owner():
        return bridge.call(runtime.get().access.is_proven_local_owner(read_caller()))
    return require_visitor().is_proven


def find_visitor() -> Caller | None:
    """As `require_visitor`, None when nobody is signed in: for the router."""
    try:
        caller = bridge.call(runtime.get().access.recheck(read_caller()))
    except NotSignedIn:
        return None
    _forget_others(caller)
    return caller


def was_member() -> bool:
    """Whether this very page was a member's before."""
    return str(st.session_state.get(_SEEN)).startswith("member:")


def bind_to_caller(act: Callable[P, None]) -> Callable[P, None]:
    """For a callback whose first argument is, or has as `caller`, whom it was drawn for: runs for nobody else.

    Streamlit runs callbacks before the script, so before the router asks who is here. Pages are bound to their sign-in
    already (flowground/shims/kept_pages.py); what acts in somebody's name does not rest on that alone.
    """

    @wraps(act)
    def run(*args: P.args, **options: P.kwargs) -> None:
        drawn_for: Any = getattr(args[0], "caller", args[0])
        with suppress(NotSignedIn):
            present = read_caller()
            if (present.owner, present.sign_in_id) == (drawn_for.owner, drawn_for.sign_in_id):
                act(*args, **options)

    return run


def read_shared_flow() -> str | None:
    """The flow of this page's address, when it is `/public_flow/{flow_id}`; from the edge, not from the browser."""
    return st.context.headers.get(PageHeader.FLOW) if is_served() else None


def read_browser_id() -> str:
    """What binds a sign-in ticket to this browser; empty when it sends no cookies."""
    return str(st.context.headers.get(PageHeader.BROWSER, "")) if is_served() else ""


def read_address() -> str:
    """Where the visitor comes from, for counting: what flowground/web/origin.py settled when the socket opened."""
    return str(st.context.headers.get(PageHeader.ADDRESS, "unknown")) if is_served() else "this computer"


def remember_proof() -> None:
    """The owner code was given on this page; the cookie that `/session/start` sets says so on the next ones."""
    st.session_state[_PROVEN] = True


def _read_claim() -> Caller | None:
    if not is_served():
        return LOCAL_OWNER
    if outage := st.context.headers.get(PageHeader.OUTAGE):
        raise StoreUnavailable(outage, hint="Reload the page in a little while.")
    header = st.context.headers.get(PageHeader.CALLER)
    if header is None:
        return None
    known: dict[str, Any] = json.loads(header)
    return Caller(**known)


def _forget_others(caller: Caller) -> None:
    """A page whose socket came back signed in as somebody else keeps nothing of the one before."""
    seen = st.session_state.get(_SEEN)
    present = str(caller.owner)
    if seen is not None and seen != present:
        st.session_state.clear()
    st.session_state[_SEEN] = present
