"""Clients that people have: Langflow's own two, requests, node's fetch and curl, unchanged but for the address."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.running import chat_flow
from tests.servers import AppServer, clean_environment

NPM_CLIENT = "@datastax/langflow-client@0.4.1"
MESSAGE = 'it\'s "quoted" 🐎'
FLOWS = {
    "talk": chat_flow("scripted:echo").replace("name: Chat", "name: Talk\napi: {endpoint_name: talk-to-me}"),
    "json": chat_flow("scripted:json"),
    "fail": chat_flow("scripted:fail"),
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
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}")
    folder = tmp_path_factory.mktemp("npm")
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    command = ["npm", "install", "--no-audit", "--no-fund", "--no-save", "--ignore-scripts", NPM_CLIENT]
    done = subprocess.run(
        command, cwd=folder, env=dict(os.environ), capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
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
