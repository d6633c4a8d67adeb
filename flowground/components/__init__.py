"""The component types, similar ones in one module, and their table, to which other packages may add types."""

from flowground.components.agent import Agent
from flowground.components.base import Component
from flowground.components.connectors import MCP, SQL, PythonFunction
from flowground.components.flows import ForEach, RunFlow
from flowground.components.io import ChatInput, ChatOutput, TextInput, TextOutput
from flowground.components.knowledge import File, Retrieve
from flowground.components.memory import MessageHistory, Recall, StoreMessage
from flowground.components.models import LanguageModel, StructuredOutput
from flowground.components.records import DataOperations, Parser, SplitText, TypeConverter
from flowground.components.routers import ConditionalRouter, SmartRouter
from flowground.components.template import Calculator, CombineText, CurrentDate, Prompt
from flowground.components.web import URL, APIRequest, WebSearch
from flowground.core.plugins import TypeTable
from flowground.core.words import show

_OWN: dict[str, type[Component]] = {
    kind.type_name: kind
    for kind in (
        ChatInput,
        ChatOutput,
        TextInput,
        TextOutput,
        Prompt,
        LanguageModel,
        MessageHistory,
        Recall,
        StoreMessage,
        ConditionalRouter,
        SmartRouter,
        StructuredOutput,
        Parser,
        RunFlow,
        ForEach,
        Agent,
        Calculator,
        CurrentDate,
        CombineText,
        TypeConverter,
        DataOperations,
        SplitText,
        Retrieve,
        File,
        APIRequest,
        URL,
        WebSearch,
        SQL,
        PythonFunction,
        MCP,
    )
}


def _check(name: str, kind: object) -> type[Component]:
    """The component type. Raises ValueError for a class that is no component type of this name."""
    if not (isinstance(kind, type) and issubclass(kind, Component)):
        raise ValueError(f"it is {show(kind)}, and no subclass of Component")
    if missing := [word for word in ("type_name", "title", "outputs") if not hasattr(kind, word)]:
        raise ValueError(f"its class says no {missing[0]}")
    if kind.type_name != name:
        raise ValueError(f"its `type_name` is {kind.type_name!r}, and not the entry point's name")
    kind.model_json_schema()
    return kind


COMPONENTS = TypeTable("flowground.components", _OWN, _check)
"""All values of `type:` in flow files, with their types."""
