"""Pages and sidebar: only what this visitor may open is named at all."""

from collections.abc import Sequence
from contextvars import ContextVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.navigation.page import StreamlitPage

from flowground import runtime
from flowground.caller import Caller
from flowground.ui.page import words
from flowground.ui.page.browser import PAGES
from flowground.ui.page.caller import find_display_name, needs_owner
from flowground.ui.sign_in import session

_page_part: ContextVar[DeltaGenerator] = ContextVar("page_part")


def list_pages(caller: Caller | None, flow: str | None) -> list[StreamlitPage]:
    """The pages of this visitor, the first one being home. `flow` is set under `/public_flow/{flow_id}`.

    To somebody who is not signed in every address is the sign-in page, so that a deep link survives the sign-in.
    """
    addresses = [] if flow else ["playground", "api_access", "first_account", "organization", "account"]
    join = [] if flow else [_make_page("join", "Join")]
    if caller is None:
        file, title = _choose_entrance()
        others = [address for address in addresses if address != file]  # the first page has its own address anyway
        entrances = [_make_page(file, title, address=address) for address in others]
        return [_make_page(file, title, is_first=True), *entrances, *join]
    if flow:
        return [_make_page("public_flow", "Playground", is_first=True)]
    pages = [
        _make_page("home", "Flows", "apps", is_first=True),
        _make_page("playground", "Playground", "forum"),
        _make_page("api_access", "API access", "code"),
    ]
    if caller.kind == "local":
        pages.append(_make_page("first_account", "Create the first account", "person_add"))
    if caller.kind == "member":
        if caller.role == "admin":
            pages.append(_make_page("organization", "Organization", "group"))
        pages.append(_make_page("account", "Account", "manage_accounts"))
    return [*pages, *join]


def _choose_entrance() -> tuple[str, str]:
    """File and title of the one page there is for somebody who is not signed in."""
    if not needs_owner():
        return "sign_in", "Sign in"
    if runtime.get().settings.local_mode == "link":
        return "owner_code", "Owner code"
    return "first_account", "Create the first account"


def draw_sidebar(caller: Caller, pages: Sequence[StreamlitPage] = ()) -> None:
    """The ways to these pages (the shareable playground has none), what the page has to list, who is signed in."""
    by_address = {page.url_path: page for page in pages}
    with st.sidebar:
        if pages:
            st.page_link(by_address[""], label="All flows", width="stretch")
        if pages and caller.sees_inside:
            st.page_link(by_address["api_access"], width="stretch")
        _page_part.set(st.container())
        st.space("stretch")
        for address in ("organization", "account"):
            if address in by_address:
                st.page_link(by_address[address], width="stretch")
        st.divider()
        _draw_person(caller, by_address.get("first_account"))


def find_page_part() -> DeltaGenerator:
    """The place in the sidebar for what belongs to the page, above who is signed in."""
    return _page_part.get(st.sidebar)


def _draw_person(caller: Caller, first_account: StreamlitPage | None) -> None:
    if caller.kind == "local":
        st.caption("Local mode: only this computer is served.")
        if first_account is not None:
            st.page_link(first_account, width="stretch")
        return
    if caller.kind == "visitor":
        st.caption("Not signed in. What you write here stays with this browser.")
        return
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(f":material/account_circle: {words.escape(find_display_name(caller.name))}")
        if st.button("", icon=":material/logout:", help="Sign out", type="tertiary", key="sign_out"):
            session.sign_out_browser()


def _make_page(
    file: str, title: str, icon: str | None = None, *, address: str | None = None, is_first: bool = False
) -> StreamlitPage:
    """`icon` is a Material symbol. The page stands at `address`, else at its file's name; the first one at `/`."""
    shown = f":material/{icon}:" if icon else None
    return st.Page(PAGES / f"{file}.py", title=title, icon=shown, url_path=address, default=is_first)
