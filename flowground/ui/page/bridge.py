"""How a page's script thread reaches the runtime: calls, who the visitor is, and what a refusal looks like.

Who the visitor is gets checked again at every action: a page's headers are frozen when its socket opens.
"""

import asyncio
import concurrent.futures
import json
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import streamlit as st

from flowground.access import Access
from flowground.app import runtime
from flowground.core.caller import LOCAL_OWNER, Caller, PageHeader
from flowground.core.errors import FlowgroundError, NotSignedIn, RequestError, StoreUnavailable
from flowground.ui.page import words
from flowground.ui.shims.streamlit_process import is_served

P = ParamSpec("P")
T = TypeVar("T")

_STEP = 0.1
"""Seconds between two looks whether Streamlit wants this script to end."""

_PROVEN = "flowground:owner_code_given"
_SEEN = "flowground:caller"


def call(job: Coroutine[Any, Any, T]) -> T:
    """The coroutine's result; it runs on the runtime's loop.

    When Streamlit ends the script meanwhile, only the waiting ends: what was begun is finished, never left half done.
    """
    future = asyncio.run_coroutine_threadsafe(job, runtime.get().loop)
    while not concurrent.futures.wait([future], timeout=_STEP).done:
        _notice_stop()
    return future.result()


def ask(deed: Callable[Concatenate[Access, P], Coroutine[Any, Any, T]], *args: P.args, **options: P.kwargs) -> T:
    """As `call`, for what `access` answers or does: `ask(people.list_links, caller)`."""
    return call(deed(runtime.get().access, *args, **options))


def change(
    deed: Callable[Concatenate[Access, P], Coroutine[Any, Any, object]], *args: P.args, **options: P.kwargs
) -> None:
    """As `ask`, then draws the page anew, which closes a dialog; where it was refused, says why instead."""
    with render_refusals():
        ask(deed, *args, **options)
        st.rerun()


def read(job: Callable[Concatenate[Any, P], T], *args: P.args, **options: P.kwargs) -> T:
    """As `call`, for what the store reads: `read(records.find_run, run_id=…)`."""
    return call(runtime.get().store.read(job, *args, **options))


def write(caller: Caller, job: Callable[..., object], *, outlives_visit: bool = False, **options: object) -> None:
    """What somebody changes of their own in the store: who they are is asked again, as no dialog or callback did.

    For what `outlives_visit` the local owner must have given the code. Raises NotSignedIn, NotAllowed.
    """

    async def write_own() -> None:
        running = runtime.get()
        present = await running.access.recheck(caller)
        if outlives_visit:
            running.access.require_lasting(present)
        await running.store.write(job, owner=str(present.owner), **options)

    call(write_own())


def _notice_stop() -> None:
    """Streamlit ends a script only where it touches `st`: this is the touch."""
    st.session_state.get("bridge:tick")


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
    return is_local and find_visitor() is None and call(running.sign_in.is_local_mode())


def is_owner_proven() -> bool:
    """Whether this browser gave the owner code (always true for members), also where `require_visitor` ends the run."""
    if needs_owner():
        return call(runtime.get().access.is_proven_local_owner(read_caller()))
    return require_visitor().is_proven


def find_visitor() -> Caller | None:
    """As `require_visitor`, None when nobody is signed in: for the router."""
    try:
        caller = call(runtime.get().access.recheck(read_caller()))
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
    already (flowground/ui/shims/streamlit_process.py); what acts in somebody's name does not rest on that alone.
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


def render_script_failure(error: Exception) -> bool:
    """For st.App's `on_script_error`; True means that nothing else is drawn. Streamlit has logged the error."""
    if isinstance(error, NotSignedIn):
        st.info("You are signed out. Reload the page to sign in again.")
    elif isinstance(error, RequestError | StoreUnavailable):
        render_refusal(error)
    else:
        st.error("Something went wrong here. The server's log says what; reload the page to try again.")
    return True


def render_refusal(error: FlowgroundError) -> None:
    """Why something was not done: nothing was stored."""
    st.warning(words.write_sentence(error.full_message))


@contextmanager
def render_refusals() -> Iterator[None]:
    """Where what is done within is refused, says so and goes on behind it."""
    try:
        yield
    except FlowgroundError as error:
        render_refusal(error)


@contextmanager
def keep_refusals(key: str) -> Iterator[None]:
    """As `render_refusals`, for a callback, which draws nothing: `render_kept` says so in the run that follows."""
    try:
        yield
    except FlowgroundError as error:
        st.session_state[key] = error


def render_kept(key: str) -> None:
    if error := st.session_state.pop(key, None):
        render_refusal(error)
