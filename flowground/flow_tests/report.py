"""The outcomes of tests as lines that people read, and as JUnit's XML, which CI servers read."""

import re
from collections.abc import Iterator, Mapping, Sequence
from xml.etree import ElementTree

from flowground.flow.tested import FlowTestOutcome
from flowground.words import count, cut, show

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that cannot stand in XML."""


def write_lines(outcome: FlowTestOutcome) -> Iterator[str]:
    """Its first line, and below it what was not as expected."""
    mark = "ok  " if outcome.is_passed else "FAIL"
    yield f"{mark} {outcome.file}:{outcome.line} {cut(' '.join(outcome.title.split()))} ({outcome.seconds:.2f} s)"
    yield from (f"     {line}" for line in write_differences(outcome))


def write_differences(outcome: FlowTestOutcome) -> Iterator[str]:
    """What was not as expected, and of several turns in which; nothing where all was."""
    turn = outcome.turns[-1]
    if turn.differences and outcome.wanted > 1:
        yield f"turn {len(outcome.turns)} of {outcome.wanted}, {show(turn.message)}:"
    for difference in turn.differences:
        yield str(difference)
        yield from (f"    {line}" for line in difference.lines)


def sum_up(outcomes: Sequence[FlowTestOutcome]) -> str:
    """How many there are, and how many of them failed."""
    failed = sum(not outcome.is_passed for outcome in outcomes)
    flows = len({outcome.flow_id for outcome in outcomes})
    said = f"{count(len(outcomes), 'test')} of {count(flows, 'flow')}"
    return f"{said}, {failed:,} failed." if failed else f"{said}, all passed."


def write_junit(outcomes: Sequence[FlowTestOutcome], broken: Mapping[str, str]) -> bytes:
    """A suite for each flow; `broken` are files that cannot be tested, and why: an error each."""
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
    given = {"classname": flow, "name": _clean(title), "time": f"{seconds:.3f}"} | more
    return ElementTree.SubElement(suite, "testcase", given)


def _clean(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)
