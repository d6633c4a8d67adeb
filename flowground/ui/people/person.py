"""Dialogs about one member: role, groups, links, sign-ins and the end. Every deed asks anew who asks.

A dialog with something to choose redraws the page when it is dismissed: Streamlit forgets then what was chosen and not
saved. Opened again, for whomever, it shows what is stored.
"""

from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, get_args

import streamlit as st

from flowground.access import Access, people
from flowground.caller import Caller, Role
from flowground.errors import FlowgroundError
from flowground.store.people.members import Member
from flowground.store.people.password_links import PasswordLink
from flowground.ui.page import bridge, browser, failure, words
from flowground.ui.page.caller import visitor

P = ParamSpec("P")
ROLE, GROUPS, LINK, WITHDRAW = "Change role", "Groups", "Link to set the password", "Withdraw the link"
SIGN_INS, DEACTIVATE, ACTIVATE, REMOVE = "Sign-ins", "Deactivate", "Activate", "Remove"
ROLES: dict[Role, str] = {
    "member": "Chats with what is shared with them.",
    "author": "Sees the inside of all flows, and shares those they own.",
    "admin": "Everything, people too.",
}


@st.dialog("Invite somebody", icon=":material/person_add:", on_dismiss="rerun")
def invite() -> None:
    slot = st.empty()
    with slot.form("person:invite", border=False):
        name = st.text_input("User name", help="Small letters, digits and . _ @ + -. An e-mail address works.")
        shown = st.text_input("Name", placeholder="As colleagues see it")
        role = _role_choice("member", key="person:invite:role")
        sent = st.form_submit_button("Make the invitation", type="primary")
    if not sent:
        return
    try:
        made = bridge.ask(people.invite, visitor(), name, display_name=shown, role=role)
    except FlowgroundError as error:
        failure.draw_refusal(error)
    else:
        slot.empty()
        _draw_link(*made)


@st.dialog(LINK, icon=":material/key:", on_dismiss="rerun")
def _link(member: Member) -> None:
    name = words.plain(member.display_name)
    if member.has_password:
        st.write(f"{name} chooses a new password with it. The present one works until then; it ends every sign-in.")
    else:
        st.write(f"A new invitation for {name}. An earlier link ends.")
    if not st.button("Make the link", type="primary", key="person:link"):
        return
    try:
        if member.has_password or member.source == "config":
            made = bridge.ask(people.reset_password, visitor(), member.name)
        else:
            made = bridge.ask(people.invite, visitor(), member.name, role=member.role)
    except FlowgroundError as error:
        failure.draw_refusal(error)
    else:
        _draw_link(*made)


def _draw_link(link: PasswordLink, secret: str) -> None:
    """Once: nothing keeps the secret."""
    st.success(f"Send this link to **{words.plain(link.member)}**, and to nobody else: it is shown this once.")
    st.code(f"{browser.find_base_url()}/join?{link.kind}={secret}", language=None, wrap_lines=True)
    st.caption(f"It works once, until {browser.write_moment(link.expires_at)}.")


@st.dialog(ROLE, on_dismiss="rerun")
def _role(member: Member) -> None:
    st.markdown(f"**{words.plain(member.display_name)}** from their next action on:")
    role = _role_choice(member.role, key="person:role")
    if st.button("Save", type="primary", key="person:role:save"):
        _do(people.set_role, visitor(), member.name, role)


@st.dialog(GROUPS, on_dismiss="rerun")
def _groups(member: Member) -> None:
    found = bridge.ask(people.list_groups, visitor())
    if not found:
        st.write("There are no groups yet: make one under *Groups*.")
        return
    ticked = {
        group.id: st.checkbox(words.plain(group.name), member.name in group.members, key=f"person:in:{group.id}")
        for group in found
    }
    if st.button("Save", type="primary", key="person:groups:save"):
        changed = [group for group in found if ticked[group.id] != (member.name in group.members)]

        async def save(access: Access, caller: Caller) -> None:
            for group in changed:
                names = set(group.members) ^ {member.name}
                await people.set_group_members(access, caller, group.id, names)

        _do(save, visitor())


@st.dialog(SIGN_INS)
def _sign_ins(member: Member) -> None:
    found = bridge.ask(people.list_sign_ins, visitor(), member.name)
    if not found:
        st.write(f"{words.plain(member.display_name)} is signed in nowhere.")
        return
    for item in found:
        st.markdown(
            f"**{words.plain(browser.write_name(item.agent))}** :gray[since {browser.write_moment(item.created_at)}]"
        )
    if st.button("Sign out everywhere", type="primary", icon=":material/logout:", key="person:out"):
        _do(people.sign_out_everywhere, visitor(), member.name)


@st.dialog("Deactivate?")
def _deactivate(member: Member) -> None:
    st.write(
        f"{words.plain(member.display_name)} is signed out everywhere, and their tokens stop. "
        "All of it is theirs again once you activate them."
    )
    if st.button(DEACTIVATE, type="primary", key="person:deactivate"):
        _do(people.set_active, visitor(), member.name, active=False)


@st.dialog("Activate?")
def _activate(member: Member) -> None:
    st.write(f"{words.plain(member.display_name)} may sign in again, with the password they had.")
    if st.button(ACTIVATE, type="primary", key="person:activate"):
        _do(people.set_active, visitor(), member.name, active=True)


@st.dialog("Remove for good?")
def _remove(member: Member) -> None:
    st.write(f"{words.plain(member.display_name)} goes, with all conversations, tokens and rights. Nothing comes back.")
    if st.button(REMOVE, type="primary", key="person:remove"):
        _do(people.remove, visitor(), member.name)


@st.dialog("Withdraw the link?")
def _withdraw(member: Member) -> None:
    st.write(f"The link that {words.plain(member.display_name)} was sent sets no password any more.")
    if st.button("Withdraw", type="primary", key="person:withdraw"):

        async def withdraw(access: Access, caller: Caller) -> None:
            for link in await people.list_links(access, caller):
                if link.member == member.name:
                    await people.revoke_link(access, caller, link.id)

        _do(withdraw, visitor())


DEEDS: dict[str, Callable[[Member], None]] = {
    ROLE: _role,
    GROUPS: _groups,
    LINK: _link,
    WITHDRAW: _withdraw,
    SIGN_INS: _sign_ins,
    DEACTIVATE: _deactivate,
    ACTIVATE: _activate,
    REMOVE: _remove,
}


def _role_choice(now: Role, *, key: str) -> Role:
    roles: list[Role] = list(get_args(Role))[::-1]
    return st.radio(
        "Role",
        roles,
        index=roles.index(now),
        format_func=str.capitalize,
        captions=[ROLES[role] for role in roles],
        key=key,
    )


def _do(
    deed: Callable[Concatenate[Access, P], Coroutine[Any, Any, object]], *args: P.args, **options: P.kwargs
) -> None:
    """Closes the dialog, or says why not."""
    try:
        bridge.ask(deed, *args, **options)
    except FlowgroundError as error:
        failure.draw_refusal(error)
    else:
        st.rerun()
