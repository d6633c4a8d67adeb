"""config.yaml -> Settings: a value that is handed over. Importing this module reads nothing.

Relative paths count from the config file's folder. `${env:NAME}` is replaced wherever a secret is expected and
nowhere else. An unknown setting is an error that names the nearest right one.
"""

import os
import re
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from flowground.errors import ConfigError, nearest

_ENV = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Organization(_Part):
    name: str = Field(
        "Flowground", min_length=1, max_length=80, description="Shown on the sign-in page and in the sidebar."
    )


class ProviderSettings(_Part):
    """One entry of `providers:`; the entry's name stands before the colon in `model: NAME:MODEL`."""

    type: Literal["local", "openai", "ollama", "scripted"] | None = Field(
        None, description="Kind of server; the entry's name when left out. `openai` is any OpenAI-compatible server."
    )
    base_url: str | None = Field(None, description="Address up to and with `/v1`.")
    api_key: SecretStr | None = Field(None, description="The server's key; `${env:NAME}` keeps it out of the file.")
    timeout: float = Field(60, gt=0, le=3600, description="Seconds to wait for the first and for each next piece.")
    retries: int = Field(2, ge=0, le=10, description="Repeats after 429 and 5xx, before the first token only.")
    download: Literal["auto", "on_first_message", "off"] = Field(
        "on_first_message", description="`local` only: when the built-in model's weights are fetched."
    )
    path: Path | None = Field(None, description="`local` only: a GGUF file of your own instead of the built-in one.")
    pieces: tuple[str, ...] | None = Field(
        None, description="`scripted` only: the answer's pieces; without them it repeats what it was told."
    )
    delay: float = Field(0, ge=0, le=60, description="`scripted` only: seconds before each piece.")


class TweakSettings(_Part):
    unknown: Literal["refuse", "warn"] = Field(
        "refuse", description="What a tweak of an unknown component or field gets."
    )


class SharingSettings(_Part):
    allow_public: bool = Field(False, description="Whether a flow may be shared without sign-in.")


class Limits(_Part):
    body_bytes: int = Field(10_485_760, ge=1024, description="Largest request body; more answers 413.")
    message_chars: int = Field(200_000, ge=1, description="Longest single message.")
    flow_bytes: int = Field(1_048_576, ge=1024, description="Largest flow file.")
    shutdown_seconds: float = Field(10, ge=0, description="Grace for running answers when the process is told to end.")


class ApiSettings(_Part):
    key_in_query: bool = Field(True, description="Whether `?x-api-key=` is read, as Langflow does.")
    cors: bool = Field(True, description="Whether other origins' pages may call the API (never with cookies).")


class Credentials(_Part):
    """streamlit-authenticator's own format."""

    usernames: dict[str, dict[str, Any]] = Field(default_factory=dict)


class CookieSettings(_Part):
    name: str = Field("flowground", pattern=r"^[A-Za-z0-9_-]{1,40}$")
    expiry_days: float = Field(30, gt=0, le=400)
    key: SecretStr | None = Field(None, description="Signs the cookie; generated into `data` when left out.")


class Settings(_Part):
    organization: Organization = Organization()
    public_url: str | None = Field(
        None, description="The address people use; feeds links, snippets and the Origin check."
    )
    flows: Path = Field(Path("flows"), description="Folder of flow files.")
    data: Path = Field(Path("data"), description="SQLite file, models, generated keys.")
    database: str = Field("sqlite:///data/flowground.db", description="`sqlite:///…` or `postgresql://…`.")
    default_model: str = Field("local", description="Used by models that name none.")
    providers: dict[str, ProviderSettings] = Field(default_factory=dict)
    tweaks: TweakSettings = TweakSettings()
    sharing: SharingSettings = SharingSettings()
    limits: Limits = Limits()
    api: ApiSettings = ApiSettings()
    credentials: Credentials = Credentials()
    cookie: CookieSettings = CookieSettings()
    root: Path = Field(Path(), exclude=True, description="The config file's folder; not a setting of the file.")

    @field_validator("public_url")
    @classmethod
    def _no_slash(cls, value: str | None) -> str | None:
        if value is not None and not re.match(r"^https?://[^/?#\s]+(/[^?#\s]*)?$", value):
            raise ValueError("must look like https://flows.example.com")
        return value.rstrip("/") if value else None

    @classmethod
    def load(cls, path: Path) -> "Settings":
        """Settings from a config file; a missing file gives the defaults, counted from its folder.

        Raises ConfigError naming file, setting and nearest right word.
        """
        root = path.resolve().parent
        try:
            raw = yaml.safe_load(path.read_text("utf-8")) if path.exists() else {}
        except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
            raise ConfigError(f"{path.name}: {error}") from error
        if raw is None:
            raw = {}
        if not isinstance(raw, dict):
            raise ConfigError(f"{path.name}: settings are a mapping, this is a {type(raw).__name__}")
        if "root" in raw:
            raise ConfigError(f"{path.name}: root: unknown setting")
        try:
            settings = cls.model_validate(_with_environment(raw) | {"root": root})
        except ValidationError as error:
            raise ConfigError("\n".join(f"{path.name}: {line}" for line in _mistakes(error))) from None
        return settings.model_copy(update=_absolute(settings, root))


def config_path(app_folder: Path) -> Path:
    """The config file: `FLOWGROUND_CONFIG`, else config.yaml beside app.py."""
    named = os.environ.get("FLOWGROUND_CONFIG")
    return Path(named) if named else app_folder / "config.yaml"


def _with_environment(value: Any) -> Any:
    """`${env:NAME}` under the two keys that hold secrets; elsewhere the text stays and fails its own check."""

    def replaced(text: str) -> str | None:
        missing = [name for name in _ENV.findall(text) if name not in os.environ]
        return None if missing else _ENV.sub(lambda match: os.environ[match[1]], text)

    if isinstance(value, dict):
        return {
            key: replaced(item) if key in ("api_key", "key") and isinstance(item, str) else _with_environment(item)
            for key, item in value.items()
        }
    return value


def _absolute(settings: Settings, root: Path) -> dict[str, Any]:
    database = settings.database
    if database.startswith("sqlite:///") and database != "sqlite:///:memory:":
        database = f"sqlite:///{root / database.removeprefix('sqlite:///')}"
    providers = {
        name: provider.model_copy(update={"path": root / provider.path}) if provider.path else provider
        for name, provider in settings.providers.items()
    }
    return {"flows": root / settings.flows, "data": root / settings.data, "database": database, "providers": providers}


def _mistakes(error: ValidationError) -> list[str]:
    lines = []
    for problem in error.errors(include_input=False, include_url=False):
        place = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            word = nearest(str(problem["loc"][-1]), _siblings(problem["loc"]))
            lines.append(f"{place}: unknown setting" + (f" (did you mean {word}?)" if word else ""))
        else:
            lines.append(f"{place}: {problem['msg']}")
    return lines


def _siblings(loc: tuple[int | str, ...]) -> list[str]:
    model: Any = Settings
    for part in loc[:-1]:
        if model is Settings and part == "providers":
            model = {"*": ProviderSettings}
        elif isinstance(model, dict):
            model = model["*"]
        else:
            model = model.model_fields[str(part)].annotation
    return [] if isinstance(model, dict) else [name for name in model.model_fields if name != "root"]
