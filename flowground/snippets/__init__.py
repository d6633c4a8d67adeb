"""A request -> the code that makes it, complete and as copied: Python, JavaScript, cURL.

    write_snippets(SnippetRequest("https://flows.example.com", wired.id).fit(wired))["python"]

The Python and JavaScript texts are scripts that take the message as their argument, with the request's as default. The
cURL text is one command, whose message stands in its body, because a shell cannot write a message as JSON without
another tool. All read the application token from `FLOWGROUND_API_KEY` unless the request has one to be written into
them, print the answer (cURL: what the server sent), and end with what the server said and a status other than 0 where
something is wrong.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flowground.snippets.request import SnippetRequest, write_description_url
from flowground.snippets.texts import write_answer, write_curl, write_export_line, write_javascript, write_python

_PLAIN_WORDS = re.compile(r"[\w ,.;:?()'/-]{1,60}")
"""What stands in double quotes in every shell as it is, and between backticks in Markdown."""


@dataclass(frozen=True, slots=True)
class Language:
    """One text: what writes it, what to save it as, and how it runs then.

    `highlight` is the word for its colours in Markdown; a message, where one is taken, follows `argument`.
    """

    title: str
    write: Callable[[SnippetRequest], str]
    file_name: str
    program: str
    highlight: str
    argument: str | None = None

    def write_command(self, message: str) -> str:
        """How the saved text runs with this message; what shells would read otherwise is left to the text."""
        command = f"{self.program} {self.file_name}"
        if self.argument is None or not _PLAIN_WORDS.fullmatch(message):
            return command
        return f'{command} {self.argument}"{message}"'


LANGUAGES: Mapping[str, Language] = {
    "python": Language("Python", write_python, "python-test-script.py", "python3", "python", "--message="),
    "javascript": Language("JavaScript", write_javascript, "test-script.js", "node", "javascript", ""),
    "curl": Language("cURL", write_curl, "test-script.sh", "bash", "bash"),
}


def write_snippets(request: SnippetRequest) -> dict[str, str]:
    """The text for each language, by the names of `LANGUAGES`. Raises ValueError where a tweak is no JSON value."""
    return {name: language.write(request) for name, language in LANGUAGES.items()}


def write_markdown(request: SnippetRequest, *, title: str) -> str:
    """What `write_snippets` gives as one Markdown text, for a wiki page, an issue, or a colleague."""
    parts = [f"# {_escape(title)}"]
    if request.token is None:
        parts.append(_fence(write_export_line(shell=request.shell), request.shell))
    for name, code in write_snippets(request).items():
        language = LANGUAGES[name]
        parts.append(f"## {language.title}")
        parts.append(_fence(code, language.highlight))
        parts.append(f"Saved, it runs as `{language.write_command(request.message)}`.")
    parts.append(f"## Answer\n\n{_fence(write_answer(request), '' if request.mode == 'stream' else 'json')}")
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
