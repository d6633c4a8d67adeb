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

payload = «payload»
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

"""

_LANGFLOW = """\
for output in answer«OUTPUTS»:
    print(output«SAID»)
"""

_SIMPLE = """\
print(answer["«TEXT»"])
"""

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
response = requests.post(«url», json=payload, headers={"x-api-key": token}«streamed»)
response.ok or sys.exit(response.text)
"""
_SHORT_TOKEN = f'os.environ.get("{VARIABLE}") or sys.exit("Set {VARIABLE} to a token first.")'

_SHORT_LANGFLOW = """\
for output in response.json()«OUTPUTS»:
    print(output«SAID»)
"""

_SHORT_SIMPLE = """\
print(response.json()["«TEXT»"])
"""

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
        payload=write_literal(request.write_body(Name("message")), PYTHON),
        **write_gaps(write_in_brackets),
    )


def _write_short(request: SnippetRequest) -> str:
    answer = _SHORT_STREAM if request.stream else _SHORT_SIMPLE if request.shape == "simple" else _SHORT_LANGFLOW
    return fill(
        _SHORT + answer,
        imports=("json, " if request.stream else "") + ("" if request.token else "os, "),
        url=write_python_scalar(request.url),
        message=write_python_scalar(request.message),
        token=write_python_scalar(request.token) if request.token else _SHORT_TOKEN,
        payload=write_short_literal(request.write_body(Name("parser.parse_args().message")), PYTHON),
        streamed=", stream=True" if request.stream else "",
        **write_gaps(write_in_brackets),
    )
