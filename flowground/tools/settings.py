"""Settings of config.yaml for what flows reach outside: `outgoing:`, `databases:` and `mcp_servers:`.

`outgoing:` is how calls leave this process, and which hosts and addresses tools may call; `databases:` are those that
flows may query, with the limits of one query; `mcp_servers:` are programs and URLs whose tools flows may use.
"""

import ipaddress
import re
import ssl
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import httpx2
from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator

from flowground.core.errors import RunError
from flowground.core.values import LONGEST
from flowground.core.words import list_names
from flowground.core.yaml_file import ConfigSection, check_http_address, check_pattern
from flowground.providers.egress import EgressSettings

_ENTRY = re.compile(r"(\*|(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?")
_USUAL_PORTS = {80, 443}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_NOT_PUBLIC = ("fec0::/10", "3fff::/20", "5f00::/16", "192.88.99.0/24", "192.0.0.0/24", "168.63.129.16/32")
_SPECIAL = tuple(map(ipaddress.ip_network, _NOT_PUBLIC))
"""Networks that are not public although Python calls them global: site-local addresses, documentation, relays, protocol
assignments, Azure's own services for its machines."""
IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
_FILE = "sqlite:///"
ServerName = Annotated[str, check_pattern(r"^[A-Za-z0-9_-]{1,40}$", "must be 1 to 40 of a–z, A–Z, 0–9, _ and -")]


def explain_entry(entry: str) -> str | None:
    """What is wrong with an entry of a list of hosts; None where it is right."""
    found = _ENTRY.fullmatch(entry.lower())
    if found and int(found[2] or 1) in range(1, 65_536):
        return None
    return (
        "a host is written api.example.com, api.example.com:8443, or *.example.com for all below it; `*` is every one"
    )


@dataclass(frozen=True, slots=True)
class Hosts:
    """A list of allowed hosts, with entries as `explain_entry` accepts them. An entry without a port means ports 80 and
    443."""

    entries: tuple[str, ...]

    def allow(self, host: str, port: int) -> bool:
        """Whether this host, in small letters, may be called at this port."""
        return any(_match(entry.lower(), host, port) for entry in self.entries)

    def __str__(self) -> str:
        return list_names(self.entries)


def choose_addresses(found: Iterable[str], private: Iterable[IPNetwork]) -> list[str]:
    """The allowed ones of a host's addresses: public ones, and those in the networks `private`."""
    networks = tuple(private)
    return [text for text in found if _is_open(ipaddress.ip_address(text.partition("%")[0]), networks)]


def _check_host(entry: str) -> str:
    if wrong := explain_entry(entry):
        raise ValueError(wrong)
    return entry


class OutgoingSettings(ConfigSection):
    """Calls of this process to other servers."""

    proxy: SecretStr | None = Field(
        None,
        description="Proxy for models and tools, `http://proxy.example.com:3128`, never for loopback; the "
        "environment's (`HTTPS_PROXY`, …) when left out.",
    )
    ca_file: Path | None = Field(
        None, description="Certificates (PEM) that are trusted beside the usual ones, for models and tools."
    )
    hosts: tuple[Annotated[str, AfterValidator(_check_host)], ...] = Field(
        (),
        description="Hosts that tools may ask: `api.example.com`, `*.example.com`, `api.example.com:8443`. Empty: "
        "every public one; through a proxy, none.",
    )
    private_networks: tuple[str, ...] = Field(
        (), description="Private addresses and networks that tools may reach, like 10.1.0.0/16 or 127.0.0.1."
    )
    seconds: float = Field(30, gt=0, le=600, description="Longest call of a tool, redirects and answer included.")

    @field_validator("proxy")
    @classmethod
    def _check_proxy(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not value.get_secret_value().startswith(("http://", "https://")):
            raise ValueError("must look like http://proxy.example.com:3128")
        return value

    @field_validator("private_networks")
    @classmethod
    def _check_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return require_networks(value, like="127.0.0.1 or 10.1.0.0/16")

    @property
    def egress(self) -> EgressSettings:
        """How calls leave this process."""
        return EgressSettings(self.proxy.get_secret_value() if self.proxy else None, self.ca_file)

    def allows(self, host: str, port: int) -> bool:
        """Whether the list has this host, in small letters, at this port; every host where the list is empty."""
        return not self.hosts or Hosts(self.hosts).allow(host, port)

    @property
    def networks(self) -> tuple[IPNetwork, ...]:
        return tuple(ipaddress.ip_network(text, strict=False) for text in self.private_networks)

    def find_refusal(self, address: str) -> str | None:
        """Why tools may not call this address, as a sentence; None where it is allowed, or only a call can tell, as for
        most names."""
        with suppress(ValueError):
            url = urlsplit(address)
            host = url.hostname or ""
            if not host or "{" in url.netloc:
                return None
            if not self.allows(host, url.port or {"http": 80, "https": 443}.get(url.scheme, 0)):
                return f"`outgoing.hosts` of config.yaml does not name `{url.netloc.rpartition('@')[2]}`."
            if self.egress.find_proxy(httpx2.URL(f"{url.scheme}://{url.netloc}")):
                # The proxy resolves the name, so no address can be checked here.
                return None if self.hosts else "Through a proxy only hosts are asked that `outgoing.hosts` names."
            if not choose_addresses(["127.0.0.1" if host == "localhost" else host], self.networks):
                return f"`{host}` is not public, and `outgoing.private_networks` of config.yaml does not name it."
        return None

    def find_mistakes(self, root: Path) -> Iterator[tuple[tuple[str, str], str]]:
        """A `ca_file`, relative to `root`, without certificates: the setting's place and a sentence."""
        if not self.ca_file:
            return
        try:
            ssl.create_default_context(cafile=root / self.ca_file)
        except OSError:  # includes SSLError
            yield ("outgoing", "ca_file"), "is no file of certificates in PEM"

    def count_paths_from(self, root: Path) -> "OutgoingSettings":
        """The same settings with paths relative to `root`, the config file's folder."""
        return self.model_copy(update={"ca_file": root / self.ca_file}) if self.ca_file else self


def require_networks(value: tuple[str, ...], *, like: str) -> tuple[str, ...]:
    """The addresses and networks, unchanged. Raises ValueError, with examples, where one is neither."""
    for text in value:
        try:
            ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise ValueError(f"must be addresses or networks, like {like}") from None
    return value


class DatabaseSettings(ConfigSection):
    """One database that flows may ask, read-only."""

    url: SecretStr = Field(
        description="`sqlite:///FILE`, or `postgresql://name:${env:PASSWORD}@host/database` of a user who may only "
        "read."
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
        """SQLite's file; None for a database server."""
        text = self.url.get_secret_value()
        return Path(text.removeprefix(_FILE)) if text.startswith(_FILE) else None

    def count_paths_from(self, root: Path) -> "DatabaseSettings":
        """The same settings with a path relative to `root`, the config file's folder."""
        return self if self.file is None else self.model_copy(update={"url": SecretStr(f"{_FILE}{root / self.file}")})

    def is_at(self, url: str) -> bool:
        """Whether the URL means the same database, as far as addresses tell."""
        if self.file is not None:
            return url.startswith(_FILE) and Path(url.removeprefix(_FILE)).resolve() == self.file.resolve()
        both = [urlsplit(one) for one in (self.url.get_secret_value(), url)]
        own, other = ((one.hostname or "localhost", one.port or 5432, one.path) for one in both)
        return both[1].scheme.startswith("postgresql") and own == other


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value of a query, sent to the database beside the text: its content is never read as SQL."""

    name: str
    value: str | int | float


SqlParts = Sequence[str | Parameter]


def list_values(parts: SqlParts) -> dict[str, str | int | float]:
    """The values of a query, by name."""
    return {part.name: part.value for part in parts if isinstance(part, Parameter)}


def check_rows(count: int, most: int, size: int) -> None:
    """Raises RunError for more rows than `most`, or more bytes than a value may have."""
    if count > most:
        raise RunError(f"The query gives more than {most:,} rows: narrow it, or add a LIMIT.")
    if size > LONGEST:
        raise RunError(f"The rows have more than {LONGEST:,} bytes: ask for fewer rows or columns.")


class McpServerEntry(ConfigSection):
    """One MCP server: a program of this computer (`command`), or one that answers elsewhere (`url`)."""

    command: tuple[str, ...] = Field(
        (), description="Program and arguments, without a shell. It runs while this process does, with its rights."
    )
    environment: dict[str, SecretStr] = Field(
        default_factory=dict, description="Its environment variables, beside HOME, LOGNAME, PATH, SHELL, TERM and USER."
    )
    folder: Path = Field(Path(), description="Where the program runs; the config file's folder when left out.")
    url: Annotated[str, check_http_address("https://tools.example.com/mcp")] | None = Field(
        None, description="Address of a server that speaks streamable HTTP, in place of `command`."
    )
    headers: dict[str, SecretStr] = Field(default_factory=dict, description="Sent to `url` with each request.")
    tools: tuple[str, ...] = Field((), description="Tools that flows may name. Empty: all.")
    connect_seconds: float = Field(
        30, gt=0, le=600, description="Longest time until it has started and named its tools."
    )
    call_seconds: float = Field(
        60,
        gt=0,
        le=3_600,
        description="Longest call of a tool; each sign of progress begins it anew, up to ten times that.",
    )

    @model_validator(mode="after")
    def _check_egress(self) -> "McpServerEntry":
        if bool(self.command) == bool(self.url):
            raise ValueError("has either a `command` or a `url`")
        if self.command and (not self.command[0] or self.headers):
            raise ValueError("`headers` belong to a `url`" if self.headers else "`command` begins with a program")
        if self.url and self.environment:
            raise ValueError("`environment` belongs to a `command`")
        return self

    def count_paths_from(self, root: Path) -> "McpServerEntry":
        """The same entry with its folder relative to `root`, the config file's folder."""
        return self.model_copy(update={"folder": root / self.folder})

    def list_secrets(self) -> tuple[str, ...]:
        """The values that must not be logged."""
        return tuple(value.get_secret_value() for value in (*self.environment.values(), *self.headers.values()))


McpServerEntries = dict[ServerName, McpServerEntry]
"""Entries by the name that flows use."""


def _match(entry: str, host: str, port: int) -> bool:
    found = _ENTRY.fullmatch(entry)
    if found is None or (port != int(found[2]) if found[2] else port not in _USUAL_PORTS):
        return False
    name = found[1].strip("[]")
    return name in ("*", host) or (name.startswith("*.") and host.endswith(name[1:]))


def _is_open(address: IPAddress, private: tuple[IPNetwork, ...]) -> bool:
    inner = _find_inner(address)
    if any(one in network for one in (address, inner) for network in private if one.version == network.version):
        return True
    if any(one in network for one in (address, inner) for network in _SPECIAL):
        return False
    return all(one.is_global and not (one.is_multicast or one.is_reserved) for one in (address, inner))


def _find_inner(address: IPAddress) -> IPAddress:
    """The IPv4 address inside an IPv6 address; the address itself where there is none."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    teredo = address.teredo[1] if address.teredo else None
    return address.ipv4_mapped or address.sixtofour or teredo or address
