"""API access: where a flow answers programs, code that asks it, overrides for it, and the tokens to ask with."""

from collections.abc import Mapping, Sequence
from typing import Literal

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from flowground import runtime
from flowground.caller import Caller
from flowground.errors import FlowNotFound
from flowground.snippets import DEFAULT_MESSAGE, Shell, SnippetRequest
from flowground.ui.api_access import code_tabs, numbers, tokens, try_it
from flowground.ui.overrides import tab
from flowground.ui.overrides.state import overrides_of, write_count
from flowground.ui.page import addresses, bridge, words
from flowground.ui.page.asked import PastCall
from flowground.ui.page.caller import visitor
from flowground.wiring import WiredFlow

Mode = Literal["plain", "stream", "simple"]

_WIDTH = 680
_SHOWN = 60
_MODES: Mapping[Mode, str] = {"plain": "Plain", "stream": "Stream", "simple": "Simple"}
_MODE_SAID: Mapping[Mode, str] = {
    "plain": "The whole answer in one body, in Langflow's shape.",
    "stream": "The answer as it is written, piece by piece.",
    "simple": "The whole answer in one short body: text, session, usage.",
}


def may_see(caller: Caller, wired: WiredFlow) -> bool:
    """Whoever may run the flow over the API."""
    return bridge.call(runtime.current().access.may_run_api(caller, wired))


def open_drawer(wired: WiredFlow, asked: PastCall | None = None) -> None:
    """The pane beside the chat; `asked` shows the call behind one message."""
    st.session_state.pop(_before(wired), None)
    _drawer(wired, asked)


@st.dialog("API access", width=_WIDTH, position="right", icon=":material/code:", on_dismiss="rerun")
def _drawer(wired: WiredFlow, asked: PastCall | None) -> None:
    draw_api_access(wired, scope="fragment", asked=asked)


def draw_choice(flows: Sequence[WiredFlow]) -> None:
    """For who comes without a flow."""
    names = {wired.id: wired.name for wired in flows}
    chosen = st.selectbox(
        "Flow", list(names), index=None, format_func=lambda key: names[key], key="api:flow", placeholder="Choose a flow"
    )
    if chosen:
        st.query_params["flow"] = chosen
        st.rerun()


def draw_api_access(wired: WiredFlow, *, scope: tokens.Scope = "app", asked: PastCall | None = None) -> None:
    """The pane's content, in the drawer and on the page of its own."""
    caller = visitor()
    present = bridge.call(_reachable(caller, wired.id))
    if present is None:
        st.rerun(scope="app")  # who may not have it any more meets the page's own answer
        return
    wired = present
    mode, corner = _draw_endpoint(caller, wired)
    if asked:
        _draw_asked(asked)
    shell, token = _draw_token_line(wired)
    request = _request(caller, wired, mode, asked=asked, token=token)
    with corner:
        code_tabs.draw_markdown(request, title=wired.name)
    tabs = _draw_tabs(caller, wired, asked)
    code_tabs.draw_code(dict(zip(code_tabs.TITLES, tabs, strict=False)), request, shell=shell)
    if not asked:
        with tabs[-1]:
            tab.draw_overrides(caller, wired, sent=request.tweaks)
    try_it.draw_try(caller, wired, request)
    st.divider()
    tokens.draw_tokens(wired, scope=scope)


def _draw_endpoint(caller: Caller, wired: WiredFlow) -> tuple[Mode, DeltaGenerator]:
    """Where the flow answers, how it has done, which kind of answer is wanted; and a free corner beside that."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge("POST", color="primary")
        st.markdown(f"`/api/v1/run/{wired.id}`")
        st.space("stretch")
        mode = code_tabs.draw_choice("Answer", _MODES, key=f"api:mode:{wired.id}")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(_MODE_SAID[mode])
        st.space("stretch")
        corner = st.container(width="content")
    if caller.sees_inside:
        numbers.draw_numbers(wired.id)
    return mode, corner


def _draw_token_line(wired: WiredFlow) -> tuple[Shell, str | None]:
    """The shell that the pane speaks to, and the token to write into the code, if it is to stand there."""
    secret = tokens.fresh_secret(wired)
    written = False
    if secret:
        st.success("Your new token, shown this once. Keep it where you keep passwords.", icon=":material/key:")
        written = st.toggle("Write the token into the code", key=f"api:write:{wired.id}")
    return code_tabs.draw_export_line(wired.id, secret, written=written), secret if written else None


def _draw_asked(asked: PastCall) -> None:
    said = f" with {write_count(asked.overrides)}" if asked.overrides else ""
    text = asked.message if len(asked.message) <= _SHOWN else asked.message[: _SHOWN - 1] + "…"
    st.caption(f"The call behind “{words.plain(text)}”{said}, in the conversation it was said in.")


def _draw_tabs(caller: Caller, wired: WiredFlow, asked: PastCall | None) -> Sequence[DeltaGenerator]:
    """A tab a language, and the overrides'."""
    labels = list(code_tabs.TITLES.values())
    if asked:
        return st.tabs(labels, key=f"api:tabs:{wired.id}:asked")
    values = overrides_of(caller, wired).good
    labels.append(tab.write_title(values))
    # A label that changes makes the browser open the default tab: once something was changed here, that is this one.
    before = st.session_state.setdefault(_before(wired), values)
    return st.tabs(labels, key=f"api:tabs:{wired.id}", default=labels[0] if before == values else labels[-1])


def _request(
    caller: Caller, wired: WiredFlow, mode: Mode, *, asked: PastCall | None, token: str | None
) -> SnippetRequest:
    values = overrides_of(caller, wired).good
    return SnippetRequest.for_flow(
        wired,
        base_url=addresses.base_url(),
        # The author's own example is a part of the inside.
        message=asked.message if asked else None if caller.sees_inside else DEFAULT_MESSAGE,
        session_id=asked.session_id if asked else None,
        tweaks=asked.overrides if asked else values,
        stream=mode == "stream",
        shape="simple" if mode == "simple" else "langflow",
        token=token,
    )


async def _reachable(caller: Caller, flow_id: str) -> WiredFlow | None:
    """The flow as it is now, while this person may run it over the API."""
    access = runtime.current().access
    try:
        wired = await access.open_flow(caller, flow_id)
    except FlowNotFound:
        return None
    return wired if await access.may_run_api(caller, wired) else None


def _before(wired: WiredFlow) -> str:
    return f"api:before:{wired.id}"
