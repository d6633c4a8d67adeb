"""Whom a flow is shared with by name: people found by a word and shown as chips, groups, and how many that makes.

Nothing here grows with the organization: of many people only those are drawn who were chosen or found.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

import streamlit as st

from flowground.access import groups, people
from flowground.access.people import FoundPeople
from flowground.caller import Caller
from flowground.sign_in.roster import find_name
from flowground.store.flows.publications import Sharing
from flowground.store.people.groups import Group
from flowground.store.people.members import Member
from flowground.ui.page import bridge, words
from flowground.ui.page.names import name_person
from flowground.ui.page.paging import ListPage, NamedPage
from flowground.wiring import WiredFlow

_OFFERED = 100
"""So many people and groups are offered in the field itself; of more, one searches."""
_FOUND = 6
_CHIPS = 200
_SHOWN = 20
_SEARCHED_CHARS = 100


@dataclass(frozen=True, slots=True)
class _Field:
    """Of what one chooses: `find(words, most)` gives some, `name(ids)` says how those of them are called that are
    there. `key` and `find_key` are the session's; `nothing` is said where a search finds none."""

    label: str
    key: str
    find_key: str
    placeholder: str
    nothing: str
    find: Callable[[str, int], NamedPage]
    name: Callable[[Collection[str]], Mapping[str, str]]


def draw_names(caller: Caller, wired: WiredFlow, draft: Sharing) -> tuple[frozenset[str], frozenset[str]]:
    """The people and groups that are chosen, by id."""
    offered = _make_people(caller, wired), _make_groups(caller, wired)
    if not any(field.find("", 1).count for field in offered) and not draft.members | draft.groups:
        st.caption("There is nobody to choose yet: authors and admins open every flow.")
    people, chosen_groups = offered
    return _draw_field(people, draft.members), _draw_field(chosen_groups, draft.groups)


def _make_people(caller: Caller, wired: WiredFlow) -> _Field:
    """Authors and admins need not be named; who was named before stays until taken out."""

    def find(searched: str, most: int) -> NamedPage:
        found = bridge.ask(people.find_people, caller, searched, is_member_only=True, limit=most)
        return ListPage([(one.id, name_person(one)) for one in found.shown], found.count)

    def name(ids: Collection[str]) -> Mapping[str, str]:
        return {one.id: name_person(one) for one in bridge.ask(people.list_people, caller, ids)}

    return _Field(
        "People",
        f"sharing:people:{wired.id}",
        f"sharing:find:{wired.id}",
        "A name or an address",
        "Nobody by that name. Authors and admins need not be chosen: they open every flow.",
        find,
        name,
    )


def _make_groups(caller: Caller, wired: WiredFlow) -> _Field:
    def find(searched: str, most: int) -> NamedPage:
        found, count = bridge.ask(groups.find_groups, caller, searched, limit=most)
        return ListPage([(group.id, _name_group(group)) for group in found], count)

    def name(ids: Collection[str]) -> Mapping[str, str]:
        return {group.id: _name_group(group) for group in bridge.ask(groups.list_groups, caller, ids)}

    return _Field(
        "Groups",
        f"sharing:groups:{wired.id}",
        f"sharing:find_groups:{wired.id}",
        "A group's name",
        "No group by that name.",
        find,
        name,
    )


def _name_group(group: Group) -> str:
    return f"{group.name} ({group.size:,})"


def _draw_field(field: _Field, before: frozenset[str]) -> frozenset[str]:
    """A field with what is chosen; `before` is what was chosen when the dialog was opened."""
    chosen = [str(one) for one in st.session_state.get(field.key, sorted(before))]
    offered = field.find("", _OFFERED)
    if not offered.count and not chosen:
        return frozenset()
    is_searched = offered.count > _OFFERED
    if is_searched:
        _draw_search(field, chosen)
    if len(chosen) > _CHIPS:
        st.caption(f"{len(chosen):,} are chosen. A group is easier to keep than so many names.")
        return frozenset(chosen)
    names = dict(field.name(chosen)) | ({} if is_searched else dict(offered.shown))
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


def _draw_search(field: _Field, chosen: list[str]) -> None:
    """A field for a name; what is found is one press away from the chosen ones."""
    searched = st.text_input(
        f"Find {field.label.lower()}",
        key=field.find_key,
        type="search",
        icon=":material/search:",
        placeholder=field.placeholder,
        max_chars=_SEARCHED_CHARS,
        live=True,
    )
    searched = (searched or "")[:_SEARCHED_CHARS].strip()
    if not searched:
        return
    found = field.find(searched, _FOUND)
    if not found.count:
        st.caption(field.nothing)
    with st.container(horizontal=True, gap="xsmall", key=f"{field.key}:found"):
        for one, label in found.shown:
            st.button(
                words.escape(label),
                icon=":material/check:" if one in chosen else ":material/add:",
                disabled=one in chosen,
                key=f"{field.key}:add:{one}",
                on_click=_add,
                args=(field.key, [*chosen, one]),
            )
    if found.count > len(found.shown):
        st.caption(f"and {found.count - len(found.shown):,} more: type more of the name")


def _add(key: str, chosen: list[str]) -> None:
    st.session_state[key] = chosen


def draw_openers(draft: Sharing, now: Sharing) -> None:
    """How many people can open it like this, or could; opened, the first of them."""
    found = bridge.ask(people.find_who_may_open, replace(draft, is_shared=True), limit=_SHOWN)
    who = "Anybody" if draft.audience == "public" else words.count(found.count, "person", "people")
    after = [word for word, is_needed in (("saved", draft != now), ("shared", not now.is_shared)) if is_needed]
    label = f"{who} can open it" + (f", once {' and '.join(after)}" if after else "")
    label += "" if draft.audience == "public" else " (authors and admins included)"
    with st.expander(label, key="sharing:resolved", icon=":material/visibility:", on_change="rerun") as opened:
        if opened.open:
            _draw_found(found, draft)


def _draw_found(found: FoundPeople, draft: Sharing) -> None:
    for member in found.shown:
        st.markdown(f"{words.escape(name_person(member))} :small[:gray[{_write_reason(member, draft)}]]")
    if found.count > len(found.shown):
        st.caption(f"and {found.count - len(found.shown):,} more")


def _write_reason(member: Member, draft: Sharing) -> str:
    if member.role != "member":
        return f"{member.role}, always"
    if draft.audience != "people":
        return "in your organization"
    return "chosen" if member.id in draft.members else "in a chosen group"
