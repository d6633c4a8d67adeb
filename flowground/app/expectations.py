"""What came of a tested turn, compared with what its test expects; and outcomes written as lines and as JUnit's XML."""

import difflib
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from flowground.components.schemas import compile_pattern, find_misfit, is_match
from flowground.core.citations import find_numbers
from flowground.core.events import ComponentFinished, Event, StepStatus, ToolReturned, TurnFinished, write_arguments
from flowground.core.values import Value
from flowground.core.words import count, cut, list_names, show
from flowground.flows.flow import Difference, Expectation, FlowTestOutcome

_MOST_LINES = 400
"""Lines of a text that are compared; later ones are ignored."""
_SHOWN_LINES = 20
_SHOWN_CHARS = 500
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML does not allow."""


@dataclass(frozen=True, slots=True)
class TestedTurnResult:
    """What came of one tested turn.

    `ended` has the status of each component that ran or was skipped, but not of tools that nobody called. `calls` is
    how often each component asked a model; `tokens` None: no model counted. `data` is the answer where it is no text;
    `failure` says why the turn failed. `arguments` has the arguments of each call of the flow's own tools, `cited` the
    sources that the answer cites, by passage number.
    """

    answer: str
    data: Value
    failure: str | None
    ended: Mapping[str, StepStatus]
    calls: Mapping[str, int]
    seconds: float
    tokens: int | None
    arguments: Mapping[str, Sequence[Mapping[str, Any]]]
    cited: Mapping[int, str]


def compare(expect: Expectation, result: TestedTurnResult) -> tuple[Difference, ...]:
    """All differences from what is expected; for an unexpected failure, only its reason."""
    if result.failure is not None and not expect.fails:
        return (Difference("", result.failure),)
    answered = _compare_failure(expect, result) if expect.fails else _compare_answer(expect, result)
    return (*answered, *_compare_path(expect, result), *_compare_use(expect, result))


def _compare_failure(expect: Expectation, result: TestedTurnResult) -> Iterator[Difference]:
    if result.failure is None:
        yield Difference("fails", "the turn did not fail.", _quote(result.answer))
    elif missing := [text for text in expect.fails if text not in result.failure]:
        yield Difference("fails", f"the reason lacks {list_names(map(show, missing))}.", _quote(result.failure))


def _compare_answer(expect: Expectation, result: TestedTurnResult) -> Iterator[Difference]:
    answer = result.answer
    if expect.equals is not None and expect.equals.strip() != answer.strip():
        yield Difference(
            "equals", "the answer is another (- expected, + given).", _compare_lines(expect.equals, answer)
        )
    if missing := [text for text in expect.contains if text not in answer]:
        yield Difference("contains", f"the answer lacks {list_names(map(show, missing))}.", _quote(answer))
    if missing := [pattern for pattern in expect.matches if not is_match(compile_pattern(pattern), answer)]:
        yield Difference("matches", f"nothing in the answer matches {list_names(map(show, missing))}.", _quote(answer))
    if expect.data is not None or expect.answer_schema is not None:
        yield from _compare_data(expect, result)
    if expect.cites:
        yield from _compare_citations(expect, result)


def _compare_data(expect: Expectation, result: TestedTurnResult) -> Iterator[Difference]:
    try:
        data = json.loads(result.answer) if result.data is None else result.data
    except (ValueError, RecursionError):
        about = "schema" if expect.data is None else "data"
        yield Difference(about, "the answer is no JSON.", _quote(result.answer))
        return
    if expect.data is not None and expect.data != data:
        lines = _compare_lines(_write_data(expect.data), _write_data(data))
        yield Difference("data", "the answer is other data (- expected, + given).", lines)
    if expect.answer_schema is not None and (misfit := find_misfit(data, expect.answer_schema)):
        yield Difference("schema", misfit, _quote(result.answer))


def _compare_citations(expect: Expectation, result: TestedTurnResult) -> Iterator[Difference]:
    cited = dict.fromkeys(result.cited.values())
    missing = [name for name in expect.cites if not any(f"/{source}".endswith(f"/{name}") for source in cited)]
    if missing:
        sources = _cut_lines([f"  {source}" for source in cited or ["(nothing)"]])
        lines = (*sources, "The answer:", *_quote(result.answer))
        yield Difference("cites", f"the answer does not cite {list_names(map(show, missing))}.", lines)
    if unknown := [number for number in dict.fromkeys(find_numbers(result.answer)) if number not in result.cited]:
        numbers = ", ".join(f"[{number}]" for number in unknown)
        yield Difference("cites", f"the answer cites {numbers}, and no such passage was found.")


def _compare_arguments(expect: Expectation, result: TestedTurnResult) -> Iterator[Difference]:
    for name, wanted in expect.arguments.items():
        calls = result.arguments.get(name, ())
        missing = [one for one in wanted if not any(call | one == call for call in map(dict, calls))]
        if not calls:
            yield Difference("arguments", f"`{name}` was not called.")
        elif missing:
            had = list_names(map(write_arguments, missing))
            lines = _cut_lines([f"  {write_arguments(call)}" for call in calls])
            yield Difference("arguments", f"no call of `{name}` had {had}.", lines)


def _compare_path(expect: Expectation, result: TestedTurnResult) -> Iterator[Difference]:
    for name in expect.takes:
        if name not in result.ended or result.ended[name] == "skipped":
            end = "was skipped" if name in result.ended else "did not run"
            yield Difference("takes", f"`{name}` {end}.")
    for name in expect.skips:
        if result.ended.get(name, "skipped") != "skipped":
            yield Difference("skips", f"`{name}` ran.")
    for name, times in expect.calls.items():
        if (asked := result.calls.get(name, 0)) != times:
            yield Difference("calls", f"`{name}` asked a model {count(asked, 'time')}, not {times:,}.")
    yield from _compare_arguments(expect, result)


def _compare_use(expect: Expectation, result: TestedTurnResult) -> Iterator[Difference]:
    if expect.max_seconds is not None and result.seconds > expect.max_seconds:
        yield Difference("max_seconds", f"the turn took {result.seconds:.2f} s, more than {expect.max_seconds:g}.")
    if expect.max_tokens is not None:
        if result.tokens is None and any(result.calls.values()):
            yield Difference("max_tokens", "the model counts no tokens.")
        elif (result.tokens or 0) > expect.max_tokens:
            yield Difference("max_tokens", f"the turn used {result.tokens:,} tokens, more than {expect.max_tokens:,}.")


def _write_data(data: Value) -> str:
    return json.dumps(data, ensure_ascii=False, indent=2, sort_keys=True)


def _compare_lines(expected: str, given: str) -> tuple[str, ...]:
    """The lines that differ, with two lines around them; below a single pair, a mark where the difference begins."""
    before, after = expected.strip().splitlines()[:_MOST_LINES], given.strip().splitlines()[:_MOST_LINES]
    found = [line for line in difflib.unified_diff(before, after, lineterm="", n=2) if not line.startswith("@@")][2:]
    lines = [line[0] + " " + line[1:] for line in found]
    if len(before) == len(after) == 1:
        pairs = zip(before[0], after[0], strict=False)
        at = len([*itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)])
        if at < _SHOWN_CHARS:
            lines.append(" " * (at + 2) + "^")
    return _cut_lines(lines)


def _quote(text: str) -> tuple[str, ...]:
    return _cut_lines([f"  {line}" for line in text.splitlines()[: _SHOWN_LINES + 1]]) or ("  (it is empty)",)


def _cut_lines(lines: list[str]) -> tuple[str, ...]:
    shown = (cut(line, _SHOWN_CHARS) for line in lines[:_SHOWN_LINES])
    return (*shown, "  …") if len(lines) > _SHOWN_LINES else tuple(shown)


def write_lines(outcome: FlowTestOutcome) -> Iterator[str]:
    """The outcome in one line, and its differences below."""
    mark = "ok  " if outcome.is_passed else "FAIL"
    yield f"{mark} {outcome.file}:{outcome.line} {cut(' '.join(outcome.title.split()))} ({outcome.seconds:.2f} s)"
    yield from (f"     {line}" for line in write_differences(outcome))


def write_differences(outcome: FlowTestOutcome) -> Iterator[str]:
    """The differences of the failed turn, with its number where the test has several; nothing for a passed test."""
    turn = outcome.turns[-1]
    if turn.differences and outcome.wanted > 1:
        yield f"turn {len(outcome.turns)} of {outcome.wanted}, {show(turn.message)}:"
    for difference in turn.differences:
        yield str(difference)
        yield from (f"    {line}" for line in difference.lines)


def sum_up(outcomes: Sequence[FlowTestOutcome]) -> str:
    """The numbers of tests, flows and failures, as a sentence."""
    failed = sum(not outcome.is_passed for outcome in outcomes)
    flows = len({outcome.flow_id for outcome in outcomes})
    tests = f"{count(len(outcomes), 'test')} of {count(flows, 'flow')}"
    return f"{tests}, {failed:,} failed." if failed else f"{tests}, all passed."


def write_junit(outcomes: Sequence[FlowTestOutcome], broken: Mapping[str, str]) -> bytes:
    """JUnit's XML with a suite for each flow. `broken` maps files that cannot be tested to the reason."""
    root = ElementTree.Element("testsuites")
    by_flow: dict[str, list[FlowTestOutcome]] = {}
    for outcome in outcomes:
        by_flow.setdefault(outcome.flow_id, []).append(outcome)
    for flow_id, tests in by_flow.items():
        suite = _add_suite(root, flow_id, tests=len(tests), failures=sum(not test.is_passed for test in tests))
        for test in tests:
            case = _add_case(suite, flow_id, test.title, seconds=test.seconds, file=test.file, line=str(test.line))
            if not test.is_passed:
                lines = list(write_differences(test))
                failure = ElementTree.SubElement(case, "failure", message=_clean(lines[0]))
                failure.text = _clean("\n".join(lines))
    for file, says in broken.items():
        case = _add_case(_add_suite(root, file, tests=1, errors=1), file, "the file is read", seconds=0, file=file)
        ElementTree.SubElement(case, "error", message=_clean(says.partition("\n")[0])).text = _clean(says)
    ElementTree.indent(root)
    written: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _add_suite(root: ElementTree.Element, name: str, **counts: int) -> ElementTree.Element:
    numbers = {"tests": 0, "failures": 0, "errors": 0} | counts
    return ElementTree.SubElement(
        root, "testsuite", {"name": name} | {key: str(value) for key, value in numbers.items()}
    )


def _add_case(suite: ElementTree.Element, flow: str, title: str, *, seconds: float, **more: str) -> ElementTree.Element:
    attributes = {"classname": flow, "name": _clean(title), "time": f"{seconds:.3f}"} | more
    return ElementTree.SubElement(suite, "testcase", attributes)


def _clean(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)


def sum_up_turn(
    events: Sequence[Event], failure: str | None, calls: Mapping[str, int], seconds: float
) -> TestedTurnResult:
    """The result of a turn with these events that took so long; with data where its only answer is no text."""
    ended: dict[str, StepStatus] = {}
    arguments: dict[str, list[Mapping[str, Any]]] = {}
    end: TurnFinished | None = None
    for event in events:
        if isinstance(event, ComponentFinished):
            _note_step(ended, event, "")
        elif isinstance(event, ToolReturned) and event.has_run and not event.called.is_inner:
            ended[event.called.tool] = "done" if event.status == "done" else "failed"
            arguments.setdefault(event.called.tool, []).append(event.called.arguments)
        elif isinstance(event, TurnFinished):
            end, seconds = event, event.seconds
    outputs = end.outputs if end else ()
    answer = "\n".join(output.text for output in outputs)
    data = outputs[0].value if len(outputs) == 1 and outputs[0].kind in ("data", "records") else None
    tokens = end.usage.total_tokens if end and end.usage else None
    cited = {passage.number: passage.source for output in outputs for passage in output.citations}
    return TestedTurnResult(answer, data, failure, ended, calls, seconds, tokens, arguments, cited)


def _note_step(ended: dict[str, StepStatus], step: ComponentFinished, prefix: str) -> None:
    """Notes how a component ended; one that ran in some inner flow and was skipped in others counts as run."""
    name = f"{prefix}{step.component_id}"
    if step.status != "skipped" or name not in ended:
        ended[name] = step.status
    for run in step.inner:
        for inner in run.steps:
            _note_step(ended, inner, f"{run.flow_id}.")
