"""The commands and their flags, bare commands, wrong ones and help."""

import inspect
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from flowground.cli import MAIN, PROGRAM, Command
from flowground.flows.templates import TEMPLATES
from tests.command_line import Here
from tests.servers import ROOT

COMMANDS = """\
--debug --version
new-project FOLDER
new NAME --template [chat|memory|documents|agent|text]=chat
serve --host ADDRESS --port NUMBER
validate [FLOW]... --strict
schema
test [FLOW]... --model PROVIDER:MODEL --junit FILE
run FLOW --message TEXT --session ID --tweak COMPONENT.FIELD=VALUE... --stream --input-type [chat|text|any] --server URL
knowledge
knowledge list
knowledge index [NAME]...
knowledge search NAME QUESTION --top-k N=5 --source PATTERN
model
model download
keys
keys create NAME --flow ID... --expires 30d --sees [answers|inside]=answers --sets [opened|unprotected]=opened
keys list
keys revoke ID
members
members add NAME --role [admin|author|member] --display-name TEXT --email ADDRESS --password-stdin
members list
members rename NAME NEW
members show-as NAME DISPLAY_NAME
members remove NAME
runs
runs list
runs stop ID
flows
flows off NAME --say TEXT
flows on NAME
flows list
providers
providers off NAME --say TEXT
providers on NAME
providers list
backup FOLDER
"""
"""What scripts and units of operators may hold: a line that changes here breaks theirs."""


def walk(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from walk(inner, (*path, name))


def write_param(param: click.Parameter) -> str:
    if isinstance(param, click.Argument):
        return str(param.metavar)
    assert isinstance(param, click.Option)
    name = next(name for name in param.opts if name.startswith("-"))
    if param.is_flag:
        return name
    choices = f"[{'|'.join(param.type.choices)}]" if isinstance(param.type, click.Choice) else param.metavar
    default = f"={param.default}" if param.show_default and isinstance(param.default, str | int) else ""
    return f"{name} {choices}{default}{'...' if param.multiple else ''}"


def test_no_command_and_no_flag_went_away() -> None:
    lines = [" ".join((*path, *map(write_param, command.params))) for path, command in walk(MAIN)]
    assert "\n".join(lines) + "\n" == COMMANDS
    assert f"[{'|'.join(TEMPLATES)}]" in COMMANDS


def test_each_command_finds_its_function_with_these_parameters() -> None:
    for _, command in walk(MAIN):
        if isinstance(command, Command):
            names = {*(param.name for param in command.params), *command.fixed}
            assert set(inspect.signature(command.load()).parameters) == names, command.function


def test_help_needs_nothing_of_the_app() -> None:
    lines = [" ".join((*path, "-h")) for path, _ in walk(MAIN)]
    show = "import sys; from flowground.cli import main; [main(line.split()) for line in sys.argv[1:]]"
    show += "; print(*sys.modules)"
    command = [sys.executable, "-c", show, *lines]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for line in lines:
        assert f"Usage: {PROGRAM} {line.removesuffix('-h')}".rstrip() in shown.stdout
    loaded = set(shown.stdout.splitlines()[-1].split())
    assert loaded & {"pydantic", "sqlalchemy", "streamlit", "yaml", "requests", "flowground.app.runtime"} == set()


@pytest.mark.parametrize(
    "bare", ["", *(" ".join(path) for path, found in walk(MAIN) if path and "commands" in dir(found))]
)
def test_a_command_without_its_own_command_prints_its_help(here: Here, bare: str) -> None:
    said = here(*bare.split())
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"Usage: {' '.join((PROGRAM, *bare.split()))} [OPTIONS] COMMAND")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("valdate", "No such command 'valdate'. Did you mean 'validate'? `{} --help`"),
        ("keys lst", "No such command 'lst'. Did you mean 'list'? `{} keys --help`"),
        ("xyz", "No such command 'xyz'. `{} --help`"),
        ("run echo --mesage x", "No such option '--mesage'. Did you mean '--message'? `{} run --help`"),
        ("keys create", "Missing argument 'NAME'. `{} keys create --help`"),
        ("keys create x --expires soon", "'soon' is not a time such as 12h, 30d or 8w. `{} keys create --help`"),
        ("run echo --tweak In", "'In' does not look like Component.field=value. `{} run --help`"),
        ("run echo --tweak In.x:=[", "'[' after := is not JSON. `{} run --help`"),
    ],
)
def test_what_is_no_command_is_a_sentence_with_the_nearest(here: Here, wrong: str, says: str) -> None:
    said = here(*wrong.split())
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert says.format(PROGRAM) in said.err
