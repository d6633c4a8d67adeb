"""Who asks, page or API. A door makes the caller from what it verified; nothing below a door makes one up."""

from dataclasses import dataclass
from typing import Literal

Role = Literal["admin", "author", "member"]
Kind = Literal["local", "member", "token"]


@dataclass(frozen=True, slots=True)
class Caller:
    """`name` is the member's name, the token's id, or "owner" for the local owner.

    `role` of an organization token (made on the command line, without an owner) and of the local owner is `admin`.
    `flows` is the scope of a token; None means every flow its role reaches.
    `proven` says that the local owner gave the owner code in this browser (always true for the others).
    `sign_in_id` is the id of the sign-in session (the cookie's `jti`), by which it is re-checked.
    """

    kind: Kind
    name: str
    role: Role
    flows: frozenset[str] | None = None
    proven: bool = True
    sign_in_id: str | None = None

    @property
    def key(self) -> str:
        """The owner of sessions: conversations of one key are never shown to another."""
        return f"{self.kind}:{self.name}"

    @property
    def sees_inside(self) -> bool:
        """May see prompts, traces and every field."""
        return self.role in ("admin", "author")


LOCAL_OWNER = Caller(kind="local", name="owner", role="admin")
"""The caller where no server runs (command line, AppTest): such a process can be reached by nobody else."""
