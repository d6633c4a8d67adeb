"""Commands as argparse reads them: without one they print their help, and a wrong one is answered by the nearest."""

import argparse
import re
import sys
from typing import Any, NoReturn, TypeAlias

from flowground.words import suggest

Commands: TypeAlias = "argparse._SubParsersAction[CommandParser]"  # noqa: SLF001 - argparse has no other name for it
"""Where a command is added."""

NO_COMMAND = 2
_WRONG_COMMAND = re.compile(r"argument COMMAND: invalid choice: '(.*?)' \(choose from")


class CommandParser(argparse.ArgumentParser):
    """A command that may have commands of its own."""

    _commands: "Commands | None" = None

    def add_commands(self) -> Commands:
        """Where its commands are added; called without any of them, it prints its help."""
        # argparse would say only "the following arguments are required: COMMAND".
        self._commands = self.add_subparsers(metavar="COMMAND", required=False, parser_class=CommandParser)
        self.set_defaults(command=self._explain)
        return self._commands

    def error(self, message: str) -> NoReturn:
        wrong = _WRONG_COMMAND.search(message)
        if wrong and self._commands is not None:
            nearest = suggest(wrong[1], self._commands.choices)
            self.exit(NO_COMMAND, f"There is no command {wrong[1]}{nearest}. `{self.prog} --help` lists them.\n")
        super().error(message)

    def _explain(self, _: argparse.Namespace) -> int:
        self.print_help(sys.stderr)
        return NO_COMMAND


def add_group(commands: Commands, name: str, says: str) -> Commands:
    """Adds a command that has commands of its own, to which they are added."""
    parser: Any = commands.add_parser(name, help=says, description=f"{says[:1].upper()}{says[1:]}.")
    return parser.add_commands()  # type: ignore[no-any-return]  # the parser's class is the one of `add_commands`
