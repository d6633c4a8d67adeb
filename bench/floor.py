"""The least that a run can cost in Python: a bare route that makes the same upstream call and keeps nothing.

python -m bench.floor PORT STUB_URL
"""

import json
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

SYSTEM = "Answer the user as if you were a GenAI expert, enthusiastic about helping them."


def build(stub: str) -> Starlette:
    """`POST /run` and `POST /run?stream=true`, each one call of the stub through one shared client."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        limits = httpx2.Limits(max_connections=128, max_keepalive_connections=128)
        async with httpx2.AsyncClient(limits=limits, trust_env=False, timeout=60) as client:
            app.state.client = client
            yield

    async def run(request: Request) -> Response:
        given = await request.json()
        stream = request.query_params.get("stream") == "true"
        messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": given["input_value"]}]
        body = {"model": "stub-model", "messages": messages, "temperature": 0.1, "stream": stream}
        client: httpx2.AsyncClient = request.app.state.client
        if stream:
            return StreamingResponse(_tokens(client, f"{stub}/chat/completions", body), media_type="text/event-stream")
        answer = await client.post(f"{stub}/chat/completions", json=body)
        return JSONResponse({"outputs": [{"text": answer.json()["choices"][0]["message"]["content"]}]})

    return Starlette(routes=[Route("/run", run, methods=["POST"])], lifespan=lifespan)


async def _tokens(client: httpx2.AsyncClient, url: str, body: dict[str, object]) -> AsyncGenerator[str, None]:
    async with client.stream("POST", url, json=body) as answer:
        async for line in answer.aiter_lines():
            if line.startswith("data: {"):
                for choice in json.loads(line[6:])["choices"]:
                    if text := choice["delta"].get("content"):
                        yield json.dumps({"event": "token", "data": {"chunk": text}}) + "\n\n"
    yield json.dumps({"event": "end", "data": {}}) + "\n\n"


if __name__ == "__main__":
    port, stub_url = int(sys.argv[1]), sys.argv[2]
    uvicorn.run(
        build(stub_url),
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="error",
    )
