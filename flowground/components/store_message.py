"""Store Message: adds a message to the conversation."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from flowground.components.base import Component, Context, Output, declare
from flowground.values import AddedMessage, ValueKind

_NOT_KEPT = "Nothing was stored: this flow keeps no messages (`should_store_message`)."


class StoreMessage(Component):
    """Adds a message to this conversation, which later turns remember.

    It stands behind the turn's answer, and is stored with it, once, also where the turn fails or is stopped. Where
    `should_store_message` keeps the turn from being stored, nothing is. It reaches no other conversation. In a flow
    that another one runs, the conversation is that of the flow that was asked.
    """

    type_name: ClassVar[str] = "StoreMessage"
    title: ClassVar[str] = "Store Message"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"stored_messages": "text"}
    is_tool: ClassVar[bool] = True

    message: str = declare(..., "Message", "What is stored.", multiline=True, model_may_set=True)
    sender: Literal["Machine", "User"] = declare(
        "Machine", "Sender", "Who is said to have said it: models are told it as that one's words.", protected=True
    )
    sender_name: str = declare("", "Sender Name", "The name that is shown; AI or User when empty.", max_length=100)

    @property
    def writes(self) -> bool:
        return True

    async def run(self, context: Context) -> Output:
        is_kept = context.history.append(AddedMessage(self.message, self.sender, self.sender_name))
        return Output({"stored_messages": self.message}, note="" if is_kept else _NOT_KEPT)
