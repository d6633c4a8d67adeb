"""docs/api.md's table of codes and the code agree: nothing that can be answered is missing, nothing in it is gone."""

import importlib
import pkgutil
import re
from collections.abc import Iterator

import flowground
from flowground.api.errors import find_status
from flowground.core.errors import ComponentFailed, ConfigError, EndedByAdmin, FlowError, FlowgroundError, RequestError
from flowground.ui.conversation.socket import TooManyOpen
from tests.servers import ROOT

NEVER_ANSWERED = (ConfigError, FlowError, TooManyOpen)
"""What an operator and an author are told, at start and by `validate`; and what a conversation's socket says."""
NO_CODE_OF_THEIR_OWN = {FlowgroundError, RequestError, EndedByAdmin, ComponentFailed}
"""Bases that nothing raises by themselves where a request is answered; a failed component has its cause's code."""

ON_PAGES = {"turn_running", "link_over", "locked_out", "sign_in_busy"}
"""Codes of what people meet on pages: a visitor's second message and sign-in."""


def table() -> dict[str, int]:
    """Code -> its status, as docs/api.md lists them."""
    text = (ROOT / "docs" / "api.md").read_text("utf-8")
    rows = text.partition("| status | code | when |\n| --- | --- | --- |\n")[2].partition("\n\n")[0].splitlines()
    cells = [row.strip("|").split("|") for row in rows]
    return {code: int(status) for status, codes, _ in cells for code in re.findall(r"`(\w+)`", codes)}


def error_classes(base: type[FlowgroundError]) -> Iterator[type[FlowgroundError]]:
    for kind in base.__subclasses__():
        if kind.__module__.startswith("flowground.") and not issubclass(kind, NEVER_ANSWERED):
            yield kind
            yield from error_classes(kind)


CODE = re.compile(r'\bcode="(\w+)"|"code": "(\w+)"|\bcode, \w+ = "(\w+)"')


def literal_codes() -> set[str]:
    """What the code writes as a `code`: an argument, a key of a body, an assignment."""
    texts = (path.read_text("utf-8") for path in (ROOT / "flowground").rglob("*.py"))
    return {code for text in texts for found in CODE.findall(text) for code in found if code}


def test_every_code_that_can_be_answered_is_listed_with_its_status() -> None:
    for module in pkgutil.walk_packages(flowground.__path__, "flowground."):
        if not module.name.endswith("__main__") and not module.name.startswith("flowground.ui"):
            importlib.import_module(module.name)
    listed = table()
    kinds = set(error_classes(FlowgroundError)) - NO_CODE_OF_THEIR_OWN
    answered = {kind.code: find_status(kind.__new__(kind)) for kind in kinds}
    literals = literal_codes()
    assert {code: status for code, status in answered.items() if listed.get(code) != status} == {}
    assert literals >= ON_PAGES
    assert listed.keys() == (answered.keys() | literals) - ON_PAGES
