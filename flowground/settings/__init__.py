"""config.yaml -> Settings: a value that is handed over. Importing this module reads nothing.

Relative paths count from the config file's folder. `${env:NAME}` is replaced in the places that hold secrets
(`providers.*.api_key`, `cookie.key`, `database`, `outgoing.proxy`, `search.api_key`, `databases.*.url`, `environment`
and `headers` of `mcp_servers`) and is an error everywhere else. An unknown setting is an error that names the nearest
right one. docs/settings.md is generated from the fields below.
"""

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, SecretStr, ValidationError, field_validator

from flowground.databases.settings import DatabaseSettings
from flowground.errors import ConfigError
from flowground.flow.knowledge import KnowledgeSections
from flowground.functions import FunctionSettings
from flowground.mcp_servers.settings import McpServerEntries
from flowground.outgoing.search import SearchSettings
from flowground.outgoing.settings import OutgoingSettings, require_networks
from flowground.providers import KINDS, ProviderEntry, find_fault, name_kind
from flowground.settings.file import ConfigFile, fill_variables, find_mistakes, find_variables, read_config
from flowground.settings.gone import GONE
from flowground.settings.limits import Limits as Limits
from flowground.settings.limits import PriceSettings
from flowground.settings.limits import PublicSettings as PublicSettings
from flowground.settings.organization import OrganizationSettings
from flowground.words import join_words, suggest
from flowground.yaml_file.document import KeyPath
from flowground.yaml_file.section import ConfigSection, check_http_address, check_pattern

_log = logging.getLogger(__name__)

LocalMode = Literal["open", "link", "off"]
MayWrite = Literal["admins", "authors", "nobody"]


class TweakSettings(ConfigSection):
    unknown: Literal["refuse", "warn"] = Field(
        "refuse", description="What a tweak of an unknown component or field gets."
    )


class AuthorSettings(ConfigSection):
    may_write: MayWrite = Field(
        "admins",
        description="Who changes and adds flow files in the browser: `admins`; `authors` too, of flows that they own; "
        "or `nobody`. Whoever does can use every model, key and tool of the server, and every other flow. Before the "
        "first account the owner of this computer is an admin.",
    )


class SharingSettings(ConfigSection):
    allow_public: bool = Field(False, description="Whether a flow may be shared without sign-in.")
    public: PublicSettings = PublicSettings()


class RetentionSettings(ConfigSection):
    """How long what is stored is kept; 0 is for good."""

    conversations_days: int = Field(
        0, ge=0, le=36_500, description="Days after its last message when anybody's conversation is deleted. 0: never."
    )
    run_contents_days: int = Field(
        0,
        ge=0,
        le=36_500,
        description="Days after which the traces, overrides and texts so far of runs are deleted; "
        "messages and the facts for counting stay. 0: never.",
    )
    audit_days: int = Field(
        365,
        ge=0,
        le=36_500,
        description="Days after which a line of the audit trail, or an access request that was decided, is deleted. "
        "0: never.",
    )


class ApiSettings(ConfigSection):
    key_in_query: bool = Field(True, description="Whether `?x-api-key=` is read, as Langflow does.")
    cors: bool = Field(True, description="Whether other origins' pages may call the API (never with cookies).")


class Credentials(ConfigSection):
    """streamlit-authenticator's own format. What stands in an entry is `sign_in`'s business."""

    usernames: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="Members by name: `password` (a bcrypt hash), `roles` (a list of admin, author, member), …",
    )


class CookieSettings(ConfigSection):
    name: Annotated[
        str, check_pattern(r"^[A-Za-z0-9_-]{1,40}$", "must be 1 to 40 of the characters a–z, A–Z, 0–9, _ and -")
    ] = Field("flowground", description="The cookie's name.")
    expiry_days: float = Field(30, gt=0, le=400, description="Days until a sign-in ends by itself.")
    key: SecretStr | None = Field(
        None, description="Signs the cookie; generated into `data` when left out. `${env:NAME}` reads it."
    )


class Settings(ConfigSection):
    model_config = ConfigDict(defer_build=True)  # kinds of providers are looked for when a file is read

    organization: OrganizationSettings = OrganizationSettings()
    public_url: Annotated[str, check_http_address("https://flows.example.com")] | None = Field(
        None,
        description="The address people use. Links and snippets follow it; pages open at it and on this computer only.",
    )
    local_mode: LocalMode = Field(
        "open",
        description="Before the first account: `open` serves everybody on this computer, `link` who opened the link "
        "that the terminal printed, `off` nothing but the page that makes the first account.",
    )
    trusted_proxies: tuple[str, ...] = Field(
        (),
        description="Addresses and networks whose `X-Forwarded-For`, `-Proto` and `-Host` are believed.",
    )
    flows: Path = Field(Path("flows"), description="Folder of flow files.")
    data: Path = Field(
        Path("data"), description="Folder of models and generated keys. SQLite's file lies where `database` says."
    )
    database: str = Field(
        "sqlite:///data/flowground.db",
        description="`sqlite:///FILE` or `postgresql://…`, which needs the driver named above; may hold `${env:NAME}`.",
    )
    default_model: str = Field("local", description="Used by models that name none.")
    providers: dict[str, ProviderEntry] = Field(
        default_factory=dict, description=f"Model servers by name; {join_words(KINDS.own, 'and')} need no entry."
    )
    outgoing: OutgoingSettings = OutgoingSettings()
    mcp_servers: McpServerEntries = Field(
        default_factory=dict, description="MCP servers by name, whose tools flows may use."
    )
    search: SearchSettings = SearchSettings()
    databases: dict[str, DatabaseSettings] = Field(
        default_factory=dict, description="Databases that the SQL components of flows may ask, by name."
    )
    functions: FunctionSettings = FunctionSettings()
    tweaks: TweakSettings = TweakSettings()
    authors: AuthorSettings = AuthorSettings()
    sharing: SharingSettings = SharingSettings()
    retention: RetentionSettings = RetentionSettings()
    knowledge: KnowledgeSections = Field(
        default_factory=dict,
        description="In which files every flow may look things up, by name; as `knowledge` of a flow file.",
    )
    limits: Limits = Limits()
    prices: PriceSettings = PriceSettings()
    api: ApiSettings = ApiSettings()
    credentials: Credentials = Credentials()
    cookie: CookieSettings = CookieSettings()
    root: Path = Field(Path(), exclude=True, description="The config file's folder; not a setting of the file.")

    @field_validator("providers", mode="before")
    @classmethod
    def _name_kinds(cls, given: Any) -> Any:
        return {name: name_kind(name, entry) for name, entry in given.items()} if isinstance(given, dict) else given

    @field_validator("database")
    @classmethod
    def _check_database(cls, value: str) -> str:
        if not re.match(r"^(sqlite:///.|postgresql(\+psycopg)?://.)", value):
            raise ValueError("must look like sqlite:///data/flowground.db or postgresql://name@host/database")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _check_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return require_networks(value, like="127.0.0.1 or 172.16.0.0/12")

    @classmethod
    def load(cls, path: Path) -> "Settings":
        """Settings from a config file; a missing file gives the defaults, counted from its folder.

        Raises ConfigError with one line a mistake: file, line, setting and nearest right word.
        """
        file = read_config(path)
        _leave_out_gone(file)
        root = path.resolve().parent
        missing = dict(_fill_secrets(file))
        found = [(place, "`${env:…}` is read in secrets only") for place in find_variables(file.data)]
        if "root" in file.data:
            found.append((("root",), "unknown setting"))
        try:
            settings = cls.model_validate(file.data | {"root": root})
        except ValidationError as error:
            found.extend(find_mistakes(error, cls))
        else:
            found.extend(_check_default_model(settings))
            found.extend(_check_fallbacks(settings))
            found.extend(_check_prices(settings))
            found.extend(settings.organization.find_mistakes(root))
            found.extend(settings.outgoing.find_mistakes(root))
            found.extend(_check_databases(settings, root))
        if found:
            raise ConfigError("\n".join(file.say(place, message) for place, message in found))
        for name, variable in missing.items():
            settings.providers[name]._missing_variable = variable  # noqa: SLF001 - this file's own
        return settings.model_copy(update=_make_absolute(settings, root))


def _leave_out_gone(file: ConfigFile) -> None:
    """Takes settings of earlier releases out of the file's data, with a warning for each."""
    for name, instead in GONE.items():
        for place in _find_places(file.data, tuple(name.split("."))):
            holder: Any = file.data
            for key in place[:-1]:
                holder = holder[key]
            holder.pop(place[-1], None)  # an alias of YAML stands in two places
            _log.warning("%s", file.say(place, f"is no setting any more. {instead}"))


def _find_places(data: Any, names: tuple[str, ...], place: KeyPath = ()) -> list[KeyPath]:
    """Where a dotted name stands in `data`; `*` is any name."""
    if not names:
        return [place]
    keys = [key for key in data if names[0] in ("*", key)] if isinstance(data, dict) else []
    return [found for key in keys for found in _find_places(data[key], names[1:], (*place, key))]


def find_config(app_folder: Path) -> Path:
    """The config file: `FLOWGROUND_CONFIG`, else config.yaml beside app.py. Raises ConfigError for a wrong name."""
    named = os.environ.get("FLOWGROUND_CONFIG")
    if named and not Path(named).exists():
        raise ConfigError(f"FLOWGROUND_CONFIG names {named!r}, which does not exist")
    return Path(named) if named else app_folder / "config.yaml"


def _fill_secrets(file: ConfigFile) -> Iterator[tuple[str, str]]:
    """Replaces `${env:NAME}` where secrets stand; yields (provider, variable) for keys that are not set.

    A provider without its key is an error when it is used. A cookie key or database that silently became another one
    would be worse than not starting. Raises ConfigError.
    """
    for holder, place in (
        (file.data.get("cookie"), ("cookie", "key")),
        (file.data, ("database",)),
        (file.data.get("outgoing"), ("outgoing", "proxy")),
        (file.data.get("search"), ("search", "api_key")),
        *_list_databases(file),
        *_list_server_secrets(file.data.get("mcp_servers")),
    ):
        if isinstance(holder, dict) and isinstance(text := holder.get(place[-1]), str):
            holder[place[-1]], unset = fill_variables(text)
            if unset:
                raise ConfigError(file.say(place, f"the environment variable {unset[0]} is not set"))
    providers = file.data.get("providers")
    for name, entry in providers.items() if isinstance(providers, dict) else ():
        if isinstance(entry, dict) and isinstance(text := entry.get("api_key"), str):
            entry["api_key"], unset = fill_variables(text)
            if unset:
                yield str(name), unset[0]


def _list_databases(file: ConfigFile) -> Iterator[tuple[Any, KeyPath]]:
    entries = file.data.get("databases")
    for name, entry in entries.items() if isinstance(entries, dict) else ():
        yield entry, ("databases", name, "url")


def _check_databases(settings: "Settings", root: Path) -> Iterator[tuple[KeyPath, str]]:
    """A flow that could ask for everybody's conversations."""
    own = str(_make_absolute(settings, root)["database"])
    for name, entry in settings.databases.items():
        if entry.count_paths_from(root).is_at(own):
            yield ("databases", name, "url"), "is the database of this app, which no flow is let into"


def _list_server_secrets(servers: Any) -> Iterator[tuple[Any, KeyPath]]:
    """What may hold secrets in `mcp_servers`, with the place of each value."""
    for name, entry in servers.items() if isinstance(servers, dict) else ():
        for part in ("environment", "headers"):
            holder = entry.get(part) if isinstance(entry, dict) else None
            for key in holder if isinstance(holder, dict) else ():
                yield holder, ("mcp_servers", name, part, key)


def _check_default_model(settings: Settings) -> Iterator[tuple[KeyPath, str]]:
    """What no single setting can know: whether the default model's provider exists."""
    known = {*KINDS, *settings.providers}
    provider = settings.default_model.partition(":")[0]
    if provider not in known:
        form = "" if ":" in settings.default_model else "; the form is provider:model, for example openai:gpt-5-mini"
        hint = suggest(provider, known, otherwise=form or "; add it under `providers:`")
        yield ("default_model",), f"there is no provider {provider!r}{hint}"


def _check_fallbacks(settings: Settings) -> Iterator[tuple[KeyPath, str]]:
    """Models that do not exist, or are down when they are needed."""
    for name, entry in settings.providers.items():
        for at, model in enumerate(entry.fallback):
            place = ("providers", name, "fallback", at)
            if fault := find_fault(model, settings.providers):
                yield place, fault.sentence
            elif model.partition(":")[0] == name:
                yield place, f"{model} is of this provider, which is down then: name one of another"
            elif model in entry.fallback[:at]:
                yield place, f"{model} stands there twice"


def _check_prices(settings: Settings) -> Iterator[tuple[KeyPath, str]]:
    """A limit of money without a price would never be reached."""
    limits = settings.limits
    if limits.run_money and not settings.prices.models:
        yield ("limits", "run_money"), "needs `prices.models`, which says what models cost"
    for name, bounds in (("person", limits.person), ("flow", limits.flow)):
        if bounds.money_per_day and not settings.prices.models:
            yield ("limits", name, "money_per_day"), "needs `prices.models`, which says what models cost"


def _make_absolute(settings: Settings, root: Path) -> dict[str, Any]:
    database = settings.database
    if database.startswith("sqlite:///") and database != "sqlite:///:memory:":
        database = f"sqlite:///{root / database.removeprefix('sqlite:///')}"
    providers = {name: entry.count_paths_from(root) for name, entry in settings.providers.items()}
    return {
        "flows": root / settings.flows,
        "data": root / settings.data,
        "database": database,
        "providers": providers,
        "outgoing": settings.outgoing.count_paths_from(root),
        "mcp_servers": {name: entry.count_paths_from(root) for name, entry in settings.mcp_servers.items()},
        "databases": {name: entry.count_paths_from(root) for name, entry in settings.databases.items()},
        "organization": settings.organization.count_paths_from(root),
    }
