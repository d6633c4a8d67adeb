"""The command line: `python -m flowground COMMAND`.

What was asked for goes to stdout and nothing else does: mistakes, notes and progress go to stderr. Exit codes: 0 done,
1 not done (the reason in one line), 2 not a command, 130 interrupted. `FLOWGROUND_CONFIG` names the config file.
Control characters in what is said are shown at a terminal as escapes, and given on as they are elsewhere.
"""

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Sequence

from flowground import __version__
from flowground.cli import backup, beginning, flow_tests, flows, keys, knowledge, members, model, operating, run
from flowground.cli.commands import CommandParser
from flowground.cli.output import show_controls, tell
from flowground.errors import FlowgroundError

PROGRAM = "python -m flowground"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command (default: of `sys.argv`) and returns its exit code. A traceback is shown with `--debug` only."""
    with show_controls():
        return _run(_build_parser().parse_args(arguments))


def _run(given: argparse.Namespace) -> int:
    if given.debug:
        logging.basicConfig(stream=sys.stderr, level=logging.DEBUG)
    else:
        logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    try:
        done = given.command(given)
        code: int | None = asyncio.run(done) if asyncio.iscoroutine(done) else done
        sys.stdout.flush()
        return code or 0
    except FlowgroundError as error:
        return _fail(error.full_message)
    except BrokenPipeError:
        # Who reads the output has seen enough; what Python would still flush at its end goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # a door: whatever comes, a person reads one line
        if given.debug:
            raise
        return _fail(f"unexpected {type(error).__name__}: {error} (`{PROGRAM} --debug …` shows where)")


def _fail(sentence: str) -> int:
    tell(sentence)
    return 1


def _build_parser() -> CommandParser:
    parser = CommandParser(
        prog=PROGRAM,
        description="LLM flows from YAML files. `serve` starts the app; the other commands work beside it.",
        epilog="FLOWGROUND_CONFIG names the config file; without it, config.yaml beside app.py counts.",
    )
    parser.add_argument("--version", action="version", version=f"flowground {__version__}")
    parser.add_argument("--debug", action="store_true", help="log more, and show where an unexpected error comes from")
    commands = parser.add_commands()
    for group in (beginning, flows, flow_tests, run, knowledge, model, keys, members, operating, backup):
        group.add_to(commands)
    return parser
