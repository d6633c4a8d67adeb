"""How a page's script thread reaches the runtime: calls, who the caller is, and what a refusal looks like.

The caller is checked again at every action: a page's headers are frozen when its socket opens.
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
"""Seconds between two checks whether Streamlit wants this script to end."""

_PROVEN = "flowground:owner_code_given"
_SEEN = "flowground:caller"


def call(job: Coroutine[Any, Any, T]) -> T:
    """Runs the coroutine on the runtime's loop and returns its result.

    If Streamlit ends the script meanwhile, only the waiting ends: the coroutine runs to its end.
    """
    future = asyncio.run_coroutine_threadsafe(job, runtime.get().loop)
    while not concurrent.futures.wait([future], timeout=_STEP).done:
        st.session_state.get("bridge:tick")  # lets Streamlit end this script, which it does only where `st` is used
    return future.result()


def ask(act: Callable[Concatenate[Access, P], Coroutine[Any, Any, T]], *args: P.args, **options: P.kwargs) -> T:
    """Calls a function of flowground/access, which reads or changes: `ask(people.list_links, caller)`."""
    return call(act(runtime.get().access, *args, **options))


def change(
    act: Callable[Concatenate[Access, P], Coroutine[Any, Any, object]], *args: P.args, **options: P.kwargs
) -> None:
    """As `ask`, then reruns the page, which closes a dialog; renders a refusal instead if there is one."""
    with render_refusals():
        ask(act, *args, **options)
        st.rerun()


def read(job: Callable[Concatenate[Any, P], T], *args: P.args, **options: P.kwargs) -> T:
    """Calls a reading function of the store: `read(records.find_run, run_id=…)`."""
    return call(runtime.get().store.read(job, *args, **options))


async def write_own(access: Access, caller: Caller, job: Callable[..., object], /, **options: object) -> None:
    """For `ask`: changes something of the caller's own in the store, once their sign-in is checked again."""
    present = await access.recheck(caller)
    await access.store.write(job, owner=str(present.owner), **options)


def read_caller() -> Caller:
    """The caller as the edge found them when this page's socket opened; `access.recheck` says what they may now.

    Raises NotSignedIn if nobody was signed in, StoreUnavailable if the database was not available then.
    """
    claimed = _read_claim()
    if claimed is None:
        raise NotSignedIn("Nobody is signed in on this page.")
    if claimed.kind == "local" and st.session_state.get(_PROVEN):
        return replace(claimed, is_proven=True)
    return claimed


def require_caller() -> Caller:
    """The caller with their present role, from the database. Ends the run if nobody is signed in (any more)."""
    known = find_caller()
    if known is None:
        # Only a whole run reaches the router, which renders the sign-in page.
        st.rerun(scope="app")
    return known


def needs_owner_code() -> bool:
    """Whether this page waits for the owner code: in local mode that is not `open`, until the owner gave it."""
    claimed, running = _read_claim(), runtime.get()
    is_local = claimed is not None and claimed.kind == "local" and running.settings.local_mode != "open"
    return is_local and find_caller() is None and call(running.sign_in.is_local_mode())


def is_owner_proven() -> bool:
    """Whether this browser gave the owner code; always true for members. Also works before anybody is signed in."""
    if needs_owner_code():
        return call(runtime.get().access.is_proven_local_owner(read_caller()))
    return require_caller().is_proven


def find_caller() -> Caller | None:
    """As `require_caller`, for the router: None if nobody is signed in."""
    try:
        caller = call(runtime.get().access.recheck(read_caller()))
    except NotSignedIn:
        return None
    _forget_others(caller)
    return caller


def was_member() -> bool:
    """Whether a member was signed in on this page before."""
    return str(st.session_state.get(_SEEN)).startswith("member:")


def bind_to_caller(act: Callable[P, None]) -> Callable[P, None]:
    """Makes a callback run only for the caller it was rendered for: its first argument, or that argument's `caller`.

    Streamlit runs callbacks before the script, so before the router checks who is here. Pages are bound to their
    sign-in already (flowground/ui/shims/streamlit_process.py); a callback that acts in somebody's name checks again.
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
    """The flow id of a page at `/public_flow/{flow_id}`, as the edge has it; None at other addresses."""
    return st.context.headers.get(PageHeader.FLOW) if is_served() else None


def read_browser_id() -> str:
    """The id of this browser, to which sign-in tickets are bound; empty if it sends no cookies."""
    return str(st.context.headers.get(PageHeader.BROWSER, "")) if is_served() else ""


def read_address() -> str:
    """The caller's address, for limits, as flowground/web/origin.py settled it when the socket opened."""
    return str(st.context.headers.get(PageHeader.ADDRESS, "unknown")) if is_served() else "this computer"


def remember_owner_code() -> None:
    """Keeps for this page that the owner code was given; for later pages the cookie of `/session/start` does."""
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
    """Clears the session if its socket came back signed in as somebody else."""
    seen = st.session_state.get(_SEEN)
    present = str(caller.owner)
    if seen is not None and seen != present:
        st.session_state.clear()
    st.session_state[_SEEN] = present


def render_failure(error: Exception) -> bool:
    """For st.App's `on_script_error`; True means that nothing else is rendered. Streamlit has logged the error."""
    if isinstance(error, NotSignedIn):
        st.info("You are signed out. Reload the page to sign in again.")
    elif isinstance(error, RequestError | StoreUnavailable):
        render_refusal(error)
    else:
        st.error("Something went wrong here. The server's log says what; reload the page to try again.")
    return True


def render_refusal(error: FlowgroundError) -> None:
    """A calm box with the reason why something was not done, instead of Streamlit's with links."""
    st.warning(words.write_sentence(error.full_message))


@contextmanager
def render_refusals() -> Iterator[None]:
    """Renders a FlowgroundError of the block as a refusal; the script goes on behind the block."""
    try:
        yield
    except FlowgroundError as error:
        render_refusal(error)


@contextmanager
def keep_refusals(key: str) -> Iterator[None]:
    """Keeps a FlowgroundError of a callback under `key`: `render_kept` renders it in the run that follows."""
    try:
        yield
    except FlowgroundError as error:
        st.session_state[key] = error


@bind_to_caller
def change_later(
    caller: Caller, refused: str, act: Callable[..., Coroutine[Any, Any, object]], *args: object, says: str = ""
) -> None:
    """As `ask`, for callbacks: a toast says that it is done; a refusal is kept under the key `refused`."""
    with keep_refusals(refused):
        ask(act, caller, *args)
        if says:
            st.toast(says, icon=":material/check:")


def render_kept(key: str) -> None:
    """Renders the refusal that `keep_refusals` kept under this key, once."""
    if error := st.session_state.pop(key, None):
        render_refusal(error)
