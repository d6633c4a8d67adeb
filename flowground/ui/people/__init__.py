"""What pages about people share, and *Active runs*: what runs now and what is switched off, for admins.

An admin may stop each run. Nothing that somebody wrote is shown.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import streamlit as st

from flowground.app import operating, runtime
from flowground.app.operating import RunNow
from flowground.core.caller import Caller, Owner
from flowground.core.errors import FlowgroundError
from flowground.store.publications import SAYS_CHARS, Switch, SwitchKind
from flowground.ui.page import bridge, browser, parts, words
from flowground.ui.page.bridge import bind_to_caller, require_visitor
from flowground.ui.page.names import find_display_name
from flowground.ui.page.parts import mark_gone, render_action, render_confirm

_REFRESH_SECONDS = 3.0
_REFUSED = "now:refused"
_KINDS: dict[SwitchKind, str] = {"flow": "Flow", "provider": "Provider"}


@contextmanager
def open_row(key: str, title: str, facts: str) -> Iterator[None]:
    """One entry of a list, in a frame, beside what the block renders. `title` and `facts` are Markdown."""
    with (
        st.container(border=True, key=key),
        st.container(horizontal=True, wrap=False, vertical_alignment="center"),
    ):
        st.markdown(f"{title}  \n:small[:gray[{facts}]]", width="stretch")
        yield


def render_menu(choices: Collection[str], *, key: str) -> str | None:
    """An entry's menu; returns what was chosen just now."""
    return st.menu_button("More", tuple(choices), key=key, type="tertiary", width="content", format_func=mark_gone)


def render_submit(
    label: str,
    act: Callable[..., Any],
    *args: Any,
    key: str,
    icon: str | None = None,
    says: str = "",
    is_off: bool = False,
) -> None:
    """A dialog's button that calls `act` for the present caller, closes the dialog, and shows the Markdown `says`.

    `is_off`: the button is disabled.
    """
    ask = render_confirm if label == "Remove" else partial(st.button, type="primary", disabled=is_off)
    if ask(label, icon=icon, key=key):
        with bridge.render_refusals():
            bridge.ask(act, require_visitor(), *args)
            if says:
                st.toast(says, icon=":material/check:")
            st.rerun()


def render_now(caller: Caller) -> None:
    """What is switched off, and below it what runs."""
    if st.button("Switch off a flow or provider", icon=parts.OFF_ICON, key="now:off"):
        _switch_off()
    for switch in bridge.call(operating.list_switches(runtime.get(), caller)):
        _render_switch(caller, switch)
    _render_runs()


@st.fragment(run_every=_REFRESH_SECONDS)
def _render_runs() -> None:
    """The runs, refreshed while the page is open; the caller is checked each time."""
    bridge.render_kept(_REFUSED)
    caller = require_visitor()
    try:
        found, count = bridge.call(operating.list_all_runs(runtime.get(), caller))
    except FlowgroundError as error:
        bridge.render_refusal(error)
        return
    if not found:
        st.caption("Nothing is running. New runs appear here by themselves.")
        return
    st.caption(f"{words.count(count, 'run')} now.")
    now = datetime.now(UTC)
    for run in found:
        _render_run(caller, run, now)
    if count > len(found):
        st.caption(f"and {words.count(count - len(found), 'older run')}")


def _render_run(caller: Caller, run: RunNow, now: datetime) -> None:
    seconds = round((now - run.started_at).total_seconds())
    facts = words.join(
        (
            run.via,
            f"for {words.round_seconds(seconds) if seconds > 0 else 'a moment'}",
            _write_length(run),
            "" if run.is_here else "in another process",
            "being stopped" if run.is_stopping else "",
        )
    )
    title = f"**{words.escape(run.who)}** :gray[·] {words.escape(_name_flow(run.flow_id))}"
    with open_row(f"now:run:{run.id}", title, words.escape(facts)):
        if not run.is_stopping:
            render_action("Stop", _stop, caller, run.id, key=f"now:stop:{run.id}", icon="stop_circle")


def _write_length(run: RunNow) -> str:
    if run.tokens is not None:
        return words.count(run.tokens, "token")
    chars = words.count(run.chars, "character")
    return "" if not run.chars else chars if run.is_here else f"about {chars}"


def _render_switch(caller: Caller, switch: Switch) -> None:
    name = _name_subject(switch.kind, switch.name)
    facts = words.join(
        (
            f"since {browser.write_moment(switch.changed_at)}",
            f"by {_name_admin(switch.changed_by)}",
            f"“{switch.says}”" if switch.says else "",
        )
    )
    key = f"{switch.kind}:{switch.name}"
    with open_row(f"now:off:{key}", f"{_KINDS[switch.kind]} **{words.escape(name)}** is off", words.escape(facts)):
        render_action("Switch on", _switch_on, caller, switch.kind, switch.name, key=f"now:on:{key}", kind="secondary")


@st.dialog("Switch off", icon=parts.OFF_ICON, on_dismiss="rerun")
def _switch_off() -> None:
    here = runtime.get()
    choices: list[tuple[SwitchKind, str]] = [("flow", name) for name in here.catalogue.list_flows()]
    choices += [("provider", name) for name in here.models.list_names()]
    labels = {(kind, name): f"{_KINDS[kind]} {_name_subject(kind, name)}" for kind, name in choices}
    st.write("Its runs end at once and keep what they have said; no new message is taken until you switch it on again.")
    with st.form("now:form", border=False):
        chosen = st.selectbox(
            "What",
            choices,
            index=None,
            format_func=labels.__getitem__,
            placeholder="A flow or a provider",
            key="now:what",
        )
        says = st.text_input(
            "What people are told", placeholder="Optional: why, and until when", max_chars=SAYS_CHARS, key="now:says"
        )
        is_sent = st.form_submit_button("Switch off", type="primary", key="now:send")
    if is_sent and chosen:
        with bridge.render_refusals():
            bridge.call(operating.switch_off(here, require_visitor(), *chosen, says))
            st.rerun()
    elif is_sent:
        st.warning("Choose a flow or a provider.")


@bind_to_caller
def _stop(caller: Caller, run_id: str) -> None:
    with bridge.keep_refusals(_REFUSED):
        bridge.call(operating.stop(runtime.get(), caller, run_id))


@bind_to_caller
def _switch_on(caller: Caller, kind: SwitchKind, name: str) -> None:
    with bridge.keep_refusals(_REFUSED):
        bridge.call(operating.switch_on(runtime.get(), caller, kind, name))


def _name_subject(kind: SwitchKind, name: str) -> str:
    return _name_flow(name) if kind == "flow" else name


def _name_flow(flow_id: str) -> str:
    wired = runtime.get().catalogue.find(flow_id)
    return wired.name if wired else flow_id


def _name_admin(changed_by: str) -> str:
    return "the command line" if changed_by == "cli" else find_display_name(Owner.read(changed_by).id)
