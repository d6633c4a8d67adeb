"""The component types: one file each, one explicit table."""

from flowground.components.base import Component
from flowground.components.chat_input import ChatInput
from flowground.components.chat_output import ChatOutput
from flowground.components.language_model import LanguageModel
from flowground.components.message_history import MessageHistory
from flowground.components.prompt import Prompt
from flowground.components.text_input import TextInput
from flowground.components.text_output import TextOutput

COMPONENTS: dict[str, type[Component]] = {
    kind.type_name: kind
    for kind in (ChatInput, ChatOutput, TextInput, TextOutput, Prompt, LanguageModel, MessageHistory)
}
"""Every word that may stand behind `type:` in a flow file."""
