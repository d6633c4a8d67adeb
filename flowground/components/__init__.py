"""The component types, alike ones in one file, and one explicit table."""

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
from flowground.components.text import Calculator, CombineText, CurrentDate, Prompt
from flowground.components.web import URL, APIRequest, WebSearch

COMPONENTS: dict[str, type[Component]] = {
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
"""Every word that may stand behind `type:` in a flow file."""
