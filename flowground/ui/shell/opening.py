"""Opening a flow for the person who asks, checked at every run of a page; and what stands there if it does not open.

Authors and admins see here which flow files have mistakes or warnings.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress

import streamlit as st

from flowground.access import sharing
from flowground.app import runtime
from flowground.core.caller import Caller
from flowground.core.errors import FlowError, FlowNotFound, Problem
from flowground.flows.wiring import WiredFlow
from flowground.store.people.access_requests import NOTE_CHARS, LastAsked
from flowground.ui.page import bridge, browser, words
from flowground.ui.page.bridge import read_shared_flow, require_caller
from flowground.ui.shims.streamlit_process import StopException
from flowground.ui.sign_in import sign_in

_PROBLEMS_SHOWN = 5
_FILES_SHOWN = 20

_LAST_FLOW = "flow:last"
_NO_FLOW = "There is no flow at this address, or it is not shared with you."
_LOOK_SECONDS = 4
"""Seconds between two looks whether the flow may be opened now."""


def open_flow(address: str) -> tuple[Caller, WiredFlow]:
    """The caller with their present role, and the flow; else renders a page that says why not, and ends the script.

    That page is the same for unknown and forbidden flows, except for who had the flow open on this page before. Authors
    and admins, who open every flow, read the mistakes of a broken file instead, but not at a shareable playground,
    which shows nothing of the inside.
    """
    caller = require_caller()
    try:
        wired = bridge.call(runtime.get().access.open_flow(caller, address))
        st.session_state[_LAST_FLOW] = wired.id
        st.session_state[_make_key(address)] = True
        return caller, wired
    except FlowNotFound:
        broken = runtime.get().catalogue.find_broken_file(address)
        if broken and caller.sees_inside and read_shared_flow() is None:
            text = "The flow opens as soon as the file is saved without the mistake."
            render_notice("This flow's file needs a correction", text)
            render_file(broken[0], broken[1].problems)
            raise StopException from None
    _render_closed(caller, address)
    raise StopException


def find_last_flow() -> str | None:
    """The id of the flow in the page's address, else of the flow that was opened last in this visit."""
    asked = runtime.get().catalogue.find(st.query_params.get("flow", ""))
    return asked.id if asked else st.session_state.get(_LAST_FLOW)


def _render_closed(caller: Caller, address: str) -> None:
    """The page instead of a flow that the caller may not open. It opens by itself once they may."""
    may_ask = caller.kind == "member" and caller.role == "member"
    last = bridge.ask(sharing.find_last, caller, address) if may_ask else None
    was_open = bool(st.session_state.get(_make_key(address)))
    if was_open:
        text = "Your chats are kept. The flow opens here again as soon as it is shared with you."
        render_notice("This flow is not shared with you any more", text)
    elif last is None:
        render_nothing_here(caller)
    if last is not None:
        _render_asked(last, is_title=not was_open)
    if was_open or last is not None:
        _watch(address, last)
    is_offered = may_ask and (last is None or last.is_denied)
    if is_offered:
        _render_asking(caller, address)
    _render_exit_links(caller, is_quiet=is_offered)


def _render_asking(caller: Caller, address: str) -> None:
    st.markdown("If somebody sent you this link, you can ask for access here.")
    with st.form("requests:ask", border=False):
        note = st.text_input("Why do you need it?", placeholder="Optional", max_chars=NOTE_CHARS, key="requests:note")
        is_sent = st.form_submit_button("Request access", type="primary")
    if is_sent:
        bridge.change(sharing.ask, caller, address, note)


def _render_asked(last: LastAsked, *, is_title: bool) -> None:
    """The state of a member's request, as the page's title, or as a box below another title."""
    asked = browser.write_day(last.asked_at)
    if not last.is_denied:
        title = "You are waiting for access"
        text = (
            f"You asked on {asked}, and your request is on its way. If there is such a flow, its owners decide; it "
            "opens here as soon as they agree."
        )
        icon = ":material/mail:"
    else:
        title = "Your request was declined"
        text = (
            f"You asked on {asked}. If you still need this flow, talk to whoever sent you here, or to an admin of "
            f"{_name_organization()}, or ask again."
        )
        icon = ":material/block:"
    if is_title:
        render_notice(title, text)
    else:
        st.info(f"**{title}.** {text}", icon=icon)


@st.fragment(run_every=_LOOK_SECONDS)
def _watch(address: str, last: LastAsked | None) -> None:
    """Reruns the page once the flow may be opened, or the request was decided."""
    caller = require_caller()
    with suppress(FlowNotFound):
        bridge.call(runtime.get().access.open_flow(caller, address))
        st.rerun(scope="app")
    if last is not None and bridge.ask(sharing.find_last, caller, address) != last:
        st.rerun(scope="app")


def _make_key(address: str) -> str:
    """The session's key for whether this page had the flow open."""
    return f"flow:open:{address}"


def _render_exit_links(caller: Caller, *, is_quiet: bool = False) -> None:
    """Links to home and to another sign-in; `is_quiet`: the page has a more important button."""
    looks = "fg-way-out fg-quiet" if is_quiet else "fg-way-out"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.html(f'<a class="{looks}" href="/">Your flows</a>', width="content")
        if caller.kind == "member" and st.button("Sign in as somebody else", type="tertiary", key="nothing:sign_out"):
            sign_in.sign_out_browser()


def render_notice(title: str, text: str) -> None:
    """A title and a text instead of a page."""
    st.space("large")
    st.title(title, anchor=False)
    st.write(text)


def require_allowed(is_allowed: bool) -> None:
    """Ends the page with "no access" unless it is allowed."""
    if not is_allowed:
        caller = require_caller()
        render_nothing_here(caller, "This page does not exist, or it is not open to you.")
        _render_exit_links(caller)
        raise StopException


def render_nothing_here(caller: Caller | None = None, why: str = _NO_FLOW) -> None:
    """The notice of pages that are unknown, or that the caller may not open."""
    is_owner = caller is not None and caller.kind == "local"
    who = "" if is_owner else f" Ask whoever sent you here, or an admin of {_name_organization()}."
    render_notice("You don't have access to this page", why + who)


def _name_organization() -> str:
    return words.escape(runtime.get().settings.organization.name)


def render_mistakes(problems: Mapping[str, FlowError], warnings: Mapping[str, Sequence[Problem]]) -> None:
    """An expander with the files that have mistakes, and one with the files that have warnings."""
    if problems:
        needs = "1 file needs a correction" if len(problems) == 1 else f"{len(problems):,} files need a correction"
        found = {file: error.problems for file, error in problems.items()}
        _render_strip(f":red[**{needs}**]", found, key="home:mistakes")
    if warnings:
        has = "1 file has a warning" if len(warnings) == 1 else f"{len(warnings):,} files have warnings"
        _render_strip(f":gray[{has}]", warnings, key="home:warnings")


def render_file(file: str, problems: Sequence[Problem]) -> None:
    """One file with its mistakes or its warnings: the place, the sentence, and the nearest right word."""
    mark = ":gray[:material/info:]" if problems[0].is_warning else ":red[:material/error:]"
    with st.container(border=True, key=f"{'warning' if problems[0].is_warning else 'problem'}:{file}"):
        st.markdown(f"{mark} **{words.escape(file)}**")
        for problem in problems[:_PROBLEMS_SHOWN]:
            _render_problem(problem)
        if len(problems) > _PROBLEMS_SHOWN:
            st.caption(f"and {len(problems) - _PROBLEMS_SHOWN} more")
        render_file_link(file)


def render_file_link(file: str) -> None:
    """A link to the file's text with its mistakes."""
    st.page_link(browser.INSIDE, label="Show in the file", icon=":material/account_tree:", query_params={"file": file})


def _render_strip(title: str, found: Mapping[str, Sequence[Problem]], *, key: str) -> None:
    icon = ":material/error:" if key == "home:mistakes" else ":material/info:"
    strip = st.expander(title, icon=icon, key=key, on_change="rerun")
    if not strip.open:
        return
    with strip:
        for file, problems in list(found.items())[:_FILES_SHOWN]:
            render_file(file, problems)
        if len(found) > _FILES_SHOWN:
            st.caption(f"and {len(found) - _FILES_SHOWN:,} more files: `python -m flowground validate` lists them all.")


def _render_problem(problem: Problem) -> None:
    where = f"line {problem.line}, column {problem.column}"
    hint = f" Did you mean **{words.escape(problem.suggestion)}**?" if problem.suggestion else ""
    st.markdown(f":gray[{where}] &nbsp; {words.write_sentence(problem.message)}{hint}")
