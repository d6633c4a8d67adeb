"""What a caller asks of a flow: one value for pages, API, snippets and command line."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

InputType = Literal["chat", "text", "any"]
OutputType = Literal["chat", "text", "any", "debug"]
Shape = Literal["langflow", "simple"]
"""How the API writes an answer: Langflow's nested body, or the short `{text, session_id, …}`."""

SESSION_ID_CHARS = 200
"""Characters of a session's id at most, at every door that takes one."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """Fields and defaults are Langflow's (`POST /api/v1/run`); `input_value` None means the flow's own value."""

    input_value: str | None = None
    input_type: InputType = "chat"
    output_type: OutputType = "chat"
    output_component: str = ""
    tweaks: Mapping[str, Any] = field(default_factory=dict)
    session_id: str | None = None
    stream: bool = False

    def message_for(self, takes: str | None) -> str | None:
        """The message, for a component that takes input of this kind ("chat", "text"); None where it gets none."""
        return self.input_value if takes is not None and self.input_type in (takes, "any") else None
