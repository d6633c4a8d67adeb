"""The JavaScript tab: a script for Node 18 or newer, as CommonJS and as a module, without dependencies."""

from flowground.snippets.answer import write_gaps, write_with_dots
from flowground.snippets.literals import (
    JAVASCRIPT,
    NO_TOKEN,
    VARIABLE,
    Name,
    fill,
    write_javascript_scalar,
    write_literal,
    write_short_literal,
)
from flowground.snippets.request import SnippetRequest

_HEAD = """\
const url = «url»;
const message = process.argv[2] ?? «message»;
const token = «token»;

const payload = «payload»;

async function main() {
«ask»«upload»  const response = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json", "x-api-key": token },
    body: JSON.stringify(payload),
  });
  if (!response.ok) {
    const { «DETAIL», «HINT» } = await response.json();
    const sentence = typeof «DETAIL» === "string" ? «DETAIL» : «DETAIL»?.«MESSAGE» ?? JSON.stringify(«DETAIL»);
    throw new Error([sentence, «HINT»].filter(Boolean).join("\\n"));
  }
«waits»
"""

_WAITS = """\
  if (response.status === 202) {
    const waits = await response.json();
    const { call, digest } = waits.waiting[0];
    const sent = JSON.stringify({ call, digest, decision: "once" });
    const decide = «runs» + `/${waits.run_id}/decisions`;
    const says = `The run waits for a decision: ${JSON.stringify(waits)}`;
    throw new Error(`${says}\\nPOST ${decide} with ${sent}, or "refuse"`);
  }
"""

_SOURCES = """\
  for (const { «NUMBER», «SOURCE» } of answer.«CITATIONS» ?? []) console.log(`[${«NUMBER»}] ${«SOURCE»}`);
"""

_UPLOAD = """\
  payload.files = [];
  const { readFile } = await import("node:fs/promises");
  for (const name of «names») {
    const form = new FormData();
    form.append("file", new Blob([await readFile(name)]), name);
    const sent = await fetch(«url», { method: "POST", headers: { "x-api-key": «token» }, body: form });
    if (!sent.ok) throw new Error(`${name} was not uploaded: ${await sent.text()}`);
    payload.files.push((await sent.json()).id);
  }

"""

_ASK = f"""\
  if (!token) throw new Error("{NO_TOKEN}");

"""

_LANGFLOW = """\
  const answer = await response.json();
  for (const output of answer«OUTPUTS») console.log(output«SAID»);
"""

_SIMPLE = """\
  const answer = await response.json();
  console.log(answer.«TEXT»);
«sources»"""

_STREAM = """\
  let shown = ""; // of several answers, the first to begin is shown as it comes
  for await (const { «EVENT», «DATA» } of events(response)) {
    if («EVENT» === "«TOKEN»") {
      shown ||= «DATA».«ID»;
      if («DATA».«ID» === shown) process.stdout.write(«DATA».«CHUNK»);
    } else if («EVENT» === "«FAILED»" && «DATA».«ERROR») {
      throw new Error([«DATA».«ERROR», «DATA».«HINT»].filter(Boolean).join("\\n"));
    } else if («EVENT» === "«END»") {
      if (shown) console.log();
      for (const { «RESULTS», «SAID_IN» } of «DATA».«RESULT»«OUTPUTS») {
        if («RESULTS».«MESSAGE»?.«DATA».«ID» !== shown) console.log(«SAID_IN»«SAID_WITHIN»);
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

_SHORT = """\
const url = «url»;
const message = process.argv[2] ?? «message»;
const payload = «payload»;
«ask»const headers = { "Content-Type": "application/json", "x-api-key": «token» };

async function main() {
«upload»  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(payload) });
  if (!response.ok) throw new Error(await response.text());
«waits»«answer»}
«events»main();
"""


_SHORT_ASK = f"""\
const token = process.env.{VARIABLE};
if (!token) {{ console.error("Set {VARIABLE} to a token first."); process.exit(1); }}
"""


def write_javascript(request: SnippetRequest) -> str:
    """A complete script: `node test-script.js "…"`. Raises ValueError as `write_body` does."""
    answer = _STREAM if request.stream else _SIMPLE if request.shape == "simple" else _LANGFLOW
    template = _HEAD + answer + _TAIL if request.handles_errors else _SHORT.replace("«answer»", answer)
    write_payload = write_literal if request.handles_errors else write_short_literal
    token = f"process.env.{VARIABLE}" if request.handles_errors else "token"
    ask = _ASK if request.handles_errors else _SHORT_ASK
    return fill(
        template,
        url=write_javascript_scalar(request.url),
        message=write_javascript_scalar(request.message),
        token=write_javascript_scalar(request.token) if request.token else token,
        ask="" if request.token else ask,
        upload=_write_upload(request),
        waits=fill(_WAITS, runs=write_javascript_scalar(request.runs_url)) if request.may_wait else "",
        sources=fill(_SOURCES, **write_gaps(write_with_dots)) if request.cites else "",
        payload=write_payload(request.write_body(Name("message")), JAVASCRIPT),
        events=_EVENTS if request.stream else "",
        **write_gaps(write_with_dots),
    )


def _write_upload(request: SnippetRequest) -> str:
    if not request.files:
        return ""
    names = ", ".join(map(write_javascript_scalar, request.files))
    is_written = request.token and not request.handles_errors
    token = write_javascript_scalar(request.token) if request.token and is_written else "token"
    return fill(_UPLOAD, names=f"[{names}]", url=write_javascript_scalar(request.upload_url), token=token)
