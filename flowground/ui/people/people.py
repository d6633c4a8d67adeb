"""The organization's people, and what an admin does with one of them. Each action checks again who acts.

A dialog with something to choose redraws the page when it is dismissed: Streamlit then forgets what was chosen and not
saved, and the dialog shows what is stored when it is opened again.
"""

from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st

from flowground.access import Access, groups, people
from flowground.access.roster import NAME_CHARS
from flowground.core.caller import Caller, Role
from flowground.core.words import list_names
from flowground.store.people.members import Member
from flowground.store.people.sign_ins import BrowserSignIn, PasswordLink
from flowground.ui.page import bridge, browser, words
from flowground.ui.page.bridge import require_caller
from flowground.ui.page.names import find_display_name
from flowground.ui.page.parts import (
    close_done,
    empty_names,
    render_list,
    render_names,
    render_one_time_link,
    render_search,
)
from flowground.ui.people import open_row, render_menu, render_submit
from flowground.ui.people.groups import choose_groups

_ROLES: dict[Role, str] = {
    "member": "Chats with what is shared with them.",
    "author": "Sees the inside of all flows, and shares those they own.",
    "admin": "Everything, including people.",
}
_ROLE_NAMES: dict[Role, str] = {"member": "a member", "author": "an author", "admin": "an admin"}
_NAMES = "person:invite:names"
_SIGN_INS = 10
"""Sign-ins on one page of a dialog."""

_LINK = "Link to set the password"


def render_people(caller: Caller) -> None:
    """The list of people, and a button to invite somebody."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if st.button("Invite somebody", type="primary", icon=":material/person_add:", key="people:invite"):
            _invite()
        st.space("stretch")
        render_search("people", "Search people")

    def render(found: Sequence[Member]) -> None:
        ids = [member.id for member in found]
        names = bridge.ask(groups.list_names_of, caller, ids)
        links = {link.member: link for link in bridge.ask(people.list_links, caller, ids=ids)}
        for member in found:
            _render_row(caller, member, names.get(member.id, ()), links.get(member.id))

    render_list("people", "", people.find_people, caller, render)


def _render_row(caller: Caller, member: Member, belongs_to: Sequence[str], link: PasswordLink | None) -> None:
    name, you = words.escape(member.display_name), " :gray[(you)]" if caller.id == member.id else ""
    title = f"**{name}**{you}" if member.is_active else f":gray[{name}]{you}"
    facts = words.join(
        (
            member.name if member.name != member.display_name else "",
            member.role.capitalize(),
            list_names(belongs_to),
            _describe_state(member, link),
        )
    )
    with open_row(f"people:row:{member.id}", title, words.escape(facts)):
        actions = _list_actions(member, link)
        chosen = render_menu(actions, key=f"people:more:{member.id}")
    if chosen:
        actions[chosen](member)


def _describe_state(member: Member, link: PasswordLink | None) -> str:
    if not member.is_active:
        return "deactivated" if member.source == "database" else "no longer in config.yaml"
    until = f", link valid until {browser.write_day(link.expires_at)}" if link else ""
    if not member.has_password:
        return f"invited{until or ', link expired'}"
    return f"reset{until}" if link else ""


def _list_actions(member: Member, link: PasswordLink | None) -> dict[str, Callable[[Member], None]]:
    """The menu's entries for this member; fields that are set in config.yaml are changed there."""
    stored = member.source == "database"
    actions = (
        ("Edit name", _change_names, stored or member.is_active),
        ("Change role", _change_role, stored),
        ("Groups", choose_groups, True),
        (_LINK, _make_link, member.is_active),
        ("Withdraw the link", _withdraw_link, link is not None),
        ("Sign-ins", _show_sign_ins, True),
        ("Deactivate", _deactivate, stored and member.is_active),
        ("Activate", _activate, stored and not member.is_active),
        ("Remove", _remove, stored or not member.is_active),
    )
    return {word: act for word, act, is_offered in actions if is_offered}


@st.dialog("Invite somebody", icon=":material/person_add:", on_dismiss="rerun")
def _invite() -> None:
    close_done()
    slot = st.empty()
    with slot.container():
        shown, name = render_names("Name", key=_NAMES)
        role = _render_roles("member", key="person:invite:role")
        is_sent = st.button("Make the invitation", type="primary", key="person:invite:make")
    if is_sent:
        with bridge.render_refusals():
            made = bridge.ask(people.invite, require_caller(), name, display_name=shown, role=role)
            slot.empty()
            _render_link(*made, again=partial(empty_names, _NAMES))


@st.dialog(_LINK, icon=":material/key:", on_dismiss="rerun")
def _make_link(member: Member) -> None:
    close_done()
    name = words.escape(member.display_name)
    if member.has_password:
        st.write(
            f"{name} chooses a new password with it. The current one works until then. "
            "Using the link signs them out everywhere."
        )
    else:
        st.write(f"A new invitation for {name}. Any earlier link stops working.")
    if not st.button("Make the link", type="primary", key="person:link"):
        return
    with bridge.render_refusals():
        if member.has_password or member.source == "config":
            made = bridge.ask(people.reset_password, require_caller(), member.id)
        else:
            made = bridge.ask(people.invite, require_caller(), member.name, role=member.role)
        _render_link(*made)


def _render_link(link: PasswordLink, secret: str, *, again: Callable[[], None] | None = None) -> None:
    render_one_time_link(link, secret, who=find_display_name(link.member), key="person:link", again=again)


@st.dialog("Edit name", on_dismiss="rerun")
def _change_names(member: Member) -> None:
    if member.source == "config":
        st.write(
            f"Both names are set in config.yaml. To change the user name there, add `id: {member.id}` to the entry: "
            "then they keep everything."
        )
        return
    with st.form(f"person:names:{member.id}", border=False):
        name = st.text_input("User name", member.name, help="What they sign in with. The earlier one no longer works.")
        shown = st.text_input("Name", member.display_name, max_chars=NAME_CHARS, help="What colleagues see.")
        is_sent = st.form_submit_button("Save", type="primary")
    st.caption("They keep everything, sign-ins too. Whoever takes the old user name gets nothing with it.")
    if not is_sent:
        return

    async def save(access: Access, caller: Caller) -> None:
        if name.strip().lower() != member.name:
            await people.rename(access, caller, member.id, name)
        if shown != member.display_name:
            await people.show_as(access, caller, member.id, shown)

    bridge.change(save, require_caller())


@st.dialog("Change role", on_dismiss="rerun")
def _change_role(member: Member) -> None:
    name = words.escape(member.display_name)
    st.markdown(f"**{name}** has the new role from their next action on.")
    role = _render_roles(member.role, key="person:role")
    is_same = role == member.role
    says = f"{name} is {_ROLE_NAMES[role]} now."
    render_submit("Save", people.set_role, member.id, role, key="person:role:save", says=says, is_off=is_same)


@st.dialog("Sign-ins")
def _show_sign_ins(member: Member) -> None:
    caller = require_caller()

    def render(items: Sequence[BrowserSignIn]) -> None:
        for item in items:
            name, since = words.escape(browser.write_name(item.agent)), browser.write_moment(item.created_at)
            st.markdown(f"**{name}** :gray[since {since}]")

    find = partial(people.find_sign_ins, member=member.id)
    if not bridge.ask(find, caller, limit=1)[1]:
        st.write(f"{words.escape(member.display_name)} is not signed in anywhere.")
        return
    render_list(f"person:sign_ins:{member.id}", "Search sign-ins", find, caller, render, size=_SIGN_INS)
    _render_submit(member, "Sign out everywhere", people.sign_out_everywhere, "is signed out everywhere")


@st.dialog("Deactivate?")
def _deactivate(member: Member) -> None:
    st.write(
        f"{words.escape(member.display_name)} is signed out everywhere, and their tokens stop working. "
        "They get everything back once you activate them again."
    )
    _render_submit(member, "Deactivate", partial(people.set_active, is_active=False), "is deactivated")


@st.dialog("Activate?")
def _activate(member: Member) -> None:
    st.write(f"{words.escape(member.display_name)} may sign in again, with the password they had.")
    _render_submit(member, "Activate", partial(people.set_active, is_active=True), "may sign in again")


@st.dialog("Remove for good?")
def _remove(member: Member) -> None:
    st.write(
        f"{words.escape(member.display_name)} is removed with all conversations, tokens and rights. "
        "This cannot be undone."
    )
    _render_submit(member, "Remove", people.remove, "is removed")


def _render_submit(member: Member, label: str, act: Callable[..., object], what: str) -> None:
    says = f"{words.escape(member.display_name)} {what}."
    render_submit(label, act, member.id, key=f"person:{label.lower()}", says=says)


@st.dialog("Withdraw the link?")
def _withdraw_link(member: Member) -> None:
    st.write(f"The link that {words.escape(member.display_name)} was sent sets no password any more.")

    async def withdraw(access: Access, caller: Caller) -> None:
        for link in await people.list_links(access, caller, ids=[member.id]):
            await people.revoke_link(access, caller, link.id)

    render_submit("Withdraw", withdraw, key="person:withdraw")


def _render_roles(now: Role, *, key: str) -> Role:
    roles = list(_ROLES)
    return st.radio(
        "Role", roles, index=roles.index(now), format_func=str.capitalize, captions=list(_ROLES.values()), key=key
    )
