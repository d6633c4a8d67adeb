"""Code snippets that call a flow: Python, JavaScript and cURL, complete and ready to run as copied.

write_snippets(SnippetRequest("https://flows.example.com", wired.id).fit(wired))["python"]

The Python and JavaScript texts are scripts that take the message as their argument; the default is the request's
message. The cURL text is one command with the message in its body, because a shell alone cannot write a message as
JSON. All read the application token from `FLOWGROUND_API_KEY` unless the request has a token to write into them. They
print the answer (cURL: the response), and on an error print the server's message and exit with a status other than 0.

In a template, `«url»` is a gap, and a line that begins with `«stream?»` is kept only where that is true of the request.
Values are literals of the language. Invisible characters (control characters, U+2028, right-to-left overrides) are
written as escapes, so that the code on the screen is the code that runs.

Python needs `requests`; JavaScript is for Node 18 or newer, as CommonJS or as a module. cURL is one command for bash
and zsh, pasted or saved, or one for PowerShell. Its body is a here-document with a quoted delimiter, in which the shell
expands nothing (an apostrophe, `$HOME` and a backtick stay as they are) and no limit on an argument's length applies.
No line is a comment, which zsh refuses at its prompt.
"""

import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self
from urllib.parse import quote

from flowground.components.base import INPUT
from flowground.components.io import InputComponent
from flowground.components.knowledge import Retrieve
from flowground.core.caller import InputType, OutputType, RunRequest
from flowground.core.errors import RequestError
from flowground.flows.fields import FieldPolicy
from flowground.flows.tweaks import apply_tweaks, list_missing, name_option
from flowground.flows.wiring import WiredFlow, find_types

VARIABLE = "FLOWGROUND_API_KEY"
"""The environment variable from which the code reads the application token."""
DEFAULT_MESSAGE = "tell me about something interesting"
UPLOADS, DESCRIPTION = "/api/v2/files/", "/api/openapi.json"
CONVERSATION = "my-conversation"
"""An example of a session id."""
Mode = Literal["simple", "stream", "langflow"]
"""The response: one flat object, server-sent events, or the body that Langflow sends."""
Shell = Literal["bash", "powershell"]
"""`bash` includes zsh, fish and sh."""
_QUERIES: Mapping[Mode, str] = {"simple": "?shape=simple", "stream": "?stream=sse&shape=simple", "langflow": ""}
_IDENTIFIER = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_EXACT_IN_JAVASCRIPT = 2**53
_WIDTH = 60
"""The most characters of an object or a list with several items on one line."""
_PYTHON_TEXT = """\
import argparse
«stream?»import json
«environment?»import os

import requests  # pip install requests

parser = argparse.ArgumentParser()
parser.add_argument("--message", default=«message»)
«files?»parser.add_argument("--file", nargs="*", default=«names»)
args = parser.parse_args()
headers = {"x-api-key": «token»}

«files?»files_url = «upload_url»
«files?»files = []
«files?»for name in args.file:
«files?»    with open(name, "rb") as file:
«files?»        sent = requests.post(files_url, headers=headers, files={"file": file})
«files?»    sent.raise_for_status()
«files?»    files.append(sent.json()["id"])
«files?»
url = «url»
body = «body»
«plain?»response = requests.post(url, headers=headers, json=body, timeout=300)
«stream?»response = requests.post(url, headers=headers, json=body, timeout=300, stream=True)
if not response.ok:
    print(response.text)
response.raise_for_status()
«waits?»if response.status_code == 202:  # a person must decide first
«waits?»    raise SystemExit(response.text)
«simple?»answer = response.json()
«text?»print(answer["text"])
«data?»print(answer.get("data", answer["text"]))
«cites?»for passage in answer.get("citations", []):
«cites?»    print(f"[{passage['number']}] {passage['source']}")
«langflow?»for output in response.json()["outputs"][0]["outputs"]:
«langflow?»    print(output["messages"][0]["message"])
«stream?»
«one?»shown = ""
«several?»first = shown = ""
«stream?»for frame in response.iter_lines(delimiter=b"\\n\\n"):
«stream?»    fields = dict(line.split(": ", 1) for line in frame.decode().splitlines())
«stream?»    event, data = fields.get("event"), json.loads(fields.get("data", "null"))
«one?»    if event == "token":
«several?»    if event == "token" and data["id"] == (first := first or data["id"]):
«stream?»        print(data["text"], end="", flush=True)
«stream?»        shown += data["text"]
«stream?»    elif event == "error":
«stream?»        raise SystemExit(data["error"])
«asks?»    elif event == "waiting":  # a person must decide first
«asks?»        print(data)
«stream?»    elif event == "end":  # has the whole text, also where no pieces came
«one?»        print(data["text"].replace(shown, "", 1))
«several?»        print("\\n" + data["text"].replace(shown, "", 1).strip())
"""
_JAVASCRIPT_TEXT = """\
const message = process.argv[2] ?? «message»;
«files?»const names = «names»;
const url = «url»;
const headers = { "x-api-key": «token» };

async function main() {
«files?»  const { readFile } = await import("node:fs/promises");
«files?»  const filesUrl = «upload_url»;
«files?»  const ids = [];
«files?»  for (const name of names) {
«files?»    const form = new FormData();
«files?»    form.append("file", new Blob([await readFile(name)]), name);
«files?»    const sent = await fetch(filesUrl, { method: "POST", headers, body: form });
«files?»    if (!sent.ok) throw new Error(await sent.text());
«files?»    ids.push((await sent.json()).id);
«files?»  }
«files?»
  const response = await fetch(url, {
    method: "POST",
    headers: { ...headers, "Content-Type": "application/json" },
    body: JSON.stringify(«body»),
  });
  if (!response.ok) throw new Error(await response.text());
«waits?»  if (response.status === 202) throw new Error(await response.text()); // a person must decide first
«plain?»  const answer = await response.json();
«text?»  console.log(answer.text);
«data?»  console.log(answer.data ?? answer.text);
«cites?»  for (const { number, source } of answer.citations ?? []) console.log(`[${number}] ${source}`);
«langflow?»  for (const output of answer.outputs[0].outputs) console.log(output.messages[0].message);
«one?»  let rest = "", shown = "";
«several?»  let rest = "", shown = "", first;
«stream?»  for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
«stream?»    const frames = (rest + text).split("\\n\\n");
«stream?»    rest = frames.pop();
«stream?»    for (const frame of frames) {
«stream?»      const [, event, json] = /event: (.+)\\ndata: (.+)/.exec(frame) ?? [];
«stream?»      const data = JSON.parse(json ?? "null");
«one?»      if (event === "token") {
«several?»      if (event === "token" && data.id === (first ??= data.id)) {
«stream?»        process.stdout.write(data.text);
«stream?»        shown += data.text;
«stream?»      } else if (event === "error") {
«stream?»        throw new Error(data.error);
«asks?»      } else if (event === "waiting") { // a person must decide first
«asks?»        console.log(data);
«stream?»      } else if (event === "end") { // has the whole text, also where no pieces came
«one?»        console.log(data.text.replace(shown, ""));
«several?»        console.log("\\n" + data.text.replace(shown, "").trim());
«stream?»      }
«stream?»    }
«stream?»  }
}

main();
"""
_CURL_TEXT = """\
«begin»curl «url» \\
  --header «key» \\
  --fail-with-body «flags»--json @-«end»
«body»
JSON
"""
_CURL_UPLOAD = """\
file_«number»=$(curl --fail-with-body -sS «url» \\
  --header «key» \\
  --form «file» | sed -n 's/.*"id": *"\\([0-9a-f-]*\\)".*/\\1/p')
"""
"""A shell command that uploads one file and keeps its id in a variable."""
_POWERSHELL_CURL_TEXT = """\
@'
«body»
'@ | curl.exe «url» `
  --header «key» `
  --fail-with-body «flags»--json '@-'
"""
_PLAIN_WORDS = re.compile(r"[\w ,.;:?()'/-]{1,60}")
"""Text that needs no escape in double quotes of any shell, nor between backticks in Markdown."""


@dataclass(frozen=True, slots=True)
class SnippetRequest:
    """What a snippet asks for. `base_url` is the address that the visitor sees, `flow_id` an id or endpoint name.

    `token` is written into the code; without one the code reads `FLOWGROUND_API_KEY`. The script uploads `files`, which
    lie beside it, and sends them with the message; with `takes_files` it also accepts names of files when it is
    started. `shell` is where the cURL text is run. `fit` sets the rest: `may_wait`, the answer may be that a person
    must decide first; `cites`, the answer may name sources; `gives_data`, the answer may be data; `has_several`
    answers.
    """

    base_url: str
    flow_id: str
    message: str = DEFAULT_MESSAGE
    session_id: str | None = None
    tweaks: Mapping[str, Any] = field(default_factory=dict)
    mode: Mode = "simple"
    input_type: InputType = "chat"
    output_type: OutputType = "chat"
    token: str | None = field(default=None, repr=False)
    shell: Shell = "bash"
    files: Sequence[str] = ()
    takes_files: bool = False
    may_wait: bool = False
    cites: bool = False
    gives_data: bool = False
    has_several: bool = False

    def fit(self, wired: WiredFlow, message: str | None = None) -> Self:
        """The request adapted to the flow: a flow without Chat Input is sent text, one without Chat Output gives text.

        A tweak of the input component's own input becomes the message, since a call may not have both. Without a
        message, the component's own is used, as in Langflow's snippets, else the chat's first starter. Required options
        get an example.
        """
        input_type, output_type = find_types(wired)
        inputs = {
            name: item.input_value
            for name, item in wired.components.items()
            if isinstance(item, InputComponent) and item.input_kind == input_type
        }
        tweaked, kept = _take_input(self.tweaks, {*inputs, *(wired.display_names[name] for name in inputs)})
        own = next(filter(None, inputs.values()), None)
        message_text = next((text for text in (tweaked, message, own) if text is not None), find_starter(wired))
        kept |= _fill_missing(wired, RunRequest(message_text, input_type, tweaks=kept))
        answers = [name for name in wired.outputs if wired.components[name].output_kind == output_type]
        shown = [reference for name in answers for reference in wired.shows.get(name, ())]
        return replace(
            self,
            message=message_text,
            tweaks=kept,
            input_type=input_type,
            output_type=output_type,
            takes_files=bool(wired.flow.chat.accepts),
            may_wait=wired.asks_people,
            cites=any(isinstance(item, Retrieve) for item in wired.components.values()),
            gives_data=any(wired.ports[one.component][wired.find_port(one)] in ("data", "records") for one in shown),
            has_several=len(answers) > 1,
        )

    @property
    def url(self) -> str:
        """The URL of the run endpoint, with its query."""
        return self.find_url(f"/api/v1/run/{quote(self.flow_id, safe='')}{_QUERIES[self.mode]}")

    def find_url(self, path: str) -> str:
        """The URL of another endpoint, such as `UPLOADS`, at which files are sent that a message may name by id."""
        return self.base_url.rstrip("/") + path

    def write_body(self, message: object, files: object = None) -> dict[str, Any]:
        """The JSON body with this `message` and these `files`. Fields with the API's default are left out, and so is a
        message of None: the flow has its own. Raises ValueError where a tweak is no JSON value."""
        try:
            tweaks = json.loads(json.dumps(self.tweaks, default=dict, allow_nan=False))
        except TypeError as error:
            raise ValueError(f"a tweak is no JSON value: {error}") from None
        fields = {
            "input_value": message,
            "input_type": None if self.input_type == "chat" else self.input_type,
            "output_type": None if self.output_type == "chat" else self.output_type,
            "session_id": self.session_id or None,
            "tweaks": tweaks or None,
            "files": files,
        }
        return {name: value for name, value in fields.items() if value is not None}


def remembers(wired: WiredFlow) -> bool:
    """Whether the flow, or one that it runs, reads earlier messages of its conversation."""
    flows = (wired, *wired.inner_flows.values())
    return any(getattr(item, "n_messages", 0) for one in flows for item in one.components.values())


def find_starter(wired: WiredFlow) -> str:
    """An example of a message for everybody who may use the flow: the chat's first starter, else a fixed text."""
    return next(iter(wired.flow.chat.starters), DEFAULT_MESSAGE)


class Variable(str):
    """A variable of the script, used in the place of a value."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Style:
    """How a language writes scalars, keys, indentation, a comma after the last item, and spaces inside braces."""

    scalar: Callable[[Any], str]
    key: Callable[[str], str]
    indent: str
    last_comma: str = ""
    padding: str = ""


def write_curl(request: SnippetRequest) -> str:
    """A complete command: `bash test-script.sh`. Raises ValueError as `write_body` does.

    Files are uploaded first (PowerShell has no text for that), and `sed` puts their ids in the places of `<file 1>` and
    its like in the body.
    """
    flags = "--no-buffer " if request.mode == "stream" else ""
    if request.shell == "powershell" and not request.files:
        body = write_literal(request.write_body(request.message), _ASCII_JSON)
        key = _quote_powershell(f"x-api-key: {request.token}") if request.token else f'"x-api-key: $env:{VARIABLE}"'
        return _fill(_POWERSHELL_CURL_TEXT, body=body, flags=flags, url=_quote_powershell(request.url), key=key)
    key = shlex.quote(f"x-api-key: {request.token}") if request.token else f'"x-api-key: ${VARIABLE}"'
    uploads, places, words = "", "", []
    for number, name in enumerate(request.files, 1):
        words.append(f"<file {number}>")
        places += f' -e "s/\\"<file {number}>\\"/\\"$file_{number}\\"/"'
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        file, url = shlex.quote(f'file=@"{escaped}"'), shlex.quote(request.find_url(UPLOADS))
        uploads += _fill(_CURL_UPLOAD, number=str(number), url=url, key=key, file=file)
    return uploads + _fill(
        _CURL_TEXT,
        begin=f"sed{places} <<'JSON' | " if words else "",
        end="" if words else " <<'JSON'",
        flags=flags,
        url=shlex.quote(request.url),
        key=key,
        body=write_literal(request.write_body(request.message, words or None), _JSON),
    )


def write_answer(request: SnippetRequest) -> str:
    """An example of the response, with `…` for unknown values: JSON, or the last two events of a stream."""
    session = {"session_id": request.session_id or "…"}
    usage = {"input_tokens": 12, "output_tokens": 34, "total_tokens": 46}
    data = [{"data": {"…": "…"}}] * request.gives_data
    cited = [{"citations": [{"number": 1, "source": "…", "text": "…"}]}] * request.cites
    facts = {"run_id": "…", "flow_id": request.flow_id, "version": "…"}
    lines: list[dict[str, Any]] = [{"text": "…"}, *data, *cited, session, facts, {"usage": usage}]
    if request.mode == "langflow":
        output = {"messages": [{"message": "…"}], "results": {"message": {"text": "…"}}}
        lines = [session, {"outputs": [{"inputs": {"input_value": "…"}, "outputs": [output]}]}]
    texts = [json.dumps(line, ensure_ascii=False)[1:-1] for line in lines]
    if request.mode == "stream":
        return f'event: token\ndata: {{"text": "…", "id": "…"}}\n\nevent: end\ndata: {{{", ".join(texts)}}}'
    return "{\n  " + ",\n  ".join(texts) + "\n}"


def write_export_line(token: str | None = None, *, shell: Shell = "bash") -> str:
    """The line that sets the token's variable; without a token, with a placeholder."""
    value = token or "YOUR_TOKEN"
    if shell == "powershell":
        return f"$env:{VARIABLE} = {_quote_powershell(value)}"
    return f"export {VARIABLE}={shlex.quote(value)}"


def write_literal(value: Any, style: Style, *, depth: int = 0) -> str:
    """A JSON value in the language's syntax: on one line where it is short, else one item a line, indented from
    `depth`.

    A `Variable` in it is written as it is.
    """
    if isinstance(value, Variable):
        return str(value)
    if not isinstance(value, dict | list):
        return style.scalar(value)
    if isinstance(value, dict):
        items = [f"{style.key(key)}: {write_literal(item, style, depth=depth + 1)}" for key, item in value.items()]
        begin, end, padding = "{", "}", style.padding if items else ""
    else:
        items = [write_literal(item, style, depth=depth + 1) for item in value]
        begin, end, padding = "[", "]", ""
    whole = ", ".join(items)
    if "\n" not in whole and (len(items) < 2 or len(whole) <= _WIDTH):
        return f"{begin}{padding}{whole}{padding}{end}"
    inner = style.indent * (depth + 1)
    lines = f",\n{inner}".join(items)
    return f"{begin}\n{inner}{lines}{style.last_comma}\n{style.indent * depth}{end}"


@dataclass(frozen=True, slots=True)
class Language:
    """One language of snippets: its writer, the file to save the text as, and the program that runs it.

    `highlight` is the language's name in Markdown; where the script takes a message, it follows `argument`.
    """

    title: str
    write: Callable[[SnippetRequest], str]
    file_name: str
    program: str
    highlight: str
    argument: str | None = None

    def write_command(self, message: str) -> str:
        """The command that runs the saved text with this message; a message that needs escapes is left out."""
        command = f"{self.program} {self.file_name}"
        if self.argument is None or not _PLAIN_WORDS.fullmatch(message):
            return command
        return f'{command} {self.argument}"{message}"'


def _take_input(tweaks: Mapping[str, Any], names: set[str]) -> tuple[str | None, dict[str, Any]]:
    """The input text that tweaks give to the components `names`, and the remaining tweaks."""
    text, kept = None, dict(tweaks)
    for name in names & tweaks.keys():
        fields = tweaks[name]
        value = fields.get(INPUT) if isinstance(fields, Mapping) else None
        value = value.get("value") if isinstance(value, Mapping) else value
        if not isinstance(value, str):
            continue
        text = value
        kept[name] = {key: item for key, item in fields.items() if key != INPUT}
        if not kept[name]:
            del kept[name]
    return text, kept


def _fill_missing(wired: WiredFlow, request: RunRequest) -> dict[str, dict[str, Any]]:
    """Tweaks with an example for each required option that is empty."""
    if not wired.policy.required:
        return {}
    with suppress(RequestError):
        wired = apply_tweaks(wired, request, unknown="warn").wired
    filled: dict[str, dict[str, Any]] = {}
    for option in list_missing(wired, request):
        tweak = request.tweaks.get(option.component)
        fields = filled.setdefault(option.component, dict(tweak) if isinstance(tweak, Mapping) else {})
        fields[option.name] = _make_example(option, name_option(wired, option))
    return filled


def _make_example(option: FieldPolicy, title: str) -> Any:
    if option.choices:
        return option.choices[0]
    if option.type.is_number:
        return next((bound for bound in (option.min, option.max) if bound is not None), 1)
    return title


@dataclass(frozen=True, slots=True)
class Script:
    """A language's script: its code for the token of the environment, the message, the ids of files and, if none are
    chosen, their names; and how deep the body is indented."""

    template: str
    style: Style
    environment: str
    message: str
    ids: str
    names: str
    depth: int = 0

    def write(self, request: SnippetRequest) -> str:
        """A complete script with the lines that apply to the request. Raises ValueError as `write_body` does."""
        write, sends_files = self.style.scalar, bool(request.files) or request.takes_files
        is_simple, is_stream = request.mode == "simple", request.mode == "stream"
        holds = {
            "simple": is_simple,
            "stream": is_stream,
            "langflow": request.mode == "langflow",
            "plain": not is_stream,
            "environment": request.token is None,
            "files": sends_files,
            "waits": request.may_wait and not is_stream,
            "asks": request.may_wait and is_stream,
            "text": is_simple and not request.gives_data,
            "data": is_simple and request.gives_data,
            "cites": is_simple and request.cites,
            "one": is_stream and not request.has_several,
            "several": is_stream and request.has_several,
        }
        body = request.write_body(Variable(self.message), Variable(self.ids) if sends_files else None)
        return _fill(
            re.sub(r"(?m)^«(\w+)\?»(.*\n)", lambda line: line[2] if holds[line[1]] else "", self.template),
            url=write(request.url),
            upload_url=write(request.find_url(UPLOADS)),
            message=write(request.message),
            token=write(request.token) if request.token else self.environment,
            body=write_literal(body, self.style, depth=self.depth),
            names=write_literal(list(request.files), self.style) if request.files else self.names,
        )


def _fill(template: str, **values: str) -> str:
    """The template with each `«name»` replaced; values are not searched for gaps."""
    return re.sub(r"«(\w+)»", lambda gap: values[gap[1]], template)


def _quote_powershell(text: str) -> str:
    """A literal in single quotes. PowerShell treats typographic single quotes like plain ones: all are doubled."""
    return "'" + "".join(character * 2 if character in "'‘’‚‛" else character for character in text) + "'"


def _write_python_scalar(value: Any) -> str:
    """`repr`, but in double quotes where the text needs no escape in either kind."""
    written = repr(value)
    return f'"{written[1:-1]}"' if isinstance(value, str) and written[0] == "'" and '"' not in written else written


def _write_json_scalar(value: Any) -> str:
    return "".join(map(_escape_unseen, json.dumps(value, ensure_ascii=False)))


def _write_javascript_scalar(value: Any) -> str:
    """JSON, made safe inside a `<script>` element. An integer that a JavaScript number would round becomes a string,
    which the API accepts as a number."""
    if isinstance(value, int) and abs(value) > _EXACT_IN_JAVASCRIPT:
        value = str(value)
    return re.sub(r"<(?=[/!]|script)", r"\\u003C", _write_json_scalar(value), flags=re.IGNORECASE)


def _write_javascript_key(key: str) -> str:
    return key if _IDENTIFIER.fullmatch(key) else _write_javascript_scalar(key)


def _escape_unseen(character: str) -> str:
    return character if character.isprintable() else json.dumps(character)[1:-1]


_PYTHON = Style(_write_python_scalar, _write_python_scalar, "    ", ",")
_JAVASCRIPT = Style(_write_javascript_scalar, _write_javascript_key, "  ", ",", padding=" ")
_JSON = Style(_write_json_scalar, _write_json_scalar, "  ")
_ASCII_JSON = Style(json.dumps, json.dumps, "  ")
"""PowerShell pipes text to programs in an old code page, so everything beyond ASCII is escaped."""
_PYTHON_SCRIPT = Script(_PYTHON_TEXT, _PYTHON, f'os.environ["{VARIABLE}"]', "args.message", "files", "[]")
_JAVASCRIPT_SCRIPT = Script(
    _JAVASCRIPT_TEXT, _JAVASCRIPT, f"process.env.{VARIABLE}", "message", "ids", "process.argv.slice(3)", depth=2
)
LANGUAGES: Mapping[str, Language] = {
    "python": Language("Python", _PYTHON_SCRIPT.write, "python-test-script.py", "python3", "python", "--message="),
    "javascript": Language("JavaScript", _JAVASCRIPT_SCRIPT.write, "test-script.js", "node", "javascript", ""),
    "curl": Language("cURL", write_curl, "test-script.sh", "bash", "bash"),
}


def write_snippets(request: SnippetRequest) -> dict[str, str]:
    """The text for each language, by the names of `LANGUAGES`. Raises ValueError where a tweak is no JSON value."""
    return {name: language.write(request) for name, language in LANGUAGES.items()}


def write_markdown(request: SnippetRequest, *, title: str) -> str:
    """All snippets as one Markdown text, for a wiki page, an issue, or a colleague."""
    parts = [f"# {_escape(title)}"]
    if request.token is None:
        parts.append(_fence(write_export_line(shell=request.shell), request.shell))
    for name, code in write_snippets(request).items():
        language = LANGUAGES[name]
        parts.append(f"## {language.title}")
        parts.append(_fence(code, language.highlight))
        parts.append(f"Saved, it runs as `{language.write_command(request.message)}`.")
    parts.append(f"## Answer\n\n{_fence(write_answer(request), '' if request.mode == 'stream' else 'json')}")
    parts.append(f"For programs, the API is described at {request.find_url(DESCRIPTION)} (OpenAPI).")
    return "\n\n".join(parts) + "\n"


def _fence(code: str, language: str) -> str:
    """A code block whose fence is longer than any run of backticks in the code."""
    longest = max((len(run) for run in re.findall(r"`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    end = "" if code.endswith("\n") else "\n"
    return f"{fence}{language}\n{code}{end}{fence}"


def _escape(text: str) -> str:
    """One line of plain text, escaped for Markdown."""
    return re.sub(r"([\\`*_{}\[\]<>#|~!&])", r"\\\1", " ".join(text.split()))
