"""The fields for how somebody is called: the name that others see, and the one to sign in with, which is made of it."""

import streamlit as st

from flowground.sign_in.roster import NAME_CHARS, suggest_name

_HELP = "Small letters, digits and . _ @ + - without spaces. An e-mail address works."


def draw_names(shown_label: str, *, key: str) -> tuple[str, str]:
    """Two fields in no form: the name that colleagues see, and the user name, which follows it as it is written, until
    somebody writes another."""
    shown = st.text_input(
        shown_label,
        placeholder="As colleagues see it",
        autocomplete="name",
        max_chars=NAME_CHARS,
        key=f"{key}:shown",
        on_change=_suggest,
        args=(key,),
        live=True,
    )
    name = st.text_input("User name", help=_HELP, autocomplete="username", key=f"{key}:name")
    return shown or "", name or ""


def empty_names(key: str) -> None:
    """For a button: the next ones begin anew."""
    for field in ("shown", "name", "suggested"):
        st.session_state[f"{key}:{field}"] = ""


def _suggest(key: str) -> None:
    state = st.session_state
    if state.get(f"{key}:name", "") in ("", state.get(f"{key}:suggested", "")):
        state[f"{key}:name"] = state[f"{key}:suggested"] = suggest_name(state[f"{key}:shown"] or "")
