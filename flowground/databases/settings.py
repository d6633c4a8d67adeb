"""`databases:` of config.yaml: which databases flows may ask; and what one query is, and may give."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from flowground.errors import RunError
from flowground.values import LONGEST
from flowground.yaml_file.section import ConfigSection

_FILE = "sqlite:///"


class DatabaseSettings(ConfigSection):
    """One database that flows may ask, read-only."""

    url: SecretStr = Field(
        description="`sqlite:///FILE`, or `postgresql://name:${env:PASSWORD}@host/database` of a user who may only "
        "read; PostgreSQL needs the driver named above."
    )
    rows: int = Field(200, ge=1, le=20_000, description="Most rows that one query gives; more fail.")
    seconds: float = Field(10, gt=0, le=600, description="Longest query.")

    @field_validator("url")
    @classmethod
    def _check_url(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if not re.match(r"(sqlite:///.|postgresql(\+psycopg)?://.)", text):
            raise ValueError("must look like sqlite:///data/orders.db or postgresql://name@host/database")
        return value

    @property
    def file(self) -> Path | None:
        """SQLite's file; None for a server."""
        text = self.url.get_secret_value()
        return Path(text.removeprefix(_FILE)) if text.startswith(_FILE) else None

    def count_paths_from(self, root: Path) -> "DatabaseSettings":
        """The same settings with a relative path counted from `root`, the config file's folder."""
        return self if self.file is None else self.model_copy(update={"url": SecretStr(f"{_FILE}{root / self.file}")})

    def is_at(self, url: str) -> bool:
        """Whether that is the same database, as far as addresses tell."""
        if self.file is not None:
            return url.startswith(_FILE) and Path(url.removeprefix(_FILE)).resolve() == self.file.resolve()
        own, other = urlsplit(self.url.get_secret_value()), urlsplit(url)
        return other.scheme.startswith("postgresql") and all(
            (one.hostname or "localhost", one.port or 5432, one.path)
            == (other.hostname or "localhost", other.port or 5432, other.path)
            for one in (own,)
        )


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value in a query's text, which goes to the database beside it: whatever it holds, it stays a value."""

    name: str
    value: str | int | float


SqlParts = Sequence[str | Parameter]


def list_values(parts: SqlParts) -> dict[str, str | int | float]:
    """Values of a query, by name."""
    return {part.name: part.value for part in parts if isinstance(part, Parameter)}


def check_rows(count: int, most: int, size: int) -> None:
    """Raises RunError for more rows than `most`, and for more bytes than a value may have."""
    if count > most:
        raise RunError(f"The query gives more than {most:,} rows: narrow it, or add a LIMIT.")
    if size > LONGEST:
        raise RunError(f"The rows have more than {LONGEST:,} bytes: ask for fewer rows or columns.")
