"""Parts that several pages share: buttons, copying, lists, names, one-time links, limits, models, sharing, what is off.

Streamlit renders no component whose key has `__`, which ids of flows and links may have: `make_key` replaces it. A code
block of Streamlit's has a *Copy* button that neither a keyboard nor a thumb reaches; where our own button stands,
`hide_other_button` hides that one.
"""

import re
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import quote

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

from flowground.access.roster import NAME_CHARS, suggest_name
from flowground.app import runtime
from flowground.core.caller import Caller, RunRequest
from flowground.core.words import write_size
from flowground.flows.wiring import WiredFlow
from flowground.providers import find_own_weights
from flowground.providers.builtin.weights import QWEN
from flowground.runs.limits import write_reset
from flowground.runs.meter import LimitKind, Remaining
from flowground.store.people.sign_ins import PasswordLink
from flowground.store.publications import Publication, Sharing
from flowground.ui.assets import find_asset
from flowground.ui.page import bridge, browser, words

_SCHEDULED = "dialog:scheduled"

_TWO_UNDERSCORES = re.compile(r"_(?=_|$)")

_COPY_HTML = """
<button type="button"><span aria-hidden="true" class="icon"></span><span class="word">Copy</span></button>
<span class="said" role="status"></span>
"""
_COPY_CSS = """
button { display: inline-flex; vertical-align: top; align-items: center; justify-content: center; gap: 0.375rem;
  min-height: 2.5rem; min-width: 6.25rem; padding: 0 0.75rem;  /* as wide as "Copied": nothing beside it moves */
  border: 1px solid var(--st-border-color); border-radius: var(--st-button-radius, 0.5rem); cursor: pointer;
  background: var(--st-background-color); color: var(--st-text-color); font: inherit; font-size: 0.875rem;
  font-family: var(--st-font); white-space: nowrap; }
button:hover { border-color: var(--st-primary-color); color: var(--st-primary-color); }
button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 2px; }
.icon { position: relative; width: 0.6875rem; height: 0.75rem; border: 1.5px solid currentColor;
  border-radius: 2px; box-sizing: border-box; margin: 2px 0 0 2px; }
.icon::before { content: ""; position: absolute; left: -4.5px; top: -4.5px; width: 0.5rem; height: 0.5625rem;
  border: 1.5px solid currentColor; border-right: 0; border-bottom: 0; border-radius: 2px 0 0; box-sizing: border-box; }
.said { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
button.primary { background: var(--st-primary-color); border-color: var(--st-primary-color); color: #fff; }
button.primary:hover { color: #fff; filter: brightness(0.92); }
@media (pointer: coarse), (max-width: 480px) { button { min-height: 44px; padding: 0 0.875rem; } }
"""
_COPY_JS = """
async function copy(root, text) {
  if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");  // a page that did not come by https has no clipboard
  area.value = text;
  area.setAttribute("aria-hidden", "true");
  area.style.cssText = "position: fixed; opacity: 0";
  root.appendChild(area);
  area.select();
  const is_done = document.execCommand("copy");
  area.remove();
  if (!is_done) throw new Error("refused");
}

export default function ({ parentElement, data: [data] }) {
  const button = parentElement.querySelector("button");
  const word = parentElement.querySelector(".word");
  const said = parentElement.querySelector(".said");
  let timer;
  const show = (text, status) => { word.textContent = text; said.textContent = status; };
  word.textContent = data.label;
  button.classList.toggle("primary", data.primary);
  button.setAttribute("aria-label", data.what ? `${data.label} ${data.what}` : data.label);
  button.onclick = async () => {
    clearTimeout(timer);
    button.style.minWidth = `${button.getBoundingClientRect().width}px`;  // what is beside it stays where it is
    try {
      await copy(parentElement, data.text);
      button.focus();
      show("Copied", "Copied");
    } catch {
      show("Not copied", "Your browser did not allow copying: select the text and copy it by hand.");
    }
    timer = setTimeout(() => show(data.label, ""), 2000);
  };
  return () => clearTimeout(timer);
}
"""

_LIMIT_WORDS: dict[LimitKind, str] = {
    "runs_per_minute": "runs this minute",
    "page_runs_per_minute": "messages this minute",
    "visitor_runs_per_day": "visitors' messages today",
    "runs_at_once": "runs at once",
    "tokens_per_day": "tokens today",
    "money_per_day": "{currency} today",
    "stored_bytes": "for the text of conversations",
}

BUILT_IN = QWEN.title
FETCH_NOTICE = f"The first {{}} fetches the built-in model, {BUILT_IN}, 0.5 GB, Apache-2.0."
""""message" or "call" is filled in."""
LIMITS_NOTICE = (
    f"Answers come from a small built-in model, {BUILT_IN}: quick, private and often wrong. Check what matters."
)

_USER_NAME_HELP = "Small letters, digits and . _ @ + - without spaces. An e-mail address works."

_LINK_DONE = "one_time_link:done"

PAGE = 25
_SEARCHED_CHARS = 100

T = TypeVar("T")

ListPage = tuple[Sequence[T], int]
"""A page of a list, and the number of entries of the whole list."""
NamedPage = ListPage[tuple[str, str]]
"""Ids with names."""


def render_action(
    label: str,
    act: Callable[..., None],
    *args: object,
    key: str,
    icon: str | None = None,
    kind: Literal["primary", "secondary", "tertiary"] = "tertiary",
) -> None:
    """A button that does `act(*args)`; `icon` is the name of a Material symbol."""
    shown = icon and f":material/{icon}:"
    st.button(label, type=kind, icon=shown, key=key, on_click=act, args=args)


def drop_parameter(name: str) -> None:
    """Takes this out of the page's address. For callbacks."""
    st.query_params.pop(name, None)


def mark_gone(entry: str) -> str:
    """A menu's entry as it is shown: red if it deletes something for good."""
    return f":red[{entry}]" if entry in ("Delete", "Remove") else entry


def render_confirm(label: str, *, key: str) -> bool:
    """The buttons at the end of a dialog that deletes something for good; True once it was confirmed."""
    with st.container(horizontal=True, key="last-question"):
        is_wanted = st.button(label, type="primary", key=key)
        if st.button("Cancel", key="last-question:no"):
            st.rerun()
    return is_wanted


def schedule_dialog(flow_id: str, open_dialog: Callable[[], None]) -> None:
    """Opens a dialog in the next run of this flow's page, after a menu has closed. For callbacks."""
    st.session_state[_SCHEDULED] = (flow_id, open_dialog)


def open_scheduled(flow_id: str) -> None:
    """Opens the dialog that was scheduled for this flow's page, once."""
    scheduled_for, open_dialog = st.session_state.pop(_SCHEDULED, (None, None))
    if scheduled_for == flow_id:
        open_dialog()


def make_key(name: str) -> str:
    """The name as a key of a component, without `__`, for which Streamlit renders none."""
    return _TWO_UNDERSCORES.sub("_~", name)


def make_component(name: str) -> ComponentRenderer:
    """The component whose code is frontend/src/NAME.js, with the page's own styles."""
    js = f"""
const code = import(new URL("{find_asset(f"{name}.js")}", location.origin));
export default async (given) => (await code).default(given);
"""
    return st.components.v2.component(f"flowground_{name}", js=js, isolate_styles=False)


def render_copy(text: str, *, what: str = "", label: str = "Copy", key: str, is_primary: bool = False) -> None:
    """A *Copy* button. `what` it copies, such as "the link", is added to its accessible name."""
    mount = st.components.v2.component("flowground.copy", html=_COPY_HTML, css=_COPY_CSS, js=_COPY_JS)
    data = {"text": text, "label": label, "what": what, "primary": is_primary}
    mount(key=make_key(f"copy:{key}"), data=[data], width="content")


@contextmanager
def hide_other_button(key: str) -> Iterator[None]:
    """A part of the page in which Streamlit's own *Copy* buttons of code blocks are hidden."""
    with st.container(key=f"copied:{key}", gap="xsmall"):
        yield


def render_search(name: str, label: str, *, width: int | Literal["stretch"] = 260) -> str:
    """A search field of the list of this name; returns its text, which the session has under `NAME:search`."""
    st.text_input(
        label,
        key=f"{name}:search",
        type="search",
        placeholder=label,
        label_visibility="collapsed",
        icon=":material/search:",
        max_chars=_SEARCHED_CHARS,
        live=True,
        width=width,
    )
    return read_searched(name)


def read_searched(name: str) -> str:
    """What `render_search` returns for the list of this name, before it is rendered."""
    return str(st.session_state.get(f"{name}:search") or "")[:_SEARCHED_CHARS].strip()


def render_list(
    name: str,
    label: str,
    find: Callable[..., Coroutine[Any, Any, ListPage[T]]],
    caller: Caller,
    render: Callable[[Sequence[T]], None],
    *,
    empty: str = "",
    size: int = PAGE,
) -> None:
    """A list, a page at a time, with a search field if it is longer than a page; without a `label` for that, the field
    of this list stands elsewhere on the page. `name` is its prefix of keys.

    `find` is a function of flowground/access, or one like them: it gets the caller, the searched `words`, and as
    `limit` and `offset` the size of a page and the number of entries before it. `empty` is shown for an empty list.
    """
    searched = read_searched(name)
    shown, count, number = find_in_pages(
        name, searched, lambda offset: bridge.ask(find, caller, words=searched, limit=size, offset=offset), size=size
    )
    if label and (searched or count > size):
        render_search(name, label)
    says = "No results." if searched else empty
    if says and not count:
        st.caption(says)
    render(shown)
    render_pages(name, searched, count, number, size=size)


def find_in_pages(
    name: str, searched: str, find: Callable[[int], ListPage[T]], *, size: int = PAGE
) -> tuple[Sequence[T], int, int]:
    """The page that is shown, the number of entries of the whole list, and the page's number.

    `find` gets the number of entries before the page. If the list became shorter than that, its first page is shown.
    """
    number = int(st.session_state.get(_make_key(name, searched), 1))
    shown, count = find((number - 1) * size)
    if number > 1 and count <= (number - 1) * size:
        return *find(0), 1
    return shown, count, number


def render_pages(name: str, searched: str, count: int, number: int, *, size: int = PAGE) -> None:
    """Links to the other pages, if there are any."""
    pages = -(-count // size)
    if pages > 1:
        st.caption(f"{(number - 1) * size + 1:,} to {min(count, number * size):,} of {count:,}")
        st.pagination(pages, key=_make_key(name, searched))


def _make_key(name: str, searched: str) -> str:
    """A key for each search, so that each search begins at its first page."""
    return f"{name}:page:{searched}"


def render_names(shown_label: str, *, key: str) -> tuple[str, str]:
    """Two fields: the name that colleagues see, and the user name, which is suggested from the first while it is typed,
    until somebody changes it."""
    shown = st.text_input(
        shown_label,
        placeholder="As colleagues see it",
        autocomplete="name",
        max_chars=NAME_CHARS,
        key=f"{key}:shown",
        on_change=_suggest_user_name,
        args=(key,),
        live=True,
    )
    name = st.text_input("User name", help=_USER_NAME_HELP, autocomplete="username", key=f"{key}:name")
    return shown or "", name or ""


def empty_names(key: str) -> None:
    """Empties both fields. For callbacks."""
    for field in ("shown", "name", "suggested"):
        st.session_state[f"{key}:{field}"] = ""


def _suggest_user_name(key: str) -> None:
    state = st.session_state
    if state.get(f"{key}:name", "") in ("", state.get(f"{key}:suggested", "")):
        state[f"{key}:name"] = state[f"{key}:suggested"] = suggest_name(state[f"{key}:shown"] or "")


def close_done() -> None:
    """At the top of a dialog with a one-time link: closes it once *Done* was pressed."""
    if st.session_state.get(_LINK_DONE):
        st.rerun()


def render_one_time_link(
    link: PasswordLink,
    secret: str,
    *,
    who: str,
    key: str,
    flow: str | None = None,
    again: Callable[[], None] | None = None,
) -> None:
    """Shows a link that sets a password, once: its secret is stored nowhere. It leads to `flow`, else home.

    Below are *Done*, which closes the dialog, and with `again`, which empties the form's fields, *Invite another*.
    """
    st.success(f"Send this link to **{words.escape(who)}**, and to nobody else: it is shown this once.")
    address = f"{browser.find_base_url()}/join?{link.kind}={secret}" + (f"&flow={quote(flow, safe='')}" if flow else "")
    browser.render_reach(is_admin=True)
    with hide_other_button(key):
        st.code(address, language=None, wrap_lines=True)
        render_copy(address, label="Copy link", key=key, is_primary=True)
    st.caption(f"It works once, until {browser.write_moment(link.expires_at)}.")
    with st.container(horizontal=True):
        st.button("Done", key=_LINK_DONE)
        if again:
            st.button("Invite another", icon=":material/person_add:", key=f"{key}:again", on_click=again)


def spell_reach(shared: Publication | Sharing, people: int, groups: int) -> str:
    """ "shared with 2 people and 1 group until 26 Nov 2026", by the visitor's clock."""
    if shared.audience == "people":
        named = [words.count(people, "person", "people")] if people else []
        named += [words.count(groups, "group")] if groups else []
        who = " and ".join(named) or "nobody yet"
    else:
        who = "your organization" if shared.audience == "organization" else "anybody who has the link"
    ends = shared.expires_at
    return f"shared with {who}" + (f" until {browser.spell_day(browser.find_last_day(ends))}" if ends else "")


def spell_sharing(sharing: Sharing) -> str:
    """As `spell_reach`, of a flow's whole sharing."""
    reach = spell_reach(sharing, len(sharing.members), len(sharing.groups))
    return reach + (", API too" if sharing.shares_api else "")


def begin_sentence(text: str) -> str:
    """The text with a capital letter."""
    return text[:1].upper() + text[1:]


def render_last_day(name: str, subject: str, default: date, *, is_on: bool, says: str) -> datetime | None:
    """A checkbox and a date that end a sharing; None without a date. `says` begins the caption.

    The keys are `NAME:ends:SUBJECT` and `NAME:until:SUBJECT`.
    """
    if not st.checkbox("Stop sharing on a date", value=is_on, key=f"{name}:ends:{subject}"):
        return None
    key, today = f"{name}:until:{subject}", browser.find_today()
    last = max(today, default)
    chosen = st.date_input("Last day", value=last, min_value=today, key=key, format="YYYY-MM-DD", width=180) or last
    day, zone = browser.spell_day(chosen), browser.name_zone()
    st.caption(f"{says} until midnight at the end of {day}, your time ({zone}).")
    return browser.end_day(chosen)


def find_sentence(caller: Caller, wired: WiredFlow, overrides: Mapping[str, Any] | None = None) -> str:
    """Why this caller may not run the flow with these overrides: it, or its model, is off; "" if they may."""
    running = runtime.get()
    if running.switches.is_stale:
        bridge.call(running.switches.refresh())
    off = running.switches.find_off(wired, RunRequest(tweaks=overrides or {}), caller)
    return off.message if off else ""


def render_left(caller: Caller) -> None:
    """What is left of a person's limits, for the account page; nothing if only the pace of messages is limited."""
    found = bridge.call(runtime.get().run_limits.look(caller, at_page=True))
    if not any(row.used or row.limit.what != "page_runs_per_minute" for row in found):
        return
    st.header("What is left", anchor=False)
    with st.container(key="account:left"):
        for row in found:
            again = f", all of it again {write_reset(row)}" if row.used and row.resets_in else ""
            st.progress(min(row.left / row.limit.most, 1.0), text=f"{_spell(row)}{again}")
    st.caption("Pages and all your tokens count together.")


def render_left_for_tokens(caller: Caller, wired: WiredFlow) -> None:
    """What is left of the limits, in a line for the API access pane; nothing if nothing is limited."""
    found = bridge.call(runtime.get().run_limits.look(caller, [wired.id]))
    own = [_spell(row) for row in found if not row.flow_id and caller.person]  # others' tokens count each for itself
    of_flow = [_spell(row) for row in found if row.flow_id]
    lines = [f"Left for you: {words.join(own)}."] if own else []
    lines += [f"For this flow: {words.join(of_flow)}."] if of_flow else []
    if lines:
        st.caption(f":material/speed: {' '.join(lines)}")


def _spell(row: Remaining) -> str:
    """ "57 of 60 runs this minute", "1.20 of 5.00 EUR today", "3 MB of 10 MB for the text of conversations"."""
    name = _LIMIT_WORDS[row.limit.what].format(currency=words.escape(runtime.get().run_limits.currency))
    if row.limit.what == "stored_bytes":
        return f"{write_size(row.left)} of {write_size(row.limit.most)} {name}"
    if row.limit.what == "money_per_day":
        return f"{row.left:,.2f} of {row.limit.most:,.2f} {name}"
    return f"{int(row.left):,} of {int(row.limit.most):,} {name}"


def list_models(wired: WiredFlow) -> tuple[str, ...]:
    """The models of the flow as `provider:model`, each once."""
    default = runtime.get().settings.default_model
    return tuple(dict.fromkeys(name or default for _, name in wired.list_models()))


def write_label(model: str) -> str:
    """The name of a model on a page."""
    provider, _, name = model.partition(":")
    if provider == "local":
        own = _find_own_weights()
        return own.stem if own else BUILT_IN
    return name or provider


def warn_of_limits(wired: WiredFlow) -> str:
    """What the built-in model is not good at; "" if another model answers."""
    return LIMITS_NOTICE if _uses_built_in(wired) and _find_own_weights() is None else ""


def announce_fetch(wired: WiredFlow, *, sees_inside: bool, on: Literal["message", "call"] = "message") -> str:
    """What stands at the field for messages, or at the code of a call, while the built-in model is fetched; else "".

    Who does not see the inside reads how long it takes, not why.
    """
    if not _uses_built_in(wired):
        return ""
    status = runtime.get().models.read_status()
    is_absent = status.state == "absent" and _find_own_weights() is None
    if not sees_inside and (is_absent or status.state == "fetching"):
        return "The first answer takes a minute or more."
    if is_absent:
        return FETCH_NOTICE.format(on)
    if status.state == "fetching":
        of_all = f" of {write_size(status.total)}" if status.total else ""
        so_far = f": {write_size(status.received)}{of_all}" if on == "call" else ""  # an answer shows a bar
        return f"The built-in model, {BUILT_IN}, is being fetched{so_far}."
    return "" if status.state == "ready" else status.message or ""


def _uses_built_in(wired: WiredFlow) -> bool:
    return any(model.partition(":")[0] == "local" for model in list_models(wired))


def _find_own_weights() -> Path | None:
    return find_own_weights(runtime.get().settings.providers)
