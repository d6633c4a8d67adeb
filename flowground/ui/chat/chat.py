"""The playground's chat: one component (frontend/src/chat) that speaks to the server over its own socket.

The server's side of that socket is flowground/ui/conversation: no message runs a page's script. What needs the page's
dialogs or its address comes back to the page as a trigger. Beside the component stand the fields that its author opened
for people, which files a message may have, and, in the sidebar, the list of the person's conversations. That list is a
fragment, so that searching and ticking render it alone.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import partial
from html import escape
from itertools import groupby
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from flowground.access import gallery, insides
from flowground.access.feedback import RatedPlace
from flowground.app import knowledge_admin, runtime
from flowground.components.base import INPUT
from flowground.components.io import InputComponent
from flowground.core.caller import SESSION_ID_CHARS, Caller
from flowground.core.errors import FlowgroundError, NoDocuments
from flowground.core.media_types import list_endings, name_accepted
from flowground.core.words import describe_kind
from flowground.core.yaml_file import write_link_color
from flowground.flows.fields import FieldPolicy
from flowground.flows.tweaks import FieldValues, drop_secrets, find_changes, name_option
from flowground.flows.wiring import WiredFlow
from flowground.runs.request_files import NO_IMAGES, is_image, may_see_images
from flowground.store.runs import conversations, session_lists
from flowground.store.runs.session_lists import ListedSession, SessionPage
from flowground.store.sql import ListPlace
from flowground.ui.api_access import pane
from flowground.ui.chat import chat_menu, rating
from flowground.ui.chat.chat_menu import Conversation, begin_new, find_session, keep_in_address, name_flow
from flowground.ui.inside import editing
from flowground.ui.inside.make_test import make_test
from flowground.ui.overrides.tab import describe_chip, find_overrides_state, write_value
from flowground.ui.page import bridge, browser, parts, words
from flowground.ui.page.bridge import bind_to_caller, read_shared_flow, require_caller
from flowground.ui.page.parts import make_component, make_key, read_searched, render_action, render_search
from flowground.ui.shell.navigation import find_page_part

_PAGES_OWN = ("flow", "session", "overrides", "embed", "embed_options")
"""Parameters of a page's address that fill no field, in small letters."""
_NOT_CHOSEN = "Please choose"
"""The first entry of a choice without a default."""
_EXACT = 2**53 - 1
"""The largest integer that JavaScript holds exactly; larger numbers are sent as text."""

_ROWS = 40
_TITLE_CHARS = 60
_REFUSED = "sessions:refused"

_render_component = make_component("chat")


def render_playground(conversation: Conversation) -> None:
    """The chat below a page's header, or the form of a flow that takes a text; and the list in the sidebar."""
    key = make_key(f"chat:{conversation.wired.id}")
    hear = partial(_make_callback, conversation, key)
    _render_component(
        key=key,
        data=[describe(conversation)],  # in a mapping Streamlit looks for tables, and imports pandas for that
        on_began_change=hear("began", _begin),
        on_code_change=hear("code", _show_code),
        on_clear_change=hear("clear", lambda at, _: find_overrides_state(at.caller, at.wired).clear()),
        on_new_change=hear("new", lambda at, _: begin_new(at.wired.id)),
        on_why_change=hear("why", partial(_open_about, rating.open_reason)),
        on_test_change=hear("test", partial(_open_about, _open_test)),
        on_changed_change=lambda: None,  # the rerun itself renders the flow as it is now
        on_closed_change=lambda: None,  # the rerun checks who is here, and what they may open
    )
    # After the chat: a long list is no reason to wait for the field.
    render_sessions(conversation, noun="chat" if conversation.wired.chat_input_id else "run")


def describe(conversation: Conversation) -> Mapping[str, Any]:
    """The component's data: as little as it renders."""
    wired, chat = conversation.wired, conversation.wired.flow.chat
    is_form = not wired.chat_input_id
    is_public, is_new = read_shared_flow() is not None, st.query_params.get("session") != conversation.session_id
    title = name_flow(wired)
    inputs = (item.input_value for item in wired.components.values() if isinstance(item, InputComponent))
    return {
        "mode": "form" if is_form else "chat",
        "flow": wired.id,
        "session": conversation.session_id,
        "is_new": is_new,
        "is_public": is_public,
        "person": browser.name_person(conversation.caller.owner),
        "title": title,
        "icon": chat.icon or "",
        "accent": {"main": chat.accent, "link": write_link_color(chat.accent)} if chat.accent else None,
        "welcome": chat.welcome or ("" if is_form else "What would you like to ask?"),
        "starters": [] if is_form else list(chat.starters),
        "lacks_documents": NoDocuments.says if is_new and _lacks_documents(wired) else "",
        "adds_documents": not is_public and knowledge_admin.may_add(runtime.get(), conversation.caller, wired),
        "label": "Text" if is_form else "Message",
        "placeholder": "Paste or type a text" if is_form else f"Message {title}",
        "example": next(iter(inputs), "") if is_form else "",
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


def _list_notes(conversation: Conversation) -> list[dict[str, str]]:
    """Quiet lines at the field. Lines with `when: empty` stand there until a message was sent."""
    wired = conversation.wired
    fetch = parts.announce_fetch(wired, sees_inside=conversation.sees_inside)
    limits = parts.warn_of_limits(wired)
    notes = [{"icon": "test", "text": "Your draft answers. Only you can see it."}] if conversation.is_draft else []
    notes += [{"icon": "fetch", "text": fetch}] if fetch else []
    return notes + ([{"when": "empty", "text": limits}] if limits else [])


def _make_callback(
    conversation: Conversation, key: str, name: str, act: Callable[[Conversation, Any], None]
) -> Callable[[], None]:
    """A callback that calls `act` with what the component sent under this name."""

    def act_on_it() -> None:
        sent = st.session_state[key][name]
        if sent is not None:
            bind_to_caller(act)(conversation, sent)

    return act_on_it


def _begin(conversation: Conversation, session_id: Any) -> None:
    """The first message was sent in a conversation that the page's address did not name."""
    if isinstance(session_id, str) and 0 < len(session_id) <= SESSION_ID_CHARS:
        keep_in_address(conversation, session_id)


def _show_code(conversation: Conversation, sent: Any) -> None:
    """Opens the pane with the call behind a question. The page sends its `tweaks` if the question is not stored."""
    if not (conversation.offers_code and isinstance(sent, dict)):
        return
    question, text, session = (str(sent.get(name, "")) for name in ("question", "text", "session"))
    owner = str(conversation.caller.owner)
    place = {"flow_id": conversation.wired.id, "owner": owner, "session_id": session, "message_id": question}
    if "tweaks" in sent:
        values = _check_tweaks(conversation, sent["tweaks"])
    else:
        values = bridge.read(conversations.find_overrides, **place)
    asked = bridge.read(conversations.find_question, **place)
    call = pane.PastCall(text, session, values, asked.files if asked else ())
    parts.schedule_dialog(conversation.wired.id, partial(pane.open_drawer, conversation.wired, call))


def _open_about(open_dialog: Callable[[RatedPlace], None], conversation: Conversation, sent: Any) -> None:
    """Opens a dialog about the answer that the page names."""
    if isinstance(sent, dict):
        session, message = (str(sent.get(name, ""))[:SESSION_ID_CHARS] for name in ("session", "message"))
        place = RatedPlace(conversation.wired.id, session, message)
        parts.schedule_dialog(conversation.wired.id, partial(open_dialog, place))


def _open_test(place: RatedPlace) -> None:
    """Makes a test of a turn and opens the flow's file with it."""
    caller = require_caller()
    with bridge.render_refusals():
        turn = bridge.ask(insides.read_turn, caller, **asdict(place))
        editing.open_with_test(caller, turn.wired, make_test(turn), place.session_id)


def _check_tweaks(conversation: Conversation, values: Any) -> FieldValues:
    """The overrides as they would be stored; none if they do not fit the flow."""
    with suppress(FlowgroundError, AttributeError, TypeError):
        return drop_secrets(conversation.wired, find_changes(conversation.wired, values, conversation.caller))
    return {}


def describe_files(wired: WiredFlow, caller: Caller, *, sees_inside: bool) -> dict[str, Any]:
    """Which files a message may have: `most` of them, of `bytes` each; `accept` is for the browser's own dialog. If
    `most` is 0, `says` has the reason."""
    accepts = wired.flow.chat.accepts if wired.chat_input_id else ()
    is_blind = bool(accepts) and not may_see_images(wired, runtime.get().models)
    if is_blind and all(map(is_image, accepts)):
        return {"most": 0, "bytes": 0, "accept": "", "says": NO_IMAGES}
    if not accepts:
        why = " `accepts` in `chat` of its file lets it." if sees_inside and wired.chat_input_id else ""
        return {"most": 0, "bytes": 0, "accept": "", "says": f"This flow takes no files.{why}"}
    return {
        "most": runtime.get().settings.limits.message_files,
        "bytes": runtime.get().files.find_limit(caller.owner, wired.flow.chat.file_bytes),
        "accept": ",".join(list_endings(accepts)),
        "says": f"Add {name_accepted(accepts)}",
        "no_images": NO_IMAGES if is_blind else "",
    }


def describe_asked_fields(wired: WiredFlow, caller: Caller) -> list[dict[str, Any]]:
    """The opened fields that people are asked for, in the author's order. `address`: the parameter that fills a
    field."""
    asked = [field for field in wired.policy.asked if wired.policy.may_set(field, caller)]
    titles = Counter(name_option(wired, field) for field in asked)
    return [_describe_field(wired, field, is_alone=titles[name_option(wired, field)] == 1) for field in asked]


def _describe_field(wired: WiredFlow, field: FieldPolicy, *, is_alone: bool) -> dict[str, Any]:
    component = wired.flow.components[field.component]
    is_own_input = field.name == INPUT and wired.components[field.component].input_kind is not None
    title = name_option(wired, field)
    kind = "integer" if field.type.is_whole else "number"
    choices = field.list_choices() if field.widget == "choice" else []
    bounds = {"minimum": field.min, "maximum": field.max}
    schema = {"type": kind} | {name: bound for name, bound in bounds.items() if bound is not None}
    return {
        "component": field.component,
        "name": field.name,
        "address": field.component if is_own_input and field.component.lower() not in _PAGES_OWN else field.key,
        # An id says more than the title of the component's type.
        "title": title if is_alone else f"{component.display_name or field.component} · {title}",
        "help": "" if is_own_input else field.type.description,
        "widget": "text" if field.widget == "area" and field.is_short else field.widget,
        "kind": describe_kind(schema) if field.type.is_number else field.type.kind,
        "value": _make_exact(field.value),
        "min": field.min,
        "max": field.max,
        "step": field.step,
        "choices": [{"value": _make_exact(one), "label": _name_choice(one, field)} for one in choices],
        "is_whole": field.type.is_whole,
        "is_optional": field.type.is_optional,
        "is_required": field.is_required,
    }


def _name_choice(choice: Any, field: FieldPolicy) -> str:
    is_none = choice == "" or (choice is None and field.is_required)
    return _NOT_CHOSEN if is_none else write_value(choice)


def _make_exact(value: Any) -> Any:
    is_large = isinstance(value, int | float) and abs(value) > _EXACT
    return str(value) if is_large else value


@dataclass(slots=True)
class _ListState:
    """Where the shown page of the list begins, with the pages before it; and the ticked conversations."""

    searched: str = ""
    places: list[ListPlace] = field(default_factory=list)
    is_selecting: bool = False
    ticked: set[str] = field(default_factory=set)


def render_sessions(conversation: Conversation, *, noun: str = "chat") -> None:
    """The person's conversations with the flow; `noun` is what one of them is called."""
    flow_id = conversation.wired.id
    with find_page_part():
        st.button(
            f"New {noun}",
            icon=":material/edit_square:",
            key=f"sessions:new:{flow_id}",
            width="stretch",
            on_click=lambda: begin_new(flow_id),
        )
        _render_list(flow_id, conversation.session_id, noun, name_flow(conversation.wired))


@st.fragment
def _render_list(flow_id: str, shown: str, noun: str, name: str) -> None:
    if find_session(flow_id) != shown:
        st.rerun(scope="app")  # another conversation was chosen in the list
    caller = require_caller()
    state: _ListState = st.session_state.setdefault(chat_menu.make_state_key(flow_id), _ListState())
    searched = read_searched(search := f"sessions:search:{flow_id}")
    if searched != state.searched:
        state.searched = searched
        state.places.clear()
    page = _read_page(caller, flow_id, searched, state)
    if not (page.sessions or page.pinned or searched or state.places):
        return
    render_search(search, f"Search {noun}s", width="stretch")
    _render_head(flow_id, noun, state)
    bridge.render_kept(_REFUSED)
    with st.container(gap=None, key="sessions:rows"):
        for day, sessions in _split_by_day(page):
            st.caption(day)
            for session in sessions:
                _render_row(caller, flow_id, session, state, noun, is_shown=session.session_id == shown)
        if searched and not page.sessions and not page.end:
            st.caption(f"No results in {noun}s with {words.escape(name)}.")
        if searched and not state.places:
            _render_found_elsewhere(caller, flow_id, searched)
        _render_foot(flow_id, page, state, is_searching=bool(searched))


def _read_page(caller: Caller, flow_id: str, searched: str, state: _ListState) -> SessionPage:
    owner, after = str(caller.owner), state.places[-1] if state.places else None
    if searched:
        return bridge.read(session_lists.search, flow_id=flow_id, owner=owner, words=searched, after=after, limit=_ROWS)
    return bridge.read(session_lists.list_page, flow_id=flow_id, owner=owner, after=after, limit=_ROWS)


def _render_head(flow_id: str, noun: str, state: _ListState) -> None:
    with st.container(horizontal=True, wrap=False, vertical_alignment="center", key="sessions:head"):
        st.markdown(f":small[**Your {noun}s**]", width="stretch")
        word = "Cancel" if state.is_selecting else "Select"
        render_action(word, _select, state, not state.is_selecting, key=f"sessions:select:{flow_id}")
    if state.is_selecting:
        count = len(state.ticked)
        label = f"Delete {words.count(count, noun)}" if count else f"Delete {noun}s"
        if st.button(label, key=f"sessions:delete_ticked:{flow_id}", icon=":material/delete:", disabled=not count):
            chat_menu.delete(flow_id, tuple(sorted(state.ticked)), noun)


def _render_found_elsewhere(caller: Caller, flow_id: str, searched: str) -> None:
    """Other flows' conversations that have the words, for callers who may open other pages."""
    if caller.kind == "visitor" or read_shared_flow() is not None:
        return
    found, _ = bridge.ask(gallery.search_chats, caller, words=searched, without=flow_id)
    flows = runtime.get().catalogue.list_flows()
    there = [session for session in found if session.flow_id in flows]  # a flow's file may be gone meanwhile
    if there:
        st.caption("With other flows")
    for session in there:
        query = {"flow": session.flow_id, "session": session.session_id}
        key = f"{session.flow_id}:{session.session_id}"  # two flows may have conversations of one id
        with st.container(key=f"sessions:row:else:{key}"):
            _render_link(key, session.title, query, flow=flows[session.flow_id].name)


def _render_foot(flow_id: str, page: SessionPage, state: _ListState, *, is_searching: bool) -> None:
    """How far a search has read, and buttons for older conversations and back to the newest."""
    if page.read_to:
        st.caption(f"Searched back to {browser.write_day(page.read_to)}.")
    if page.end:
        word = "Search further back" if is_searching else "Show older"
        render_action(word, state.places.append, page.end, key=f"sessions:older:{flow_id}", icon="expand_more")
    if state.places:
        key = f"sessions:newest:{flow_id}"
        render_action("Back to the newest", state.places.clear, key=key, icon="vertical_align_top")


def _render_row(
    caller: Caller, flow_id: str, session: ListedSession, state: _ListState, noun: str, *, is_shown: bool
) -> None:
    key, title = session.session_id, words.cut(session.title or "Untitled", _TITLE_CHARS)
    if state.is_selecting:
        st.checkbox(
            words.escape(title),
            value=key in state.ticked,
            key=f"sessions:tick:{key}",
            width="stretch",
            on_change=state.ticked.symmetric_difference_update,
            args=({key},),
        )
        return
    mark = "on" if is_shown else "off"
    with st.container(
        horizontal=True, wrap=False, vertical_alignment="center", gap=None, key=f"sessions:row:{mark}:{key}"
    ):
        _render_link(key, session.title, st.query_params.to_dict() | {"session": key}, is_shown=is_shown)
        label, menu = f"More about {words.escape(title)}", f"sessions:more:{key}"
        chat_menu.render_entries(caller, flow_id, session, label, key=menu, noun=noun, refused=_REFUSED)


def _render_link(key: str, title: str, query: Mapping[str, str], *, flow: str = "", is_shown: bool = False) -> None:
    """A link to a conversation on this page; a press does what its hidden button does (web/head.js).

    Streamlit's own link to the current page would not change the address.
    """
    current = ' aria-current="page"' if is_shown else ""
    shown = escape(words.cut(title or "Untitled", _TITLE_CHARS)) + (f" <span>{escape(flow)}</span>" if flow else "")
    st.html(f'<a class="fg-nav"{current} href="?{escape(urlencode(query))}">{shown}</a>', width="stretch")
    if not is_shown:
        render_action("Open", st.query_params.from_dict, query, key=f"sessions:open:{key}")


def _select(state: _ListState, is_selecting: bool) -> None:
    state.is_selecting = is_selecting
    state.ticked.clear()


def _split_by_day(page: SessionPage) -> Iterator[tuple[str, Iterable[ListedSession]]]:
    """Pinned conversations first, then the others by the visitor's days."""
    if page.pinned:
        yield "Pinned", page.pinned
    yield from groupby(page.sessions, key=lambda session: _name_day(session.updated_at))


def _name_day(moment: datetime) -> str:
    days = (browser.find_today() - browser.find_day(moment)).days
    names = ((0, "Today"), (1, "Yesterday"), (7, "Last 7 days"), (30, "Last 30 days"))
    return next((name for most, name in names if days <= most), "Older")
