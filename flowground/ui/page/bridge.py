"""From a page's script thread to the runtime's event loop and back."""

import asyncio
import concurrent.futures
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar

import streamlit as st

from flowground import runtime
from flowground.access import Access
from flowground.caller import Caller
from flowground.ui.page import failure

P = ParamSpec("P")
T = TypeVar("T")

_STEP = 0.1
"""Seconds between two looks whether Streamlit wants this script to end."""


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
    with failure.draw_refusals():
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
