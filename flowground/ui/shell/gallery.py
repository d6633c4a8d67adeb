"""Home: recent chats, and all flows that a person may open as cards, searched, ordered and paged.

A card is two elements: a link that covers the whole card (flowground/ui/page/looks.css), and the text on it. So a card
is one stop for the keyboard.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape

import streamlit as st

from flowground.access import gallery
from flowground.access.gallery import CardFacts, OpenFlows
from flowground.app import runtime
from flowground.core.caller import Caller
from flowground.flows.wiring import WiredFlow
from flowground.store.runs.session_lists import ListedSession
from flowground.ui.page import bridge, browser, parts, words
from flowground.ui.page.bridge import require_caller
from flowground.ui.page.parts import begin_sentence, render_action, render_search, spell_reach
from flowground.ui.shell import new_flow
from flowground.ui.shell.opening import render_mistakes

_DESCRIPTION_CHARS = 180

_CARD_WIDTH = 250
_PAGE_CARDS = 24
_SEARCH_FROM = 7
"""From this many flows on there is a search field."""
_RECENT = 4
_MORE_RECENT = 20
_MOST_RECENT = 100
_RECENT_KEY = "home:recent:count"
_ORDERS = ("Recently used", "By name")


@st.fragment
def render_gallery() -> None:
    """The gallery, a fragment, which checks the caller each time.

    Who sees the inside also reads how flows are shared, their models, and mistakes in flow files.
    """
    caller = require_caller()
    found = bridge.ask(gallery.find_open, caller)
    catalogue = runtime.get().catalogue
    problems = catalogue.list_problems() if caller.sees_inside else {}
    render_mistakes(problems, catalogue.list_warnings() if caller.sees_inside else {})
    if found.flows:
        _render_flows(caller, found)
    elif not caller.sees_inside:
        _render_nothing_shared()
    elif not problems:
        _render_empty(caller, runtime.get().settings.flows.name)


def _render_flows(caller: Caller, found: OpenFlows) -> None:
    is_long = len(found.flows) >= _SEARCH_FROM
    searched, by_name = _render_search(has_order=is_long) if is_long or found.last_used else ("", False)
    if not searched:
        limit = st.session_state.get(_RECENT_KEY, _RECENT)
        _render_recent(bridge.ask(gallery.find_recent, caller, found, limit=limit + 1), limit)
    flows = _search(found.flows, searched)
    if flows:
        _render_cards(caller, found, flows, searched, by_name=by_name)
    else:
        st.markdown(f":gray[No flow has “{words.escape(searched)}” in its name or description.]")
    if searched:
        _render_found(*bridge.ask(gallery.search_chats, caller, words=searched))


def _render_cards(caller: Caller, found: OpenFlows, flows: list[WiredFlow], searched: str, *, by_name: bool) -> None:
    st.markdown(f":gray[{_write_count(len(flows), searched)}]")
    pages = -(-len(flows) // _PAGE_CARDS)
    key = f"home:page:{searched}:{by_name}"  # of its own for each search, so that each begins at its first page
    page = min(st.session_state.get(key, 1), pages)
    shown = choose_order(flows, found.last_used, by_name=by_name)[(page - 1) * _PAGE_CARDS : page * _PAGE_CARDS]
    facts = bridge.ask(gallery.find_facts, shown, found.shared)
    with st.grid(min_column_width=_CARD_WIDTH, gap="small", row_height="content", key="home:cards"):
        for wired in shown:
            _render_card(caller, wired, found, facts)
    if pages > 1:
        with st.container(horizontal_alignment="center"):
            st.pagination(pages, key=key)


def _render_search(*, has_order: bool) -> tuple[str, bool]:
    """The search field; returns its text, and whether flows are ordered by name."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        searched = render_search("home", "Search flows and chats", width="stretch")
        order = ""
        if has_order:
            order = st.selectbox("Order", _ORDERS, key="home:order", label_visibility="collapsed", width=170)
    return searched, order == _ORDERS[1]


def _write_count(number: int, searched: str) -> str:
    flows = words.count(number, "flow")
    return flows if searched or number == 1 else f"{flows}. Choose one to chat with."


def _search(flows: Sequence[WiredFlow], searched: str) -> list[WiredFlow]:
    """The flows that have each word in name, id or description; case and accents are ignored."""
    wanted = words.fold(searched).split()
    texts = ((wired, f"{wired.name}\n{wired.id}\n{wired.flow.description}") for wired in flows)
    return [wired for wired, text in texts if words.has_words(text, wanted)] if wanted else list(flows)


def _render_recent(recent: Sequence[ListedSession], limit: int) -> None:
    """Pinned and newest conversations with any flow, at most `limit` of each, and a button for more."""
    if not recent:
        return
    st.header("Recent chats", anchor=False)
    with st.container(key="home:recent", gap=None):
        pinned = [session for session in recent if session.is_pinned]
        newest = [session for session in recent if not session.is_pinned]
        for session in (*pinned[:limit], *newest[:limit]):
            _render_chat(session)
        if max(len(pinned), len(newest)) <= limit:
            pass
        elif limit < _MOST_RECENT:
            render_action("Show older chats", _show_more, limit, key="home:recent:more", icon="expand_more")
        else:
            st.caption("Search finds older chats too.")
    st.header("Flows", anchor=False)


def _render_found(found: Sequence[ListedSession], is_whole: bool) -> None:
    """The conversations that have the searched words."""
    st.header("Chats", anchor=False)
    with st.container(key="home:recent", gap=None):
        for session in found:
            _render_chat(session)
        if not is_whole:
            st.caption("There may be more: a flow's own list of chats is searched further back.")
        elif not found:
            st.caption("No results.")


def _render_chat(session: ListedSession) -> None:
    wired = runtime.get().catalogue.find(session.flow_id)
    used = words.escape(browser.write_since(session.updated_at))
    title = words.escape(session.title or "Untitled")
    flow = words.escape(wired.name if wired else session.flow_id)
    st.page_link(
        browser.PLAYGROUND,
        label=f"**{title}** :gray[{words.join(('Pinned' if session.is_pinned else '', flow, used))}]",
        icon="",
        query_params={"flow": session.flow_id, "session": session.session_id},
        width="stretch",
    )


def _show_more(limit: int) -> None:
    st.session_state[_RECENT_KEY] = limit + _MORE_RECENT


def _render_empty(caller: Caller, folder: str) -> None:
    """How to make the first flow."""
    with st.container(border=True):
        st.markdown("**No flows yet**")
        st.markdown("A flow is one YAML file, and gets a chat, an API and a link to share. Begin with a template:")
        new_flow.render_button(caller, "Create the first flow", kind="primary")
        st.caption(f"Or put a file of your own into `{folder}/`; it appears here as soon as it is saved.")


def _render_nothing_shared() -> None:
    """For a member who may open no flow yet."""
    with st.container(border=True):
        st.markdown("**Nothing is shared with you at the moment**")
        st.markdown(
            "Flows appear here as soon as somebody shares them with you. If you were given a link, open it: "
            "if it is closed to you, you can ask for access there."
        )


def _render_card(caller: Caller, wired: WiredFlow, found: OpenFlows, facts: CardFacts) -> None:
    with st.container(border=True, key=f"card:{wired.id}", gap=None, height="stretch"):
        st.page_link(
            browser.PLAYGROUND,
            label=words.escape(wired.name),
            icon="",
            query_params={"flow": wired.id},
            width="stretch",
        )
        st.html(_write_card(caller, wired, _write_facts(caller, wired, found, facts)), width="stretch")


def _write_card(caller: Caller, wired: WiredFlow, facts: str) -> str:
    """The card's text as HTML, with all texts escaped; the picture is hidden from screen readers."""
    chat = wired.flow.chat
    tint = f' style="--fg-accent: {chat.accent}"' if chat.accent else ""
    lines = [f'<div class="fg-picture" aria-hidden="true"{tint}>{escape(chat.icon or wired.name[:1].upper())}</div>']
    if description := words.cut(wired.flow.description, _DESCRIPTION_CHARS):
        lines.append(f'<div class="fg-description">{escape(description)}</div>')
    if off := parts.find_sentence(caller, wired):
        lines.append(f'<div class="fg-off">{escape(off)}</div>')
    lines.append(f'<div class="fg-facts">{facts}</div>')
    return f'<div class="fg-card">{"".join(lines)}</div>'


def _write_facts(caller: Caller, wired: WiredFlow, found: OpenFlows, known: CardFacts) -> str:
    inside, last_used = caller.sees_inside, found.last_used.get(wired.id)
    models = ", ".join(map(parts.write_label, parts.list_models(wired))) or "No model"
    owners = ", ".join(filter(None, (known.names.get(owner) for owner in wired.flow.owners or ())))
    facts = (
        _write_audience(wired, found, known) if inside else "",
        f"By {owners}" if owners else "",
        models if inside else "",
        f"Used {browser.write_since(last_used)}" if last_used else "",
    )
    return " ".join(f"<span>{escape(fact)}</span>" for fact in facts if fact)


def _write_audience(wired: WiredFlow, found: OpenFlows, known: CardFacts) -> str:
    shared = found.shared.get(wired.id)
    if shared is None:
        return "Not shared"
    return begin_sentence(spell_reach(shared, *known.named.get(wired.id, (0, 0))))


def choose_order(flows: list[WiredFlow], last_used: Mapping[str, datetime], *, by_name: bool) -> list[WiredFlow]:
    """The flows used last first, the others behind them by name; or, with `by_name`, as they come."""
    if by_name or not last_used:
        return flows
    return sorted(flows, key=lambda wired: -last_used[wired.id].timestamp() if wired.id in last_used else 0.0)
