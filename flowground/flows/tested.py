"""Checks `tests:` of a flow file: the components that they name, patterns and schemas."""

from collections.abc import Iterable

from flowground.components.base import Component
from flowground.components.connectors import MCP, SQL, PythonFunction
from flowground.components.schemas import WrongPattern, compile_pattern, find_wrong_schema
from flowground.components.web import APIRequest
from flowground.core.words import list_names
from flowground.flows.flow import TestedTurn
from flowground.flows.graph import FlowParts
from flowground.flows.tools import find_tool_names


def check_tests(parts: FlowParts) -> None:
    """Notes mistakes in the flow's tests."""
    names = _TestNames(parts)
    for index, test in enumerate(parts.flow.tests):
        for number, turn in enumerate(test.list_turns()):
            names.check(turn, f"tests.{index}.turns.{number}" if test.turns else f"tests.{index}")


def may_be_replied(component: Component) -> bool:
    """Whether a test can give the reply to this component: of a model, an MCP server, an HTTP API, a database or a
    function.
    """
    return isinstance(component, MCP | APIRequest | SQL | PythonFunction) or any(True for _ in component.list_models())


class _TestNames:
    def __init__(self, parts: FlowParts) -> None:
        self._flow, self._components, self._problems = parts.flow, parts.components, parts.problems
        self._asking = [name for name, component in parts.components.items() if component.list_models()]
        self._replied = [name for name, component in parts.components.items() if may_be_replied(component)]
        self._tools = sorted(find_tool_names(parts.flow))
        self._flow_runs_others = any(component.list_flows() for component in parts.components.values())

    def check(self, turn: TestedTurn, path: str) -> None:
        """Notes the mistakes of one turn."""
        expect = turn.expect
        self._check_asking(turn.replies, f"{path}.replies", self._replied, "asks nobody")
        self._check_asking(expect.calls, f"{path}.expect.calls", self._asking, "asks no model")
        self._check_asking(expect.arguments, f"{path}.expect.arguments", self._tools, "is no tool of an agent")
        for key, names in (("takes", expect.takes), ("skips", expect.skips)):
            for number, name in enumerate(names):
                if not self._is_inner(name):
                    self._check_name(name, f"{path}.expect.{key}", number)
        for number, pattern in enumerate(expect.matches):
            try:
                compile_pattern(pattern)
            except WrongPattern as error:
                self._note(f"{path}.expect.matches", number, f"The pattern cannot be read: {error}", pattern)
        if expect.answer_schema is not None and (wrong := find_wrong_schema(expect.answer_schema)):
            self._note(f"{path}.expect.schema", None, f"The schema cannot be read: {wrong}", None)

    def _check_asking(self, names: Iterable[str], path: str, known: Iterable[str], lacks: str) -> None:
        for name in names:
            is_known = self._is_inner(name) or name in known or not self._check_name(name, path, name)
            if not is_known and name in self._components:
                says = f"`{name}` ({self._flow.components[name].type}) {lacks}"
                self._note(path, name, says, name, known)

    def _is_inner(self, name: str) -> bool:
        """Whether the name may mean a component of a flow in another file."""
        return "." in name and self._flow_runs_others

    def _check_name(self, name: str, path: str, key: str | int) -> bool:
        if name in self._flow.components:
            return True
        self._note(path, key, f"The flow has no component `{name}`", name, self._flow.components)
        return False

    def _note(
        self, path: str, key: str | int | None, says: str, value: str | None, choices: Iterable[str] = ()
    ) -> None:
        places = self._flow.places
        place = places.get(f"{path}.{key}") or places[path]  # a single text is no list
        at = place.key if isinstance(key, str) else place.value
        otherwise = f"; there are {list_names(choices)}" if choices else ""
        self._problems.add(at, says, value=value, choices=tuple(choices), otherwise=otherwise)
