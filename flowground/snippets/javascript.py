"""The JavaScript tab: a script for Node 18 or newer, as CommonJS and as a module, without dependencies."""

from flowground.snippets.environment import NO_TOKEN, VARIABLE
from flowground.snippets.literals import JAVASCRIPT, Name, fill, javascript_scalar, literal
from flowground.snippets.request import SnippetRequest

_HEAD = """\
const url = «url»;
const message = process.argv[2] ?? «message»;
const token = «token»;

const payload = «payload»;

async function main() {
«ask»  const response = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json", "x-api-key": token },
    body: JSON.stringify(payload),
  });
  if (!response.ok) {
    const { detail, hint } = await response.json();
    const sentence = typeof detail === "string" ? detail : detail?.message ?? JSON.stringify(detail);
    throw new Error([sentence, hint].filter(Boolean).join("\\n"));
  }

"""

_ASK = f"""\
  if (!token) throw new Error("{NO_TOKEN}");

"""

_LANGFLOW = """\
  const answer = await response.json();
  for (const output of answer.outputs[0].outputs) console.log(output.messages[0].message);
"""

_SIMPLE = """\
  const answer = await response.json();
  console.log(answer.text);
"""

_STREAM = """\
  let shown = ""; // of several answers, the first to begin is shown as it comes
  for await (const { event, data } of events(response)) {
    if (event === "token") {
      shown ||= data.id;
      if (data.id === shown) process.stdout.write(data.chunk);
    } else if (event === "error" && data.error) {
      throw new Error([data.error, data.hint].filter(Boolean).join("\\n"));
    } else if (event === "end") {
      if (shown) console.log();
      for (const { results, messages } of data.result.outputs[0].outputs) {
        if (results.message?.data.id !== shown) console.log(messages[0].message);
      }
    }
  }
"""

_TAIL = """\
}
«events»
main().catch((error) => {
  console.error(error.cause ? `No answer from ${url}: ${error.cause.code ?? error.message}` : error.message);
  process.exitCode = 1;
});
"""

_EVENTS = """
async function* events(response) {
  let rest = "";
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\\n");
    rest = lines.pop();
    for (const line of lines) if (line) yield JSON.parse(line);
  }
}
"""


def javascript(request: SnippetRequest) -> str:
    """A complete script: `node test-script.js "…"`. Raises ValueError as `request.body` does."""
    answer = _STREAM if request.stream else _SIMPLE if request.shape == "simple" else _LANGFLOW
    return fill(
        _HEAD + answer + _TAIL,
        url=javascript_scalar(request.url),
        message=javascript_scalar(request.message),
        token=javascript_scalar(request.token) if request.token else f"process.env.{VARIABLE}",
        ask="" if request.token else _ASK,
        payload=literal(request.body(Name("message")), JAVASCRIPT),
        events=_EVENTS if request.stream else "",
    )
