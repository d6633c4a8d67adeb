"""The sign-in form: streamlit-authenticator draws it and checks the password; the cookie is set by our own route.

Only imported by the sign-in page: the authenticator takes a third of a second to load.
"""

import secrets
from contextlib import ExitStack
from contextvars import ContextVar
from dataclasses import dataclass
from threading import BoundedSemaphore
from types import SimpleNamespace
from typing import Any

import streamlit as st
import streamlit_authenticator as authenticator  # type: ignore[import-untyped]
from streamlit_authenticator.models import cookie_model  # type: ignore[import-untyped]
from streamlit_authenticator.views import authentication_view  # type: ignore[import-untyped]

from flowground import runtime
from flowground.errors import InvalidRequest
from flowground.sign_in.devices import Device
from flowground.sign_in.tries import locked_out
from flowground.ui.page import bridge, words
from flowground.ui.page.caller import address, device
from flowground.ui.sign_in import session

_CHECKS = BoundedSemaphore(2)
"""A check takes a quarter of a second of CPU: a flood of them makes strangers wait for each other, not the app."""
_STATUS = "authentication_status"
_ITS_KEYS = (_STATUS, "name", "username", "email", "roles", "logout", "password_hint")


class _NoCookies:
    """In place of the authenticator's cookie component: an iframe that writes a cookie any script can read."""

    def set(self, *_: Any, **__: Any) -> None: ...

    def delete(self, *_: Any, **__: Any) -> None: ...


@dataclass(slots=True)
class _Attempt:
    """What was sent in this run of the script. `turn` is entered once the form is sent: then the check follows."""

    turn: ExitStack
    name: str = ""
    sent: bool = False


_attempt: ContextVar[_Attempt] = ContextVar("attempt")
"""Every script thread has its own: the authenticator's module is one for all visitors."""


class _Form:
    """The authenticator's form, made known to password managers (it says `autocomplete="off"`)."""

    def __init__(self, form: Any) -> None:
        self._form = form

    def __getattr__(self, name: str) -> Any:
        return getattr(self._form, name)

    def text_input(self, label: str, **options: Any) -> str:
        is_password = options.get("type") == "password"
        options["autocomplete"] = "current-password" if is_password else "username"
        given: str = self._form.text_input(label, **options)
        if not is_password:
            _attempt.get().name = given
        return given

    def form_submit_button(self, label: str) -> bool:
        attempt = _attempt.get()
        attempt.sent = self._form.form_submit_button(label, type="primary", width="stretch")
        if attempt.sent:
            attempt.turn.enter_context(_CHECKS)
        return attempt.sent


class _Streamlit:
    """Streamlit as the authenticator's view sees it: its form is a `_Form`."""

    def __getattr__(self, name: str) -> Any:
        return getattr(st, name)

    def form(self, **options: Any) -> _Form:
        return _Form(st.form(**options))


cookie_model.stx = SimpleNamespace(CookieManager=_NoCookies)
authentication_view.st = _Streamlit()


def sign_in_form() -> None:
    """Draws the form; when name and password are right, the page is loaded anew at the same address, signed in."""
    sign_in = runtime.current().sign_in
    here, browser = address(), device()
    # No cookie has this name and nothing is signed with this key: who is signed in is settled at the edge.
    form = authenticator.Authenticate(
        sign_in.credentials_for_form(here, browser),
        cookie_name="-",
        cookie_key=secrets.token_hex(32),
        cookie_expiry_days=0,
        auto_hash=False,
        login_sleep_time=0,
    )
    organization = words.plain(runtime.current().settings.organization.name)
    fields = {
        "Form name": f"Sign in to {organization}",
        "Username": "User name",
        "Password": "Password",
        "Login": "Sign in",
    }
    st.session_state[_STATUS] = None
    with ExitStack() as turn:
        attempt = _Attempt(turn)
        _attempt.set(attempt)
        form.login(fields=fields, key="sign_in")
    right, name = st.session_state[_STATUS], st.session_state["username"]
    for key in _ITS_KEYS:
        st.session_state.pop(key, None)
    if right:
        bridge.call(sign_in.note_right_password(name, here, browser))
        _begin(name)
    elif attempt.sent:
        _say_why_not(attempt.name, here, browser)


def _begin(name: str) -> None:
    try:
        session.sign_in_browser(name)
    except InvalidRequest as error:
        st.error(" ".join(filter(None, (error.message, error.hint))))


def _say_why_not(name: str, here: str, browser: Device | None) -> None:
    """The same words for an unknown name and a wrong password."""
    wait = bridge.call(runtime.current().sign_in.lockout(name, here, browser)) if name.strip() else 0
    if wait:
        st.error(locked_out(wait).message)
    else:
        st.error("User name or password is wrong.")
