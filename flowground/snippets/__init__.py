"""A request -> the code that makes it, complete and as copied: Python, JavaScript, cURL, PowerShell.

    snippets(SnippetRequest.for_flow(flow, base_url="https://flows.example.com"))["python"]

The Python and JavaScript texts are scripts that take the message as their argument, with the request's as default. The
cURL text is one command for bash or zsh, pasted or saved; its message stands in its body, because a shell cannot write
a message as JSON without another tool, and the PowerShell text is its like. All read the application token from
`FLOWGROUND_API_KEY` unless the request has one to be written into them, print the answer (cURL: what the server sent),
and end with a sentence and a status other than 0 where something is wrong.
"""

from collections.abc import Mapping
from types import MappingProxyType

from flowground.snippets.answer import WORDS, find
from flowground.snippets.curl import curl
from flowground.snippets.environment import NO_TOKEN, PLACEHOLDER, SHELLS, VARIABLE, Shell, export_line
from flowground.snippets.javascript import javascript
from flowground.snippets.markdown import as_markdown
from flowground.snippets.powershell import powershell
from flowground.snippets.python import python
from flowground.snippets.request import DEFAULT_MESSAGE, SnippetRequest, request_types

__all__ = [
    "COMMANDS",
    "DEFAULT_MESSAGE",
    "FILE_NAMES",
    "LANGUAGES",
    "NO_TOKEN",
    "PLACEHOLDER",
    "SHELLS",
    "VARIABLE",
    "WORDS",
    "Shell",
    "SnippetRequest",
    "as_markdown",
    "export_line",
    "find",
    "request_types",
    "snippets",
]

LANGUAGES = MappingProxyType({"python": python, "javascript": javascript, "curl": curl, "powershell": powershell})

FILE_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "python": "python-test-script.py",
        "javascript": "test-script.js",
        "curl": "test-script.sh",
        "powershell": "test-script.ps1",
    }
)
"""What to save each text as."""

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "python": f'python3 {FILE_NAMES["python"]} --message="{DEFAULT_MESSAGE}"',
        "javascript": f'node {FILE_NAMES["javascript"]} "{DEFAULT_MESSAGE}"',
        "curl": f"bash {FILE_NAMES['curl']}",
        "powershell": f"pwsh -File {FILE_NAMES['powershell']}",
    }
)
"""How to run each text once it is saved."""


def snippets(request: SnippetRequest) -> dict[str, str]:
    """The text for each language, by the names of `LANGUAGES`. Raises ValueError where a tweak is no JSON value."""
    return {name: write(request) for name, write in LANGUAGES.items()}
