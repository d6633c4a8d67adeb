"""Model providers: finds the one that answers for `provider:model`. Each entry of `providers:` in config.yaml is one
provider, of one of the `KINDS`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Union, get_args

from pydantic import Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema

from flowground.core.errors import ProviderRefused
from flowground.core.plugins import TypeTable
from flowground.core.words import list_names, show, suggest
from flowground.knowledge.embeddings import Embeddings
from flowground.providers.anthropic import AnthropicSettings
from flowground.providers.base import Provider, ProviderContext, ProviderSettings
from flowground.providers.builtin.local import Local, LocalSettings
from flowground.providers.builtin.weights import LocalStatus
from flowground.providers.egress import USUAL_EGRESS, EgressSettings
from flowground.providers.fallback import Fallback, Outages, ProviderWithFallback
from flowground.providers.google import GoogleSettings
from flowground.providers.openai import AzureSettings, OllamaSettings, OpenAISettings
from flowground.providers.scripted import SCRIPTS, ScriptedSettings

_OWN: dict[str, type[ProviderSettings]] = {
    kind.model_fields["type"].default: kind
    for kind in (
        LocalSettings,
        OpenAISettings,
        OllamaSettings,
        AzureSettings,
        GoogleSettings,
        AnthropicSettings,
        ScriptedSettings,
    )
}
"""The built-in kinds: a settings class for each, which opens the provider."""


def _check(name: str, kind: object) -> type[ProviderSettings]:
    """The settings class of a kind. Raises ValueError for a class that is no kind of this name."""
    if not (isinstance(kind, type) and issubclass(kind, ProviderSettings)):
        raise ValueError(f"it is {show(kind)}, and no subclass of ProviderSettings")
    if get_args(kind.model_fields["type"].annotation) != (name,):
        raise ValueError(f"its `type` is not declared as `Literal[{name!r}]`, the entry point's name")
    kind.model_validate({})
    return kind


KINDS = TypeTable("flowground.providers", _OWN, _check)
"""All values of `type:`; each is also the name of a provider that exists without an entry."""


class _OfItsKind:
    """Validates an entry of `providers:` with the settings class of its kind, which may come from another package."""

    def __get_pydantic_core_schema__(self, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return handler.generate_schema(Annotated[Union[*KINDS.values()], Field(discriminator="type")])


ProviderEntry = Annotated[ProviderSettings, _OfItsKind()]


def name_kind(name: str, given: Any) -> Any:
    """An entry of config.yaml with its kind in `type`; without one, where nothing names the kind.

    The kind is the entry's `type`, else the entry's name, else an OpenAI-compatible server where the entry has a URL.
    """
    if given is not None and not isinstance(given, dict):
        return given
    entry = dict(given or {})
    if entry.get("type") is None:
        kind = name if name in KINDS else "openai" if entry.get("base_url") is not None else None
        entry = {**entry, "type": kind} if kind else {key: value for key, value in entry.items() if key != "type"}
    return entry


def find_own_weights(entries: Mapping[str, ProviderEntry]) -> Path | None:
    """The file in `providers.local.path`, which replaces the built-in model; None where there is none."""
    local = entries.get("local")
    return local.path if isinstance(local, LocalSettings) else None


@dataclass(frozen=True, slots=True)
class ModelFault:
    """Why a model cannot answer. `is_certain`: the name alone shows it, whatever config.yaml contains."""

    sentence: str
    is_certain: bool


def find_fault(model: str, entries: Mapping[str, ProviderEntry]) -> ModelFault | None:
    """What is wrong with a model's name, given these entries of config.yaml; calls no server."""
    name, _, rest = model.partition(":")
    entry = entries.get(name) or (KINDS[name].model_validate({}) if name in KINDS else None)
    if entry is None:
        nearest = suggest(name, {*KINDS, *entries})
        form = "the form is provider:model, for example openai:gpt-5-mini"
        return ModelFault(f"config.yaml has no provider {name}{nearest}; {form}.", False)
    if not rest and not entry.only_model:
        return ModelFault(f"{name} is a provider: write {name}: and the name of a model.", name not in entries)
    if isinstance(entry, ScriptedSettings) and rest and rest not in SCRIPTS:
        nearest = suggest(rest, SCRIPTS, otherwise=f"; there are {list_names(SCRIPTS)}")
        return ModelFault(f"There is no scripted model {rest}{nearest}.", name not in entries)
    return None


class Providers:
    """All providers of one process, on one event loop; opens nothing before the first call.

    `folder` is where the built-in model's weights are kept, `egress` how calls leave the process.
    """

    def __init__(
        self,
        entries: Mapping[str, ProviderEntry],
        *,
        default_model: str,
        folder: Path,
        egress: EgressSettings = USUAL_EGRESS,
    ) -> None:
        self._default = default_model
        self._context = ProviderContext(folder, egress)
        self._entries: dict[str, ProviderSettings] = {name: kind.model_validate({}) for name, kind in KINDS.items()}
        self._entries |= entries
        self._opened: dict[str, Provider] = {}
        self._asked: dict[str, Provider] = {}
        """The results of `resolve`: a provider together with its fallbacks, if it has some."""
        self.is_off: Callable[[str], bool] = lambda _: False
        """Whether an admin switched off the provider of this name."""
        self._outages = Outages(lambda name: self.is_off(name))
        self._embeddings: dict[str, Embeddings] = {}

    def resolve(self, model: str | None) -> tuple[Provider, str]:
        """The provider and the model's name there; None means the configured default. Raises ProviderRefused."""
        wanted = model or self._default
        name, _, rest = wanted.partition(":")
        entry = self._entries.get(name)
        if entry is None:
            raise ProviderRefused(
                f"There is no provider {name!r}{suggest(name, self._entries, otherwise='.')}",
                hint="Add it under `providers:` in config.yaml. Known now: " + ", ".join(sorted(self._entries)) + ".",
            )
        rest = rest or entry.only_model
        if not rest:
            raise ProviderRefused(
                f"The model {wanted!r} names only a provider.",
                hint=f"Write `model: {name}:NAME`, with the model's name.",
            )
        return self._asked.get(name) or self._join_fallbacks(name, entry), rest

    def find_embeddings(self, model: str) -> Embeddings:
        """The embedding model that `provider:model` names. Raises ProviderRefused."""
        if model not in self._embeddings:
            name, _, rest = model.partition(":")
            entry = self._entries.get(name)
            if entry is None or not rest:
                raise ProviderRefused(
                    f"{model!r} names no model of embeddings{suggest(name, self._entries, otherwise='.')}",
                    hint="Write `embeddings: PROVIDER:MODEL`, with a provider of config.yaml.",
                )
            self._embeddings[model] = entry.open_embeddings(name, rest, self._context.egress)
        return self._embeddings[model]

    def name_provider(self, model: str | None) -> str:
        """The name of the provider for a model, whether or not it exists; None means the configured default."""
        return (model or self._default).partition(":")[0]

    def list_names(self) -> list[str]:
        """The names of all providers."""
        return sorted(self._entries)

    def start(self) -> None:
        """Starts what the settings ask for (`download: auto`); to be called on the event loop that serves the calls."""
        if local := self._find_local():
            local.begin()

    def read_status(self) -> LocalStatus:
        """The state of the built-in model, for pages and the API: cheap enough for every rerun, and callable from any
        thread."""
        local = self._find_local()
        return local.read_status() if local else LocalStatus("absent")

    async def close(self) -> None:
        """Closes the providers that were opened."""
        await self._outages.close()
        while self._opened:
            _, provider = self._opened.popitem()
            await provider.close()
        while self._embeddings:
            _, embeddings = self._embeddings.popitem()
            await embeddings.close()

    def _find_local(self) -> Local | None:
        """The provider `local`, unless a setting gives that name to another kind."""
        entry = self._entries["local"]
        provider = self._open("local", entry) if isinstance(entry, LocalSettings) else None
        return provider if isinstance(provider, Local) else None

    def _join_fallbacks(self, name: str, entry: ProviderSettings) -> Provider:
        provider = self._open(name, entry)
        if entry.fallback:
            fallbacks = [self._make_fallback(model) for model in entry.fallback]
            provider = ProviderWithFallback(name, provider, fallbacks, self._outages)
        return self._asked.setdefault(name, provider)

    def _make_fallback(self, model: str) -> Fallback:
        name, _, rest = model.partition(":")
        entry = self._entries[name]
        return Fallback(name, rest or entry.only_model, lambda: self._open(name, entry))

    def _open(self, name: str, entry: ProviderSettings) -> Provider:
        # Pages call this from their threads: the second caller gets the provider that the first one opened.
        return self._opened.get(name) or self._opened.setdefault(name, entry.open(name, self._context))
