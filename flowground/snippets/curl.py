"""The cURL tab: one command for bash and zsh, to be pasted or saved.

The body is a here-document with a quoted delimiter: the shell reads nothing in it, so an apostrophe, `$HOME`, a
backtick or `!` is what it looks like, and no limit on an argument's length applies. No line is a comment, which zsh
refuses at its prompt, and nothing in it ends the shell it is pasted into.
"""

import shlex

from flowground.snippets.literals import JSON, VARIABLE, fill, write_literal, write_short_literal
from flowground.snippets.request import SnippetRequest

_COMMAND = """\
«upload»«begin»curl --silent --show-error --fail-with-body «url» \\
  --header «key» \\
  --header "Content-Type: application/json" \\
  «output» \\
  --data @-«end»
«body»
JSON
"""

_SHORT = """\
«upload»«begin»curl -sS «output» «url» \\
  --header «key» \\
  --header "Content-Type: application/json" \\
  --data @-«end»
«body»
JSON
"""

_UPLOAD = """\
file_«number»=$(curl --silent --show-error --fail-with-body «url» \\
  --header «key» \\
  --form «file» | sed -n 's/.*"id": *"\\([0-9a-f-]*\\)".*/\\1/p')
"""
"""The id of one file that was uploaded, in a variable."""

_KEY = '"x-api-key: ${FLOWGROUND_API_KEY:?Set this environment variable to an application token.}"'


def write_curl(request: SnippetRequest) -> str:
    """A complete command: `bash test-script.sh`. Raises ValueError as `write_body` does.

    Where files are uploaded before, their ids take the places of words such as `<file 1>` on the body's way to it.
    """
    template = _COMMAND if request.handles_errors else _SHORT
    own_key = _KEY if request.handles_errors else f'"x-api-key: ${VARIABLE}"'
    key = shlex.quote(f"x-api-key: {request.token}") if request.token else own_key
    whole = "--no-buffer" if request.stream else '--write-out "\\n"'
    short = "-N" if request.stream else "-w '\\n'"
    write = write_literal if request.handles_errors else write_short_literal
    words = [f"<file {number}>" for number in range(1, len(request.files) + 1)]
    body = write(request.write_body(request.message, words or None), JSON)
    url = shlex.quote(request.upload_url)
    uploads = (
        fill(_UPLOAD, number=str(number), url=url, key=key, file=shlex.quote(_write_form(name)))
        for number, name in enumerate(request.files, 1)
    )
    places = " ".join(f'-e "s/\\"<file {number}>\\"/\\"$file_{number}\\"/"' for number in range(1, len(words) + 1))
    return fill(
        template,
        upload="".join(uploads),
        begin=f"sed {places} <<'JSON' | " if words else "",
        end="" if words else " <<'JSON'",
        url=shlex.quote(request.url),
        key=key,
        output=whole if request.handles_errors else short,
        body=body,
    )


def _write_form(name: str) -> str:
    """The file of this name as curl's form names it."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'file=@"{escaped}"'
