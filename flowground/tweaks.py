from dataclasses import dataclass
from typing import Literal
from flowground.request import RunRequest
from flowground.wiring import WiredFlow, with_fields


@dataclass(frozen=True, slots=True)
class Tweaked:
    flow: WiredFlow
    warnings: tuple[str, ...] = ()


def apply_tweaks(flow: WiredFlow, request: RunRequest, *, unknown: Literal["refuse", "warn"]) -> Tweaked:
    if not request.tweaks:
        return Tweaked(flow)
    return Tweaked(with_fields(flow, request.tweaks))
