"""*Make it a test*: a test of a turn, inserted into the text of its flow's file.

No other character of the text changes. What a test's item looks like is left to PyYAML; the result is parsed again.
"""

import json
from collections.abc import Iterator, Mapping
from textwrap import indent
from typing import Any

import yaml

from flowground.access.insides import AnsweredTurn
from flowground.components.models import LanguageModel
from flowground.components.routers import SmartRouter
from flowground.core.errors import FlowError, InvalidRequest
from flowground.core.events import ComponentFinished
from flowground.core.yaml_file import Node, read_document
from flowground.flows.wiring import WiredFlow
from flowground.store.runs.records import TRACE_CHARS

_LINE_CHARS = 100


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as block scalars, where YAML can."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", data, style="|" if "\n" in data else None)


_Dumper.add_representer(str, _Dumper.represent_str)


def make_test(turn: AnsweredTurn) -> Mapping[str, Any]:
    """A test of this turn, as an item of `tests:`. Its `replies` come from the results of components, so that it needs
    no model; a reply that is not known from them is left out."""
    wired, answer = turn.wired, turn.answer.text
    steps = {step.component_id: step for step in turn.answer.trace}
    asking = [name for name in wired.order if wired.components[name].list_models()]
    ran = [name for name in asking if name in steps and steps[name].status == "done"]
    skipped = [name for name in wired.order if name in steps and steps[name].status == "skipped"]
    found = {name: _find_reply(wired, steps, name, answer) for name in ran}
    expected = {
        "equals": answer.strip(),
        "cites": list(dict.fromkeys(passage.source for passage in turn.answer.citations)),
        "takes": ran if skipped else [],
        "skips": skipped,
    }
    entry = {
        "overrides": turn.overrides,
        "replies": {name: reply for name, reply in found.items() if reply is not None},
        "expect": {key: value for key, value in expected.items() if value or key == "equals"},
    }
    return {"message": turn.question} | {key: value for key, value in entry.items() if value}


def _find_reply(wired: WiredFlow, steps: Mapping[str, ComponentFinished], name: str, answer: str) -> Any:
    """The reply of a component's model; None if only a part of it was stored, or it is not known from the trace."""
    component, text = wired.components[name], steps[name].text
    if isinstance(component, LanguageModel):
        if len(text) < TRACE_CHARS:
            return text
        return answer if answer.startswith(text) else None
    if isinstance(component, SmartRouter):
        route = next(_list_taken(wired, steps, name), None)
        return None if route is None else {"route": route}
    return None


def _list_taken(wired: WiredFlow, steps: Mapping[str, ComponentFinished], name: str) -> Iterator[str]:
    """The component's outputs that made another component run."""
    for follower in wired.followers.get(name, ()):
        if follower in steps and steps[follower].status != "skipped":
            for reference in wired.list_references(follower):
                if reference.component == name and reference.output and not reference.is_optional:
                    yield reference.output


def add_test(text: str, test: Mapping[str, Any]) -> str:
    """The text of a flow's file with one more item in `tests:`, which is created where it is missing.

    The result is parsed: everything else must read as before. Raises FlowError where the text is no YAML, and
    InvalidRequest where no such text was found.
    """
    before = read_document(text, "").root
    plain = before.read_plain() if before else None
    if before is None or not isinstance(plain, dict):
        raise InvalidRequest("This text is no flow.", hint="Write the test into the file by hand.")
    tests = plain.get("tests") or []
    wanted = {**plain, "tests": [*tests, test] if isinstance(tests, list) else tests}
    for item in (write_test(test), f"- {json.dumps(test)}\n"):
        written = _insert(text, before, item)
        try:
            read = read_document(written, "")
        except FlowError:
            continue
        if read.root and not read.problems and read.root.read_plain() == wanted:
            return written
    raise InvalidRequest("`tests` of this file cannot be added to here.", hint="Write it into the file by hand.")


def write_test(test: Mapping[str, Any]) -> str:
    """The test as YAML: a list of one item."""
    style: dict[str, Any] = {"default_flow_style": None, "sort_keys": False, "allow_unicode": True}
    written: str = yaml.dump([test], Dumper=_Dumper, width=_LINE_CHARS, **style)
    return written


def _insert(text: str, root: Node, item: str) -> str:
    """The text with the item behind the last one of `tests`, or in a new list at the end."""
    if "tests" not in root.keys:
        gap = "" if text.endswith("\n") else "\n"
        return f"{text}{gap}tests:\n{indent(item, '  ')}"
    begin, lines = root.keys["tests"].line, text.removesuffix("\n").split("\n")
    end = min((key.line for key in root.keys.values() if key.line > begin), default=len(lines) + 1) - 1
    while end > begin and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")):
        end -= 1
    tests = root.value["tests"]
    column = tests.position.column - 1 if tests.value else 2
    return "\n".join((*lines[:end], indent(item, " " * column).rstrip("\n"), *lines[end:], ""))
