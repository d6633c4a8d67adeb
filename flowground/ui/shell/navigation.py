"""Pages and sidebar, of which a caller sees only what they may open; the organization's pictures and links."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.navigation.page import StreamlitPage

from flowground.access import feedback
from flowground.app import runtime
from flowground.core.caller import Caller
from flowground.core.errors import StoreUnavailable
from flowground.flows.wiring import WiredFlow
from flowground.ui.page import bridge, words
from flowground.ui.page.bridge import needs_owner_code, read_shared_flow
from flowground.ui.page.browser import PAGES
from flowground.ui.page.names import find_display_name
from flowground.ui.shell import access_requests, opening
from flowground.ui.sign_in import sign_in

_STATIC = PAGES / "static"
_LOOKS = {"system": ("As the system", "computer"), "light": ("Light", "light_mode"), "dark": ("Dark", "dark_mode")}
"""Title and Material symbol of each choice of colours, which the browser keeps (flowground/web/head.js)."""

_BUTTON = (
    '<button type="button" role="radio" aria-checked="false" data-look="{look}" aria-label="{title}" title="{title}">'
    "{symbol}</button>"
)
_render_look = st.components.v2.component(
    "flowground_look",
    html='<div role="radiogroup" aria-label="Colours">'
    + "".join(_BUTTON.format(look=look, title=title, symbol=symbol) for look, (title, symbol) in _LOOKS.items())
    + "</div>",
    css=(Path(__file__).with_name("look.css")).read_text("utf-8"),
    js=(Path(__file__).with_name("look.js")).read_text("utf-8"),
)

_page_part: ContextVar[DeltaGenerator] = ContextVar("page_part")

_SHUT = "No access"
"""Title of pages that this caller may not open: they say so, where Streamlit would show home instead."""


@dataclass(frozen=True, slots=True)
class _ListedPage:
    """A file of pages/, its title, a Material symbol, and the callers whose navigation has it."""

    file: str
    title: str
    icon: str | None = None
    is_for: Callable[[Caller], bool] = lambda _: True


_HOME = _ListedPage("home", "Flows", "apps")
_LISTED_PAGES = (
    _ListedPage("playground", "Playground", "forum"),
    _ListedPage("api_access", "API access", "code"),
    _ListedPage("inside", "Inside", "account_tree", lambda caller: caller.sees_inside),
    _ListedPage("knowledge", "Knowledge", "menu_book", lambda caller: caller.sees_inside),
    _ListedPage("feedback", "Feedback", "thumbs_up_down", lambda caller: caller.sees_inside),
    _ListedPage("usage", "Usage", "bar_chart", lambda caller: caller.sees_inside),
    _ListedPage("first_account", "Create the first account", "person_add", lambda caller: caller.kind == "local"),
    _ListedPage(
        "organization", "Organization", "group", lambda caller: caller.kind == "member" and caller.role == "admin"
    ),
    _ListedPage("shared_chat", "Shared chat", "forum", lambda caller: caller.kind == "member"),
    _ListedPage("account", "Account", "manage_accounts", lambda caller: caller.kind == "member"),
)
"""The pages beside home. Each page checks rights itself: this list protects nothing."""


def list_pages(caller: Caller | None, flow: str | None) -> list[StreamlitPage]:
    """The pages of this caller, the first one being home. `flow` is set under `/public_flow/{flow_id}`.

    To somebody who is not signed in every address shows the sign-in page, so that a deep link survives the sign-in.
    """
    join = _make_page(_ListedPage("join", "Join"))
    if caller is None:
        entrance = _choose_entrance()
        others = () if flow else [entry for entry in _LISTED_PAGES if entry.file != entrance.file]
        aliases = [_make_page(entrance, address=entry.file) for entry in others]
        return [_make_page(entrance, is_first=True), *aliases, *([] if flow else [join])]
    if flow:
        return [_make_page(_ListedPage("public_flow", "Playground"), is_first=True)]
    pages = [_make_page(entry) for entry in _LISTED_PAGES if entry.is_for(caller)]
    shut = [_make_page(replace(entry, title=_SHUT, icon=None)) for entry in _LISTED_PAGES if not entry.is_for(caller)]
    return [_make_page(_HOME, is_first=True), *pages, *shut, join]


def _choose_entrance() -> _ListedPage:
    """The only page for somebody who is not signed in."""
    if not needs_owner_code():
        return _ListedPage("sign_in", "Sign in")
    if runtime.get().settings.local_mode == "link":
        return _ListedPage("owner_code", "Owner code")
    return _ListedPage("first_account", "Create the first account")


def render_sidebar(caller: Caller, pages: Sequence[StreamlitPage] = ()) -> None:
    """Links to these pages, a part for the page itself, and who is signed in.

    A shareable playground has no `pages`, since Streamlit would put its address before theirs: it has plain links.
    """
    by_address = {page.url_path: page for page in pages if page.title != _SHUT}
    with st.sidebar:
        if pages:
            st.page_link(by_address[""], label=f"All flows{_write_waiting(caller)}", width="stretch")
        elif caller.kind != "visitor":
            _render_link("All flows", "apps", "/")
        if pages and caller.sees_inside:
            last = opening.find_last_flow()
            st.page_link(by_address["api_access"], width="stretch", query_params={"flow": last} if last else None)
            if last:
                st.page_link(by_address["inside"], width="stretch", query_params={"flow": last})
            if runtime.get().library.has_any(last or ""):
                query = {"flow": last} if last else None
                st.page_link(by_address["knowledge"], width="stretch", query_params=query)
            wired = runtime.get().catalogue.find(last or "")
            if wired and feedback.may_read(runtime.get().access, caller, wired):
                st.page_link(by_address["usage"], width="stretch", query_params={"flow": wired.id})
                label = f"Feedback{_write_bad(caller, wired)}"
                st.page_link(by_address["feedback"], label=label, width="stretch", query_params={"flow": wired.id})
        _page_part.set(st.container(key="sidebar:part"))
        with st.container(key="sidebar:foot"):
            for address in ("organization", "account"):
                if address in by_address:
                    st.page_link(by_address[address], width="stretch")
            if not pages and caller.kind == "member":
                _render_link("Account", "manage_accounts", "/account")
            _render_person(caller, by_address.get("first_account"))
            _render_look(key="look")
            render_links()


def _write_bad(caller: Caller, wired: WiredFlow) -> str:
    """How many answers of the last seven days were rated bad, as a suffix of a label."""
    with suppress(StoreUnavailable):
        if count := bridge.ask(feedback.count_bad, caller, wired):
            return f" · {count:,} bad this week"
    return ""


def _write_waiting(caller: Caller) -> str:
    """How many access requests wait for the caller, as a suffix of home's label: they are decided there."""
    with suppress(StoreUnavailable):
        if waiting := access_requests.count_waiting(caller):
            return f" · {words.count(waiting, 'request')}"
    return ""


def find_page_part() -> DeltaGenerator:
    """The part of the sidebar that belongs to the page."""
    return _page_part.get(st.sidebar)


def _render_person(caller: Caller, first_account: StreamlitPage | None) -> None:
    if caller.kind == "local":
        st.caption("Local mode: only this computer is served.")
        if first_account is not None:
            st.page_link(first_account, width="stretch")
        return
    if caller.kind == "visitor":
        st.caption("Not signed in. Your chats stay with this browser and do not move to an account.")
        _render_link("Sign in", "login", f"/playground?flow={read_shared_flow()}")
        return
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", gap=None):
        st.markdown(f":material/account_circle: {words.escape(find_display_name(caller.id))}")
        if st.button("Sign out", icon=":material/logout:", type="tertiary", key="sign_out"):
            sign_in.sign_out_browser()


def _render_link(title: str, symbol: str, address: str) -> None:
    """A link that looks like the links to pages."""
    st.html(
        f'<a class="fg-nav" href="{escape(address)}"><span class="fg-symbol" aria-hidden="true" translate="no">{symbol}'
        f"</span>{title}</a>"
    )


def _make_page(entry: _ListedPage, *, address: str | None = None, is_first: bool = False) -> StreamlitPage:
    """The page at `address`, else at its file's name; the first one at `/`."""
    icon = f":material/{entry.icon}:" if entry.icon else None
    return st.Page(PAGES / f"{entry.file}.py", title=entry.title, icon=icon, url_path=address, default=is_first)


def find_icon() -> str:
    """The picture for the browser's tab."""
    return str(runtime.get().settings.organization.icon or _STATIC / "icon.svg")


def find_logo() -> str:
    """The picture on top of every page; beside an icon stands the name (flowground/ui/page/looks.css)."""
    return str(runtime.get().settings.organization.logo or find_icon())


def render_links() -> None:
    """A line of small links, if config.yaml has any."""
    if links := runtime.get().settings.organization.links:
        st.caption(" · ".join(f"[{words.escape(link.title)}](<{link.url}>)" for link in links))
