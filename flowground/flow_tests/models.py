"""Who answers the models of a flow while it is tested: the scripted model, or the one that is named, and replies.

Nothing of config.yaml changes what the scripted model says here: a test gives the same everywhere.
"""

import json
from collections import Counter
from collections.abc import AsyncGenerator, Container, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from flowground.components.base import Component, Models
from flowground.components.connectors import MCP, SQL, PythonFunction
from flowground.components.web import APIRequest
from flowground.errors import ProviderRefused
from flowground.providers.base import Capabilities, Completion, ModelCall, Piece, Provider
from flowground.providers.scripted import Scripted, ScriptedSettings
from flowground.wiring import WiredFlow, replace_components
from flowground.words import count

SCRIPTED = "scripted"


_NAMED: Mapping[type[Component], str] = {
    MCP: "server",
    APIRequest: "method",
    SQL: "database",
    PythonFunction: "function",
}
"""The field by which whoever is asked knows who asks."""


class TestedName(str):
    """What a component calls whom it asks, a model, a server, a database or a function: so it is known who asks.

    `change_component` keeps it.
    """

    __test__ = False

    component: str


def name_tested(wired: WiredFlow, model: str, *, replied: Container[str], answered: Container[str] = ()) -> WiredFlow:
    """The flow as it is tested: `model` answers all components, but for those that get replies. Nobody is asked to
    allow calls of tools to which the test replies, `answered`: they go nowhere. A tool whose model is asked all the
    same is none of these."""
    inner = {name: _name(flow, f"{flow.id}.", model, replied, answered) for name, flow in wired.inner_flows.items()}
    return replace(_name(wired, "", model, replied, answered), inner_flows=inner)


def _name(wired: WiredFlow, within: str, model: str, replied: Container[str], answered: Container[str]) -> WiredFlow:
    changed: dict[str, Component] = {}
    unasked = {key for key in wired.components if f"{within}{key}" in answered}
    for key, component in wired.components.items():
        if component.list_models():
            name = f"{within}{key}"
            named = TestedName(SCRIPTED if name in replied else model)
            named.component = name
            changed[key] = component.model_copy(update={"model": named})
            if name not in replied:
                unasked.discard(key)
        elif field := next((field for kind, field in _NAMED.items() if isinstance(component, kind)), None):
            named = TestedName(getattr(component, field))
            named.component = f"{within}{key}"
            changed[key] = component.model_copy(update={field: named})
    tools = {
        agent: tuple(replace(tool, confirm=False) if tool.component in unasked else tool for tool in found)
        for agent, found in wired.tools.items()
    }
    return replace(replace_components(wired, changed), tools=tools)


@dataclass(frozen=True, slots=True)
class TestedModels:
    """The models of one turn. `calls` counts how often each component asked."""

    __test__ = False

    models: Models
    replies: Mapping[str, Any]
    calls: Counter[str] = field(default_factory=Counter)

    def resolve(self, model: str | None) -> tuple[Provider, str]:
        """As `Models` says; the flow is one of `name_tested`."""
        if not isinstance(model, TestedName):
            return self.models.resolve(model)
        name, _, rest = model.partition(":")
        if name == SCRIPTED:
            return _AskedModel(self, model.component, Scripted()), rest or ScriptedSettings.only_model
        provider, rest = self.models.resolve(str(model))
        return _AskedModel(self, model.component, provider), rest

    def find_reply(self, component: str) -> str | None:
        """What is answered now to a component that has asked; None where the model does. Raises ProviderRefused."""
        if component not in self.replies:
            return None
        given, is_there = pick_given(self.replies, component, self.calls[component])
        if not is_there:
            replies = count(len(self.replies[component]), "reply", "replies")
            raise ProviderRefused(f"The test has {replies} for `{component}`, which asked once more.")
        return spell_reply(given)


@dataclass(frozen=True, slots=True)
class _AskedModel:
    """A provider as one component asks it."""

    tested: TestedModels
    component: str
    provider: Provider

    async def stream(self, call: ModelCall) -> AsyncGenerator[Piece, None]:
        async with aclosing(self._count().stream(call)) as pieces:
            async for piece in pieces:
                yield piece

    async def complete(self, call: ModelCall) -> Completion:
        return await self._count().complete(call)

    def require_ready(self, model: str) -> None:
        self.provider.require_ready(model)

    def takes(self, model: str) -> Capabilities:
        return self.provider.takes(model)

    async def close(self) -> None:
        """Nothing to free: the provider belongs to the process."""

    def _count(self) -> Provider:
        """Who answers this question."""
        self.tested.calls[self.component] += 1
        reply = self.tested.find_reply(self.component)
        return self.provider if reply is None else Scripted(pieces=(reply,))


def spell_reply(given: Any) -> str:
    """A reply as text."""
    return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)


def pick_given(replies: Mapping[str, Any], component: str, asked: int) -> tuple[Any, bool]:
    """What the component is answered the time number `asked`, as the test has it, and whether there is such a reply."""
    given = replies[component]
    if not isinstance(given, list):
        return given, True
    return (given[asked - 1], True) if asked <= len(given) else (None, False)
