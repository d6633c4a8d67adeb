"""A test made of a turn that somebody had: what was said, what models answered, and what came of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flowground.citations import Citations
from flowground.components.models import LanguageModel
from flowground.components.routers import SmartRouter
from flowground.events import ComponentFinished
from flowground.flow.parse import FLOW_FILE
from flowground.store.runs.traces import TRACE_CHARS
from flowground.wiring import WiredFlow
from flowground.yaml_file.insertion import append_item

_AROUND = 3
"""Lines of a patch before and after what is new."""


@dataclass(frozen=True, slots=True)
class MadeTest:
    """`entry` is what stands under `tests:`; `unknown` are components whose model's reply cannot be told any more."""

    entry: Mapping[str, Any]
    unknown: tuple[str, ...]


def make_test(
    wired: WiredFlow,
    question: str,
    answer: str,
    trace: Sequence[ComponentFinished],
    overrides: Mapping[str, Any],
    citations: Citations = (),
) -> MadeTest:
    """Replies are told by what components gave, so that the test is the same turn without its models. `citations` are
    what the answer cites."""
    steps = {step.component_id: step for step in trace}
    asking = [name for name in wired.order if wired.components[name].list_models()]
    ran = [name for name in asking if name in steps and steps[name].status == "done"]
    skipped = [name for name in wired.order if name in steps and steps[name].status == "skipped"]
    found = {name: _find_reply(wired, steps, name, answer) for name in ran}
    replies = {name: reply for name, reply in found.items() if reply is not None}
    way = {"takes": ran, "skips": skipped} if skipped else {}
    sources = list(dict.fromkeys(passage.source for passage in citations))
    entry = {
        "message": question,
        "overrides": overrides,
        "replies": replies,
        "expect": {"equals": answer.strip()}
        | ({"cites": sources} if sources else {})
        | {key: names for key, names in way.items() if names},
    }
    inner = [name for name in wired.order if name in steps and steps[name].inner_count]
    unknown = (*(name for name in ran if name not in replies), *inner)
    return MadeTest({key: value for key, value in entry.items() if value or key == "message"}, unknown)


def _find_reply(wired: WiredFlow, steps: Mapping[str, ComponentFinished], name: str, answer: str) -> Any:
    """None where it cannot be told: it was longer than what is kept of it, or became something else."""
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
    """Outputs on which something followed that ran because of it."""
    for follower in wired.followers.get(name, ()):
        if follower in steps and steps[follower].status != "skipped":
            for reference in wired.list_references(follower):
                if reference.component == name and reference.output and not reference.is_optional:
                    yield reference.output


def add_to_file(content: bytes, entry: Mapping[str, Any]) -> bytes:
    """The file with one more test, all else byte for byte as it was. Raises InvalidRequest, FlowError."""
    mark = b"\xef\xbb\xbf"
    is_marked = content.startswith(mark)
    text = content.decode("utf-8-sig")
    return (mark if is_marked else b"") + append_item(text, "tests", entry, FLOW_FILE).encode()


def write_patch(before: bytes, after: bytes, file: str) -> str:
    """The change as `patch` and `git apply` read it; it is one piece."""
    old, new = (_split(content) for content in (before, after))
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    tail = 0
    while tail < min(len(old), len(new)) - start and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    first, last = max(0, start - _AROUND), min(tail, _AROUND)
    gone, come = old[start : len(old) - tail], new[start : len(new) - tail]
    above, below = old[first:start], old[len(old) - tail : len(old) - tail + last]
    counts = [len(above) + len(part) + len(below) for part in (gone, come)]
    begins = [first + 1 if count else 0 for count in counts]
    lines = [(" ", above), ("-", gone), ("+", come), (" ", below)]
    body = "".join(f"{mark}{_end_line(line)}" for mark, part in lines for line in part)
    return f"--- a/{file}\n+++ b/{file}\n@@ -{begins[0]},{counts[0]} +{begins[1]},{counts[1]} @@\n{body}"


def _split(content: bytes) -> list[str]:
    lines = content.decode().split("\n")
    return [f"{line}\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])


def _end_line(line: str) -> str:
    return line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
