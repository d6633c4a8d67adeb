"""A conversation with a flow: one component in the page, which speaks to the server over a socket of its own.

Its code is in frontend/src/chat, the server's side in flowground/conversation. No message runs a page's script. What
needs the page's own dialogs or its address comes back as a trigger.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import streamlit as st

from flowground import runtime, shelving
from flowground.access.feedback import RatedPlace
from flowground.caller import SESSION_ID_CHARS
from flowground.components.io import InputComponent
from flowground.errors import FlowgroundError, NoDocuments
from flowground.overrides import FieldValues, drop_secrets, find_changes
from flowground.store.runs import conversations
from flowground.ui.api_access import pane
from flowground.ui.chat import make_test, rating
from flowground.ui.chat.added_files import describe_files
from flowground.ui.chat.asked_fields import describe_asked_fields
from flowground.ui.chat.conversation import Conversation, begin_new, keep_in_address, name_flow
from flowground.ui.chat.sessions import draw_sessions
from flowground.ui.overrides.state import describe_chip, find_overrides_state
from flowground.ui.page import bridge, drafts, model_notes
from flowground.ui.page.actions import schedule_dialog
from flowground.ui.page.caller import bind_to_caller, read_shared_flow
from flowground.ui.page.keys import make_component, make_key
from flowground.wiring import WiredFlow
from flowground.yaml_file.colors import write_link_color

_draw_component = make_component("chat")


def draw_playground(conversation: Conversation) -> None:
    """What stands below a page's header, and in its sidebar: a chat, or the form of a flow that takes a text."""
    draw_sessions(conversation, noun="chat" if conversation.wired.chat_input else "run")
    key = make_key(f"chat:{conversation.wired.id}")
    hear = partial(_note_trigger, conversation, key)
    _draw_component(
        key=key,
        data=[describe(conversation)],  # in a mapping Streamlit looks for tables, and imports pandas for that
        on_began_change=hear("began", _begin),
        on_code_change=hear("code", _show_code),
        on_clear_change=hear("clear", _clear_overrides),
        on_new_change=hear("new", _begin_new),
        on_why_change=hear("why", _ask_why),
        on_test_change=hear("test", _make_test),
        on_changed_change=lambda: None,  # nor does it here: the page says what the flow is now
        on_closed_change=lambda: None,  # the run that follows asks anew who is here, and what they may open
    )


def describe(conversation: Conversation) -> Mapping[str, Any]:
    """What the component is told of its page: as little as it draws."""
    wired, chat = conversation.wired, conversation.wired.flow.chat
    is_form = not wired.chat_input
    is_public, is_new = read_shared_flow() is not None, st.query_params.get("session") != conversation.session_id
    title = name_flow(wired)
    return {
        "mode": "form" if is_form else "chat",
        "flow": wired.id,
        "session": conversation.session_id,
        "is_new": is_new,
        "is_public": is_public,
        "person": drafts.name_person(conversation.caller.owner),
        "title": title,
        "icon": chat.icon or "",
        "accent": _write_accent(chat.accent),
        "welcome": chat.welcome or ("" if is_form else "What would you like to ask?"),
        "starters": [] if is_form else list(chat.starters),
        "lacks_documents": NoDocuments.says if is_new and _lacks_documents(wired) else "",
        "adds_documents": not is_public and shelving.may_add(runtime.get(), conversation.caller, wired),
        "label": "Text" if is_form else "Message",
        "placeholder": "Paste or type a text" if is_form else f"Message {title}",
        "example": _find_example(wired) if is_form else "",
        "asked": describe_asked_fields(wired, conversation.caller),
        "files": describe_files(wired, conversation.caller, sees_inside=conversation.sees_inside),
        "tweaks": conversation.overrides,
        "chip": describe_chip(conversation.overrides),
        "offers_code": conversation.offers_code,
        "offers_test": conversation.sees_inside and not is_public,
        "explained": rating.take_explained(),
        "notes": _list_notes(conversation),
    }


def _lacks_documents(wired: WiredFlow) -> bool:
    library = runtime.get().library
    return bool(library.list_looked_into(wired.id)) and bridge.call(library.lacks_documents(wired.id))


def _write_accent(color: str | None) -> dict[str, str] | None:
    """The flow's own colour as CSS, of buttons and of links."""
    return {"main": color, "link": write_link_color(color)} if color else None


def _list_notes(conversation: Conversation) -> list[dict[str, str]]:
    """Quiet lines at the field. Those for "empty" stand there until something was said."""
    wired = conversation.wired
    fetch = model_notes.announce_fetch(wired, sees_inside=conversation.sees_inside)
    limits = model_notes.warn_of_limits(wired)
    notes = [{"icon": "test", "text": "Your draft answers. Only you can see it."}] if conversation.is_draft else []
    notes += [{"icon": "fetch", "text": fetch}] if fetch else []
    return notes + ([{"when": "empty", "text": limits}] if limits else [])


def _find_example(wired: WiredFlow) -> str:
    """What the author put into the flow's input."""
    return next((item.input_value for item in wired.components.values() if isinstance(item, InputComponent)), "")


def _note_trigger(
    conversation: Conversation, key: str, name: str, act: Callable[[Conversation, Any], None]
) -> Callable[[], None]:
    """A callback that does `act` with what the component told by this name."""

    def act_on_it() -> None:
        told = st.session_state[key][name]
        if told is not None:
            bind_to_caller(act)(conversation, told)

    return act_on_it


def _begin(conversation: Conversation, told: Any) -> None:
    """Something was said in a conversation that had no address."""
    if isinstance(told, str) and 0 < len(told) <= SESSION_ID_CHARS:
        keep_in_address(conversation, told)


def _begin_new(conversation: Conversation, _: Any) -> None:
    begin_new(conversation.wired.id)


def _clear_overrides(conversation: Conversation, _: Any) -> None:
    find_overrides_state(conversation.caller, conversation.wired).clear()


def _show_code(conversation: Conversation, told: Any) -> None:
    """Opens the call that a question was. The page itself says what was asked with it where nothing of it is stored."""
    if not (conversation.offers_code and isinstance(told, dict)):
        return
    question, text, session = (str(told.get(name, "")) for name in ("question", "text", "session"))
    if "tweaks" in told:
        values = _check_tweaks(conversation, told["tweaks"])
    else:
        values = bridge.read(
            conversations.find_overrides,
            flow_id=conversation.wired.id,
            owner=str(conversation.caller.owner),
            session_id=session,
            message_id=question,
        )
    asked = bridge.read(
        conversations.find_question,
        flow_id=conversation.wired.id,
        owner=str(conversation.caller.owner),
        session_id=session,
        message_id=question,
    )
    call = pane.PastCall(text, session, values, asked.files if asked else ())
    schedule_dialog(conversation.wired.id, partial(pane.open_drawer, conversation.wired, call))


def _ask_why(conversation: Conversation, told: Any) -> None:
    """Opens the dialog in which a person says why they rated an answer so."""
    if isinstance(told, dict):
        session, message = (str(told.get(name, ""))[:SESSION_ID_CHARS] for name in ("session", "message"))
        place = RatedPlace(conversation.wired.id, session, message)
        schedule_dialog(conversation.wired.id, partial(rating.open_reason, place))


def _make_test(conversation: Conversation, told: Any) -> None:
    """Opens the dialog that makes a test of a turn."""
    if conversation.sees_inside and isinstance(told, dict):
        session, message = (str(told.get(name, ""))[:SESSION_ID_CHARS] for name in ("session", "message"))
        place = make_test.TurnPlace(conversation.wired.id, session, message)
        schedule_dialog(conversation.wired.id, partial(make_test.open_dialog, place))


def _check_tweaks(conversation: Conversation, values: Any) -> FieldValues:
    """As they would be kept; none of them where they do not fit."""
    with suppress(FlowgroundError, AttributeError, TypeError):
        return drop_secrets(conversation.wired, find_changes(conversation.wired, values, conversation.caller))
    return {}
