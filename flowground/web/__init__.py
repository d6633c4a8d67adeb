"""The web door: what st.App is given beside the script (edge, sign-in routes, API, start and end of the process)."""

from flowground.web.app import Web

__all__ = ["Web"]
