"""Which conversation a page shows.

The address names it (`?session=…`), so that a refresh and a link find it again.
"""

import uuid
from dataclasses import dataclass, field

import streamlit as st

from flowground.caller import SESSION_ID_CHARS, Caller
from flowground.overrides import FieldValues
from flowground.ui.page.caller import read_shared_flow
from flowground.wiring import WiredFlow


@dataclass(frozen=True, slots=True)
class Conversation:
    """`sees_inside`: steps and failures are shown whole here. `offers_code`: each answer has a button for its code.

    `overrides` apply to what is said here. `is_draft`: `wired` is the caller's draft, and not what is saved.
    """

    caller: Caller
    wired: WiredFlow
    session_id: str
    sees_inside: bool = False
    overrides: FieldValues = field(default_factory=dict)
    offers_code: bool = False
    is_draft: bool = False


def name_flow(wired: WiredFlow) -> str:
    """The flow's name on this page: the shareable playground may have a title of its own."""
    return (wired.flow.chat.title if read_shared_flow() is not None else None) or wired.name


def find_session(flow_id: str) -> str:
    """The id in the address, else a new one that is kept once something is said in it."""
    named = st.query_params.get("session", "")
    if named and len(named) <= SESSION_ID_CHARS:
        return named
    fresh: str = st.session_state.setdefault(_make_fresh_key(flow_id), str(uuid.uuid4()))
    return fresh


def keep_in_address(conversation: Conversation, session_id: str) -> None:
    """Puts what was begun on the page into the address; the next new conversation gets another id."""
    if st.query_params.get("session") != session_id:
        st.query_params["session"] = session_id
    st.session_state.pop(_make_fresh_key(conversation.wired.id), None)


def begin_new(flow_id: str) -> None:
    """The next thing said is the first of a conversation of its own."""
    st.query_params.pop("session", None)
    st.session_state.pop(_make_fresh_key(flow_id), None)


def _make_fresh_key(flow_id: str) -> str:
    return f"chat:draft:{flow_id}"
