"""Addresses as the visitor sees them."""

from urllib.parse import urlsplit

import streamlit as st

from flowground import runtime
from flowground.wiring import WiredFlow

PLAYGROUND = "playground.py"
API_ACCESS = "api_access.py"
HOME = "home.py"


def base_url() -> str:
    """`public_url` of the settings, else where this visitor's browser found the app; no slash at its end."""
    configured = runtime.current().settings.public_url
    if configured:
        return configured
    seen = urlsplit(st.context.url or "http://127.0.0.1:8501")
    return f"{seen.scheme}://{seen.netloc}"


def share_link(flow: WiredFlow) -> str:
    """The shareable playground's full address."""
    return f"{base_url()}/public_flow/{flow.id}"
