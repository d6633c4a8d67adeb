"""`mcp_servers:` of config.yaml: programs and addresses whose tools flows may use."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, model_validator

from flowground.yaml_file.section import ConfigSection, check_http_address, check_pattern


class McpServerEntry(ConfigSection):
    """One MCP server: a program of this computer (`command`), or one that answers elsewhere (`url`)."""

    command: tuple[str, ...] = Field(
        (),
        description="Program and arguments, as they are: no shell reads them. It runs while this process does, with "
        "the rights of this process.",
    )
    environment: dict[str, SecretStr] = Field(
        default_factory=dict,
        description="Its environment variables, beside HOME, LOGNAME, PATH, SHELL, TERM and USER: no others are handed "
        "on. Values may hold `${env:NAME}`.",
    )
    folder: Path = Field(Path(), description="Where the program runs; the config file's folder when left out.")
    url: Annotated[str, check_http_address("https://tools.example.com/mcp")] | None = Field(
        None, description="Address of a server that speaks streamable HTTP, in place of `command`."
    )
    headers: dict[str, SecretStr] = Field(
        default_factory=dict, description="Sent to `url` with each request; values may hold `${env:NAME}`."
    )
    tools: tuple[str, ...] = Field(
        (), description="Tools of the server that flows may name. Empty: each one that it has."
    )
    connect_seconds: float = Field(
        30, gt=0, le=600, description="Longest time until it is started, has answered and has named its tools."
    )
    call_seconds: float = Field(
        60,
        gt=0,
        le=3_600,
        description="Longest call of a tool. Each sign of progress begins it anew, ten times that for all of it.",
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
        """The same entry with its folder counted from `root`, the config file's."""
        return self.model_copy(update={"folder": root / self.folder})

    def list_secrets(self) -> tuple[str, ...]:
        """What no log shows."""
        return tuple(value.get_secret_value() for value in (*self.environment.values(), *self.headers.values()))


ServerName = Annotated[str, check_pattern(r"^[A-Za-z0-9_-]{1,40}$", "must be 1 to 40 of a–z, A–Z, 0–9, _ and -")]
McpServerEntries = dict[ServerName, McpServerEntry]
"""By the name that flows call it by."""
