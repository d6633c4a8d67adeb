"""config.yaml -> Settings: a value that is handed over. Importing this module reads nothing.

Relative paths count from the config file's folder. `${env:NAME}` is replaced in the three places that hold secrets
(`providers.*.api_key`, `cookie.key`, `database`) and is an error everywhere else. An unknown setting is an error that
names the nearest right one. docs/settings.md is generated from the fields below.
"""

import ipaddress
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator

from flowground.errors import ConfigError
from flowground.providers import KINDS, ProviderEntry, name_kind
from flowground.settings.file import ConfigFile, fill_variables, find_mistakes, find_variables, read_config
from flowground.words import join_words, suggest
from flowground.yaml_file.document import KeyPath
from flowground.yaml_file.section import ConfigSection, check_http_address

LocalMode = Literal["open", "link", "off"]


class OrganizationSettings(ConfigSection):
    name: str = Field(
        "Flowground", min_length=1, max_length=80, description="Shown on the sign-in page and in the sidebar."
    )


class TweakSettings(ConfigSection):
    unknown: Literal["refuse", "warn"] = Field(
        "refuse", description="What a tweak of an unknown component or field gets."
    )


class PublicSettings(ConfigSection):
    """What people who did not sign in may use up; 0 is no limit."""

    runs_per_day: int = Field(1000, ge=0, description="Runs of all visitors of one flow a day (UTC). 0: no limit.")
    runs_per_minute: int = Field(10, ge=0, description="Runs that one visitor may start a minute. 0: no limit.")
    address_runs_per_minute: int = Field(
        60, ge=0, description="Runs that visitors of one address (IPv6: /64) may start a minute. 0: no limit."
    )
    conversations: int = Field(
        1000, ge=0, description="Visitors' conversations that are kept of one flow; the oldest go first. 0: all."
    )
    days: int = Field(
        30,
        ge=0,
        le=36_500,
        description="Days after its last message when a visitor's conversation is deleted. 0: never.",
    )


class SharingSettings(ConfigSection):
    allow_public: bool = Field(False, description="Whether a flow may be shared without sign-in.")
    public: PublicSettings = PublicSettings()


class Limits(ConfigSection):
    body_bytes: int = Field(3_145_728, ge=1024, description="Largest request body; more answers 413.")
    message_chars: int = Field(200_000, ge=1, description="Longest single message.")
    request_seconds: float = Field(
        30,
        gt=0,
        description="Longest wait for a request's head, for the next piece of its body, for its client to read on, and "
        "for the first word of a page whose visitor is not signed in.",
    )
    flow_bytes: int = Field(1_048_576, ge=1024, description="Largest flow file.")
    answer_chars: int = Field(
        500_000, ge=1, description="Longest answer of a model or an output; a longer one fails and keeps this much."
    )
    run_seconds: float = Field(
        600, ge=0, description="Longest run, fetching the built-in model aside; a longer one answers 504. 0: no limit."
    )
    resume_seconds: float = Field(
        30,
        ge=0,
        description="Seconds that a run with `?stream=sse` goes on while nobody reads it, and that its events can be "
        "read again after its end.",
    )
    runs_per_minute: int = Field(
        0,
        ge=0,
        description="Runs that one application token, one person at the pages or one visitor may start a minute; "
        "more answers 429. 0: no limit.",
    )
    page_runs_per_minute: int = Field(
        60,
        ge=0,
        description="Runs that one signed-in person may start at the pages a minute; "
        "the lower one counts where `runs_per_minute` is set too. 0: no limit.",
    )
    guest_pages: int = Field(
        400,
        ge=1,
        description="Pages that people who are not signed in may have open, at the sign-in page or at public flows. "
        "Beyond it, a page of the network and address with most pages is closed, first those that nobody used. Each "
        "takes four open files; all of them get a quarter of those the process may open.",
    )
    guest_pages_per_address: int = Field(
        100,
        ge=1,
        description="How many of them may come from one address; beyond it a page that was silent for "
        "`request_seconds` is closed, else the new one is refused.",
    )
    store_seconds: float = Field(
        15, ge=1, le=300, description="Longest wait for the database, or for its lock; then 503."
    )
    shutdown_seconds: float = Field(10, ge=0, description="Grace for running answers when the process is told to end.")


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
    name: str = Field("flowground", pattern=r"^[A-Za-z0-9_-]{1,40}$", description="The cookie's name.")
    expiry_days: float = Field(30, gt=0, le=400, description="Days until a sign-in ends by itself.")
    key: SecretStr | None = Field(
        None, description="Signs the cookie; generated into `data` when left out. `${env:NAME}` reads it."
    )


class Settings(ConfigSection):
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
        "sqlite:///data/flowground.db", description="`sqlite:///FILE` or `postgresql://…`; may hold `${env:NAME}`."
    )
    default_model: str = Field("local", description="Used by models that name none.")
    providers: dict[str, ProviderEntry] = Field(
        default_factory=dict, description=f"Model servers by name; {join_words(KINDS, 'and')} need no entry."
    )
    tweaks: TweakSettings = TweakSettings()
    sharing: SharingSettings = SharingSettings()
    limits: Limits = Limits()
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
        for text in value:
            try:
                ipaddress.ip_network(text, strict=False)
            except ValueError:
                raise ValueError("must be addresses or networks, like 127.0.0.1 or 172.16.0.0/12") from None
        return value

    @classmethod
    def load(cls, path: Path) -> "Settings":
        """Settings from a config file; a missing file gives the defaults, counted from its folder.

        Raises ConfigError with one line a mistake: file, line, setting and nearest right word.
        """
        file = read_config(path)
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
        if found:
            raise ConfigError("\n".join(file.say(place, message) for place, message in found))
        for name, variable in missing.items():
            settings.providers[name]._missing_variable = variable  # noqa: SLF001 - this file's own
        return settings.model_copy(update=_make_absolute(settings, root))


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
    for holder, place in ((file.data.get("cookie"), ("cookie", "key")), (file.data, ("database",))):
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


def _check_default_model(settings: Settings) -> Iterator[tuple[KeyPath, str]]:
    """What no single setting can know: whether the default model's provider exists."""
    known = {*KINDS, *settings.providers}
    provider = settings.default_model.partition(":")[0]
    if provider not in known:
        hint = suggest(provider, known, otherwise="; add it under `providers:`")
        yield ("default_model",), f"there is no provider {provider!r}{hint}"


def _make_absolute(settings: Settings, root: Path) -> dict[str, Any]:
    database = settings.database
    if database.startswith("sqlite:///") and database != "sqlite:///:memory:":
        database = f"sqlite:///{root / database.removeprefix('sqlite:///')}"
    providers = {name: entry.count_paths_from(root) for name, entry in settings.providers.items()}
    return {"flows": root / settings.flows, "data": root / settings.data, "database": database, "providers": providers}
