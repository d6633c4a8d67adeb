"""What a page says when its script failed: calm words instead of Streamlit's box with links to other sites."""

import streamlit as st

from flowground.errors import NotSignedIn, RequestError
from flowground.ui import words


def draw_failure(error: Exception) -> bool:
    """For st.App's `on_script_error`; True means that nothing else is drawn. Streamlit has logged the error."""
    if isinstance(error, NotSignedIn):
        st.info("You are signed out. Reload the page to sign in again.")
    elif isinstance(error, RequestError):
        st.warning(" ".join(words.plain(text) for text in (error.message, error.hint) if text))
    else:
        st.error("Something went wrong here. The server's log says what; reload the page to try again.")
    return True
