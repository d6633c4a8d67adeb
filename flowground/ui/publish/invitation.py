"""An invitation to a flow: somebody new gets an account by a one-time link, and lands on that flow."""

import streamlit as st

from flowground.access import people
from flowground.ui.page import bridge, failure, words
from flowground.ui.page.caller import require_visitor
from flowground.ui.page.one_time_link import ANOTHER, close_done, draw_one_time_link
from flowground.wiring import WiredFlow


@st.dialog("Invite somebody to this flow", icon=":material/person_add:", on_dismiss="rerun")
def open_invitation(wired: WiredFlow) -> None:
    """For admins: names for the account, then the link, once."""
    close_done()
    slot = st.empty()
    with slot.container():
        st.markdown(f"They choose a password, and **{words.escape(wired.name)}** opens for them.")
        with st.form(f"invitation:{wired.id}", border=False):
            name = st.text_input("User name", help="Small letters, digits and . _ @ + -. An e-mail address works.")
            shown = st.text_input("Name", placeholder="As colleagues see it")
            is_sent = st.form_submit_button("Make the invitation", type="primary")
    if not is_sent:
        return
    with failure.draw_refusals():
        caller = require_visitor()
        link, secret = bridge.ask(people.invite_to_flow, caller, wired.id, name, display_name=shown)
        slot.empty()
        who = shown.strip() or name.strip()
        draw_one_time_link(link, secret, who=who, key="invitation", flow=wired.id, again=ANOTHER)
