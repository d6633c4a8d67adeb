"""Clients that people have: Langflow's own two, unchanged but for the address."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.npm_packages import install
from tests.running import chat_flow
from tests.servers import AppServer, clean_environment

NPM = """
import { LangflowClient } from "@datastax/langflow-client";
const client = new LangflowClient({ baseUrl: base, apiKey: token });
"""
NPM_CLIENT = "@datastax/langflow-client@0.4.1"
MESSAGE = 'it\'s "quoted" 🐎'
FLOWS = {
    "talk": chat_flow("scripted:echo").replace("name: Chat", "name: Talk\napi: {endpoint_name: talk-to-me}"),
    "json": chat_flow("scripted:json"),
    "fail": chat_flow("scripted:fail"),
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


class Node:
    """Runs modules, in a folder in which node may find Langflow's client."""

    def __init__(self, folder: Path, server: AppServer, token: str, *, first: str = "") -> None:
        self.folder = folder
        given = {"base": server.url, "token": token, "message": MESSAGE}
        self.first = f"const {{base, token, message}} = {json.dumps(given)};\n{first}"

    def run(self, script: str) -> Any:
        """What the module prints, as JSON; `base`, `token` and `message` are given to it."""
        path, environment = self.folder / "script.mjs", clean_environment()
        path.write_text(self.first + script, encoding="utf-8")
        done = subprocess.run(["node", str(path)], cwd=self.folder, env=environment, capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def npm(tmp_path_factory: pytest.TempPathFactory, server: AppServer, token: str) -> Node:
    """With Langflow's client, fetched by npm."""
    folder = tmp_path_factory.mktemp("npm")
    install(folder, NPM_CLIENT, kind="module")
    return Node(folder, server, token, first=NPM)


def test_langflows_npm_client_runs_and_streams(npm: Node) -> None:
    events, *said = npm.run("""
const first = await client.flow("talk").run(message);
const second = await client.flow("talk-to-me").run(message, { session_id: "npm" });
const events = [];
for await (const event of await client.flow("talk").stream(message)) events.push(event);
const said = [first, second].flatMap((answer) => [answer.chatOutputText(), answer.sessionId]);
console.log(JSON.stringify([events, ...said]));
""")
    assert said[0] == said[2] == f"You said: {MESSAGE}"
    assert len(said[1]) == 36
    assert said[3] == "npm"
    assert "".join(event["data"]["chunk"] for event in events if event["event"] == "token") == f"You said: {MESSAGE}"
    assert [events[0]["event"], events[-1]["event"]] == ["add_message", "end"]


def test_langflows_npm_client_sends_files_and_has_them_read(npm: Node) -> None:
    """By the path of either upload, as text or in a list, alone or by `tweak`, whole or streamed."""
    kept, names, said, refused = npm.run("""
const flow = client.flow("reads");
const one = await flow.uploadFile(new File(["of one flow"], "one.txt", { type: "text/plain" }));
const all = await client.files.upload(new File(["of all flows"], "all.txt"));
const names = [one.filePath, ...(await client.files.list()).map((file) => file.name)];
const run = async (tweaks) => (await flow.run("it", { tweaks })).chatOutputText();
const said = [];
for (const path of [one.filePath, [one.filePath], all.path, [all.path, one.filePath], all.id])
  said.push(await run({ File: { path } }));
said.push(await run({ In: { files: [one.filePath] } }), await run({ In: { files: all.path } }));
said.push((await flow.tweak("File", { path: all.path }).run("it")).chatOutputText());
let end;
for await (const event of await flow.stream("it", { tweaks: { File: { path: [one.filePath] } } })) end = event;
said.push(end.data.result.outputs[0].outputs[0].results.message.text);
let refused;
try { await run({ File: { path: "reads/none.txt" } }); } catch (error) { refused = error.message; }
console.log(JSON.stringify([all, names, said, refused]));
""")
    assert re.fullmatch(r"reads/.*_one\.txt", names[0])
    assert (kept["name"], kept["size"], "all" in names) == ("all", 12, True)
    one, every, both = "it: of one flow", "it: of all flows", "it: of all flows\n\nof one flow"
    assert said == [one, one, every, both, every, one, every, every, one]
    assert refused.startswith("422 - Unprocessable ")


def test_langflows_npm_client_tweaks(npm: Node) -> None:
    by_id, by_name = npm.run("""
const flow = client.flow("json");
const byId = await flow.tweak("Model", { temperature: 0.7 }).run(message);
const byName = await flow.run(message, { tweaks: { "Language Model": { max_tokens: 5 } } });
console.log(JSON.stringify([byId.chatOutputText(), byName.chatOutputText()]));
""")
    assert json.loads(by_id)["options"] == {"temperature": 0.7}
    assert json.loads(by_name)["options"] == {"max_tokens": 5}


def test_langflows_npm_client_reaches_us_by_the_hosted_path_and_bearer(npm: Node) -> None:
    said = npm.run("""
const here = (url, { method, body, headers }) =>
  fetch(base + new URL(url).pathname, { method, body, headers: Object.fromEntries(headers.entries()) });
const hosted = new LangflowClient({ langflowId: "any-tenant", apiKey: token, fetch: here });
console.log(JSON.stringify((await hosted.flow("talk").run(message)).chatOutputText()));
""")
    assert said == f"You said: {MESSAGE}"


def test_langflows_npm_client_understands_our_errors(npm: Node) -> None:
    said = npm.run("""
const errors = [];
for (const [key, flow] of [["sk-bad", "talk"], [token, "nothing"], [token, "fail"]]) {
  try { await new LangflowClient({ baseUrl: base, apiKey: key }).flow(flow).run(message); }
  catch (error) { errors.push([error.name, error.message]); }
}
console.log(JSON.stringify(errors));
""")
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
