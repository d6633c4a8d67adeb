"""Functions as an operator writes them for flows; `functions.modules` of tests names this file."""

import asyncio
import sys
import threading
import time
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from flowground.components.base import Component


class Line(BaseModel):
    """A line of an order."""

    article: str
    count: Annotated[int, Field(ge=1, le=100)] = 1


called: list[Any] = []
released = threading.Event()


def find_order(number: int, kind: Literal["all", "open"] = "all", since: date | None = None) -> dict[str, Any]:
    """Finds an order by its number.

    More about it.

    Args:
        number: Number of the order,
        kind (str): Which orders are looked at.
    """
    called.append((number, kind, since, threading.current_thread().name))
    if number < 0:
        raise ValueError("numbers begin with 1")
    if number == 0:
        raise RuntimeError("qcanaryz")
    return {"number": number, "kind": kind, "at": date(2026, 1, 2)}


async def place_order(lines: list[Line], secret: str = "hush") -> str:
    called.append((lines, secret))
    return ", ".join(f"{line.count} {line.article}" for line in lines)


def leave() -> None:
    """Ends."""
    sys.exit(3)


def sleep(seconds: float) -> None:
    """Waits."""
    time.sleep(seconds)


def wait_for_release() -> None:
    """Returns once `released` is set."""
    released.wait()


async def sleep_well(seconds: float) -> None:
    """Waits."""
    await asyncio.sleep(seconds)


def give_anything() -> Any:
    """Gives what is no JSON."""
    return object()


def _hidden() -> None:
    """Not for flows."""


Imported = Component
