"""Small flows for the tests of flow, wiring, tweaks and loader."""

from textwrap import dedent

from flowground.core.errors import FlowError
from flowground.flows.flow import Flow
from flowground.flows.parse import parse_flow
from flowground.flows.wiring import WiredFlow, wire

LIMIT = 1_048_576


def parsed(text: str | bytes, file: str = "talk.yaml") -> Flow:
    """The flow of a text that may be indented like the code around it."""
    return parse_flow(dedent(text) if isinstance(text, str) else text, file)


def wired(text: str, file: str = "talk.yaml") -> WiredFlow:
    return wire(parsed(text, file))


def components(lines: str) -> str:
    """A flow that ends in a Chat Output, with these components before it."""
    inner = "\n".join(f"  {line}" for line in dedent(lines).strip("\n").splitlines())
    return f"components:\n{inner}\n  Out: {{type: ChatOutput, input_value: done}}\n"


def reads(said: str, expected: str) -> bool:
    """Whether a message is the expected one, in which ` … ` stands for words that are left out."""
    head, _, tail = expected.partition(" … ")
    return said.startswith(head) and said.endswith(tail) and (bool(tail) or said == head)


def mistakes(text: str | bytes, file: str = "talk.yaml") -> list[str]:
    """Every mistake of a text, as people read them; empty for a flow that runs."""
    try:
        wire(parsed(text, file))
    except FlowError as error:
        return [str(problem) for problem in error.problems]
    return []
