"""Clients that people have: Langflow's own two, requests, node's fetch and curl, unchanged but for the address."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.npm_packages import install
from tests.running import chat_flow
from tests.servers import AppServer, clean_environment

NPM_CLIENT = "@datastax/langflow-client@0.4.1"
MESSAGE = 'it\'s "quoted" 🐎'
FLOWS = {
    "talk": chat_flow("scripted:echo").replace("name: Chat", "name: Talk\napi: {endpoint_name: talk-to-me}"),
    "json": chat_flow("scripted:json"),
    "fail": chat_flow("scripted:fail"),
    "files": """
chat: {accepts: [text/plain]}
components:
  In: {type: ChatInput}
  Out: {type: ChatOutput, input_value: "${In}: ${In.files}"}
""",
    "reads": """
chat: {accepts: [text/plain]}
components:
  In: {type: ChatInput}
  File: {type: File, files: "${In.files}"}
  Out: {type: ChatOutput, input_value: "${In}: ${File}"}
""",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    with AppServer(tmp_path_factory.mktemp("clients"), flows=FLOWS) as running:
        yield running


@pytest.fixture(scope="module")
def token(server: AppServer) -> str:
    return server.token("clients", may=("--sees", "inside", "--sets", "unprotected"))


@pytest.fixture(scope="module")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which node finds Langflow's client, fetched by npm."""
    folder = tmp_path_factory.mktemp("npm")
    install(folder, NPM_CLIENT, kind="module")
    return folder


def node(script: str, server: AppServer, token: str, *, folder: Path) -> Any:
    """What the module prints, as JSON; `base`, `token` and `message` are given to it."""
    path = folder / "script.mjs"
    given = {"base": server.url, "token": token, "message": MESSAGE}
    path.write_text(f"const {{base, token, message}} = {json.dumps(given)};\n{script}", encoding="utf-8")
    done = subprocess.run(
        ["node", str(path)], cwd=folder, env=clean_environment(), capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


NPM = 'import { LangflowClient } from "@datastax/langflow-client";\n'


def test_langflows_npm_client_runs(server: AppServer, token: str, node_folder: Path) -> None:
    said = node(
        NPM + """
const client = new LangflowClient({ baseUrl: base, apiKey: token });
const first = await client.flow("talk").run(message);
const second = await client.flow("talk-to-me").run(message, { session_id: "npm" });
console.log(JSON.stringify([first.chatOutputText(), first.sessionId, second.chatOutputText(), second.sessionId]));
""",
        server, token, folder=node_folder,
    )  # fmt: skip
    assert said[0] == said[2] == f"You said: {MESSAGE}"
    assert len(said[1]) == 36
    assert said[3] == "npm"


def test_langflows_npm_client_streams(server: AppServer, token: str, node_folder: Path) -> None:
    events = node(
        NPM + """
const client = new LangflowClient({ baseUrl: base, apiKey: token });
const events = [];
for await (const event of await client.flow("talk").stream(message)) events.push(event);
console.log(JSON.stringify(events));
""",
        server, token, folder=node_folder,
    )  # fmt: skip
    assert "".join(event["data"]["chunk"] for event in events if event["event"] == "token") == f"You said: {MESSAGE}"
    assert [events[0]["event"], events[-1]["event"]] == ["add_message", "end"]


def test_langflows_npm_client_sends_files(server: AppServer, token: str, node_folder: Path) -> None:
    path, kept, listed, by_path, by_id = node(
        NPM + """
const client = new LangflowClient({ baseUrl: base, apiKey: token });
const flow = client.flow("files");
const uploaded = await flow.uploadFile(new File(["hello"], "hello.txt", { type: "text/plain" }));
const kept = await client.files.upload(new File(["more"], "more.txt"));
const listed = await client.files.list();
const byPath = await flow.run(message, { tweaks: { In: { files: [uploaded.filePath] } } });
const byId = await flow.run(message, { tweaks: { In: { files: kept.path } } });
console.log(JSON.stringify([uploaded.filePath, kept, listed, byPath.chatOutputText(), byId.chatOutputText()]));
""",
        server, token, folder=node_folder,
    )  # fmt: skip
    assert path.startswith("files/")
    assert path.endswith("_hello.txt")
    assert (kept["name"], kept["size"]) == ("more", 4)
    assert [file["name"] for file in listed] == ["more"]
    assert (by_path, by_id) == (f"{MESSAGE}: hello.txt", f"{MESSAGE}: more.txt")


def test_langflows_npm_client_has_files_read(server: AppServer, token: str, node_folder: Path) -> None:
    """By the path of either upload, as text or in a list, alone or by `tweak`, whole or streamed."""
    said = node(
        NPM + """
const client = new LangflowClient({ baseUrl: base, apiKey: token });
const flow = client.flow("reads");
const one = await flow.uploadFile(new File(["of one flow"], "one.txt", { type: "text/plain" }));
const all = await client.files.upload(new File(["of all flows"], "all.txt"));
const run = async (tweaks) => (await flow.run("it", { tweaks })).chatOutputText();
const said = [];
for (const path of [one.filePath, [one.filePath], all.path, [all.path, one.filePath], all.id])
  said.push(await run({ File: { path } }));
said.push(await run({ In: { files: [one.filePath] } }));
said.push((await flow.tweak("File", { path: all.path }).run("it")).chatOutputText());
let end;
for await (const event of await flow.stream("it", { tweaks: { File: { path: [one.filePath] } } })) end = event;
said.push(end.data.result.outputs[0].outputs[0].results.message.text);
let refused;
try { await run({ File: { path: "reads/none.txt" } }); } catch (error) { refused = error.message; }
console.log(JSON.stringify([...said, refused]));
""",
        server, token, folder=node_folder,
    )  # fmt: skip
    one, both = "it: of one flow", "it: of all flows\n\nof one flow"
    assert said[:-1] == [one, one, "it: of all flows", both, "it: of all flows", one, "it: of all flows", one]
    assert said[-1].startswith("422 - Unprocessable ")


def test_the_snippet_of_langflow_that_sends_files(server: AppServer, token: str) -> None:
    """As its API access pane writes it, with requests."""
    headers = {"x-api-key": token}
    answer = requests.post(
        f"{server.url}/api/v1/files/upload/files", headers=headers, files={"file": ("a.txt", b"hi")}, timeout=30
    )
    answer.raise_for_status()
    body = {"input_value": "hello", "tweaks": {"In": {"files": [answer.json()["file_path"]]}}}
    run = requests.post(f"{server.url}/api/v1/run/files", headers=headers, json=body, timeout=30).json()
    assert run["outputs"][0]["outputs"][0]["results"]["message"]["text"] == "hello: a.txt"


def test_langflows_npm_client_tweaks(server: AppServer, token: str, node_folder: Path) -> None:
    by_id, by_name, refused = node(
        NPM + """
const flow = new LangflowClient({ baseUrl: base, apiKey: token }).flow("json");
const byId = await flow.tweak("Model", { temperature: 0.7 }).run(message);
const byName = await flow.run(message, { tweaks: { "Language Model": { max_tokens: 5 } } });
let refused;
try { await flow.tweak("Model", { temprature: 1 }).run(message); } catch (error) { refused = error.message; }
console.log(JSON.stringify([byId.chatOutputText(), byName.chatOutputText(), refused]));
""",
        server, token, folder=node_folder,
    )  # fmt: skip
    assert json.loads(by_id)["options"] == {"temperature": 0.7}
    assert json.loads(by_name)["options"] == {"max_tokens": 5}
    assert refused.startswith("422 - Unprocessable ")


def test_langflows_npm_client_reaches_us_by_the_hosted_path_and_bearer(
    server: AppServer, token: str, node_folder: Path
) -> None:
    said = node(
        NPM + """
const here = (url, init) => fetch(base + new URL(url).pathname, { method: init.method, body: init.body,
  headers: Object.fromEntries(init.headers.entries()) });
const client = new LangflowClient({ langflowId: "any-tenant", apiKey: token, fetch: here });
console.log(JSON.stringify((await client.flow("talk").run(message)).chatOutputText()));
""",
        server, token, folder=node_folder,
    )  # fmt: skip
    assert said == f"You said: {MESSAGE}"


def test_langflows_npm_client_understands_our_errors(server: AppServer, token: str, node_folder: Path) -> None:
    said = node(
        NPM + """
const errors = [];
for (const [key, flow] of [["sk-bad", "talk"], [token, "nothing"], [token, "fail"]]) {
  try { await new LangflowClient({ baseUrl: base, apiKey: key }).flow(flow).run(message); }
  catch (error) { errors.push([error.name, error.message]); }
}
console.log(JSON.stringify(errors));
""",
        server, token, folder=node_folder,
    )  # fmt: skip
    assert [message for _, message in said] == ["403 - Forbidden", "404 - Not Found", "502 - Bad Gateway"]


@pytest.fixture
def sdk(server: AppServer, token: str) -> Iterator[Any]:
    """Langflow's Python client, with its module as `sdk.module`."""
    module = pytest.importorskip("langflow_sdk", reason="needs langflow-sdk (requirements-dev.txt)")
    with module.LangflowClient(server.url, api_key=token) as client:
        yield client


def test_langflows_python_client_runs(sdk: Any) -> None:
    answer = sdk.run("talk-to-me", MESSAGE)
    assert answer.first_text_output() == answer.get_chat_output() == f"You said: {MESSAGE}"
    assert not answer.has_errors()
    tweaked = sdk.run("json", MESSAGE, tweaks={"Language Model": {"temperature": 0.5}})
    assert json.loads(tweaked.first_text_output())["options"] == {"temperature": 0.5}


def test_langflows_python_client_has_files_read(sdk: Any, server: AppServer, token: str) -> None:
    """It has no call for uploads: programs send those as Langflow's snippets do, and name what they were answered."""
    headers = {"x-api-key": token}
    one, other = (
        requests.post(server.url + address, headers=headers, files={"file": (name, name, "text/plain")}, timeout=30)
        for address, name in (("/api/v1/files/upload/reads", "one.txt"), ("/api/v2/files", "other.txt"))
    )
    paths = [one.json()["file_path"], other.json()["path"]]
    for tweaks in ({"File": {"path": paths}}, {"In": {"files": paths}}):
        assert sdk.run("reads", "it", tweaks=tweaks).first_text_output() == "it: one.txt\n\nother.txt"
    (*_, end) = sdk.stream("reads", "it", tweaks={"File": {"path": paths[1]}})
    assert end.final_response().first_text_output() == "it: other.txt"
    with pytest.raises(pytest.importorskip("langflow_sdk").LangflowValidationError, match="There is no file"):
        sdk.run("reads", "it", tweaks={"File": {"path": "reads/none.txt"}})


def test_langflows_python_client_streams_which_it_cannot_with_langflow(sdk: Any) -> None:
    chunks = list(sdk.stream("talk", MESSAGE))
    assert "".join(chunk.text for chunk in chunks if chunk.is_token) == f"You said: {MESSAGE}"
    assert chunks[-1].is_end
    assert chunks[-1].final_response().first_text_output() == f"You said: {MESSAGE}"


def test_langflows_python_client_understands_our_errors(sdk: Any, server: AppServer) -> None:
    errors = pytest.importorskip("langflow_sdk")
    with pytest.raises(errors.LangflowNotFoundError, match="Flow identifier nothing not found"):
        sdk.run("nothing", MESSAGE)
    with pytest.raises(errors.LangflowValidationError, match="did you mean `temperature`"):
        sdk.run("json", MESSAGE, tweaks={"Model": {"temprature": 1}})
    with pytest.raises(errors.LangflowHTTPError, match="The scripted model fails"):
        sdk.run("fail", MESSAGE)
    chunks = list(sdk.stream("fail", MESSAGE))
    assert chunks[-1].is_error
    with errors.LangflowClient(server.url, api_key="sk-bad") as stranger, pytest.raises(errors.LangflowAuthError):
        stranger.run("talk", MESSAGE)


def test_plain_requests_runs_and_streams(server: AppServer, token: str) -> None:
    url, headers, body = f"{server.url}/api/v1/run/talk", {"x-api-key": token}, {"input_value": MESSAGE}
    answer = requests.post(url, json=body, headers=headers, timeout=30).json()
    assert answer["outputs"][0]["outputs"][0]["results"]["message"]["text"] == f"You said: {MESSAGE}"
    with requests.post(f"{url}?stream=true", json=body, headers=headers, timeout=30, stream=True) as stream:
        events = [json.loads(line) for line in stream.iter_lines() if line]
    assert "".join(event["data"]["chunk"] for event in events if event["event"] == "token") == f"You said: {MESSAGE}"


def test_nodes_own_fetch_runs_and_streams(server: AppServer, token: str, tmp_path: Path) -> None:
    if shutil.which("node") is None:
        pytest.skip("needs node")
    text, streamed = node(
        """
const call = (query) => fetch(`${base}/api/v1/run/talk${query}`, { method: "POST",
  headers: { "x-api-key": token, "content-type": "application/json" },
  body: JSON.stringify({ input_value: message }) });
const answer = await (await call("?shape=simple")).json();
let said = "", rest = "";
for await (const piece of (await call("?stream=true")).body.pipeThrough(new TextDecoderStream())) {
  const lines = (rest + piece).split("\\n");
  rest = lines.pop();
  for (const event of lines.filter(Boolean).map(JSON.parse)) if (event.event === "token") said += event.data.chunk;
}
console.log(JSON.stringify([answer.text, said]));
""",
        server, token, folder=tmp_path,
    )  # fmt: skip
    assert text == streamed == f"You said: {MESSAGE}"


def test_curl_runs_and_streams(server: AppServer, token: str) -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    url = f"{server.url}/api/v1/run/talk"
    command = ["curl", "-sS", "-N", "--fail-with-body", "-H", f"x-api-key: {token}", "--json"]
    body = json.dumps({"input_value": MESSAGE})
    said = [
        subprocess.run([*command, body, url + query], capture_output=True, timeout=30, check=True).stdout.decode()
        for query in ("?shape=simple", "?stream=sse&shape=simple")
    ]
    assert json.loads(said[0])["text"] == f"You said: {MESSAGE}"
    blocks = [dict(line.split(": ", 1) for line in block.split("\n")) for block in said[1].split("\n\n") if block]
    assert json.loads(blocks[-1]["data"])["text"] == f"You said: {MESSAGE}"
