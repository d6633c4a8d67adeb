"""The settings of config.yaml as one value, which is handed over. Importing this module reads nothing.

Relative paths count from the config file's folder. `${env:NAME}` is replaced in the places that hold secrets
(`providers.*.api_key`, `cookie.key`, `database`, `outgoing.proxy`, `search.api_key`, `databases.*.url`, `environment`
and `headers` of `mcp_servers`) and is an error everywhere else. Mistakes name file, line and setting, and the nearest
right name for an unknown one. A setting of an earlier release is a warning, or a mistake where it bounded what
strangers use up. docs/settings.md is generated from the fields below.
"""

import logging
import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_core import ErrorDetails

from flowground.core.errors import ConfigError, FlowError
from flowground.core.words import describe_kind, find_schema, join_words, suggest
from flowground.core.yaml_file import (
    ConfigSection,
    Document,
    KeyPath,
    Problems,
    check_http_address,
    check_pattern,
    read_document,
)
from flowground.knowledge.section import KnowledgeSections
from flowground.providers import KINDS, ProviderEntry, find_fault, name_kind
from flowground.settings.limits import Days, PriceSettings
from flowground.settings.limits import Limits as Limits
from flowground.settings.limits import PublicSettings as PublicSettings
from flowground.settings.organization import OrganizationSettings
from flowground.tools.functions import FunctionSettings
from flowground.tools.search import SearchSettings
from flowground.tools.settings import DatabaseSettings, McpServerEntries, OutgoingSettings, require_networks

GONE: dict[str, str] = {
    "outgoing.answer_bytes": "A tool takes answers of 3,000,000 bytes at most.",
    "outgoing.refresh_minutes": "Pages that knowledge names are asked again after an hour.",
    "providers.*.prompt_cache": "Tools and system prompt are always marked for Anthropic's cache.",
    "sharing.public.address_file_bytes": "`sharing.public.flow_file_bytes` bounds what visitors add to a flow.",
    "retention.attempts_days": "A password that was tried is forgotten after a day.",
    "limits.value_bytes": "A value has 3,000,000 bytes at most.",
    "limits.flow_bytes": "A flow file has 1,048,576 bytes at most.",
    "limits.answer_chars": "An answer has 500,000 characters at most; `max_tokens` of a model makes it shorter.",
    "limits.run_retries": "A run repeats calls to models 20 times at most; `retries` of a provider bounds one call.",
    "limits.queue_seconds": "A run waits 30 seconds for its place at most.",
}
"""Settings of earlier releases by dotted name, in which `*` is any name: what holds now instead."""
_BOUNDED_STRANGERS: dict[KeyPath, str] = dict.fromkeys(
    (("limits", "visitor"), ("limits", "address")),
    "is no setting any more: write `limits.flow` for what all callers of a flow may use up, tokens and money too, and "
    "`sharing.public` for runs of visitors",
)
"""Settings of earlier releases without which strangers may use up more: they are mistakes."""
_SECRETS = (
    "cookie.key",
    "database",
    "outgoing.proxy",
    "search.api_key",
    "databases.*.url",
    "mcp_servers.*.environment.*",
    "mcp_servers.*.headers.*",
    "providers.*.api_key",
)
"""Settings in which `${env:NAME}` is replaced."""
LocalMode = Literal["open", "link", "off"]
MayWrite = Literal["admins", "authors", "nobody"]
_ENV = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}")
_log = logging.getLogger(__name__)


class TweakSettings(ConfigSection):
    unknown: Literal["refuse", "warn"] = Field(
        "refuse", description="What a tweak of an unknown component or field gets."
    )


class AuthorSettings(ConfigSection):
    may_write: MayWrite = Field(
        "admins",
        description="Who changes and adds flow files in the browser: `admins`; `authors` too, of flows that they "
        "own; or `nobody`. Whoever does can use every model, key and tool of the server, and every other flow.",
    )


class SharingSettings(ConfigSection):
    allow_public: bool = Field(False, description="Whether a flow may be shared without sign-in.")
    public: PublicSettings = PublicSettings()


class RetentionSettings(ConfigSection):
    """How long stored data is kept; 0 means forever."""

    conversations_days: Days = Field(
        0, description="Days after its last message when anybody's conversation is deleted. 0: never."
    )
    run_contents_days: Days = Field(
        0, description="Days after which traces, overrides and texts so far of runs are deleted. 0: never."
    )
    audit_days: Days = Field(
        365,
        description="Days after which a line of the audit trail, or a decided access request, is deleted. 0: never.",
    )


class ApiSettings(ConfigSection):
    key_in_query: bool = Field(True, description="Whether `?x-api-key=` is read, as Langflow does.")
    cors: bool = Field(True, description="Whether other origins' pages may call the API (never with cookies).")


class Credentials(ConfigSection):
    """The format of streamlit-authenticator. `access.roster` reads the entries."""

    usernames: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="Members by name: `password` (a bcrypt hash), `roles` (a list of admin, author, member), …",
    )


class CookieSettings(ConfigSection):
    name: Annotated[
        str, check_pattern(r"^[A-Za-z0-9_-]{1,40}$", "must be 1 to 40 of the characters a–z, A–Z, 0–9, _ and -")
    ] = Field("flowground", description="The cookie's name.")
    expiry_days: float = Field(30, gt=0, le=400, description="Days until a sign-in ends by itself.")
    key: SecretStr | None = Field(None, description="Signs the cookie; generated into `data` when left out.")


class Settings(ConfigSection):
    model_config = ConfigDict(defer_build=True)  # plug-ins' kinds of providers are loaded when a file is read

    organization: OrganizationSettings = OrganizationSettings()
    public_url: Annotated[str, check_http_address("https://flows.example.com")] | None = Field(
        None,
        description="The address people use, in links and snippets; pages open at it and on this computer only.",
    )
    local_mode: LocalMode = Field(
        "open",
        description="Before the first account: `open` serves everybody on this computer, `link` who opened the "
        "link that the terminal printed, `off` only the page that makes the first account.",
    )
    trusted_proxies: tuple[str, ...] = Field(
        (),
        description="Addresses and networks whose `X-Forwarded-For`, `-Proto` and `-Host` are believed.",
    )
    flows: Path = Field(Path("flows"), description="Folder of flow files.")
    data: Path = Field(Path("data"), description="Folder of models and generated keys.")
    database: str = Field(
        "sqlite:///data/flowground.db",
        description="`sqlite:///FILE` or `postgresql://…`.",
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
        description="Files in which every flow may look things up, by name; as `knowledge` of a flow file.",
    )
    limits: Limits = Limits()
    prices: PriceSettings = PriceSettings()
    api: ApiSettings = ApiSettings()
    credentials: Credentials = Credentials()
    cookie: CookieSettings = CookieSettings()
    root: Path = Field(Path(), exclude=True, description="The config file's folder; not a setting of the file.")

    @field_validator("providers", mode="before")
    @classmethod
    def _name_kinds(cls, data: Any) -> Any:
        return {name: name_kind(name, entry) for name, entry in data.items()} if isinstance(data, dict) else data

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
        """Settings from a config file; a missing file means the defaults, relative to its folder.

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
            raise ConfigError("\n".join(file.write_mistake(place, message) for place, message in found))
        for name, variable in missing.items():
            settings.providers[name]._missing_variable = variable  # noqa: SLF001 - this file's own
        return settings.model_copy(update=_make_absolute(settings, root))


def find_config(app_folder: Path) -> Path:
    """The config file: `FLOWGROUND_CONFIG`, else config.yaml beside app.py. Raises ConfigError where the named file is
    missing."""
    named = os.environ.get("FLOWGROUND_CONFIG")
    if named and not Path(named).exists():
        raise ConfigError(f"FLOWGROUND_CONFIG names {named!r}, which does not exist")
    return Path(named) if named else app_folder / "config.yaml"


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A config file as plain data, with the document that knows its lines. `data` is what the YAML holds."""

    name: str
    data: dict[str, Any]
    document: Document

    def write_mistake(self, place: KeyPath, message: str) -> str:
        """`config.yaml:12: limits.body_bytes: message`; the line is that of the place's nearest part in the file."""
        written = self.document.find_existing(place)
        at = f"{self.name}:{self.document.place(written).key.line}" if written else self.name
        where = ".".join(str(part) for part in place)
        return f"{at}: {where}: {message}" if where else f"{at}: {message}"


def read_config(path: Path) -> ConfigFile:
    """The file's content; a missing or empty file is an empty mapping. Raises ConfigError, naming the line."""
    if not path.exists():
        return ConfigFile(path.name, {}, Document(None, Problems(path.name)))
    try:
        document = read_document(path.read_text("utf-8"), path.name, "config file", most=math.inf)
        if document.problems:
            document.problems.refuse()
    except FlowError as error:
        lines = (f"{mistake.file}:{mistake.line}: {mistake.message.removesuffix('.')}" for mistake in error.problems)
        raise ConfigError("\n".join(lines)) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path.name}: {error}") from None
    except OSError as error:
        raise ConfigError(f"{path.name}: cannot be read: {error.strerror}") from None
    data = document.root.read_plain() if document.root else None
    if data is not None and not isinstance(data, dict):
        raise ConfigError(f"{path.name}:1: settings are a mapping, this is a {type(data).__name__}")
    return ConfigFile(path.name, data or {}, document)


def _leave_out_gone(file: ConfigFile) -> None:
    """Removes settings of earlier releases from the file's data, with a warning for each."""
    for name, instead in GONE.items():
        for holder, place in _find_places(file.data, name.split(".")):
            del holder[place[-1]]
            _log.warning("%s", file.write_mistake(place, f"is no setting any more. {instead}"))


def _find_places(data: Any, names: list[str], before: KeyPath = ()) -> list[tuple[dict[Any, Any], KeyPath]]:
    """All places in `data` that a dotted name means, each with the mapping that holds its value; `*` is any name."""
    keys = [key for key in data if names[0] in ("*", key)] if isinstance(data, dict) else []
    if len(names) == 1:
        return [(data, (*before, key)) for key in keys]
    return [found for key in keys for found in _find_places(data[key], names[1:], (*before, key))]


def _fill_secrets(file: ConfigFile) -> Iterator[tuple[str, str]]:
    """Replaces `${env:NAME}` in places of secrets; yields (provider, variable) for keys whose variable is unset.

    A provider without its key is an error when it is used. An unset variable of the cookie's key or the database raises
    ConfigError at once: another key or database would be used silently.
    """
    for holder, place in (found for name in _SECRETS for found in _find_places(file.data, name.split("."))):
        text = holder[place[-1]]
        if not isinstance(text, str):
            continue
        unset = next((name for name in _ENV.findall(text) if name not in os.environ), None)
        if unset is None:
            holder[place[-1]] = _ENV.sub(lambda match: os.environ[match[1]], text)
        elif place[0] == "providers":
            holder[place[-1]] = None
            yield str(place[1]), unset
        else:
            raise ConfigError(file.write_mistake(place, f"the environment variable {unset} is not set"))


def find_variables(value: object, place: KeyPath = ()) -> Iterator[KeyPath]:
    """The places at which `${env:NAME}` still stands, since nothing replaces it there."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from find_variables(item, (*place, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from find_variables(item, (*place, index))
    elif isinstance(value, str) and _ENV.search(value):
        yield place


def find_mistakes(error: ValidationError, model: type[BaseModel]) -> Iterator[tuple[KeyPath, str]]:
    """Pydantic's errors in plain words, without the values; unknown settings with the nearest right name."""
    for problem in error.errors(include_url=False):
        place: KeyPath = problem["loc"]
        kind = KINDS.get(str(place[2])) if place[:1] == ("providers",) and len(place) > 2 else None
        if kind:  # pydantic puts an entry's kind between its name and its setting
            place = place[:2] + place[3:]
        match problem["type"]:
            case "extra_forbidden" if kind and (others := _find_kinds(str(place[-1]))):
                yield place, f"belongs to providers of type {join_words(others, 'or')}, this is {problem['loc'][2]}"
            case "extra_forbidden" if gone := _BOUNDED_STRANGERS.get(place):
                yield place, gone
            case "extra_forbidden":
                schema, below = (kind or model).model_json_schema(), place[2:] if kind else place
                known = find_schema(schema, below[:-1]).get("properties", ())
                yield place, "unknown setting" + suggest(str(place[-1]), known)
            case "union_tag_not_found":
                yield place, "says neither `type` nor `base_url`" + suggest(str(place[-1]), KINDS)
            case "union_tag_invalid":
                yield (*place, "type"), f"should be {join_words(map(repr, KINDS), 'or')}"
            case _:
                yield place, _describe_mistake(problem, kind or model, place[2:] if kind else place)


def _describe_mistake(problem: ErrorDetails, model: type[BaseModel], place: KeyPath) -> str:
    """What is wrong with the value of the setting at `place` of `model`."""
    message = problem["msg"].removeprefix("Value error, ")
    match problem["type"]:
        case "value_error":
            return message
        case "missing":
            return "is missing"
        case "string_type":
            return "is a text: put it in quotes"
        case "tuple_type":
            value = problem["input"]  # no list holds secrets
            return f"is a list: write [{value}]" if isinstance(value, str) else "is a list: write [one, two]"
        case "model_type" | "dict_type" | "model_attributes_type":
            return "is a mapping: its settings stand below it, indented, as `name: value`"
        case "too_long" | "too_short" | "string_too_long" | "string_too_short":
            message = message.replace(" after validation", "").replace("items", "entries")
            return message.removeprefix("String ").removeprefix("Tuple ")
    return _describe_bounds(model, place) or message.removeprefix("Input ")


def _describe_bounds(model: type[BaseModel], place: KeyPath) -> str | None:
    """What the setting accepts, as in docs/settings.md; None for texts, for which that would say too little."""
    whole = model.model_json_schema()
    schema = find_schema(whole, place)
    kind = describe_kind(schema, whole.get("$defs", {}))
    return f"should be {kind}" if schema and kind != "text" else None


def _find_kinds(setting: str) -> list[str]:
    """The kinds of provider that have this setting."""
    return [name for name, kind in KINDS.items() if setting in kind.model_fields]


def _check_default_model(settings: Settings) -> Iterator[tuple[KeyPath, str]]:
    """Whether the default model's provider exists: a check across several settings."""
    known = {*KINDS, *settings.providers}
    provider = settings.default_model.partition(":")[0]
    if provider not in known:
        form = "" if ":" in settings.default_model else "; the form is provider:model, for example openai:gpt-5-mini"
        hint = suggest(provider, known, otherwise=form or "; add it under `providers:`")
        yield ("default_model",), f"there is no provider {provider!r}{hint}"


def _check_fallbacks(settings: Settings) -> Iterator[tuple[KeyPath, str]]:
    """Fallbacks that do not exist, repeat, or belong to the provider that they replace."""
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
    """A limit of money without prices would never be reached."""
    limits = settings.limits
    if limits.run_money and not settings.prices.models:
        yield ("limits", "run_money"), "needs `prices.models`, which says what models cost"
    for name, bounds in (("person", limits.person), ("flow", limits.flow)):
        if bounds.money_per_day and not settings.prices.models:
            yield ("limits", name, "money_per_day"), "needs `prices.models`, which says what models cost"


def _check_databases(settings: "Settings", root: Path) -> Iterator[tuple[KeyPath, str]]:
    """The app's own database as a database of flows: a flow could read everybody's conversations."""
    own = str(_make_absolute(settings, root)["database"])
    for name, entry in settings.databases.items():
        if entry.count_paths_from(root).is_at(own):
            yield ("databases", name, "url"), "is the database of this app, which no flow is let into"


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
