"""Asks the run API of a server, as any client of it does (Langflow's contract: `POST /api/v1/run/{flow}`)."""

import json
import os
from collections.abc import Generator, Iterator
from typing import Any
from urllib.parse import quote

import requests

from flowground.caller import RunRequest
from flowground.errors import InvalidRequest, NotSignedIn, RequestError, RunError
from flowground.snippets.answer import WORDS, find
from flowground.snippets.environment import NO_TOKEN, VARIABLE

_TIMEOUT = 300
"""Seconds to wait for the connection and for each next piece."""


def ask_server(base_url: str, flow: str, request: RunRequest) -> Generator[str]:
    """Pieces of the answer, a newline last. Raises RequestError with the server's own sentence, or RunError."""
    token = os.environ.get(VARIABLE)
    if not token:
        raise NotSignedIn(NO_TOKEN)
    url = f"{base_url.rstrip('/')}/api/v1/run/{quote(flow, safe='')}"
    try:
        with requests.post(
            url,
            params={"stream": "true"} if request.stream else None,
            json=_body(request),
            headers={"x-api-key": token},
            timeout=_TIMEOUT,
            stream=True,
        ) as response:
            if not response.ok:
                raise _refusal(response.json())
            yield from _streamed(response) if request.stream else [_texts(response.json())]
    except requests.exceptions.InvalidURL:
        raise InvalidRequest(f"{base_url} is no address.") from None
    except requests.RequestException as error:
        raise RunError(f"No usable answer from {url}: {_reason(error)}") from None


def _body(request: RunRequest) -> dict[str, Any]:
    body: dict[str, Any] = {"input_type": request.input_type}
    if request.input_value is not None:
        body["input_value"] = request.input_value
    if request.session_id:
        body["session_id"] = request.session_id
    if request.tweaks:
        body["tweaks"] = dict(request.tweaks)
    return body


def _streamed(response: requests.Response) -> Iterator[str]:
    shown = ""  # of several answers, the first to begin is printed as it comes
    for line in filter(None, response.iter_lines()):
        event = json.loads(line)
        kind, data = event[WORDS.event], event[WORDS.data]
        if kind == WORDS.token:
            shown = shown or data[WORDS.id]
            if data[WORDS.id] == shown:
                yield data[WORDS.chunk]
        elif kind == WORDS.failed and data[WORDS.error]:
            raise RunError(str(data[WORDS.error]), hint=data.get(WORDS.hint))
        elif kind == WORDS.end:
            if shown:
                yield "\n"
            yield _texts(data[WORDS.result], printed=shown)


def _texts(result: Any, *, printed: str = "") -> str:
    """The text of each output, a line each; without the message that is `printed` already, by its id."""
    texts = []
    for output in find(WORDS.outputs, result):
        [message] = output[WORDS.results].values()
        if message[WORDS.data].get(WORDS.id) != printed:
            texts.append(f"{message[WORDS.text]}\n")
    return "".join(texts)


def _refusal(body: Any) -> RequestError:
    detail = body.get(WORDS.detail)
    sentence = detail.get(WORDS.message) if isinstance(detail, dict) else detail
    return RequestError(str(sentence), hint=body.get(WORDS.hint))


def _reason(error: requests.RequestException) -> str:
    """The innermost words: requests wraps them three times."""
    match error:
        case requests.Timeout():
            return f"nothing came for {_TIMEOUT} s."
        case requests.JSONDecodeError():
            return "it is no JSON."
        case requests.ConnectionError():
            return "nothing answers there."
        case _:
            return str(error)
