"""Calls of the API as its tests make them."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx2

from flowground.api.app import create_api
from flowground.app.live_turns import StreamTurns
from flowground.app.runtime import Runtime
from flowground.core.caller import Caller, Role
from flowground.store import publications
from flowground.store.people import members, tokens
from flowground.store.people.tokens import StoredToken
from flowground.store.publications import Sharing
from tests.stored import list_running, list_runs

Headers = Mapping[str, str] | None


def find_message(body: Any) -> dict[str, Any]:
    """The message of the first output, of a plain answer's body or a stream's `result`."""
    message: dict[str, Any] = body["outputs"][0]["outputs"][0]["results"]["message"]
    return message


async def until(look: Callable[[], Awaitable[Any]]) -> Any:
    """What is found, once it is true or not empty: another loop's timer or another task makes it so."""
    async with asyncio.timeout(60):
        while not (found := await look()):  # noqa: ASYNC110 - what it looks at tells nobody
            await asyncio.sleep(0.01)
    return found


@dataclass
class Api:
    """A client with a token in its headers, and the runtime behind it."""

    client: httpx2.AsyncClient
    runtime: Runtime

    async def run(self, flow: str, body: object = None, *, query: str = "", headers: Headers = None) -> httpx2.Response:
        return await self.client.post(f"/api/v1/run/{flow}{query}", json={} if body is None else body, headers=headers)

    async def read_outcome(self, flow: str, body: object, *, query: str = "") -> tuple[dict[str, Any], str]:
        """A body, or a stream's last event, with `status` and a failure's `code`; and all that was said."""
        response = await self.run(flow, body, query=query)
        told = {"status": response.status_code}
        if response.headers["content-type"] == "application/json":
            told |= {"retry_after": response.headers.get("retry-after")} | response.json()
            inner = told.get("detail")
            return (inner if isinstance(inner, dict) and "code" in inner else {}) | told, response.text
        last = [json.loads(line[line.index("{") :]) for line in response.text.split("\n") if "{" in line][-1]
        return told | last.get("data", last), response.text

    async def text(self, flow: str, body: object = None) -> str:
        """The answer's text of a run that must succeed."""
        response = await self.run(flow, body)
        assert response.status_code == 200, response.text
        text: str = find_message(response.json())["text"]
        return text

    async def upload(self, flow: str, name: str = "a.txt", data: bytes = b"Yours.", **headers: str) -> str:
        """A file for messages to the flow: the path to name it by. Its type is what no file has."""
        form = {"file": (name, data, "application/x-msdownload")}
        answer = await self.client.post(f"/api/v1/files/upload/{flow}", files=form, headers=headers)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["file_path"])

    async def find_caller(self) -> Caller:
        caller = await self.runtime.sign_in.verify_token(self.client.headers["x-api-key"])
        assert caller is not None
        return caller

    async def messages(self, headers: Headers = None, **query: Any) -> list[dict[str, Any]]:
        """What may be read back."""
        answer = await self.client.get("/api/v1/monitor/messages", params=query, headers=headers)
        found: list[dict[str, Any]] = answer.json()
        return found

    async def find_last_run(self, headers: Headers = None, **query: Any) -> str:
        """The id of the run whose message came last."""
        found: str = (await self.messages(headers, **query))[-1]["session_metadata"]["graph_run_id"]
        return found

    async def count_runs(self, flow: str) -> int:
        return len(await self.runtime.store.read(list_runs, flow_id=flow, limit=10_000))

    async def find_running(self, said: str, *, besides: str | None = None) -> str:
        """The id of the one run that runs, `besides` one that does, once its answer begins with this."""

        async def look() -> str | None:
            for found in await self.runtime.store.read(list_running):
                texts = self.runtime.running.read_texts(found.id) or {}
                if found.id != besides and any(text.startswith(said) for text in texts.values()):
                    return found.id
            return None

        run_id: str = await until(look)
        return run_id

    def forget_turns(self) -> None:
        """As after a restart, or after `limits.resume_seconds`: what ran here is told from the store."""
        self.runtime._stream_turns = StreamTurns()

    async def add(self, *names: str, role: Role = "author") -> None:
        """People of the organization."""
        for name in names:
            await self.runtime.store.write(members.add, name=name, display_name=name, role=role, by="tests")

    async def share(self, *flows: str, on: bool = True) -> None:
        """With everybody in the organization, programs included."""
        for flow in flows:
            sharing = Sharing(is_shared=on, shares_api=True)
            await self.runtime.store.write(publications.change, flow_id=flow, sharing=sharing, by="tests")

    async def token(
        self,
        *,
        owner: str | None = None,
        flows: tuple[str, ...] | None = None,
        expires_at: datetime | None = None,
        **rights: Any,
    ) -> tuple[StoredToken, dict[str, str]]:
        """One more token, and the headers of a call with it."""
        made, secret = await self.runtime.store.write(
            tokens.create, name="other", owner=owner, flows=flows, expires_at=expires_at, by="tests", **rights
        )
        return made, {"x-api-key": secret}


@dataclass
class Line:
    """A connection to the API in this process, over which `reach` bytes come before it is cut; None: all."""

    api: Api
    headers: list[tuple[bytes, bytes]]
    reach: int | None = None
    received: bytearray = field(default_factory=bytearray)
    _cut: asyncio.Event = field(default_factory=asyncio.Event)
    _asked: bool = False

    async def ask(self, method: str, path: str, *, query: str = "", body: bytes = b"") -> bytes:
        """What came."""
        headers = [*self.headers, (b"content-type", b"application/json")]
        scope: dict[str, Any] = {"type": "http", "http_version": "1.1", "scheme": "http", "headers": headers}
        scope |= {"method": method, "path": path, "query_string": query.encode()}

        async def receive() -> dict[str, Any]:
            if not self._asked:
                self._asked = True
                return {"type": "http.request", "body": body, "more_body": False}
            await self._cut.wait()
            return {"type": "http.disconnect"}

        await create_api(lambda: self.api.runtime)(scope, receive, self._take)
        return bytes(self.received)

    async def _take(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            assert message["status"] == 200
            return
        room = None if self.reach is None else self.reach - len(self.received)
        self.received += message.get("body", b"")[:room]
        if self.reach is not None and len(self.received) >= self.reach:
            self._cut.set()
