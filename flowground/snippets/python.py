"""The Python tab: a script for `requests`."""

from flowground.snippets.answer import write_gaps, write_in_brackets
from flowground.snippets.literals import (
    NO_TOKEN,
    PYTHON,
    VARIABLE,
    Name,
    fill,
    write_literal,
    write_python_scalar,
    write_short_literal,
)
from flowground.snippets.request import SnippetRequest

_HEAD = """\
import argparse
«imports»import sys

import requests  # pip install requests

url = «url»

parser = argparse.ArgumentParser()
parser.add_argument("--message", default=«message»)
message = parser.parse_args().message

«token»

«upload»payload = «payload»
"""

_UPLOAD = """\
files = []
for name in «names»:
    try:
        with open(name, "rb") as file:
            sent = requests.post(«url», files={"file": file}, headers={"x-api-key": token}, timeout=300)
    except (OSError, requests.RequestException) as error:
        sys.exit(f"{name} was not uploaded: {error}")
    if not sent.ok:
        sys.exit(f"{name} was not uploaded: {sent.text}")
    files.append(sent.json()["id"])

"""

_TOKEN = f"""\
token = os.environ.get("{VARIABLE}")
if not token:
    sys.exit("{NO_TOKEN}")"""

_PLAIN = """
try:
    response = requests.post(url, json=payload, headers={"x-api-key": token}, timeout=300)
    answer = response.json()
except requests.RequestException as error:
    sys.exit(f"No answer from {url}: {error}")

if not response.ok:
    detail = answer.get("«DETAIL»")
    sentence = detail.get("«MESSAGE»") if isinstance(detail, dict) else detail
    sys.exit(f"{sentence}\\n{answer.get('«HINT»', '')}".strip())
«waits»
"""

_WAITS = """\
if response.status_code == 202:
    run, call = response.json(), response.json()["waiting"][0]
    sent = '{"call": %s, "digest": "%s", "decision": "once"}' % (call["call"], call["digest"])
    decide = «runs» + f"/{run['run_id']}/decisions"
    sys.exit(f"The run waits for a decision: {response.text}\\nPOST {decide} with {sent}, or \\"refuse\\"")
"""

_SOURCES = """\
for passage in «answer».get("«CITATIONS»", []):
    print(f"[{passage['«NUMBER»']}] {passage['«SOURCE»']}")
"""

_LANGFLOW = """\
for output in answer«OUTPUTS»:
    print(output«SAID»)
"""

_SIMPLE = """\
print(answer["«TEXT»"])
«sources»"""

_STREAM = """
try:
    response = requests.post(url, json=payload, headers={"x-api-key": token}, timeout=300, stream=True)
    if not response.ok:
        answer = response.json()
        detail = answer.get("«DETAIL»")
        sentence = detail.get("«MESSAGE»") if isinstance(detail, dict) else detail
        sys.exit(f"{sentence}\\n{answer.get('«HINT»', '')}".strip())

    shown = ""  # of several answers, the first to begin is shown as it comes
    for line in filter(None, response.iter_lines()):
        event = json.loads(line)
        data = event["«DATA»"]
        if event["«EVENT»"] == "«TOKEN»":
            shown = shown or data["«ID»"]
            if data["«ID»"] == shown:
                print(data["«CHUNK»"], end="", flush=True)
        elif event["«EVENT»"] == "«FAILED»" and data["«ERROR»"]:
            sys.exit(f"{data['«ERROR»']}\\n{data.get('«HINT»', '')}".strip())
        elif event["«EVENT»"] == "«END»":
            if shown:
                print()
            for output in data["«RESULT»"]«OUTPUTS»:
                [message] = output["«RESULTS»"].values()
                if message["«DATA»"].get("«ID»") != shown:
                    print(message["«TEXT»"])
except requests.RequestException as error:
    sys.exit(f"No answer from {url}: {error}")
"""

_SHORT = """\
import argparse, «imports»sys, requests  # pip install requests

parser = argparse.ArgumentParser()
parser.add_argument("--message", default=«message»)
payload = «payload»
token = «token»
«upload»response = requests.post(«url», json=payload, headers={"x-api-key": token}«streamed»)
response.ok or sys.exit(response.text)
«waits»"""
_SHORT_UPLOAD = """\
payload["files"] = []
for name in «names»:
    sent = requests.post(«url», files={"file": open(name, "rb")}, headers={"x-api-key": token})
    sent.ok or sys.exit(sent.text)
    payload["files"].append(sent.json()["id"])
"""
_SHORT_TOKEN = f'os.environ.get("{VARIABLE}") or sys.exit("Set {VARIABLE} to a token first.")'

_SHORT_LANGFLOW = """\
for output in response.json()«OUTPUTS»:
    print(output«SAID»)
"""

_SHORT_SIMPLE = """\
print(response.json()["«TEXT»"])
«sources»"""

_SHORT_STREAM = """\
shown = ""  # of several answers, the first to begin is shown as it comes
for event in map(json.loads, filter(None, response.iter_lines())):
    data = event["«DATA»"]
    if event["«EVENT»"] == "«TOKEN»":
        shown = shown or data["«ID»"]
        if data["«ID»"] == shown:
            print(data["«CHUNK»"], end="", flush=True)
    elif event["«EVENT»"] == "«FAILED»" and data["«ERROR»"]:
        raise SystemExit(data["«ERROR»"])
    elif event["«EVENT»"] == "«END»":
        if shown:
            print()
        for output in data["«RESULT»"]«OUTPUTS»:
            [message] = output["«RESULTS»"].values()
            if message["«DATA»"].get("«ID»") != shown:
                print(message["«TEXT»"])
"""


def write_python(request: SnippetRequest) -> str:
    """A complete script: `python3 python-test-script.py --message="…"`. Raises ValueError as `write_body` does."""
    if not request.handles_errors:
        return _write_short(request)
    answer = _SIMPLE if request.shape == "simple" else _LANGFLOW
    return fill(
        _HEAD + (_STREAM if request.stream else _PLAIN + answer),
        imports=("import json\n" if request.stream else "") + ("" if request.token else "import os\n"),
        url=write_python_scalar(request.url),
        message=write_python_scalar(request.message),
        token=f"token = {write_python_scalar(request.token)}" if request.token else _TOKEN,
        upload=_write_upload(_UPLOAD, request),
        waits=_write_waits(request),
        sources=_write_sources("answer", request),
        payload=write_literal(request.write_body(Name("message"), Name("files") if request.files else None), PYTHON),
        **write_gaps(write_in_brackets),
    )


def _write_upload(template: str, request: SnippetRequest) -> str:
    if not request.files:
        return ""
    names = ", ".join(map(write_python_scalar, request.files))
    return fill(template, names=f"[{names}]", url=write_python_scalar(request.upload_url))


def _write_waits(request: SnippetRequest) -> str:
    return fill(_WAITS, runs=write_python_scalar(request.runs_url)) if request.may_wait else ""


def _write_sources(answer: str, request: SnippetRequest) -> str:
    return fill(_SOURCES, answer=answer, **write_gaps(write_in_brackets)) if request.cites else ""


def _write_short(request: SnippetRequest) -> str:
    answer = _SHORT_STREAM if request.stream else _SHORT_SIMPLE if request.shape == "simple" else _SHORT_LANGFLOW
    return fill(
        _SHORT + answer,
        imports=("json, " if request.stream else "") + ("" if request.token else "os, "),
        url=write_python_scalar(request.url),
        message=write_python_scalar(request.message),
        token=write_python_scalar(request.token) if request.token else _SHORT_TOKEN,
        upload=_write_upload(_SHORT_UPLOAD, request),
        waits=_write_waits(request),
        sources=_write_sources("response.json()", request),
        payload=write_short_literal(request.write_body(Name("parser.parse_args().message")), PYTHON),
        streamed=", stream=True" if request.stream else "",
        **write_gaps(write_in_brackets),
    )
