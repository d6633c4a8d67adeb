"""docs/settings.md, written from the models of config.yaml."""

from collections.abc import Iterator

from docs.tables import Row, field_rows, field_table
from flowground.core.words import list_names
from flowground.core.yaml_file import ConfigSection
from flowground.providers import KINDS
from flowground.providers.base import ProviderSettings
from flowground.providers.scripted import SCRIPTS
from flowground.settings import Settings
from flowground.tools.settings import DatabaseSettings, McpServerEntry

_INTRODUCTION = """# Settings

Generated from `flowground/settings/` by `make fix`; `make check` compares.

The environment variable `FLOWGROUND_CONFIG` names the config file; without it the app reads `config.yaml` beside
`app.py` when it starts. A missing file means the defaults below. Relative paths count from the config file's folder.
`${env:NAME}` is replaced in `providers.*.api_key`, `cookie.key`, `database`, `outgoing.proxy`, `search.api_key`,
`databases.*.url`, and in `environment` and `headers` of `mcp_servers`, and refused elsewhere. A setting that does not
exist stops the start with its line and the nearest right name; so does a value that does not fit.
A setting of an earlier release is left out, with a warning that says what holds in its place; `limits.visitor` and
`limits.address`, which bounded strangers, stop the start: write `limits.flow` instead.
Texts need quotes where YAML would read something else: colours (`"#4f46e5"`), numbers, `null`.

PostgreSQL needs its driver, which `requirements.txt` leaves out: `pip install "psycopg[binary]~=3.3.0"`, then
`database: postgresql://name:password@host/database`.
"""
_SCRIPTED = """## Scripted models

`scripted` answers without a model, always the same way: for demos, for tests of a flow, and to see how a program copes
with a failure. In a flow file `model: scripted:NAME`, or `scripted` alone for `echo`; in config.yaml
`default_model: scripted`. Where JSON of a schema is asked for, it gives an object that fits: a text is the whole
message, a number the next one in the message or the least that fits, a choice the one that the message names, else the
first. An entry with `pieces` answers everything with them. In a test, `replies` say what each component is answered
([flow-format.md](flow-format.md#tests)).

| NAME | what it does |
| --- | --- |
"""


def settings_page() -> str:
    """The whole page, one table a section."""
    sections = _find_sections(Settings)
    top = [row for name, row in field_rows(Settings).items() if name not in sections]
    parts = [_INTRODUCTION, f"## Top level\n\n{field_table(top)}\n"]
    for name, section in sections.items():
        parts.append(f"## {name}\n\n{field_table(_list_rows(section, f'{name}.'))}\n")
    parts.append(f"## databases.NAME\n\n{field_table(_list_rows(DatabaseSettings, 'databases.NAME.'))}\n")
    parts.append(f"## providers.NAME\n\n{field_table(_list_provider_rows())}\n")
    servers = list(field_rows(McpServerEntry, "mcp_servers.NAME.").values())
    parts.append(f"## mcp_servers.NAME\n\n{field_table(servers)}\n")
    parts.append(_SCRIPTED + "".join(f"| {name} | {script.says} |\n" for name, script in SCRIPTS.items()))
    return "\n".join(parts)


def _find_sections(model: type[ConfigSection]) -> dict[str, type[ConfigSection]]:
    kinds = {name: field.annotation for name, field in model.model_fields.items()}
    return {name: kind for name, kind in kinds.items() if isinstance(kind, type) and issubclass(kind, ConfigSection)}


def _list_rows(section: type[ConfigSection], before: str) -> Iterator[Row]:
    """A section's settings, those of its groups with the group's name before them."""
    groups = _find_sections(section)
    for name, row in field_rows(section, before).items():
        if group := groups.get(name):
            yield from _list_rows(group, f"{before}{name}.")
        else:
            yield row


def _list_provider_rows() -> Iterator[Row]:
    """What every kind has, then what one kind only has, or has in its own way."""
    common = field_rows(ProviderSettings, "providers.NAME.")
    name, _, _, said = common["type"]
    yield from (common | {"type": (name, f"one of {list_names(KINDS)}", "–", said)}).values()
    for kind, settings in KINDS.items():
        for key, (name, takes, default, said) in field_rows(settings, "providers.NAME.").items():
            if key in settings.__annotations__ and key != "type":
                yield name, takes, default, f"`{kind}`{'' if key in common else ' only'}: {said}"
