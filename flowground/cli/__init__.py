"""The command line: `python -m flowground COMMAND`.

What was asked for goes to stdout and nothing else does: mistakes, notes and progress go to stderr. Exit codes: 0 done,
1 not done (the reason in one line), 2 not a command, 130 interrupted. `FLOWGROUND_CONFIG` names the config file.
"""

import logging
import os
import sys
from collections.abc import Sequence

import click

from flowground.cli.commands import MAIN
from flowground.cli.output import NoteHandler, note
from flowground.errors import FlowgroundError

PROGRAM = "python -m flowground"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command (default: of `sys.argv`) and returns its exit code. A traceback is shown with `--debug` only."""
    is_debugging = False
    try:
        with MAIN.make_context(PROGRAM, list(sys.argv[1:] if arguments is None else arguments)) as context:
            is_debugging = context.params["debug"]
            _start_log(logging.DEBUG if is_debugging else logging.WARNING)
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
        # Who reads the output has seen enough; what Python would still flush at its end goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (KeyboardInterrupt, click.Abort):
        return 130
    except Exception as error:  # an endpoint: whatever comes, a person reads one line
        if is_debugging:
            raise
        return _fail(f"unexpected {type(error).__name__}: {error} (`{PROGRAM} --debug …` shows where)")


def _start_log(level: int) -> None:
    """On stderr; with times and names of loggers where everything is logged."""
    style = logging.BASIC_FORMAT if level == logging.DEBUG else "%(message)s"
    logging.basicConfig(handlers=[NoteHandler()], level=level, format=style)


def _fail(sentence: str, code: int = 1) -> int:
    note(sentence)
    return code
