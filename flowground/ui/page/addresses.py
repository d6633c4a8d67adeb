"""Addresses as the visitor sees them."""

from pathlib import Path
from urllib.parse import urlsplit

import streamlit as st

from flowground import runtime
from flowground.wiring import WiredFlow

# Whole paths: in AppTest the script is app.py, elsewhere pages/router.py, and Streamlit counts short ones from it.
_PAGES = Path(__file__).resolve().parents[3] / "pages"
PLAYGROUND = str(_PAGES / "playground.py")


def base_url() -> str:
    """`public_url` of the settings, else where this visitor's browser found the app; no slash at its end."""
    configured = runtime.current().settings.public_url
    if configured:
        return configured
    seen = urlsplit(st.context.url or "http://127.0.0.1:8501")
    return f"{seen.scheme}://{seen.netloc}"


def share_link(wired: WiredFlow) -> str:
    """The shareable playground's full address."""
    return f"{base_url()}/public_flow/{wired.id}"
