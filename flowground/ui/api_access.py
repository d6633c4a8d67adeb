"""API access: where a flow answers programs, code that asks it, and the tokens to ask with."""

from collections.abc import Sequence

import streamlit as st

from flowground.caller import Caller
from flowground.snippets import COMMANDS, FILE_NAMES, SnippetRequest, snippets
from flowground.ui import addresses, tokens, words
from flowground.wiring import WiredFlow

_WIDTH = 620
_CODE_HEIGHT = 320
_TABS = {"python": "Python", "javascript": "JavaScript", "curl": "cURL"}
_HIGHLIGHT = {"python": "python", "javascript": "javascript", "curl": "bash"}


def may_see(caller: Caller) -> bool:
    """Authors and admins; members once a flow's API can be shared with them."""
    return caller.sees_inside


@st.dialog("API access", width=_WIDTH, position="right", icon=":material/code:")
def open_drawer(flow: WiredFlow) -> None:
    """The pane beside the chat."""
    draw_api_access(flow, scope="fragment")


def draw_choice(flows: Sequence[WiredFlow]) -> None:
    """For who comes without a flow."""
    names = {flow.id: flow.name for flow in flows}
    chosen = st.selectbox("Flow", list(names), index=None, format_func=lambda key: names[key], key="api:flow")
    if chosen:
        st.query_params["flow"] = chosen
        st.rerun()


def draw_api_access(flow: WiredFlow, *, scope: tokens.Scope = "app") -> None:
    """The pane's content, in the drawer and on the page of its own."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.badge("POST", color="primary")
        st.markdown(f"`/api/v1/run/{flow.id}`")
        st.space("stretch")
        stream = st.toggle("Stream", key=f"api:stream:{flow.id}", help="Print the answer as it is written")
    _draw_key(flow)
    request = SnippetRequest.for_flow(flow, base_url=addresses.base_url(), stream=stream)
    texts = snippets(request)
    for tab, language in zip(st.tabs(list(_TABS.values()), key=f"api:tab:{flow.id}"), _TABS, strict=True):
        with tab:
            _draw_code(language, texts[language])
    tokens.draw_tokens(flow, scope=scope)


def _draw_key(flow: WiredFlow) -> None:
    secret = tokens.fresh_secret(flow)
    if secret:
        st.caption("Your new token, shown this once: run this line before the code.")
    else:
        st.caption("The code reads the token from the environment: put yours into this line.")
    st.code(f"export FLOWGROUND_API_KEY={secret or 'YOUR_TOKEN'}", language="bash")


def _draw_code(language: str, text: str) -> None:
    tall = text.count("\n") * 20 > _CODE_HEIGHT
    st.code(text, language=_HIGHLIGHT[language], height=_CODE_HEIGHT if tall else "content")
    st.caption(f"Saved as {words.plain(FILE_NAMES[language])}, it runs as `{COMMANDS[language]}`")
