"""Who asks, and what they ask of a flow: the same values for pages, API, snippets and command line.

Only an endpoint makes a caller, from what it verified; the layers below hand it on.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
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
"""What a token shows of a flow: only what its outputs say (`answers`), or prompts, traces, every field and whole
failures too (`inside`)."""
Sets = Literal["opened", "unprotected"]
"""Which fields a token may set: those that the flow's author opened to members, or every field that is not
protected."""
Unlocks = Literal["none", "unlisted", "protected"]
"""Fields that a person on a page may set in flows of their own although no token may: none, those that the author did
not list, or the protected ones too."""
Right = Literal["sees", "sets"]
Shape = Literal["langflow", "simple"]
"""How the API writes an answer: Langflow's nested body, or the short `{text, session_id, …}`."""
SESSION_ID_CHARS = 200
"""Most characters of a session's id, at every endpoint that takes one."""
WHOSE: ContextVar[str] = ContextVar("whose", default="")
"""Whom the running task works for, so that scarce things are shared out by person: a person with all their tokens, an
organization token, or a visitor's address; empty for nobody."""
_OWNER_KINDS = get_args(OwnerKind)
_PROGRAMS = "token:try:"
"""The prefix of the owner `programs`: it was once that of *Try it* alone."""
_IDS_AT_ONCE = 64
"""Ids whose random parts are made with one call of `os.urandom`."""
_tails: list[str] = []


@dataclass(frozen=True, slots=True)
class Owner:
    """To whom conversations and runs belong: what one owner has is never shown to another.

    `member` is a person on pages; `programs` is the same person's API calls, by any of their tokens and by *Try it*.
    `id` is the member's id for `member` and `programs`, the token's for `token`, a digest of the browser for `visitor`,
    "owner" for `local`, the knowledge's address for `knowledge`, and random letters for `removed`: a removed person, in
    what is kept for counting.
    """

    kind: OwnerKind
    id: str

    def __str__(self) -> str:
        """The owner as the store keeps it; `read` is the inverse."""
        return f"{_PROGRAMS}{self.id}" if self.kind == "programs" else f"{self.kind}:{self.id}"

    @classmethod
    def read(cls, text: str) -> "Owner":
        """The owner that `str` wrote. Raises ValueError for any other text."""
        if text.startswith(_PROGRAMS):
            return cls("programs", text.removeprefix(_PROGRAMS))
        kind, _, key = text.partition(":")
        if kind == "programs" or kind not in _OWNER_KINDS:
            raise ValueError(f"not an owner: {text!r}")
        return cls(cast(OwnerKind, kind), key)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, with the rights they have now. `id` is the member's id, the token's id, "owner" for the local owner, or
    a digest of the browser for a visitor.

    A visitor did not sign in and reaches only flows that are shared without sign-in, whatever `role` says.

    `role` is `admin` for an organization token (made on the command line, without an owner) and for the local owner.
    `flows` is the scope of a token; None means every flow that the role reaches. `is_proven`: the caller may do what
    outlives the visit. It is always true for members and tokens, true for the local owner once the owner code was
    entered in this browser, and never for visitors. `sign_in_id` is the id of the sign-in session (the cookie's `jti`),
    by which it is checked again. `person` is the member whose rights count: the caller, or the token's owner; None
    where no member is behind the caller. `sees` and `sets` are the most that a token may do; its role may reach less.
    `unlocks` is set by `Access.recheck` for a person on a page, never for a token.
    """

    kind: CallerKind
    id: str
    role: Role
    flows: frozenset[str] | None = None
    is_proven: bool = True
    sign_in_id: str | None = None
    person: str | None = None
    sees: Sees = "inside"
    sets: Sets = "unprotected"
    unlocks: Unlocks = "none"

    def __post_init__(self) -> None:
        if self.kind == "member":
            object.__setattr__(self, "person", self.id)

    @property
    def owner(self) -> Owner:
        """The owner of the caller's conversations and runs."""
        if self.kind != "token":
            return Owner(self.kind, self.id)
        return Owner("programs", self.person) if self.person else Owner.read(f"token:{self.id}")

    @property
    def counted_as(self) -> Owner:
        """The owner under whom the caller's runs are counted: the person, for pages and all their tokens together; else
        `owner`."""
        return self.owner if self.person is None else Owner("member", self.person)

    def try_api(self, sees: Sees, sets: Sets) -> "Caller":
        """The same person calling the API with a token of their own that has these rights."""
        return replace(self, kind="token", id=f"try:{self.id}", sees=sees, sets=sets)

    @property
    def opens_every_flow(self) -> bool:
        """Whether the caller reaches flows that nobody shared: admins, authors, and their tokens."""
        return self.role in ("admin", "author")

    @property
    def sees_inside(self) -> bool:
        """Whether the caller may see prompts, traces and every field."""
        return self.opens_every_flow and self.sees == "inside"

    @property
    def sets_unprotected(self) -> bool:
        """Whether the caller may set every field that is not protected, where the author opened no list of fields."""
        return self.opens_every_flow and self.sets == "unprotected"

    def name_better_token(self, lacks: Right) -> str:
        """A sentence saying which token to make where only this one lacks a right."""
        wanted, option = ("may set fields", "--sets unprotected")
        if lacks == "sees":
            wanted, option = ("sees the inside", "--sees inside")
        command = "" if self.person else f", or with `keys create {option}`"
        return f"Make one that {wanted} under API access{command}."


LOCAL_OWNER = Caller(kind="local", id="owner", role="admin")
"""The caller where no server runs (command line, AppTest): nobody else can reach such a process."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What a caller asks of a flow. Names and defaults are Langflow's (`POST /api/v1/run`); `input_value` None means
    the flow's own value.

    `kept_overrides` are the tweaks that are stored with the message, so that a page can show the call again; they hold
    no secrets. `idempotency_key` is the client's own name for this request, by which a repeat is recognized.
    `version_of` is the id of the question that this one replaces. `warnings` name what was sent and is ignored. `files`
    are paths or ids of files for the message; once they are found, `taken_files` has the references for each component,
    by its id, and `sent_files` what is stored with the message. `time_zone` is the name of the caller's time zone, ""
    where it is unknown. `run_id` is the id that the run will have, "" for a new one. `must_find_output`: an unknown
    `output_component` is refused; without it, the answer is empty.
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
        """The message for a component that takes this kind of input ("chat", "text"); None where it gets none."""
        return self.input_value if takes is not None and self.input_type in (takes, "any") else None


class PageHeader(StrEnum):
    """Headers by which the ASGI edge tells pages who asks. The edge drops such headers from clients' requests."""

    CALLER = "x-flowground-caller"
    FLOW = "x-flowground-flow"
    BROWSER = "x-flowground-browser"
    OUTAGE = "x-flowground-outage"
    ADDRESS = "x-flowground-address"
    PAGE = "x-flowground-page"
    """Whose page it is. Streamlit compares the value when a page reconnects."""


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_tails.clear)


def make_id() -> str:
    """A UUID of version 7 (RFC 9562), as runs, messages, sessions and files have them: 48 bits of the time in
    milliseconds, then 74 random ones. Ids of one time lie together in an index, however much is stored; random ones
    would change a page of their own each. The random parts of many are made at once, because each call of `os.urandom`
    lets other threads run first."""
    try:
        tail = _tails.pop()
    except IndexError:
        tail, *others = _make_tails()
        _tails.extend(others)
    at = f"{time.time_ns() // 1_000_000:012x}"
    return f"{at[:8]}-{at[8:]}-{tail}"


def _make_tails() -> Iterator[str]:
    """What follows the time: the version, the variant and random bits."""
    digits = os.urandom(10 * _IDS_AT_ONCE).hex()
    for word in (digits[at : at + 20] for at in range(0, len(digits), 20)):
        yield f"7{word[1:4]}-{'89ab'[int(word[4], 16) & 3]}{word[5:8]}-{word[8:]}"
