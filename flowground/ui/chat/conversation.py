"""Which conversation a page shows. The address names it (`?session=…`), so that a refresh and a link find it again."""

import uuid
from dataclasses import dataclass, field

import streamlit as st

from flowground.caller import SESSION_ID_CHARS, Caller
from flowground.overrides import Values
from flowground.ui.chat.viewers import ChatPlace
from flowground.wiring import WiredFlow


@dataclass(frozen=True, slots=True)
class Conversation:
    """`sees_inside` says whether the person sees the flow's steps here; `begun` whether its address names it already.

    `overrides` apply to what is said here; `as_code` offers the call behind each answer.
    """

    caller: Caller
    wired: WiredFlow
    session_id: str
    sees_inside: bool
    begun: bool
    overrides: Values = field(default_factory=dict)
    as_code: bool = False

    @property
    def place(self) -> ChatPlace:
        return ChatPlace(self.caller.key, self.wired.id, self.session_id)

    def key(self, subject: str) -> str:
        """A widget key of this conversation's own."""
        return f"{subject}:{self.wired.id}:{self.session_id}"


def current(
    caller: Caller, wired: WiredFlow, *, sees_inside: bool, overrides: Values | None = None, as_code: bool = False
) -> Conversation:
    """The conversation in the address, else a new one that is kept once something is said in it."""
    named = st.query_params.get("session", "")
    if named and len(named) <= SESSION_ID_CHARS:
        return Conversation(caller, wired, named, sees_inside, True, overrides or {}, as_code)
    draft = st.session_state.setdefault(_draft(wired.id), str(uuid.uuid4()))
    return Conversation(caller, wired, draft, sees_inside, False, overrides or {}, as_code)


def keep(conversation: Conversation) -> None:
    """Puts the conversation into the address; the next new one gets another id."""
    if st.query_params.get("session") != conversation.session_id:
        st.query_params["session"] = conversation.session_id
    st.session_state.pop(_draft(conversation.wired.id), None)


def open_session(session_id: str) -> None:
    """For a button: shows a past conversation."""
    st.query_params["session"] = session_id


def begin_new(flow_id: str) -> None:
    """For a button: shows an empty conversation."""
    st.query_params.pop("session", None)
    st.session_state.pop(_draft(flow_id), None)


def _draft(flow_id: str) -> str:
    return f"chat:draft:{flow_id}"
