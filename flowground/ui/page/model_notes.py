"""What people should know of the model that answers: its name, its limits, and the weights that are not here yet."""

from pathlib import Path
from typing import Literal

from flowground import runtime
from flowground.providers import find_own_weights
from flowground.providers.builtin.weights import QWEN
from flowground.wiring import WiredFlow
from flowground.words import write_size

BUILT_IN = QWEN.title
FETCH_NOTICE = f"The first {{}} fetches the built-in model, {BUILT_IN}, 0.5 GB, Apache-2.0."
"""Of what, a message or a call, is filled in."""
LIMITS_NOTICE = (
    f"Answers come from a small built-in model, {BUILT_IN}: quick, private and often wrong. Check what matters."
)


def list_models(wired: WiredFlow) -> tuple[str, ...]:
    """The `provider:model` words of the flow's models, each once."""
    default = runtime.get().settings.default_model
    return tuple(dict.fromkeys(name or default for _, name in wired.list_models()))


def write_label(model: str) -> str:
    """How a model is called on a page."""
    provider, _, name = model.partition(":")
    if provider == "local":
        own = _find_own_weights()
        return own.stem if own else BUILT_IN
    return name or provider


def warn_of_limits(wired: WiredFlow) -> str:
    """What the built-in model is not good at; nothing where it does not answer."""
    return LIMITS_NOTICE if _uses_local(wired) and _find_own_weights() is None else ""


def announce_fetch(wired: WiredFlow, *, sees_inside: bool, on: Literal["message", "call"] = "message") -> str:
    """What a composer, or the code of a call, says while the weights are absent; else nothing.

    Members read how long it takes, not why.
    """
    if not _uses_local(wired):
        return ""
    status = runtime.get().models.read_status()
    is_absent = status.state == "absent" and _find_own_weights() is None
    if not sees_inside and (is_absent or status.state == "fetching"):
        return "The first answer takes a minute or more."
    if is_absent:
        return FETCH_NOTICE.format(on)
    if status.state == "fetching":
        so_far = f": {_write_amount(status.received, status.total)}" if on == "call" else ""  # an answer's bar says it
        return f"The built-in model, {BUILT_IN}, is being fetched{so_far}."
    return "" if status.state == "ready" else status.message or ""


def _uses_local(wired: WiredFlow) -> bool:
    return any(model.partition(":")[0] == "local" for model in list_models(wired))


def _write_amount(received: int, total: int) -> str:
    return f"{write_size(received)} of {write_size(total)}" if total else write_size(received)


def _find_own_weights() -> Path | None:
    return find_own_weights(runtime.get().settings.providers)
