"""A flow as a picture: Mermaid's text, made from its references."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from flowground.components.base import Component
from flowground.components.io import input_kind, output_kind
from flowground.graph import Reference
from flowground.wiring import WiredFlow
from flowground.words import cut, fold

MOST_DRAWN = 100
"""Components of a picture: with more of them nobody finds anything in it."""
_MOST_ARROWS = 250
_MOST_TEXT = 20_000
"""Characters; what draws takes no more (frontend/src/pictures.js)."""
_LABEL_CHARS = 40
_SHAPES = {"input": '[/"{}"/]', "output": '(["{}"])', "branch": '{{{{"{}"}}}}', "flow": '[["{}"]]', "": '["{}"]'}
"""How the kinds of components look, with the label in them."""


@dataclass(frozen=True, slots=True)
class FlowPicture:
    """`mermaid` is empty where the flow is too large to be drawn; `nodes` are the components' names in it, by id."""

    mermaid: str
    nodes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Arrow:
    source: str
    port: str
    target: str


def draw_picture(wired: WiredFlow) -> FlowPicture:
    """Components in the file's order and what goes from one to the next, from above to below.

    An arrow with dashes is an optional reference; it has the output's name where its component gives several. A line
    with a circle leads from an agent to its tool.
    """
    nodes = {name: f"n{number}" for number, name in enumerate(wired.components)}
    arrows = _find_arrows(wired)
    uses = dict.fromkeys((agent, tool.component) for agent, used in wired.tools.items() for tool in used)
    tools = [f"{nodes[agent]} --o {nodes[used]}" for agent, used in uses]
    if len(nodes) > MOST_DRAWN or len(arrows) + len(tools) > _MOST_ARROWS:
        return FlowPicture("", nodes)
    lines = ["flowchart TB"]
    lines += [f"{nodes[name]}{_write_shape(wired, name)}" for name in wired.components]
    lines += [_write_arrow(wired, nodes, arrow, is_optional=dashed) for arrow, dashed in arrows.items()]
    lines += tools
    text = "\n".join(lines)
    return FlowPicture(text if len(text) <= _MOST_TEXT else "", nodes)


def name_component(wired: WiredFlow, name: str) -> str:
    """As pages show it, with its id where that says more: "Language Model (Refund)"."""
    shown = wired.display_names[name]
    return f"{shown} ({name})" if _has_other_words(name, shown) else shown


def _find_arrows(wired: WiredFlow) -> dict[_Arrow, bool]:
    """Each once, and whether all references that it stands for are optional."""
    arrows: dict[_Arrow, bool] = {}
    for target, reference in _list_references(wired):
        arrow = _Arrow(reference.component, wired.find_port(reference), target)
        arrows[arrow] = arrows.get(arrow, True) and reference.is_optional
    return arrows


def _list_references(wired: WiredFlow) -> Iterator[tuple[str, Reference]]:
    for target in wired.components:
        for reference in wired.list_references(target):
            yield target, reference


def _write_arrow(wired: WiredFlow, nodes: Mapping[str, str], arrow: _Arrow, *, is_optional: bool) -> str:
    line = "-.->" if is_optional else "-->"
    label = f'|"{_escape_port(arrow.port)}"|' if _is_named(wired, arrow.source, arrow.port) else ""
    return f"{nodes[arrow.source]} {line}{label} {nodes[arrow.target]}"


def _write_shape(wired: WiredFlow, name: str) -> str:
    component, shown = wired.components[name], wired.display_names[name]
    lines = [shown, *([name] if _has_other_words(name, shown) else []), *component.list_flows()]
    return _SHAPES[_choose_shape(component)].format("<br/>".join(map(_escape, lines)))


def _choose_shape(component: Component) -> str:
    if input_kind(component):
        return "input"
    if output_kind(component):
        return "output"
    if component.list_flows():
        return "flow"
    return "branch" if component.branches else ""


def _has_other_words(name: str, shown: str) -> bool:
    """Whether the id has another word than what is shown: of "ChatInput" and "Chat Input" one is enough."""
    return _fold_letters(name) != _fold_letters(shown)


def _fold_letters(text: str) -> str:
    return "".join(filter(str.isalnum, fold(text)))


def _is_named(wired: WiredFlow, source: str, port: str) -> bool:
    """Whether the output is one of several, and not what everybody takes of an input: its text."""
    ports = list(wired.ports[source])
    return len(ports) > 1 and not (input_kind(wired.components[source]) and port == ports[0])


def _escape_port(text: str) -> str:
    """On arrows Mermaid shows numbers of letters as they are written: what could mean something is left out there."""
    return "".join(letter if letter.isalnum() or letter in " _-," else "·" for letter in cut(text, _LABEL_CHARS))


def _escape(text: str) -> str:
    """Letters, digits and blanks as they are, all else by its number: nothing of it means anything to Mermaid."""
    shown = cut(" ".join(text.split()), _LABEL_CHARS)
    return "".join(letter if letter.isalnum() or letter == " " else f"#{ord(letter)};" for letter in shown)
