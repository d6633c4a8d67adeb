"""Who asks, and what they ask of a flow: the same two values for pages, API, snippets and command line.

A door makes the caller from what it verified; nothing below a door makes one up.

Random ids of version 4, as runs, messages and sessions have them.
"""

import os
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Literal, cast, get_args

from flowground.core.values import FileReference, SentFile

Role = Literal["admin", "author", "member"]
CallerKind = Literal["local", "member", "token", "visitor"]
OwnerKind = Literal["knowledge", "local", "member", "programs", "removed", "token", "visitor"]
InputType = Literal["chat", "text", "any"]
OutputType = Literal["chat", "text", "any", "debug"]
Sees = Literal["answers", "inside"]
"""What a token shows of a flow: what its outputs say, or prompts, traces, every field, and failures whole too."""
Sets = Literal["opened", "unprotected"]
"""What a token may set: the fields that the flow's author opened to members, or every one that is not protected."""
Unlocks = Literal["none", "unlisted", "protected"]
"""Of the fields that no token sets, those that a person at a page does in flows of their own: those alone that the
author did not list, or the protected ones too."""
Right = Literal["sees", "sets"]
Shape = Literal["langflow", "simple"]
"""How the API writes an answer: Langflow's nested body, or the short `{text, session_id, …}`."""
SESSION_ID_CHARS = 200
"""Characters of a session's id at most, at every door that takes one."""
WHOSE: ContextVar[str] = ContextVar("whose", default="")
"""Who is behind what runs here, as shares of the process count people: a person with all their tokens, an organization
token, or a visitor's address; empty for nobody."""
_OWNER_KINDS = get_args(OwnerKind)
_PROGRAMS = "token:try:"
"""What releases before wrote for *Try it* alone: they export and delete it with the person."""
_IDS_AT_ONCE = 64
_ids: list[str] = []


@dataclass(frozen=True, slots=True)
class Owner:
    """To whom conversations, runs and presets belong: what one owner has is never shown to another.

    `programs` are a person's calls of the API, by whichever of their tokens and by *Try it*. `id` is a member's id for
    `member` and `programs`, a token's, a browser's digest for a visitor, "owner" for the local owner, and nothing but
    random letters for `removed`: whoever was removed, in what is kept for counting. `knowledge`, by its address, is
    nobody: it has the files that its authors added.
    """

    kind: OwnerKind
    id: str

    def __str__(self) -> str:
        """As the store keeps it; `read` reads it back."""
        return f"{_PROGRAMS}{self.id}" if self.kind == "programs" else f"{self.kind}:{self.id}"

    @classmethod
    def read(cls, text: str) -> "Owner":
        """Raises ValueError for what no owner is written as."""
        if text.startswith(_PROGRAMS):
            return cls("programs", text.removeprefix(_PROGRAMS))
        kind, _, key = text.partition(":")
        if kind == "programs" or kind not in _OWNER_KINDS:
            raise ValueError(f"not an owner: {text!r}")
        return cls(cast(OwnerKind, kind), key)


@dataclass(frozen=True, slots=True)
class Caller:
    """`id` is the member's id, the token's id, "owner" for the local owner, or a browser's digest for a visitor.

    A visitor did not sign in: flows that are shared without sign-in are all they reach, whatever their role says.

    `role` of an organization token (made on the command line, without an owner) and of the local owner is `admin`.
    `flows` is the scope of a token; None means every flow its role reaches.
    `is_proven` says that they may do what outlives the visit: always true for members and tokens, for the local owner
    once the owner code was given in this browser, never for visitors.
    `sign_in_id` is the id of the sign-in session (the cookie's `jti`), by which it is re-checked.
    `person` is the member whose rights count: the caller, or whose token it is; None where no member is behind it.
    `has_kept_apart`: conversations of this person are kept under single tokens of theirs, as releases before did.
    `sees` and `sets` are the most that a token may; what its role does not reach is out of reach all the same.
    `unlocks` is a person's at a page, as `Access.recheck` finds it, and no token's.
    """

    kind: CallerKind
    id: str
    role: Role
    flows: frozenset[str] | None = None
    is_proven: bool = True
    sign_in_id: str | None = None
    person: str | None = None
    has_kept_apart: bool = False
    sees: Sees = "inside"
    sets: Sets = "unprotected"
    unlocks: Unlocks = "none"

    def __post_init__(self) -> None:
        if self.kind == "member":
            object.__setattr__(self, "person", self.id)

    @property
    def owner(self) -> Owner:
        """To whom what they say and run belongs."""
        if self.kind != "token":
            return Owner(self.kind, self.id)
        return Owner("programs", self.person) if self.person else Owner.read(f"token:{self.id}")

    @property
    def counted_as(self) -> Owner:
        """Under whom their runs are counted: the person, on pages and by all their tokens together; else the owner."""
        return self.owner if self.person is None else Owner("member", self.person)

    def try_api(self, sees: Sees, sets: Sets) -> "Caller":
        """This person as one of their own programs, with a token that sees and sets so much."""
        return replace(self, kind="token", id=f"try:{self.id}", sees=sees, sets=sets)

    @property
    def opens_every_flow(self) -> bool:
        """Whether flows need not be shared with them: an admin or author, or a token of one, whatever it sees."""
        return self.role in ("admin", "author")

    @property
    def sees_inside(self) -> bool:
        """May see prompts, traces and every field."""
        return self.opens_every_flow and self.sees == "inside"

    @property
    def sets_unprotected(self) -> bool:
        """May set every field that is not protected, where the author opened no list of them."""
        return self.opens_every_flow and self.sets == "unprotected"

    @property
    def token_hides_inside(self) -> bool:
        """Whether only this token keeps the inside from them: another one of its owner's may show it."""
        return self.opens_every_flow and not self.sees_inside

    @property
    def token_closes_fields(self) -> bool:
        """Whether only this token keeps fields from them: another one of its owner's may set them."""
        return self.opens_every_flow and not self.sets_unprotected

    def name_better_token(self, lacks: Right) -> str:
        """What to do where only this token keeps something from them."""
        wanted, option = ("may set fields", "--sets unprotected")
        if lacks == "sees":
            wanted, option = ("sees the inside", "--sees inside")
        command = "" if self.person else f", or with `keys create {option}`"
        return f"Make one that {wanted} under API access{command}."


LOCAL_OWNER = Caller(kind="local", id="owner", role="admin")
"""The caller where no server runs (command line, AppTest): such a process can be reached by nobody else."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """Fields and defaults are Langflow's (`POST /api/v1/run`); `input_value` None means the flow's own value.

    `kept_overrides` are tweaks that are stored with the message, so that a page can tell its call again: no secrets.
    `idempotency_key` is the caller's own name for this request, by which a repeat is known.
    `version_of` is the id of a question of the session in whose place this one is asked.
    `warnings` say what the caller sent that is ignored.
    `files` are paths or ids of files for the message. Once they are found, `taken_files` are the references that each
    component is given, by its id, and `sent_files` what is stored with the message. `time_zone` is the name
    of that of who asks; "" where it is not known. `run_id` is the id that its run will have; "" for any.
    `must_find_output`: an `output_component` that is not there is refused, where else nothing is answered.
    """

    input_value: str | None = None
    input_type: InputType = "chat"
    output_type: OutputType = "chat"
    output_component: str = ""
    tweaks: Mapping[str, Any] = field(default_factory=dict)
    session_id: str | None = None
    stream: bool = False
    kept_overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    idempotency_key: str | None = None
    version_of: str | None = None
    warnings: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    taken_files: Mapping[str, Sequence[FileReference]] = field(default_factory=dict)
    sent_files: Sequence[SentFile] = ()
    time_zone: str = ""
    run_id: str = ""
    must_find_output: bool = False

    def find_message(self, takes: str | None) -> str | None:
        """The message, for a component that takes input of this kind ("chat", "text"); None where it gets none."""
        return self.input_value if takes is not None and self.input_type in (takes, "any") else None


class PageHeader(StrEnum):
    """Headers by which the web door tells the pages who asks. What a client sends by such a name is dropped."""

    CALLER = "x-flowground-caller"
    FLOW = "x-flowground-flow"
    BROWSER = "x-flowground-browser"
    OUTAGE = "x-flowground-outage"
    ADDRESS = "x-flowground-address"
    PAGE = "x-flowground-page"
    """Whose page it is. Streamlit compares it when a page comes back."""


if hasattr(os, "register_at_fork"):  # Windows forks nothing
    os.register_at_fork(after_in_child=_ids.clear)


def make_id() -> str:
    """As `uuid4()` would say it. Many are data at once: each question to the system lets other threads go first."""
    try:
        return _ids.pop()
    except IndexError:
        first, *others = _make_ids()
        _ids.extend(others)
        return first


def _make_ids() -> list[str]:
    data = bytearray(os.urandom(16 * _IDS_AT_ONCE))
    for at in range(0, len(data), 16):
        data[at + 6] = data[at + 6] & 0x0F | 0x40
        data[at + 8] = data[at + 8] & 0x3F | 0x80
    digits = data.hex()
    words = (digits[at : at + 32] for at in range(0, len(digits), 32))
    return [f"{word[:8]}-{word[8:12]}-{word[12:16]}-{word[16:20]}-{word[20:]}" for word in words]
