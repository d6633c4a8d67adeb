"""The component types, alike ones in one file, and one explicit table."""

from flowground.components.base import Component
from flowground.components.conditional_router import ConditionalRouter
from flowground.components.inputs import ChatInput, TextInput
from flowground.components.language_model import LanguageModel
from flowground.components.message_history import MessageHistory
from flowground.components.outputs import ChatOutput, TextOutput
from flowground.components.parser import Parser
from flowground.components.prompt import Prompt
from flowground.components.smart_router import SmartRouter
from flowground.components.structured_output import StructuredOutput

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
        ConditionalRouter,
        SmartRouter,
        StructuredOutput,
        Parser,
    )
}
"""Every word that may stand behind `type:` in a flow file."""
