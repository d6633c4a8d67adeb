"""What a page says when something was refused, or its script failed: calm words, no box of Streamlit's with links."""

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from flowground.errors import FlowgroundError, NotSignedIn, RequestError, StoreUnavailable
from flowground.ui.page import words


def draw_script_failure(error: Exception) -> bool:
    """For st.App's `on_script_error`; True means that nothing else is drawn. Streamlit has logged the error."""
    if isinstance(error, NotSignedIn):
        st.info("You are signed out. Reload the page to sign in again.")
    elif isinstance(error, RequestError | StoreUnavailable):
        draw_refusal(error)
    else:
        st.error("Something went wrong here. The server's log says what; reload the page to try again.")
    return True


def draw_refusal(error: FlowgroundError) -> None:
    """Why something was not done: nothing was stored."""
    st.warning(words.write_sentence(error.full_message))


@contextmanager
def draw_refusals() -> Iterator[None]:
    """Where what is done within is refused, says so and goes on behind it."""
    try:
        yield
    except FlowgroundError as error:
        draw_refusal(error)


@contextmanager
def keep_refusals(key: str) -> Iterator[None]:
    """As `draw_refusals`, for a callback, which draws nothing: `draw_kept` says so in the run that follows."""
    try:
        yield
    except FlowgroundError as error:
        st.session_state[key] = error


def draw_kept(key: str) -> None:
    if error := st.session_state.pop(key, None):
        draw_refusal(error)
