"""The Publish menu: the shareable playground's toggle and link, who may open it, who asks to, and its preview.

*Who can open it*: everyone, named people and groups, or anybody; until when; the API too; and an invitation. No list
grows with the organization: of many people only those are shown who were chosen or found by a word. An invitation gives
somebody new an account by a one-time link, which leads to the flow.

The preview shows the shareable playground as somebody else meets it (`?as=member`), to those who may publish the flow.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from urllib.parse import quote

import streamlit as st

from flowground.access import groups, people
from flowground.access.roster import find_name
from flowground.access.sharing import SIGNED_OUT, SOMEBODY, count_users, preview_as, publish, read_sharing, share
from flowground.app import runtime
from flowground.core.caller import Caller
from flowground.core.errors import FlowgroundError, NotSignedIn
from flowground.flows.wiring import WiredFlow
from flowground.store.people.groups import Group
from flowground.store.people.members import Member
from flowground.store.publications import Audience, Sharing
from flowground.ui.page import bridge, browser, parts, words
from flowground.ui.page.bridge import bind_to_caller, change_later, require_caller
from flowground.ui.page.names import find_people, name_people, name_person
from flowground.ui.page.parts import NamedPage, begin_sentence, render_action, schedule_dialog, spell_sharing
from flowground.ui.people import render_submit
from flowground.ui.shell import access_requests, opening
from flowground.ui.shims.streamlit_process import StopException
from flowground.ui.sign_in import sign_in

_PREVIEW_PARAMETER = "as"
_PREVIEW_NAMES = {SOMEBODY: "any member", SIGNED_OUT: "somebody signed out"}

_REFUSED = "publish:refused"

_MOST_OFFERED = 100
"""Most people or groups that are offered in the field itself; of more, one searches."""
_MOST_FOUND = 6
_MOST_CHIPS = 200
_MOST_OPENERS = 20

_INVITED = "invitation:names"

AUDIENCES: dict[Audience, tuple[str, str]] = {
    "organization": ("Everyone in your organization", "Whoever can sign in here."),
    "people": ("People and groups", "Only those chosen below."),
    "public": ("Anybody with the link", "Without sign-in. Every answer costs what your model costs."),
}

_DAYS = 7
"""Days from today to the default last day."""


def count_requests(caller: Caller, wired: WiredFlow) -> int | None:
    """How many requests wait for this caller's decision; None if they may not publish the flow."""
    if not runtime.get().access.may_publish(caller, wired):
        return None
    return access_requests.count_waiting(caller, flow_id=wired.id)


def render_menu(caller: Caller, wired: WiredFlow, asking: int, *, is_shared: bool) -> None:
    """The menu, for who may publish the flow; `asking`: how many requests wait for their decision."""
    access_requests.toast_decided()
    if _REFUSED in st.session_state:  # the refusal is rendered in the menu, so the menu opens again
        st.session_state[_make_menu_key(wired)] = True
    label = f"Publish · {asking:,}" if asking else "Publish"
    menu = st.popover(label, icon=":material/publish:", type="primary", key=_make_menu_key(wired), on_change="rerun")
    if menu.open:
        with menu, st.container(key="publish:menu"):
            access_requests.render_requests(caller, place="menu", flow_id=wired.id)
            _render_items(caller, wired, is_shared=is_shared)


def _render_items(caller: Caller, wired: WiredFlow, *, is_shared: bool) -> None:
    key = f"publish:shared:{wired.id}"
    st.session_state[key] = is_shared  # as it is stored: the click may have been refused
    st.toggle("Shareable Playground", key=key, on_change=_switch_sharing, args=(caller, wired, key))
    bridge.render_kept(_REFUSED)
    if not is_shared:
        _render_off(caller, wired)
        return
    link = browser.write_share_link(wired)
    browser.render_reach(is_admin=caller.role == "admin")
    with parts.hide_other_button(f"share:{wired.id}"):
        st.code(link, language=None, wrap_lines=True)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        parts.render_copy(link, label="Copy link", key=f"share:{wired.id}")
        st.link_button("Open", link, icon=":material/open_in_new:", key=f"publish:open:{wired.id}")
        _render_settings(wired)
    _render_summary(caller, wired)
    render_preview_links(wired)


def _render_off(caller: Caller, wired: WiredFlow) -> None:
    """Whom the toggle would let in, and a button to choose them; in local mode there is nobody to choose."""
    later = ""
    if caller.kind == "member":
        with bridge.render_refusals():
            now = bridge.ask(read_sharing, caller, wired.id)
            now = replace(now, expires_at=None) if now.is_expired else now
            if now != Sharing(is_shared=False):
                later = f" When turned on: {spell_sharing(now)}."
    st.caption(f"Off: only authors and admins open this flow.{later}")
    if caller.kind == "member":
        _render_settings(wired)


def _render_settings(wired: WiredFlow) -> None:
    key = f"publish:settings:{wired.id}"
    render_action("Who can open it", _close_menu, wired, open_settings, key=key, icon="group", kind="secondary")


def _render_summary(caller: Caller, wired: WiredFlow) -> None:
    with bridge.render_refusals():
        now = bridge.ask(read_sharing, caller, wired.id)
        how = "without signing in" if now.audience == "public" else "here after signing in"
        st.caption(f"{begin_sentence(spell_sharing(now))}. They chat {how} and cannot see how it is built.")


def _close_menu(wired: WiredFlow, open_dialog: Callable[[WiredFlow], None]) -> None:
    """Closes the menu before a dialog opens, which would open below it. For callbacks."""
    st.session_state[_make_menu_key(wired)] = False
    schedule_dialog(wired.id, partial(open_dialog, wired))


@bind_to_caller
def _switch_sharing(caller: Caller, wired: WiredFlow, key: str) -> None:
    """For the toggle. The local owner needs an account first, since colleagues sign in."""
    is_wanted = bool(st.session_state[key])
    if caller.kind == "local" and is_wanted:
        _close_menu(wired, _ask_first_account)
        return
    if not is_wanted and (count := _count_today(caller, wired)):
        _close_menu(wired, partial(_ask_before_end, count=count))
        return
    change_later(caller, _REFUSED, partial(publish, is_shared=is_wanted), wired.id)


def _count_today(caller: Caller, wired: WiredFlow) -> int:
    """How many others have used the flow since the visitor's midnight."""
    try:
        return bridge.ask(count_users, caller, wired.id, since=browser.begin_day())
    except FlowgroundError:  # ending the sharing shows the error
        return 0


@st.dialog("Stop sharing this flow?", icon=":material/group_off:")
def _ask_before_end(wired: WiredFlow, *, count: int) -> None:
    used = words.count(count, "person has", "people have")
    st.markdown(
        f"{used} used **{words.escape(wired.name)}** today. The page closes for everyone it is shared with, in the "
        "middle of a chat too; their conversations are kept and come back when you share it again."
    )
    with st.container(horizontal=True):
        end, says = partial(publish, is_shared=False), f"{words.escape(wired.name)} is not shared any more."
        render_submit("Stop sharing", end, wired.id, key=f"publish:end:{wired.id}", says=says)
        if st.button("Keep sharing", key=f"publish:keep:{wired.id}"):
            st.rerun()


def _make_menu_key(wired: WiredFlow) -> str:
    return f"publish:menu:{wired.id}"


@st.dialog("Share this flow")
def _ask_first_account(wired: WiredFlow) -> None:
    """A dialog that makes the first account, which sharing needs: people sign in to open the link."""
    st.markdown(
        "Colleagues sign in to open the link. So the first thing is an account of your own: it is this server's "
        f"**admin**, and **{words.escape(wired.name)}** is shared together with it."
    )
    sign_in.render_first_account(key="publish:account", shares=wired.id)


@st.dialog("Who can open it", width="medium", icon=":material/group:")
def open_settings(wired: WiredFlow) -> None:
    """The dialog. *Save* takes effect at everybody's next action, or once the flow is shared."""
    caller = require_caller()
    with bridge.render_refusals():
        now = bridge.ask(read_sharing, caller, wired.id)
        if not now.is_shared:
            st.caption("The flow is not shared now. This is whom the switch in *Publish* will open it to.")
        draft = _render_choices(caller, wired, now)
        render_openers(draft, now)
        if now.is_shared and not now.is_expired and draft != now:
            st.warning(f"Not saved. Currently **{spell_sharing(now)}**.")
        with st.container(horizontal=True):
            is_saved = st.button("Save", type="primary", key=f"sharing:save:{wired.id}")
            is_inviting = caller.role == "admin" and st.button(
                "Invite somebody new",
                icon=":material/person_add:",
                key=f"sharing:invite:{wired.id}",
                help="What is chosen above is saved first.",
            )
        if is_saved or (is_inviting and draft != now):
            bridge.ask(share, caller, wired.id, draft)
            reach = spell_sharing(draft)
            st.toast(begin_sentence(reach) if now.is_shared else f"When turned on: {reach}", icon=":material/check:")
        if is_inviting:
            schedule_dialog(wired.id, partial(_open_invitation, wired))
        if is_saved or is_inviting:
            st.rerun()


def _render_choices(caller: Caller, wired: WiredFlow, before: Sharing) -> Sharing:
    offered: list[Audience] = [key for key in AUDIENCES if key != "public" or runtime.get().access.allow_public]
    chosen = st.radio(
        "Who",
        offered,
        index=offered.index(before.audience) if before.audience in offered else 0,
        format_func=lambda key: AUDIENCES[key][0],
        captions=[AUDIENCES[key][1] for key in offered],
        key=f"sharing:audience:{wired.id}",
        label_visibility="collapsed",
    )
    draft = replace(before, audience=chosen)
    if chosen == "people":
        members, groups = render_audience_names(caller, wired, draft)
        draft = replace(draft, members=members, groups=groups)
    shares_api = st.checkbox(
        "Share the API too",
        value=before.shares_api,
        key=f"sharing:api:{wired.id}",
        help="They may make application tokens for this flow and run it from programs.",
    )
    last = browser.find_last_day(before.expires_at) if before.expires_at else browser.find_today() + timedelta(_DAYS)
    expires_at = parts.render_last_day("sharing", wired.id, last, is_on=before.expires_at is not None, says="Shared")
    return replace(draft, shares_api=shares_api, expires_at=expires_at)


@dataclass(frozen=True, slots=True)
class _Field:
    """A field in which people or groups are chosen.

    `find(words, limit=most)` gives ids with names, `name(ids)` the names of those that still exist. `nothing` is shown
    if a search finds none.
    """

    label: str
    found_by: str
    key: str
    nothing: str
    find: Callable[..., NamedPage]
    name: Callable[[Collection[str]], Mapping[str, str]]


def render_audience_names(caller: Caller, wired: WiredFlow, draft: Sharing) -> tuple[frozenset[str], frozenset[str]]:
    """The fields for people and groups; returns the chosen ids. Offers members only: authors and admins open every flow
    anyway."""
    find, name = partial(find_people, caller, is_member_only=True), partial(name_people, caller)
    nobody = "Nobody by that name. Authors and admins need not be chosen: they open every flow."
    people_field = _Field("People", "name or address", f"sharing:people:{wired.id}", nobody, find, name)
    find, name = partial(_find_groups, caller), partial(_name_groups, caller)
    group_field = _Field("Groups", "name", f"sharing:groups:{wired.id}", "No group by that name.", find, name)
    has_any = any(field.find("", limit=1)[1] for field in (people_field, group_field))
    if not (has_any or draft.members or draft.groups):
        st.caption("There is nobody to choose yet: authors and admins open every flow.")
    return _render_field(people_field, draft.members), _render_field(group_field, draft.groups)


def _find_groups(caller: Caller, searched: str, *, limit: int) -> NamedPage:
    found, count = bridge.ask(groups.find_groups, caller, words=searched, limit=limit)
    return [(group.id, _name_group(group)) for group in found], count


def _name_groups(caller: Caller, ids: Collection[str]) -> Mapping[str, str]:
    return {group.id: _name_group(group) for group in bridge.ask(groups.list_groups, caller, ids)}


def _name_group(group: Group) -> str:
    return f"{group.name} ({group.size:,})"


def _render_field(field: _Field, before: frozenset[str]) -> frozenset[str]:
    """A field; returns the chosen ids. `before`: ids that were chosen when the dialog was opened."""
    chosen = [str(one) for one in st.session_state.get(field.key, sorted(before))]
    offered, count = field.find("", limit=_MOST_OFFERED)
    if not count and not chosen:
        return frozenset()
    is_searched = count > _MOST_OFFERED
    if is_searched:
        _render_search(field, chosen)
    if len(chosen) > _MOST_CHIPS:
        st.caption(f"{len(chosen):,} are chosen. A group is easier to keep than so many names.")
        return frozenset(chosen)
    names = dict(field.name(chosen)) | ({} if is_searched else dict(offered))
    options = sorted({*names, *chosen}, key=lambda one: find_name(names, one))
    if field.key not in st.session_state:
        st.session_state[field.key] = [one for one in options if one in before]
    picked = st.multiselect(
        field.label,
        options,
        format_func=lambda one: find_name(names, one),
        key=field.key,
        placeholder="None are chosen yet" if is_searched else f"Choose {field.label.lower()}",
    )
    return frozenset(picked)


def _render_search(field: _Field, chosen: list[str]) -> None:
    """A search field, with a button for each result that adds it."""
    searched = parts.render_search(field.key, f"Find {field.label.lower()} by {field.found_by}", width="stretch")
    if not searched:
        return
    found, count = field.find(searched, limit=_MOST_FOUND)
    if not count:
        st.caption(field.nothing)
    with st.container(horizontal=True, gap="xsmall", key=f"{field.key}:found"):
        for one, label in found:
            st.button(
                words.escape(label),
                icon=":material/check:" if one in chosen else ":material/add:",
                disabled=one in chosen,
                key=f"{field.key}:add:{one}",
                on_click=_add,
                args=(field.key, [*chosen, one]),
            )
    if more := count - len(found):
        st.caption(f"and {more:,} more: type more of the name")


def _add(key: str, chosen: list[str]) -> None:
    st.session_state[key] = chosen


def render_openers(draft: Sharing, now: Sharing) -> None:
    """How many people may open the flow with this draft; in an expander, the first of them."""
    openers, count = bridge.ask(people.find_who_may_open, replace(draft, is_shared=True), limit=_MOST_OPENERS)
    who = "Anybody" if draft.audience == "public" else words.count(count, "person", "people")
    after = [word for word, is_needed in (("saved", draft != now), ("shared", not now.is_shared)) if is_needed]
    label = f"{who} can open it" + (f", once {' and '.join(after)}" if after else "")
    label += "" if draft.audience == "public" else " (authors and admins included)"
    with st.expander(label, key="sharing:resolved", icon=":material/visibility:", on_change="rerun") as opened:
        if not opened.open:
            return
        for member in openers:
            st.markdown(f"{words.escape(name_person(member))} :small[:gray[{_write_reason(member, draft)}]]")
        if more := count - len(openers):
            st.caption(f"and {more:,} more")


def _write_reason(member: Member, draft: Sharing) -> str:
    if member.role != "member":
        return f"{member.role}, always"
    if draft.audience != "people":
        return "in your organization"
    return "chosen" if member.id in draft.members else "in a chosen group"


@st.dialog("Invite somebody to this flow", icon=":material/person_add:", on_dismiss="rerun")
def _open_invitation(wired: WiredFlow) -> None:
    """For admins: a form with names for the account, then its link, once. Where the flow is shared with named people,
    the account is one of them."""
    parts.close_done()
    with bridge.render_refusals():
        caller = require_caller()
        now, flow = bridge.ask(read_sharing, caller, wired.id), words.escape(wired.name)
        slot = st.empty()
        with slot.container():
            opens = f"**{flow}** opens for them{'' if now.is_shared else ' once it is shared'}"
            st.markdown(f"They choose a password, and {opens}.")
            shown, name = parts.render_names("Name", key=_INVITED)
            is_sent = st.button("Make the invitation", type="primary", key="invitation:make")
        if not is_sent:
            return
        link, secret = bridge.ask(people.invite_to_flow, caller, wired.id, name, display_name=shown)
        slot.empty()
        who, again = shown.strip() or name.strip(), partial(parts.empty_names, _INVITED)
        parts.render_one_time_link(link, secret, who=who, key="invitation", flow=wired.id, again=again)


def render_preview_links(wired: WiredFlow) -> None:
    """Links to previews, for the Publish menu."""
    with st.container(horizontal=True):
        for label, who in (("View as a member", SOMEBODY), ("View signed out", SIGNED_OUT)):
            url = f"{browser.write_share_link(wired)}?{_PREVIEW_PARAMETER}={quote(who)}"
            st.link_button(label, url, type="tertiary", icon=":material/visibility:", key=f"preview:{who}:{wired.id}")


def render_preview(caller: Caller, address: str) -> None:
    """A banner if the address asks for a preview; ends the page if the other person could not open it.

    Only for who may publish the flow: for others `?as=` is ignored.
    """
    if not (asked := st.query_params.get(_PREVIEW_PARAMETER)) or not caller.sees_inside:
        return
    who = SIGNED_OUT if asked == SIGNED_OUT else SOMEBODY
    try:
        seen = bridge.ask(preview_as, caller, address, who)
    except NotSignedIn:
        raise
    except FlowgroundError:
        return
    note = "What you write is kept among your own chats." if seen == "opens" else "They do not get in."
    with st.container(border=True, key="preview", gap="xsmall"):
        st.markdown(f":material/visibility: **Preview** as {_PREVIEW_NAMES[who]}. {note}")
        end, key = parts.drop_parameter, "preview:end"
        render_action("End preview", end, _PREVIEW_PARAMETER, key=key, icon="close", kind="secondary")
    if seen == "opens":
        return
    if seen == "nothing":
        opening.render_nothing_here()
    else:
        text = "They see the sign-in form here. They learn nothing about the flow, not even that it exists."
        opening.render_notice("Sign in", text)
    raise StopException
