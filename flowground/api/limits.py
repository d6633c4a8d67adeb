"""How many runs a minute one application token may start; off unless config.yaml says so.

Counted in this process's memory: with several replicas each counts its own.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from flowground.errors import RequestError

_WINDOW = 60.0


class RunLimitReached(RequestError):
    """The token has started as many runs as it may within a minute; `headers` say when it may again."""

    code = "rate_limited"

    def __init__(self, message: str, *, headers: Mapping[str, str], hint: str) -> None:
        super().__init__(message, hint=hint)
        self.headers = headers


@dataclass(slots=True)
class _Window:
    began: float
    runs: int = 0


@dataclass(slots=True)
class RunLimits:
    """A token's minute begins with its first run. Looks at one token a call; nothing is kept of idle ones."""

    clock: Callable[[], float] = time.monotonic
    _windows: dict[str, _Window] = field(default_factory=dict)
    """By token; in the order in which they began, so that the ended ones stand first."""

    def take(self, token: str, *, limit: int) -> dict[str, str]:
        """Counts one run and returns the headers that tell what is left. Raises RunLimitReached."""
        now = self.clock()
        self._forget(now)
        window = self._windows.setdefault(token, _Window(now))
        seconds = math.ceil(window.began + _WINDOW - now)
        left = limit - window.runs - 1
        headers = {
            "x-ratelimit-limit": str(limit),
            "x-ratelimit-remaining": str(max(left, 0)),
            "x-ratelimit-reset": str(seconds),
        }
        if left < 0:
            raise RunLimitReached(
                f"This token may start {limit} run{'s' if limit > 1 else ''} a minute.",
                headers={**headers, "retry-after": str(seconds)},
                hint=f"Come back in {seconds} s. The limit is set by limits.runs_per_minute.",
            )
        window.runs += 1
        return headers

    def _forget(self, now: float) -> None:
        ended = []
        for token, window in self._windows.items():
            if window.began + _WINDOW > now:
                break
            ended.append(token)
        for token in ended:
            del self._windows[token]
