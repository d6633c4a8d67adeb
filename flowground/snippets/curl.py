"""The cURL tab: one command for bash and zsh, to be pasted or saved.

The body is a here-document with a quoted delimiter: the shell reads nothing in it, so an apostrophe, `$HOME`, a
backtick or `!` is what it looks like, and no limit on an argument's length applies. No line is a comment, which zsh
refuses at its prompt, and nothing in it ends the shell it is pasted into.
"""

import shlex

from flowground.snippets.literals import JSON, VARIABLE, fill, write_literal, write_short_literal
from flowground.snippets.request import SnippetRequest

_COMMAND = """\
curl --silent --show-error --fail-with-body «url» \\
  --header «key» \\
  --header "Content-Type: application/json" \\
  «output» \\
  --data @- <<'JSON'
«body»
JSON
"""

_SHORT = """\
curl -sS «output» «url» \\
  --header «key» \\
  --header "Content-Type: application/json" \\
  --data @- <<'JSON'
«body»
JSON
"""

_KEY = '"x-api-key: ${FLOWGROUND_API_KEY:?Set this environment variable to an application token.}"'


def write_curl(request: SnippetRequest) -> str:
    """A complete command: `bash test-script.sh`. Raises ValueError as `write_body` does."""
    if not request.handles_errors:
        return fill(
            _SHORT,
            url=shlex.quote(request.url),
            key=shlex.quote(f"x-api-key: {request.token}") if request.token else f'"x-api-key: ${VARIABLE}"',
            output="-N" if request.stream else "-w '\\n'",
            body=write_short_literal(request.write_body(request.message), JSON),
        )
    return fill(
        _COMMAND,
        url=shlex.quote(request.url),
        key=shlex.quote(f"x-api-key: {request.token}") if request.token else _KEY,
        output="--no-buffer" if request.stream else '--write-out "\\n"',
        body=write_literal(request.write_body(request.message), JSON),
    )
