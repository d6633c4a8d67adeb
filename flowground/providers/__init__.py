"""`provider:model` -> who answers. One entry of `providers:` in config.yaml is one provider."""

import os

from flowground.errors import ProviderRefused, nearest
from flowground.providers.base import Provider
from flowground.providers.download import LocalStatus
from flowground.providers.local import Local
from flowground.providers.openai import OLLAMA_URL, OPENAI_URL, OpenAI
from flowground.providers.scripted import Scripted
from flowground.settings import PROVIDER_KINDS, ProviderSettings, Settings

_ALONE = {"local": "local", "scripted": "echo"}
"""The model that is meant when only the provider is named."""


class Providers:
    """All providers of one process; it lives on one event loop and opens nothing before the first call."""

    def __init__(self, settings: Settings) -> None:
        self._default = settings.default_model
        self._models = settings.data / "models"
        self._answer_chars = settings.limits.answer_chars
        self._entries = {name: ProviderSettings() for name in PROVIDER_KINDS} | dict(settings.providers)
        self._opened: dict[str, Provider] = {}

    def resolve(self, model: str | None) -> tuple[Provider, str]:
        """The provider and the model's name there; None means the configured default. Raises ProviderRefused."""
        wanted = model or self._default
        name, _, rest = wanted.partition(":")
        entry = self._entries.get(name)
        if entry is None:
            word = nearest(name, self._entries)
            raise ProviderRefused(
                f"There is no provider {name!r}" + (f" (did you mean {word}?)" if word else "."),
                hint="Add it under `providers:` in config.yaml. Known now: " + ", ".join(sorted(self._entries)) + ".",
            )
        kind = _kind(name, entry)
        rest = rest or _ALONE.get(kind, "")
        if not rest:
            raise ProviderRefused(
                f"The model {wanted!r} names a provider only.",
                hint=f"Write `model: {name}:NAME`, with the model's name.",
            )
        return self._provider(name, kind, entry), rest

    def start(self) -> None:
        """Begins what the settings want begun (`download: auto`); call it on the event loop that serves the calls."""
        if local := self._local():
            local.begin()

    def local_status(self) -> LocalStatus:
        """Where the built-in model is, for pages and the API: cheap enough for every rerun, and from any thread."""
        local = self._local()
        return local.status() if local else LocalStatus("absent")

    async def close(self) -> None:
        """Closes what was opened."""
        while self._opened:
            _, provider = self._opened.popitem()
            await provider.close()

    def _local(self) -> Local | None:
        """The provider `local`, unless a setting makes something else of that name."""
        entry = self._entries["local"]
        provider = self._provider("local", _kind("local", entry), entry)
        return provider if isinstance(provider, Local) else None

    def _provider(self, name: str, kind: str, entry: ProviderSettings) -> Provider:
        # Pages ask from their threads: whoever comes second takes what the first one opened.
        return self._opened.get(name) or self._opened.setdefault(name, self._open(name, kind, entry))

    def _open(self, name: str, kind: str, entry: ProviderSettings) -> Provider:
        if kind == "scripted":
            return Scripted(pieces=entry.pieces, delay=entry.delay)
        if kind == "local":
            return Local(name, entry, self._models)
        return _openai(name, kind, entry, answer_chars=self._answer_chars)


def _kind(name: str, entry: ProviderSettings) -> str:
    """An entry's kind: what it says, else its name, else an OpenAI-compatible server when it has an address."""
    if entry.type:
        return entry.type
    if name in PROVIDER_KINDS:
        return name
    if entry.base_url:
        return "openai"
    raise ProviderRefused(
        f"The provider {name!r} has neither `type` nor `base_url`.",
        hint=f"Write `{name}: {{type: openai, base_url: …}}` under `providers:` in config.yaml.",
    )


def _openai(name: str, kind: str, entry: ProviderSettings, *, answer_chars: int) -> OpenAI:
    if variable := entry.missing_variable:
        raise ProviderRefused(
            f"The provider {name!r} has no key.",
            hint=f"`providers.{name}.api_key` names {variable}: set that in the app's environment and restart it.",
        )
    key = entry.api_key.get_secret_value() if entry.api_key else None
    if kind == "openai" and not entry.base_url:
        key = key or os.environ.get("OPENAI_API_KEY")
        if not key:
            raise ProviderRefused(
                f"The provider {name!r} has no key.",
                hint="Set OPENAI_API_KEY in the app's environment and restart it.",
            )
    return OpenAI(
        name,
        entry.base_url or (OLLAMA_URL if kind == "ollama" else OPENAI_URL),
        api_key=key,
        timeout=entry.timeout,
        retries=entry.retries,
        answer_chars=answer_chars,
    )
