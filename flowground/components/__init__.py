"""The component types, alike ones in one file, and one explicit table."""

from flowground.components.agent import Agent
from flowground.components.api_request import APIRequest
from flowground.components.base import Component
from flowground.components.calculator import Calculator
from flowground.components.combine_text import CombineText
from flowground.components.conditional_router import ConditionalRouter
from flowground.components.current_date import CurrentDate
from flowground.components.data_operations import DataOperations
from flowground.components.file import File
from flowground.components.for_each import ForEach
from flowground.components.inputs import ChatInput, TextInput
from flowground.components.language_model import LanguageModel
from flowground.components.mcp import MCP
from flowground.components.message_history import MessageHistory
from flowground.components.outputs import ChatOutput, TextOutput
from flowground.components.parser import Parser
from flowground.components.prompt import Prompt
from flowground.components.python_function import PythonFunction
from flowground.components.recall import Recall
from flowground.components.retrieve import Retrieve
from flowground.components.run_flow import RunFlow
from flowground.components.smart_router import SmartRouter
from flowground.components.split_text import SplitText
from flowground.components.sql import SQL
from flowground.components.store_message import StoreMessage
from flowground.components.structured_output import StructuredOutput
from flowground.components.type_converter import TypeConverter
from flowground.components.url import URL
from flowground.components.web_search import WebSearch

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
