"""`run FLOW`: one message, the answer and what it cites on stdout: in this process, or by a running server's API."""

import asyncio
import json
import os
from collections.abc import Coroutine, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, get_args
from urllib.parse import quote

import requests

from flowground.api.snippets import VARIABLE, SnippetRequest
from flowground.app import endpoint
from flowground.app.authorize import CommandLine
from flowground.app.runtime import Runtime
from flowground.cli.output import AnswerPrinter, DownloadBar
from flowground.cli.resources import find_flow, load_settings
from flowground.core.caller import InputType, RunRequest
from flowground.core.citations import NumberedPassage
from flowground.core.errors import InvalidRequest, NotSignedIn, RequestError, RunError
from flowground.core.events import Event, ModelProgress, Token, TurnFinished
from flowground.flows.wiring import find_types

_TIMEOUT = 300
"""Seconds to wait for the connection to a server and for each next piece."""


def run(
    flow: str,
    message: str | None,
    session: str | None,
    tweaks: Sequence[tuple[str, str, Any]],
    stream: bool,
    input_type: InputType | None,
    server: str | None,
) -> Coroutine[Any, Any, None] | None:
    """Prints the answer and, below it, the passages that it cites, to stdout; nothing else."""
    changes: dict[str, Any] = {}
    for component, field, value in tweaks:
        if component:
            changes.setdefault(component, {})[field] = value
        else:
            changes[field] = value
    request = RunRequest(message, input_type or "chat", tweaks=changes, session_id=session, stream=stream)
    if not server:
        return _run_here(flow, request, input_type)
    _ask_server(server, flow, request, is_type_given=input_type is not None)
    return None


async def _run_here(flow: str, asked: RunRequest, input_type: InputType | None) -> None:
    runtime = await asyncio.to_thread(Runtime, load_settings())
    bar, printer = DownloadBar(), AnswerPrinter()
    try:
        await runtime.start()
        wired = find_flow(runtime.catalogue, flow)
        # Always a stream: only a stream waits for a model that is being fetched.
        request = replace(asked, input_type=input_type or find_types(wired)[0], stream=True)
        answer = await endpoint.answer(runtime, CommandLine(), address=wired.id, ask=request)
        async with aclosing(answer.stream_events()) as events:
            async for event in events:
                if asked.stream or not isinstance(event, Token):
                    _show(event, bar, printer)
    finally:
        bar.end()
        await runtime.close()


def _show(event: Event, bar: DownloadBar, printer: AnswerPrinter) -> None:
    match event:
        case Token():
            bar.end()
            printer.show(event.component_id, event.text)
        case ModelProgress():
            bar.show(event.received, event.total)
        case TurnFinished():
            bar.end()
            texts = [(output.component_id, output.text) for output in event.outputs]
            printer.end(texts, [passage for output in event.outputs for passage in output.citations])
        case _:  # events before an answer
            pass


def _ask_server(base_url: str, flow: str, request: RunRequest, *, is_type_given: bool) -> None:
    """Calls the run API, as any client. Raises RequestError with the server's own sentence, or RunError."""
    token = os.environ.get(VARIABLE)
    if not token:
        raise NotSignedIn(f"Set the environment variable {VARIABLE} to an application token.")
    session, tweaks = request.session_id, request.tweaks
    asked = SnippetRequest(base_url, flow, session_id=session, tweaks=tweaks, mode="langflow")
    headers = {"x-api-key": token}
    printer = AnswerPrinter()
    try:
        input_type = request.input_type
        if request.input_value is not None and not is_type_given:
            input_type = _ask_input_type(asked.find_url(f"/api/v1/flows/{quote(flow, safe='')}"), headers)
        asked = replace(asked, input_type=input_type)
        with requests.post(
            asked.url,
            params={"stream": "true"} if request.stream else None,
            json=asked.write_body(request.input_value),
            headers=headers,
            timeout=_TIMEOUT,
            stream=True,
        ) as response:
            if not response.ok:
                raise _request_error(response.json())
            if request.stream:
                _print_stream(response, printer)
            else:
                _print_result(response.json(), printer)
    except requests.exceptions.InvalidURL:
        raise InvalidRequest(f"{base_url} is not an address.") from None
    except requests.RequestException as error:
        raise RunError(f"No usable answer from {asked.url}: {_find_reason(error)}") from None


def _ask_input_type(url: str, headers: dict[str, str]) -> InputType:
    """The flow's input type by the server's API; "chat" if it has none, as Langflow and older servers."""
    with requests.get(url, headers=headers, timeout=_TIMEOUT) as response:
        found = response.json().get("input_type") if response.ok else None
    return next((kind for kind in get_args(InputType) if kind == found), "chat")


def _print_stream(response: requests.Response, printer: AnswerPrinter) -> None:
    for line in filter(None, response.iter_lines()):
        event = json.loads(line)
        kind, data = event["event"], event["data"]
        if kind == "token":
            printer.show(data["id"], data["chunk"])
        elif kind == "error" and data["error"]:
            raise RunError(str(data["error"]), hint=data.get("hint"))
        elif kind == "end":
            _print_result(data["result"], printer)


def _print_result(result: Any, printer: AnswerPrinter) -> None:
    """Prints the outputs' texts, and the passages that they cite; unknown fields of newer servers are ignored."""
    outputs = result["outputs"][0]["outputs"]
    messages = [message for output in outputs for message in output["results"].values()]
    artifacts = [output.get("artifacts", {}) for output in outputs]  # a Chat Output has one, others several by name
    holders = [one for found in artifacts for one in (found, *found.values()) if isinstance(one, dict)]
    cited = [passage for holder in holders for passage in holder.get("citations", ())]
    printer.end(
        [(message["data"].get("id"), message["text"]) for message in messages],
        [NumberedPassage(one["number"], "", one["source"], one.get("page"), one.get("title", "")) for one in cited],
    )


def _request_error(body: Any) -> RequestError:
    detail = body.get("detail")
    sentence = detail.get("message") if isinstance(detail, dict) else detail
    if isinstance(detail, list):  # one for each wrong part of the body
        sentence = " ".join(problem["msg"] for problem in detail)
    return RequestError(str(sentence), hint=body.get("hint"))


def _find_reason(error: requests.RequestException) -> str:
    """The reason in plain words; requests wraps it three times."""
    match error:
        case requests.Timeout():
            return f"nothing came for {_TIMEOUT} s."
        case requests.JSONDecodeError():
            return "it is not JSON."
        case requests.ConnectionError():
            return "nothing answers there."
        case _:
            return str(error)
