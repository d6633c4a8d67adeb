"""Checks `tests:` of a flow file: the components that they name, patterns and schemas."""

from collections.abc import Iterable, Mapping

from flowground.components.base import Component
from flowground.components.connectors import MCP, SQL, PythonFunction
from flowground.components.schemas import WrongPattern, compile_pattern, find_wrong_schema
from flowground.components.web import APIRequest
from flowground.core.words import list_names
from flowground.core.yaml_file import Problems
from flowground.flows.flow import Flow, TestedTurn
from flowground.flows.tools import find_tool_names


def check_tests(flow: Flow, components: Mapping[str, Component], problems: Problems) -> None:
    """Notes mistakes in the flow's tests; `components` are those without mistakes."""
    names = _TestNames(flow, components, problems)
    for index, test in enumerate(flow.tests):
        for number, turn in enumerate(test.list_turns()):
            names.check(turn, f"tests.{index}.turns.{number}" if test.turns else f"tests.{index}")


def may_be_replied(component: Component) -> bool:
    """Whether a test can give the reply to this component: of a model, an MCP server, an HTTP API, a database or a
    function.
    """
    return isinstance(component, MCP | APIRequest | SQL | PythonFunction) or any(True for _ in component.list_models())


class _TestNames:
    def __init__(self, flow: Flow, components: Mapping[str, Component], problems: Problems) -> None:
        self._flow = flow
        self._components = components
        self._asking = [name for name, component in components.items() if component.list_models()]
        self._replied = [name for name, component in components.items() if may_be_replied(component)]
        self._tools = sorted(find_tool_names(flow))
        self._problems = problems
        self._flow_runs_others = any(component.list_flows() for component in components.values())

    def check(self, turn: TestedTurn, path: str) -> None:
        """Notes the mistakes of one turn."""
        expect = turn.expect
        self._check_asking(turn.replies, f"{path}.replies", self._replied, "asks nobody")
        self._check_asking(expect.calls, f"{path}.expect.calls", self._asking, "asks no model")
        for name in expect.arguments:
            if self._check_name(name, f"{path}.expect.arguments", name) and name not in self._tools:
                says = f"`{name}` ({self._flow.components[name].type}) is no tool of an agent"
                self._note(f"{path}.expect.arguments", name, says, name, self._tools)
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
            if self._is_inner(name):
                continue
            if self._check_name(name, path, name) and name in self._components and name not in known:
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
