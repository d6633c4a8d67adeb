"""An invitation to a flow: somebody new gets an account by a one-time link, and lands on that flow."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import streamlit as st

from flowground.access import people
from flowground.access.sharing import share
from flowground.caller import Caller
from flowground.store.flows.publications import Sharing
from flowground.store.people.password_links import PasswordLink
from flowground.ui.page import bridge, failure, words
from flowground.ui.page.actions import schedule_dialog
from flowground.ui.page.caller import require_visitor
from flowground.ui.page.name_fields import draw_names, empty_names
from flowground.ui.page.one_time_link import close_done, draw_one_time_link
from flowground.ui.page.reach import spell_sharing
from flowground.wiring import WiredFlow

_BEGUN = "invitation:begun"
_NAMES = "invitation:names"


@dataclass(frozen=True, slots=True)
class _Begun:
    """What is chosen in the dialog that led here; `go_back` opens it again with the choice."""

    wired: WiredFlow
    draft: Sharing
    is_saved: bool
    go_back: Callable[[WiredFlow, Sharing], None]


def schedule_invitation(
    wired: WiredFlow, draft: Sharing, go_back: Callable[[WiredFlow, Sharing], None], *, is_saved: bool
) -> None:
    """For a button in *Who can open it*: the invitation opens in its place, and leads back to it."""
    st.session_state[_BEGUN] = _Begun(wired, draft, is_saved, go_back)
    schedule_dialog(wired.id, partial(_open_invitation, wired))


def _go_back() -> None:
    """However this dialog is left, what was chosen before is there again."""
    if begun := st.session_state.pop(_BEGUN, None):
        schedule_dialog(begun.wired.id, partial(begun.go_back, begun.wired, begun.draft))


@st.dialog("Invite somebody to this flow", icon=":material/person_add:", on_dismiss=_go_back)
def _open_invitation(wired: WiredFlow) -> None:
    """For admins: names for the account, then the link, once."""
    close_done(_go_back)
    begun: _Begun = st.session_state[_BEGUN]
    slot = st.empty()
    with slot.container():
        _draw_promise(wired, begun.draft, is_saved=begun.is_saved)
        shown, name = draw_names("Name", key=_NAMES)
        is_sent = st.button("Make the invitation", type="primary", key="invitation:make")
    if not is_sent:
        return
    with failure.draw_refusals():
        caller = require_visitor()
        link, secret = bridge.ask(people.invite_to_flow, caller, wired.id, name, display_name=shown)
        slot.empty()
        _let_in(caller, begun, link)
        who = shown.strip() or name.strip()
        draw_one_time_link(link, secret, who=who, key="invitation", flow=wired.id, again=partial(empty_names, _NAMES))


def _draw_promise(wired: WiredFlow, draft: Sharing, *, is_saved: bool) -> None:
    name = words.escape(wired.name)
    st.markdown(
        f"They choose a password, and **{name}** opens for them{'' if draft.is_shared else ' once it is shared'}."
    )
    if draft.audience == "people" and not is_saved:
        later = replace(draft, members=draft.members | {""})
        when = "is then" if draft.is_shared else "will then be"
        st.markdown(f"The invitation saves what you chose: **{name}** {when} {spell_sharing(later)}.")


def _let_in(caller: Caller, begun: _Begun, link: PasswordLink) -> None:
    """Whoever is invited is one of those who are named, where people are; a choice of these is stored with them.

    The link is shown even where that is refused: it is there.
    """
    names_people = begun.draft.audience == "people"
    if begun.is_saved and not names_people:
        return
    draft = replace(begun.draft, members=begun.draft.members | {link.member})
    with failure.draw_refusals():
        if names_people and not begun.is_saved:
            bridge.ask(share, caller, begun.wired.id, draft)
        st.session_state[_BEGUN] = replace(begun, draft=draft, is_saved=names_people)
