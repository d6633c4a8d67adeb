"""Who asks, and what they ask of a flow: the same two values for pages, API, snippets and command line.

A door makes the caller from what it verified; nothing below a door makes one up.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

Role = Literal["admin", "author", "member"]
CallerKind = Literal["local", "member", "token", "visitor"]
InputType = Literal["chat", "text", "any"]
OutputType = Literal["chat", "text", "any", "debug"]
Shape = Literal["langflow", "simple"]
"""How the API writes an answer: Langflow's nested body, or the short `{text, session_id, …}`."""

SESSION_ID_CHARS = 200
"""Characters of a session's id at most, at every door that takes one."""


@dataclass(frozen=True, slots=True)
class Caller:
    """`name` is the member's name, the token's id, "owner" for the local owner, or a browser's digest for a visitor.

    A visitor did not sign in: flows that are shared without sign-in are all they reach, whatever their role says.

    `role` of an organization token (made on the command line, without an owner) and of the local owner is `admin`.
    `flows` is the scope of a token; None means every flow its role reaches.
    `is_proven` says that they may do what outlives the visit: always true for members and tokens, for the local owner
    once the owner code was given in this browser, never for visitors.
    `sign_in_id` is the id of the sign-in session (the cookie's `jti`), by which it is re-checked.
    `owner` is the name of the member a token belongs to; None for all others.
    """

    kind: CallerKind
    name: str
    role: Role
    flows: frozenset[str] | None = None
    is_proven: bool = True
    sign_in_id: str | None = None
    owner: str | None = None

    @property
    def person(self) -> str | None:
        """The member whose rights count: the caller or the token's owner; None where no member is behind it."""
        return self.name if self.kind == "member" else self.owner

    @property
    def key(self) -> str:
        """The owner of sessions: conversations of one key are never shown to another."""
        return f"{self.kind}:{self.name}"

    @property
    def sees_inside(self) -> bool:
        """May see prompts, traces and every field."""
        return self.role in ("admin", "author")


class PageHeader(StrEnum):
    """Headers by which the web door tells the pages who asks. What a client sends by such a name is dropped."""

    CALLER = "x-flowground-caller"
    FLOW = "x-flowground-flow"
    BROWSER = "x-flowground-browser"
    OUTAGE = "x-flowground-outage"
    ADDRESS = "x-flowground-address"
    DEVICE = "x-flowground-device"
    PAGE = "x-flowground-page"
    """Whose page it is. Streamlit compares it when a page comes back."""


def name_trials_owner(person: str) -> str:
    """The owner of the sessions in which a person tries the API in the app (ui/api_access/try_it.py)."""
    return f"token:try:{person}"


LOCAL_OWNER = Caller(kind="local", name="owner", role="admin")
"""The caller where no server runs (command line, AppTest): such a process can be reached by nobody else."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """Fields and defaults are Langflow's (`POST /api/v1/run`); `input_value` None means the flow's own value.

    `kept_overrides` are tweaks that are stored with the message, so that a page can tell its call again: no secrets.
    """

    input_value: str | None = None
    input_type: InputType = "chat"
    output_type: OutputType = "chat"
    output_component: str = ""
    tweaks: Mapping[str, Any] = field(default_factory=dict)
    session_id: str | None = None
    stream: bool = False
    kept_overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def find_message(self, takes: str | None) -> str | None:
        """The message, for a component that takes input of this kind ("chat", "text"); None where it gets none."""
        return self.input_value if takes is not None and self.input_type in (takes, "any") else None
