"""Where a snippet's token comes from: the environment, and the line that puts it there; or the code itself."""

import shlex
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

VARIABLE = "FLOWGROUND_API_KEY"
PLACEHOLDER = "YOUR_TOKEN"
NO_TOKEN = f"Set the environment variable {VARIABLE} to an application token."

Shell = Literal["bash", "powershell"]
"""`bash` stands for zsh, fish and sh too."""

SHELLS: Mapping[str, Shell] = MappingProxyType(
    {"python": "bash", "javascript": "bash", "curl": "bash", "powershell": "powershell"}
)
"""In which shell each text's `export_line` is run."""


def export_line(token: str | None = None, *, shell: Shell = "bash") -> str:
    """The line to run before the code; without a token, with a word in its place."""
    value = token or PLACEHOLDER
    if shell == "powershell":
        return f"$env:{VARIABLE} = {powershell_string(value)}"
    return f"export {VARIABLE}={shlex.quote(value)}"


def powershell_string(text: str) -> str:
    """A literal in single quotes. PowerShell takes typographic single quotes for plain ones: all are doubled."""
    return "'" + "".join(character * 2 if character in "'‘’‚‛" else character for character in text) + "'"
