"""The built-in model (stands here as a contract until its child process is written)."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class LocalStatus:
    """Where the built-in model is: `received` of `total` bytes are here, `message` says what is wrong or what to do."""

    state: Literal["absent", "fetching", "ready", "failed"]
    received: int = 0
    total: int = 0
    seconds_left: float | None = None
    message: str | None = None
