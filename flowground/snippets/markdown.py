"""All snippets as one Markdown text, for a wiki page, an issue, or a colleague."""

import re
from collections.abc import Mapping

from flowground.snippets.environment import SHELLS, export_line

_TITLES = {"python": "Python", "javascript": "JavaScript", "curl": "cURL", "powershell": "PowerShell"}
_HIGHLIGHT = {"python": "python", "javascript": "javascript", "curl": "bash", "powershell": "powershell"}


def as_markdown(texts: Mapping[str, str], *, title: str, commands: Mapping[str, str], export: bool = True) -> str:
    """What `snippets` gave, one section a language, in its order; `commands` says how each is run once saved.

    `export` False leaves out the lines that set the token, for code that holds it.
    """
    parts = [f"# {_plain(title)}"]
    for language, code in texts.items():
        parts.append(f"## {_TITLES[language]}")
        if export:
            parts.append(_fenced(export_line(shell=SHELLS[language]), SHELLS[language]))
        parts.append(_fenced(code, _HIGHLIGHT[language]))
        parts.append(f"Saved, it runs as `{commands[language]}`.")
    return "\n\n".join(parts) + "\n"


def _fenced(code: str, language: str) -> str:
    """A block whose fence is longer than any run of backticks in it."""
    longest = max((len(run) for run in re.findall(r"`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    end = "" if code.endswith("\n") else "\n"
    return f"{fence}{language}\n{code}{end}{fence}"


def _plain(text: str) -> str:
    """One line that Markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]<>#|~!&])", r"\\\1", " ".join(text.split()))
