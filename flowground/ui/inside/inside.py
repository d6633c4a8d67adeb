"""The page *Inside*: the flow as a picture, beside its file with its mistakes, and the flow's tests.

The component is frontend/src/inside.js. The steps of a turn light up in the picture: they come over the socket of the
person's own conversation. The file is read again every few seconds while the page is open. The picture is Mermaid's
text, made from the flow's references; of a long file only its beginning and the lines around mistakes are shown.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import streamlit as st

from flowground.access import insides
from flowground.access.insides import FlowInside
from flowground.app import flow_tests, runtime
from flowground.app.expectations import write_differences
from flowground.components.base import Component
from flowground.core.caller import SESSION_ID_CHARS, Caller
from flowground.core.errors import FlowNotFound, Problem
from flowground.core.words import cut, fold
from flowground.flows.flow import FlowTestOutcome, FlowTestReport
from flowground.flows.wiring import WiredFlow
from flowground.store.runs import session_lists
from flowground.ui.inside import editing
from flowground.ui.page import bridge, browser, words
from flowground.ui.page.bridge import require_caller
from flowground.ui.page.parts import make_component, make_key
from flowground.ui.shell import opening

_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""Line breaks as YAML counts them."""
MOST_LINES = 2_000
MOST_CHARS = 300_000
"""Most lines and characters that are shown from the beginning of a file."""
_LINE_CHARS = 1_000
_LINES_AROUND = 4
"""Lines shown before and after a mistake behind that."""
MOST_MISTAKES = 100
_VALUE = re.compile(r"\$\{[^{}]*\}|[^\s,:\]}]*")
_NO_CHARACTER = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

_NO_TESTS = "No tests yet. Use *Make it a test* under an answer in the playground."

_MOST_FAILED = 20
"""Most failed tests whose differences are shown."""

MOST_DRAWN = 100
"""Most components of a picture: a larger one is unreadable."""
_MOST_ARROWS = 250
_MOST_MERMAID_CHARS = 20_000
"""The limit of frontend/src/pictures.js."""
_LABEL_CHARS = 40
_SHAPES = {"input": '[/"{}"/]', "output": '(["{}"])', "branch": '{{{{"{}"}}}}', "flow": '[["{}"]]', "": '["{}"]'}
"""Mermaid's shapes for kinds of components, with a place for the label."""

_LOOK_SECONDS = 3
"""Seconds between two looks at the file."""
_STALE = "The picture is of the last good version, which answers until the file is corrected."
_NO_PICTURE = "There is a picture once the file has no mistake."
_UNREADABLE = "The file cannot be read."
_Arrow = tuple[str, str, str]
"""The component and its output, and the component that reads it."""
_Seen = tuple[str, str | None, tuple[Problem, ...], str]
_render_component = make_component("inside")


def render_page() -> None:
    """The page of the flow, or flow file, in the address; "no access" if the caller may not see it."""
    caller = require_caller()
    opening.require_allowed(insides.may_see_inside(caller))
    inside = _find(caller)
    opening.require_allowed(inside is not None)
    if inside is None:
        return
    wired = inside.wired
    name = wired.name if wired else inside.file
    st.set_page_config(page_title=f"Inside · {name}")
    session = _find_session(caller, wired) if wired else ""
    with st.container(horizontal=True, key="inside:ways"):
        if wired:
            query = {"flow": wired.id} | ({"session": session} if session else {})
            label = words.escape(wired.name)
            st.page_link(browser.PLAYGROUND, label=label, icon=":material/arrow_back:", query_params=query)
            st.page_link(browser.KNOWLEDGE, label="Knowledge", icon=":material/menu_book:", query_params=query)
    is_editing = editing.is_editing(caller, inside)
    with st.container(horizontal=True, vertical_alignment="center", key="inside:head"):
        title = "Inside" if wired and not is_editing else words.escape(inside.file)
        st.title(title, anchor=False, width="stretch")
        if not is_editing and editing.may_edit(caller, inside):
            editing.render_edit_button()
    if is_editing:
        editing.render_editor(caller, inside, session)
    else:
        key = make_key(f"inside:{wired.id if wired else inside.file}")
        _render_component(key=key, data=[describe(inside, session)])
        if wired:
            render_tests(wired)
    _watch(_make_signature(inside))


@st.fragment(run_every=_LOOK_SECONDS)
def _watch(shown: _Seen) -> None:
    """Reruns the page when the file is not as it was rendered."""
    inside = _find(require_caller())
    if inside is None or _make_signature(inside) != shown:
        st.rerun(scope="app")


def _make_signature(inside: FlowInside) -> _Seen:
    return inside.file, inside.text, inside.problems, inside.wired.version if inside.wired else ""


def _find(caller: Caller) -> FlowInside | None:
    asked = st.query_params
    try:
        if file := asked.get("file"):
            return bridge.ask(insides.read_file, caller, file)
        return bridge.ask(insides.read_inside, caller, asked.get("flow", ""))
    except FlowNotFound:
        return None


def _find_session(caller: Caller, wired: WiredFlow) -> str:
    """The conversation in the address, else the caller's last one with the flow."""
    named = st.query_params.get("session", "")
    if named and len(named) <= SESSION_ID_CHARS:
        return named
    found = bridge.read(session_lists.list_recent, owner=str(caller.owner), flows=[wired.id], limit=1)
    return found[0].session_id if found else ""


def describe(inside: FlowInside, session: str) -> Mapping[str, Any]:
    """The component's data."""
    wired = inside.wired
    file = write_file(inside.text or "", inside.problems)
    note = _UNREADABLE if inside.text is None else "" if wired else _NO_PICTURE
    shown: dict[str, Any] = {"flow": "", "session": session, "picture": "", "steps": [], "says": ""}
    if wired:
        picture, nodes = render_picture(wired), _name_nodes(wired)
        shown |= {"flow": wired.id, "picture": picture, "says": _STALE if inside.is_broken else ""}
        if not picture:
            number = words.count(len(wired.components), "component")
            most = f"one of over {MOST_DRAWN}, or with very many references, is listed and not drawn."
            shown["says"] = f"This flow has {number}; {most}"
        is_same = not inside.is_broken  # else the file's lines differ from those of the served flow
        shown["steps"] = [
            {
                "id": name,
                "node": nodes[name],
                "label": name_component(wired, name),
                "line": wired.flow.components[name].position.line if is_same else None,
            }
            for name in dict.fromkeys((*wired.order, *wired.components))  # components that are only tools are last
        ]
    return shown | {"file": {"name": inside.file, "note": note, **file}}


def _name_nodes(wired: WiredFlow) -> Mapping[str, str]:
    """Names of components in the picture, by id."""
    return {name: f"n{number}" for number, name in enumerate(wired.components)}


def render_picture(wired: WiredFlow) -> str:
    """Components in the file's order, with an arrow for each reference, as Mermaid's text; "" for too large a flow.

    A dashed arrow is an optional reference. An arrow has the output's name if its component has several outputs. A line
    with a circle leads from an agent to its tool.
    """
    nodes, arrows = _name_nodes(wired), _find_arrows(wired)
    uses = dict.fromkeys((agent, tool.component) for agent, used in wired.tools.items() for tool in used)
    tools = [f"{nodes[agent]} --o {nodes[used]}" for agent, used in uses]
    if len(nodes) > MOST_DRAWN or len(arrows) + len(tools) > _MOST_ARROWS:
        return ""
    lines = ["flowchart TB"]
    lines += [f"{nodes[name]}{_write_shape(wired, name)}" for name in wired.components]
    lines += [_write_arrow(wired, nodes, arrow, is_optional=dashed) for arrow, dashed in arrows.items()]
    lines += tools
    text = "\n".join(lines)
    return text if len(text) <= _MOST_MERMAID_CHARS else ""


def name_component(wired: WiredFlow, name: str) -> str:
    """The component's name on pages, with its id if that adds a word: "Language Model (Refund)"."""
    shown = wired.display_names[name]
    return f"{shown} ({name})" if _has_other_words(name, shown) else shown


def _find_arrows(wired: WiredFlow) -> dict[_Arrow, bool]:
    """Each arrow once; its value: whether all its references are optional."""
    arrows: dict[_Arrow, bool] = {}
    for target in wired.components:
        for reference in wired.list_references(target):
            arrow = reference.component, wired.find_port(reference), target
            arrows[arrow] = arrows.get(arrow, True) and reference.is_optional
    return arrows


def _write_arrow(wired: WiredFlow, nodes: Mapping[str, str], arrow: _Arrow, *, is_optional: bool) -> str:
    source, port, target = arrow
    line = "-.->" if is_optional else "-->"
    label = f'|"{_escape_port(port)}"|' if _is_named(wired, source, port) else ""
    return f"{nodes[source]} {line}{label} {nodes[target]}"


def _write_shape(wired: WiredFlow, name: str) -> str:
    component, shown = wired.components[name], wired.display_names[name]
    lines = [shown, *([name] if _has_other_words(name, shown) else []), *component.list_flows()]
    return _SHAPES[_choose_shape(component)].format("<br/>".join(map(_escape, lines)))


def _choose_shape(component: Component) -> str:
    if component.input_kind:
        return "input"
    if component.output_kind:
        return "output"
    if component.list_flows():
        return "flow"
    return "branch" if component.branches else ""


def _has_other_words(name: str, shown: str) -> bool:
    """Whether the id differs from the shown name in more than blanks: "ChatInput" does not from "Chat Input"."""
    return _fold_letters(name) != _fold_letters(shown)


def _fold_letters(text: str) -> str:
    return "".join(filter(str.isalnum, fold(text)))


def _is_named(wired: WiredFlow, source: str, port: str) -> bool:
    """Whether the output's name is shown: it is one of several, and not an input's text."""
    ports = list(wired.ports[source])
    return len(ports) > 1 and not (wired.components[source].input_kind and port == ports[0])


def _escape_port(text: str) -> str:
    """The text for an arrow, where Mermaid shows escapes as they are written: other characters become a dot."""
    return "".join(letter if letter.isalnum() or letter in " _-," else "·" for letter in cut(text, _LABEL_CHARS))


def _escape(text: str) -> str:
    """The text for a node: all but letters, digits and blanks is escaped by its number."""
    shown = cut(" ".join(text.split()), _LABEL_CHARS)
    return "".join(letter if letter.isalnum() or letter == " " else f"#{ord(letter)};" for letter in shown)


def write_file(text: str, problems: Sequence[Problem]) -> Mapping[str, Any]:
    """The file for the component: `parts` are runs of lines, each with its first number `start`, out of `count`
    lines."""
    lines = _LINE_BREAK.split(text)
    if lines[-1] == "":
        lines.pop()
    shown = problems[:MOST_MISTAKES]
    wanted = {*range(_count_whole(lines)), *_list_around(shown, len(lines))}
    return {
        "count": len(lines),
        "parts": [
            {"start": first + 1, "lines": [_write_line(line) for line in lines[first:end]]}
            for first, end in _find_stretches(wanted)
        ],
        "mistakes": [_write_mistake(problem, lines) for problem in shown],
        "more": len(problems) - len(shown),
    }


def _count_whole(lines: Sequence[str]) -> int:
    """How many lines are shown from the beginning."""
    left = MOST_CHARS
    for number, line in enumerate(lines[:MOST_LINES]):
        left -= min(len(line), _LINE_CHARS) + 1
        if left < 0:
            return number
    return min(len(lines), MOST_LINES)


def _list_around(problems: Iterable[Problem], count: int) -> Iterable[int]:
    for line in {problem.line - 1 for problem in problems}:
        yield from range(max(0, line - _LINES_AROUND), min(count, line + _LINES_AROUND + 1))


def _find_stretches(wanted: Iterable[int]) -> list[tuple[int, int]]:
    """Begin and end of each run of consecutive numbers."""
    found: list[tuple[int, int]] = []
    for number in sorted(wanted):
        if found and found[-1][1] == number:
            found[-1] = found[-1][0], number + 1
        else:
            found.append((number, number + 1))
    return found


def _write_line(line: str) -> str:
    short = line if len(line) <= _LINE_CHARS else f"{line[:_LINE_CHARS]} …"
    return _NO_CHARACTER.sub("\ufffd", short)


def _write_mistake(problem: Problem, lines: Sequence[str]) -> Mapping[str, Any]:
    """A mistake for the component; `length` is that of the text it is about."""
    line = lines[problem.line - 1] if problem.line <= len(lines) else ""
    here = line[problem.column - 1 :]
    value = problem.value or ""
    found = None if value and here.startswith(value) else _VALUE.match(here)
    word = found.group() if found else value
    hint = f"Did you mean `{problem.suggestion}`?" if problem.suggestion else ""
    return {
        "line": problem.line,
        "column": problem.column,
        "length": max(1, min(len(word), _LINE_CHARS)),
        "text": problem.message,
        "hint": hint,
        "is_warning": problem.is_warning,
    }


@st.fragment
def render_tests(wired: WiredFlow) -> None:
    """The flow's tests with their last outcomes, and a button that runs them."""
    caller = require_caller()
    with st.container(key="tests", gap="small"):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.header("Tests", anchor=False, width="content")
            label = "Run the tests" if len(wired.flow.tests) > 1 else "Run the test"
            is_wanted = bool(wired.flow.tests) and st.button(label, icon=":material/play_arrow:", key="tests:run")
        if not wired.flow.tests:
            st.caption(_NO_TESTS)
            return
        with bridge.render_refusals():
            report = _find_tests(caller, wired, is_wanted=is_wanted)
            _render_report(wired, report)


def _find_tests(caller: Caller, wired: WiredFlow, *, is_wanted: bool) -> FlowTestReport | None:
    running = runtime.get()
    if not is_wanted:
        return bridge.call(flow_tests.find_report(running, caller, wired.id))
    with st.spinner("Running the tests"):
        return bridge.call(flow_tests.run_tests(running, caller, wired.id))


def _render_report(wired: WiredFlow, report: FlowTestReport | None) -> None:
    if report is None or report.version != wired.version:
        says = "Not run since the server started." if report is None else "The flow has changed since they were run."
        st.caption(f"{words.count(len(wired.flow.tests), 'test')}. {says}")
        st.markdown("\n".join(f"- :gray[{_write_title(test.title)}]" for test in wired.flow.tests))
        return
    failed = [outcome for outcome in report.outcomes if not outcome.is_passed]
    result = f"{words.count(len(failed), 'test')} of {len(report.outcomes)} failed" if failed else "All passed"
    st.markdown(f":{'red' if failed else 'green'}[**{result}**]")
    for outcome in failed[:_MOST_FAILED]:
        st.markdown(_write_outcome(outcome))
        st.code("\n".join(write_differences(outcome)), language="diff", wrap_lines=True)
    if len(failed) > _MOST_FAILED:
        st.caption(f"And {len(failed) - _MOST_FAILED} more that failed.")
    if passed := [outcome for outcome in report.outcomes if outcome.is_passed]:
        st.markdown("  \n".join(map(_write_outcome, passed)))


def _write_outcome(outcome: FlowTestOutcome) -> str:
    icon = ":green[:material/check:]" if outcome.is_passed else ":red[:material/close:]"
    place = f"line {outcome.line} · " if outcome.line else ""
    return f"{icon} {_write_title(outcome.title)} :gray[· {place}{outcome.seconds:.2f} s]"


def _write_title(title: str) -> str:
    return words.escape(words.cut(" ".join(title.split())))
