"""Pages and sidebar: only what this visitor may open is named at all."""

from collections.abc import Sequence
from contextvars import ContextVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.navigation.page import StreamlitPage

from flowground import runtime
from flowground.caller import Caller
from flowground.errors import FlowgroundError
from flowground.ui.page import bridge, words
from flowground.ui.page.browser import PAGES
from flowground.ui.page.caller import needs_owner
from flowground.ui.sign_in import session

_page_part: ContextVar[DeltaGenerator] = ContextVar("page_part")


def pages_for(caller: Caller | None, flow: str | None) -> list[StreamlitPage]:
    """The pages of this visitor, the first one being home. `flow` is set under `/public_flow/{flow_id}`.

    To somebody who is not signed in every address is the sign-in page, so that a deep link survives the sign-in.
    """
    addresses = [] if flow else ["playground", "api_access", "first_account", "organization", "account"]
    join = [] if flow else [_page("join", "Join", address="join")]
    if caller is None:
        file, title = _entrance()
        others = [address for address in addresses if address != file]  # its own name the first page has anyway
        return [_page(file, title, default=True), *(_page(file, title, address=address) for address in others), *join]
    if flow:
        return [_page("public_flow", "Playground", default=True)]
    pages = [
        _page("home", "Flows", icon=":material/apps:", default=True),
        _page("playground", "Playground", icon=":material/forum:", address="playground"),
    ]
    pages.append(_page("api_access", "API access", icon=":material/code:", address="api_access"))
    if caller.kind == "local":
        pages.append(
            _page("first_account", "Create the first account", icon=":material/person_add:", address="first_account")
        )
    if caller.kind == "member":
        if caller.role == "admin":
            pages.append(_page("organization", "Organization", icon=":material/group:", address="organization"))
        pages.append(_page("account", "Account", icon=":material/manage_accounts:", address="account"))
    return [*pages, *join]


def _entrance() -> tuple[str, str]:
    """File and title of the one page there is for who is nobody yet."""
    if not needs_owner():
        return "sign_in", "Sign in"
    if runtime.current().settings.local_mode == "link":
        return "owner_code", "Owner code"
    return "first_account", "Create the first account"


def draw_sidebar(caller: Caller, pages: Sequence[StreamlitPage]) -> None:
    """Flows, workspace, what the page has to list, and who is signed in."""
    by_address = {page.url_path: page for page in pages}
    with st.sidebar:
        st.page_link(by_address[""], label="All flows", width="stretch")
        if caller.sees_inside:
            st.page_link(by_address["api_access"], width="stretch")
        _page_part.set(st.container())
        st.space("stretch")
        for address in ("organization", "account"):
            if address in by_address:
                st.page_link(by_address[address], width="stretch")
        st.divider()
        _draw_person(caller, by_address.get("first_account"))


def draw_person_below(caller: Caller) -> None:
    """In the sidebar of the shareable playground: who is signed in, and the way out."""
    with st.sidebar:
        st.space("stretch")
        st.divider()
        _draw_person(caller, None)


def page_part() -> DeltaGenerator:
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
        st.markdown(f":material/account_circle: {words.plain(_display_name(caller))}")
        if st.button("", icon=":material/logout:", help="Sign out", type="tertiary", key="sign_out"):
            session.sign_out_browser()


def _display_name(caller: Caller) -> str:
    try:
        member = bridge.call(runtime.current().sign_in.roster.find(caller.name))
    except FlowgroundError:
        member = None
    return member.display_name if member else caller.name


def _page(
    file: str, title: str, *, icon: str | None = None, address: str | None = None, default: bool = False
) -> StreamlitPage:
    return st.Page(PAGES / f"{file}.py", title=title, icon=icon, url_path=address, default=default)
