"""A request -> the code that makes it, complete and as copied: Python, JavaScript, cURL, PowerShell.

    write_snippets(SnippetRequest("https://flows.example.com", wired.id).fit(wired))["python"]

The Python and JavaScript texts are scripts that take the message as their argument, with the request's as default. The
cURL text is one command for bash or zsh, pasted or saved; its message stands in its body, because a shell cannot write
a message as JSON without another tool, and the PowerShell text is its like. All read the application token from
`FLOWGROUND_API_KEY` unless the request has one to be written into them, print the answer (cURL: what the server sent),
and end with a sentence and a status other than 0 where something is wrong.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flowground.snippets.answer import WORDS as WORDS
from flowground.snippets.answer import find as find
from flowground.snippets.curl import write_curl
from flowground.snippets.javascript import write_javascript
from flowground.snippets.literals import NO_TOKEN as NO_TOKEN
from flowground.snippets.literals import VARIABLE as VARIABLE
from flowground.snippets.literals import Shell as Shell
from flowground.snippets.literals import write_export_line as write_export_line
from flowground.snippets.powershell import write_powershell
from flowground.snippets.python import write_python
from flowground.snippets.request import DEFAULT_MESSAGE as DEFAULT_MESSAGE
from flowground.snippets.request import SnippetRequest as SnippetRequest
from flowground.snippets.request import find_starter as find_starter
from flowground.snippets.request import find_types as find_types
from flowground.snippets.request import write_description_url as write_description_url

_PLAIN_WORDS = re.compile(r"[\w ,.;:?()'/-]{1,60}")
"""What stands in double quotes in every shell as it is, and between backticks in Markdown."""


@dataclass(frozen=True, slots=True)
class Language:
    """One text: what writes it, what to save it as, how it runs then, and in which shell its token is set before.

    `highlight` is the word for its colours in Markdown; a message, where one is taken, follows `argument`.
    """

    title: str
    write: Callable[[SnippetRequest], str]
    file_name: str
    command: str
    highlight: str
    shell: Shell = "bash"
    argument: str | None = None

    def write_command(self, message: str) -> str:
        """How the saved text runs with this message; what shells would read otherwise is left to the text."""
        if self.argument is None or not _PLAIN_WORDS.fullmatch(message):
            return self.command
        return f'{self.command} {self.argument}"{message}"'


LANGUAGES: Mapping[str, Language] = {
    "python": Language(
        "Python",
        write_python,
        "python-test-script.py",
        "python3 python-test-script.py",
        "python",
        argument="--message=",
    ),
    "javascript": Language(
        "JavaScript", write_javascript, "test-script.js", "node test-script.js", "javascript", argument=""
    ),
    "curl": Language("cURL", write_curl, "test-script.sh", "bash test-script.sh", "bash"),
    "powershell": Language(
        "PowerShell", write_powershell, "test-script.ps1", "pwsh -File test-script.ps1", "powershell", "powershell"
    ),
}


def write_snippets(request: SnippetRequest) -> dict[str, str]:
    """The text for each language, by the names of `LANGUAGES`. Raises ValueError where a tweak is no JSON value."""
    return {name: language.write(request) for name, language in LANGUAGES.items()}


def write_markdown(request: SnippetRequest, *, title: str) -> str:
    """What `write_snippets` gives as one Markdown text, for a wiki page, an issue, or a colleague."""
    parts = [f"# {_escape(title)}"]
    for name, code in write_snippets(request).items():
        language = LANGUAGES[name]
        parts.append(f"## {language.title}")
        if request.token is None:
            parts.append(_fence(write_export_line(shell=language.shell), language.shell))
        parts.append(_fence(code, language.highlight))
        parts.append(f"Saved, it runs as `{language.write_command(request.message)}`.")
    parts.append(f"For programs, the API is described at {write_description_url(request.base_url)} (OpenAPI).")
    return "\n\n".join(parts) + "\n"


def _fence(code: str, language: str) -> str:
    """A block whose fence is longer than any run of backticks in it."""
    longest = max((len(run) for run in re.findall(r"`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    end = "" if code.endswith("\n") else "\n"
    return f"{fence}{language}\n{code}{end}{fence}"


def _escape(text: str) -> str:
    """One line that Markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]<>#|~!&])", r"\\\1", " ".join(text.split()))
