"""*New flow*: a flow file from a template, written for who may write it, else shown to be saved by hand."""

from typing import Literal

import streamlit as st

from flowground.access import flow_files
from flowground.app import runtime
from flowground.core.caller import Caller
from flowground.core.errors import FlowgroundError
from flowground.flows.templates import LONGEST_NAME, TEMPLATES, DraftedFlow, choose_address, make_draft
from flowground.ui.page import bridge, browser, parts, words
from flowground.ui.page.bridge import require_caller
from flowground.ui.sign_in import sign_in

_ButtonKind = Literal["primary", "secondary"]
_EXAMPLE = "Order status"


def render_button(caller: Caller, label: str = "New flow", *, kind: _ButtonKind = "secondary") -> None:
    """The button, for who sees the inside of flows; nothing for others."""
    if caller.sees_inside and st.button(label, type=kind, icon=":material/add:", key=f"new:open:{kind}"):
        _open_dialog()


@st.dialog("New flow", width="medium", icon=":material/add:", on_dismiss="rerun")
def _open_dialog() -> None:
    caller = require_caller()
    if not caller.sees_inside:
        return
    name = st.text_input("Name", placeholder=_EXAMPLE, max_chars=LONGEST_NAME, key="new:name", live=True) or ""
    template = st.radio(
        "Template",
        list(TEMPLATES),
        format_func=lambda key: TEMPLATES[key].title,
        captions=[f"{template.purpose.capitalize()}." for template in TEMPLATES.values()],
        key="new:template",
    )
    address = st.text_input(
        "Address",
        placeholder=f"Made from the name: {choose_address(name) or choose_address(_EXAMPLE)}",
        help="The flow's id, in links and in the API. Made from the name where you write none.",
        max_chars=LONGEST_NAME,
        key="new:address",
        live=True,
    )
    draft = _read_draft(caller, name, template, address or "")
    if runtime.get().access.may_write(caller):
        _render_writing(caller, draft)
    else:
        _render_file(draft)


def _read_draft(caller: Caller, name: str, template: str, address: str) -> DraftedFlow | None:
    """The draft; None without a name, and for a refused one, whose reason is shown."""
    if not name.strip():
        return None
    running = runtime.get()
    with bridge.render_refusals():
        owner = caller.person if caller.kind == "member" else ""
        draft = make_draft(name, template, address=address, owner=owner or "")
        flow_files.require_free_address(running.access, draft)
        return draft
    return None


def _render_writing(caller: Caller, draft: DraftedFlow | None) -> None:
    """Writes the file at a press, or once the owner code is given. If writing fails, its text is shown."""
    if is_asked := not caller.is_proven:
        if not sign_in.ask_owner_code(key="new:code", then="Create the flow"):
            return
        caller = require_caller()
    is_wanted = st.button("Create the flow", type="primary", key="new:write", disabled=draft is None) or is_asked
    if draft is None or not is_wanted:
        return
    try:
        bridge.ask(flow_files.write_flow, caller, draft)
    except FlowgroundError as error:
        bridge.render_refusal(error)
        _render_file(draft)
    else:
        st.switch_page(browser.INSIDE, query_params={"flow": draft.id, "edit": "yes"})


def _render_file(draft: DraftedFlow | None) -> None:
    folder = words.escape(runtime.get().settings.flows.name)
    file = words.escape(draft.file) if draft else "NAME.yaml"
    st.markdown(f"Save this file as **{folder}/{file}** on the server, or ask who runs it to: it appears here at once.")
    if draft is None:
        st.caption("Enter a name first.")
        return
    with parts.hide_other_button("new"):
        parts.render_copy(draft.text, what="the file", key="new")
        st.code(draft.text, language="yaml", height=320)
