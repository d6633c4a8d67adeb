"""The command line, `python -m flowground COMMAND`: its commands and their flags, as help shows them.

What a command does stands in another module of this package, imported when the command is called: help needs nothing of
the app. stdout has what was asked for and nothing else; mistakes, notes and progress go to stderr. Exit codes: 0 done,
1 not done (the reason in one line), 2 not a command, 130 interrupted. `FLOWGROUND_CONFIG` names the config file.
"""

import asyncio
import inspect
import json
import logging
import os
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import click
from click import Argument, Choice, Option

from flowground import __version__
from flowground.cli.output import NoteHandler, note
from flowground.core.caller import InputType, Role, Sees, Sets
from flowground.core.errors import FlowgroundError

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

PROGRAM = "python -m flowground"


class Command(click.Command):
    """Calls `function`, a "module.name" of this package, with a value for each of `params` and with `fixed`.

    The function may be a coroutine function, and returns the exit code, or None for 0.
    """

    def __init__(self, function: str, about: str, *params: click.Parameter, **fixed: str) -> None:
        """`about` is the help text; its first sentence is the one in the list of commands."""
        super().__init__(None, context_settings=_CONTEXT, help=about, params=[*params])
        self.short_help = f"{about.partition('. ')[0].rstrip('.')}."
        self.function, self.fixed = function, fixed

    def load(self) -> Any:
        """The function itself."""
        module, _, name = self.function.partition(".")
        return getattr(import_module(f"flowground.cli.{module}"), name)

    def invoke(self, ctx: click.Context) -> Any:
        """The exit code, or None."""
        result = self.load()(**ctx.params, **self.fixed)
        return asyncio.run(result) if inspect.iscoroutine(result) else result


class Group(click.Group):
    """A command with subcommands; without one of them it prints its help."""

    def __init__(self, about: str, commands: Mapping[str, click.Command], **more: Any) -> None:
        super().__init__(None, dict(commands), context_settings=_CONTEXT, help=about, **more)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's own signature
        """The subcommands in the order of their definition."""
        return list(self.commands)


def _read_duration(text: str) -> timedelta:
    match = re.fullmatch(r"([1-9][0-9]{0,4})([mhdw])", text)
    if match is None:
        raise click.BadParameter(f"{text!r} is not a time such as 12h, 30d or 8w.")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _read_tweak(text: str) -> tuple[str, str, Any]:
    """`Component.field=text` or `Component.field:=JSON` -> component ("" for every component), field, value."""
    place, equals, value = text.partition("=")
    component, _, field = place.removesuffix(":").rpartition(".")
    if not equals or not field:
        raise click.BadParameter(f"{text!r} does not look like Component.field=value.")
    if not place.endswith(":"):
        return component, field, value
    try:
        read = json.loads(value)
        json.dumps(read, allow_nan=False)  # `NaN` can be parsed, but is no JSON
        return component, field, read
    except ValueError:
        raise click.BadParameter(f"{value!r} after := is not JSON.") from None


def _one(name: str, **more: Any) -> Argument:
    return Argument([name.lower()], metavar=name, **more)


def _any(name: str) -> Argument:
    return Argument([f"{name.lower()}s"], nargs=-1, metavar=f"[{name}]...")


def _option(name: str, metavar: str, about: str | None = None, **more: Any) -> Option:
    return Option(name.split("/"), metavar=metavar, help=about, **more)


def _choice(name: str, choices: Sequence[str], about: str, default: str | None = None) -> Option:
    return Option([name], type=Choice(choices), default=default, show_default=True, help=about)


def _flag(name: str, about: str) -> Option:
    return Option([name], is_flag=True, help=about)


def _make_switches(kind: str, about: str, listing: str) -> Group:
    """The commands that switch flows or providers off and on."""
    off = f"End the runs of a {kind}, and let no new ones begin until it is switched on."
    say = _option("--say", "TEXT", "A sentence for people, shown beside the notice that it is off.", default="")
    commands = {
        "off": Command("operating.switch_off", off, _one("NAME"), say, kind=kind),
        "on": Command("operating.switch_on", "Let it run again.", _one("NAME"), kind=kind),
        "list": Command(f"operating.list_{kind}s", listing),
    }
    return Group(about, commands)


_KNOWLEDGE = {
    "list": Command("knowledge.list_all", "Show what there is, and whether it is indexed."),
    "index": Command(
        "knowledge.index",
        "Read what changed now, instead of waiting for the app to do it. NAME is as `list` writes it; default: all.",
        _any("NAME"),
    ),
    "search": Command(
        "knowledge.search",
        "Show the passages that are found. NAME is as `list` writes it.",
        _one("NAME"),
        _one("QUESTION"),
        _option("--top-k", "N", "How many passages.", type=int, default=5, show_default=True),
        _option("--source", "PATTERN", "Of these files only, such as '**/*.pdf'.", default=""),
    ),
}
_KEYS = {
    "create": Command(
        "people.create_token",
        "Make a token, NAME says what for; it is printed once, on the last line.",
        _one("NAME"),
        _option("flows/--flow", "ID", "Only this flow; may be given several times.", multiple=True),
        _option("--expires", "30d", "12h, 30d, 8w, …; default: never.", type=_read_duration),
        _choice(
            "--sees",
            get_args(Sees),
            "What flows answer, or their inside: prompts, traces, every field and whole errors too.",
            "answers",
        ),
        _choice(
            "--sets",
            get_args(Sets),
            "The fields that a flow's author opened to members, or every field that is not protected. This can reveal "
            "a flow's prompt.",
            "opened",
        ),
    ),
    "list": Command("people.list_tokens", "Show all tokens, without their secrets."),
    "revoke": Command(
        "people.revoke_token",
        "End a token; it acts at once. ID is as `keys list` shows it, or its beginning; or the token itself.",
        _one("ID"),
    ),
}
_MEMBERS = {
    "add": Command(
        "people.add_member",
        "Add a person, who signs in as NAME; the first one is an admin and ends local mode for good.",
        _one("NAME"),
        _choice("--role", get_args(Role), "Default: member, and admin for the first account."),
        _option("--display-name", "TEXT", "The name others see.", default=""),
        _option("--email", "ADDRESS"),
        _flag("--password-stdin", "Read the password from standard input; the default where that is no terminal."),
    ),
    "list": Command("people.list_members", "Show all members, including those of config.yaml."),
    "rename": Command(
        "people.rename_member",
        "Give a person another name to sign in with; they keep everything.",
        _one("NAME"),
        _one("NEW"),
    ),
    "show-as": Command("people.show_member_as", "Change the name that others see.", _one("NAME"), _one("DISPLAY_NAME")),
    "remove": Command(
        "people.remove_member", "Remove a person with their sign-ins, tokens and conversations.", _one("NAME")
    ),
}
_RUNS = {
    "list": Command("operating.list_runs", "Show the newest running runs."),
    "stop": Command(
        "operating.stop_run",
        "End a run, whose ID is as `runs list` shows it, or its beginning. What it said is kept, and whoever waits for "
        "it is told.",
        _one("ID"),
    ),
}
MAIN = Group(
    "LLM flows from YAML files. `serve` starts the app; the other commands work beside it.",
    {
        "new-project": Command(
            "project.write_project",
            "Write the app with its pages, flows and config.yaml into a folder, which is made.",
            _one("FOLDER", type=Path),
        ),
        "new": Command(
            "project.write_flow",
            'Write a flow file to begin with. NAME is what people read, such as "Order status".',
            _one("NAME"),
            _choice(
                "--template",
                ["chat", "memory", "documents", "agent", "text"],
                "A chat, one that remembers what was said, answers from a folder of documents with their sources, an "
                "agent that works with tools, or a text in and a text out for programs.",
                "chat",
            ),
        ),
        "serve": Command(
            "project.serve",
            "Start the app, as `streamlit run app.py` does.",
            _option("--host", "ADDRESS", "Default: 127.0.0.1, which only this computer reaches."),
            _option("--port", "NUMBER", "Default: 8501, or the next free one.", type=int),
        ),
        "validate": Command(
            "flows.validate",
            "Find mistakes in flow files, and words that should be changed. FLOW is an id, endpoint name or file; "
            "default: all files of the flows folder.",
            _any("FLOW"),
            _flag("--strict", "End with 1 where there are warnings, too."),
        ),
        "schema": Command("flows.print_schema", "Print the JSON Schema of a flow file, for editors."),
        "test": Command(
            "flows.test",
            "Run the tests that flow files hold. FLOW is an id, endpoint name or file; default: all that have tests.",
            _any("FLOW"),
            _option("--model", "PROVIDER:MODEL", "Ask this model, whatever the tests say and reply, not the scripted."),
            _option("--junit", "FILE", "Write the outcomes there too, as JUnit's XML.", type=Path),
        ),
        "run": Command(
            "run.run",
            "Send one message to a flow and print its answer. FLOW is an id or endpoint name.",
            _one("FLOW"),
            _option("--message", "TEXT", "Default: the flow's own input."),
            _option("--session", "ID", "Continue this conversation; default: a new one."),
            _option(
                "tweaks/--tweak",
                "COMPONENT.FIELD=VALUE",
                "Change a field for this run; `:=` takes JSON, as in Model.temperature:=0.2.",
                type=_read_tweak,
                multiple=True,
            ),
            _flag("--stream", "Print the answer as it comes."),
            _choice(
                "--input-type",
                get_args(InputType),
                "Which inputs get the message; default: chat where the flow has a Chat Input, else text.",
            ),
            _option("--server", "URL", "Ask this server, with the token in FLOWGROUND_API_KEY."),
        ),
        "knowledge": Group("The files and pages in which flows look things up.", _KNOWLEDGE),
        "model": Group(
            "The built-in model.",
            {"download": Command("project.download_model", "Fetch it (0.5 GB, once) and check it.")},
        ),
        "keys": Group("Application tokens for API callers.", _KEYS),
        "members": Group("People who may sign in.", _MEMBERS),
        "runs": Group("What runs now, in all processes of the server.", _RUNS),
        "flows": _make_switches(
            "flow",
            "All flows, and which of them are switched off.",
            "Show id, name, API address, who it is shared with, and mistakes in files.",
        ),
        "providers": _make_switches(
            "provider", "Providers of models to switch off and on.", "Show the providers that are off."
        ),
        "backup": Command(
            "project.back_up",
            "Copy the database, keys, flows and config.yaml into a folder, which is made; also while the app runs. A "
            "PostgreSQL database is not copied: pg_dump does that.",
            _one("FOLDER", type=Path),
        ),
    },
    params=[_flag("--debug", "Log more, and show where an unexpected error comes from.")],
    epilog="FLOWGROUND_CONFIG names the config file; without it, config.yaml beside app.py counts.",
)
click.version_option(__version__, message=f"flowground {__version__}")(MAIN)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command (default: of `sys.argv`) and returns its exit code. A traceback is shown with `--debug` only."""
    is_debugging = False
    try:
        with MAIN.make_context(PROGRAM, list(sys.argv[1:] if arguments is None else arguments)) as context:
            is_debugging = context.params["debug"]
            level, style = (logging.DEBUG, logging.BASIC_FORMAT) if is_debugging else (logging.WARNING, "%(message)s")
            logging.basicConfig(handlers=[NoteHandler()], level=level, format=style)
            code: int | None = MAIN.invoke(context)
            return code or 0
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        return _fail(error.format_message(), error.exit_code)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else PROGRAM
        return _fail(f"{error.format_message()} `{command} --help` shows what there is.", error.exit_code)
    except FlowgroundError as error:
        return _fail(error.full_message)
    except BrokenPipeError:
        # The reader of stdout is gone: what Python would still flush goes to the null device.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (KeyboardInterrupt, click.Abort):
        return 130
    except Exception as error:  # whatever fails, a person reads one line
        if is_debugging:
            raise
        if isinstance(error, OSError) and error.filename is not None:
            return _fail(f"{error.filename}: {error.strerror}")
        return _fail(f"unexpected {type(error).__name__}: {error} (`{PROGRAM} --debug …` shows where)")


def _fail(sentence: str, code: int = 1) -> int:
    note(sentence)
    return code
