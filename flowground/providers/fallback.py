"""Fallbacks: models of other providers that answer while one is down, from `providers.NAME.fallback` of config.yaml.

A call moves to the next fallback where a server is unreachable or busy before its first word; never after a refusal,
and never after the first word. While a provider is known to be down, calls go to its fallbacks at once. In the
background the provider is probed now and then: by listing its models, which costs nothing; and with a one-word call
only where it has no such list, or lists models again but may still be busy.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from flowground.core.errors import ModelNotReady, ProviderError, ProviderUnreachable
from flowground.core.events import ModelProgress
from flowground.core.messages import FallbackUse, Message
from flowground.providers.base import Capabilities, Completion, ModelCall, Piece, Provider
from flowground.providers.model_server import ModelServer
from flowground.providers.server import is_outage

_log = logging.getLogger(__name__)
_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 60.0
"""Seconds until the first probe of a provider that is down; the pause doubles with each failed probe, up to the second
value."""
_WORD = (Message("user", "Hello"),)


class Outages:
    """The providers that are known to be down, in one process. `is_off`: an admin switched the provider off."""

    def __init__(self, is_off: Callable[[str], bool]) -> None:
        self.is_off = is_off
        self._watches: dict[str, asyncio.Task[None]] = {}
        self._logged: set[tuple[str, str, bool]] = set()

    def is_down(self, name: str) -> bool:
        return name in self._watches

    def note(self, name: str, provider: Provider, model: str, error: ProviderError) -> None:
        """Notes that the provider's model failed: the provider is down until a probe succeeds."""
        if name not in self._watches:
            self._watches[name] = asyncio.create_task(self._watch(name, provider, model, error))

    def end(self, name: str) -> None:
        """Notes that the provider has answered."""
        if name in self._watches:
            self._watches[name].cancel()

    def log_fallback(self, name: str, model: str, fault: str = "") -> None:
        """Logs once in an outage that a fallback answers, or that it cannot be called because of `fault`."""
        if (name, model, bool(fault)) not in self._logged:
            self._logged.add((name, model, bool(fault)))
            did = f"cannot be asked: {fault}" if fault else "answers, which is told once."
            _log.warning("While the provider %r is down %r %s", name, model, did)

    async def close(self) -> None:
        """Stops all probes."""
        watches = [*self._watches.values()]
        for watch in watches:
            watch.cancel()
        if watches:
            await asyncio.wait(watches)

    async def _watch(self, name: str, provider: Provider, model: str, error: ProviderError) -> None:
        pause, retry_after = _FIRST_PAUSE, error.retry_after or 0
        was_away = isinstance(error, ProviderUnreachable)
        try:
            while not self.is_off(name):
                await asyncio.sleep(min(max(pause, retry_after), _LONGEST_PAUSE))
                try:
                    if self.is_off(name) or await _is_there(provider, model, was_away=was_away):
                        return
                except ProviderError as later:
                    if not is_outage(later):
                        return  # a server that refuses a call is up
                    retry_after = later.retry_after or 0
                pause = min(pause * 2, _LONGEST_PAUSE)
        finally:
            del self._watches[name]
            self._logged = {one for one in self._logged if one[0] != name}


@dataclass(frozen=True, slots=True)
class Fallback:
    """One fallback model: `open` returns its provider, and raises ProviderRefused where it cannot be used."""

    name: str
    model: str
    open: Callable[[], Provider]

    @property
    def full_name(self) -> str:
        return f"{self.name}:{self.model}"


_Target = tuple[Provider, Fallback | None]
"""Who is asked; None for the provider that the flow names."""


class ProviderWithFallback:
    """The provider `name`, with the fallbacks that answer while it is down."""

    def __init__(self, name: str, provider: Provider, fallbacks: Sequence[Fallback], outages: Outages) -> None:
        self._name, self._provider = name, provider
        self._fallbacks = fallbacks
        self._outages = outages

    def stream(self, call: ModelCall) -> AsyncGenerator[Piece, None]:
        return self._ask(call, is_streamed=True)

    async def complete(self, call: ModelCall) -> Completion:
        return await Completion.read(self._ask(call, is_streamed=False))

    def require_ready(self, model: str) -> None:
        self._provider.require_ready(model)

    def takes(self, model: str) -> Capabilities:
        return self._provider.takes(model)

    async def close(self) -> None:
        await self._provider.close()

    async def _ask(self, call: ModelCall, *, is_streamed: bool) -> AsyncGenerator[Piece, None]:
        failure: ProviderError | None = None
        has_begun = False
        for target in self._choose(call):
            if failure is not None:
                call.take_retry()
            try:
                async with aclosing(self._ask_one(target, call, is_streamed=is_streamed)) as pieces:
                    async for piece in pieces:
                        if not (has_begun or isinstance(piece, ModelProgress)):
                            has_begun = True
                            self._note_answer(target[1])
                        yield piece
                return
            except ProviderError as error:
                if has_begun or not is_outage(error):
                    raise
                provider, fallback = target
                name, model = (fallback.name, fallback.model) if fallback else (self._name, call.model)
                self._outages.note(name, provider, model, error)
                failure = failure or error
        assert failure is not None  # noqa: S101 - somebody was asked
        raise failure

    async def _ask_one(self, target: _Target, call: ModelCall, *, is_streamed: bool) -> AsyncGenerator[Piece, None]:
        (provider, fallback), used = target, None
        if fallback:
            call, used = replace(call, model=fallback.model), FallbackUse(self._name, fallback.full_name)
            if call.retries:
                call.retries.note_fallback(fallback.name)
        if not is_streamed:
            yield replace(await provider.complete(call), fallback=used)
            return
        async with aclosing(provider.stream(call)) as pieces:
            async for piece in pieces:
                yield replace(piece, fallback=used) if isinstance(piece, Completion) else piece

    def _note_answer(self, fallback: Fallback | None) -> None:
        if fallback:
            self._outages.log_fallback(self._name, fallback.full_name)
        else:
            self._outages.end(self._name)

    def _choose(self, call: ModelCall) -> Iterator[_Target]:
        """The targets of a call in order: those not known to be down, else the provider itself."""
        is_down = self._outages.is_down(self._name)
        if not is_down:
            yield self._provider, None
        for fallback in self._fallbacks:
            if not self._outages.is_down(fallback.name) and (provider := self._find_able(fallback, call)):
                is_down = False
                yield provider, fallback
        if is_down:
            yield self._provider, None

    def _find_able(self, fallback: Fallback, call: ModelCall) -> Provider | None:
        """The fallback's provider, if it may be used and accepts what the call needs."""
        if self._outages.is_off(fallback.name):
            return None
        try:
            provider = fallback.open()
            takes = provider.takes(fallback.model)
            takes.check(replace(call, model=fallback.model), fallback.name)
            takes.check_window(call)
            provider.require_ready(fallback.model)
        except ModelNotReady:
            return None  # its weights are being fetched
        except ProviderError as error:
            self._outages.log_fallback(self._name, fallback.full_name, error.message)
            return None
        return provider


class _NoRetries:
    """The retries of a probe: none."""

    def take_retry(self) -> bool:
        return False

    def note_fallback(self, provider: str) -> None:
        """Does nothing: a probe belongs to no run."""


async def _is_there(provider: Provider, model: str, *, was_away: bool) -> bool:
    """Whether the provider works again. One that was unreachable works once it lists models. Raises ProviderError."""
    if isinstance(provider, ModelServer) and await provider.look() and was_away:
        provider.note_answer()
        return True
    call = ModelCall(model, _WORD, {"max_tokens": 1}, retries=_NoRetries())
    async with aclosing(provider.stream(call)) as pieces:
        return await anext(pieces, None) is not None
