"""States of what models do on the way to an answer: calls of tools, thoughts, and a call that waits for a person."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from docs.pictures.acme import PEOPLE
from tests.acme import enter_as
from tests.house import House
from tests.open_page import answers, composer, flow_text, go, say, still
from tests.servers import AppServer

if TYPE_CHECKING:
    from playwright.sync_api import Page

_DESK = """\
name: Refund desk
description: Looks orders up, and pays back what a colleague has allowed.
components:
  ChatInput: {type: ChatInput}
  Agent: {type: Agent, model: "MODEL", input_value: "${ChatInput}", tools: [Sums, Expert, Refund]}
  Sums: {type: Calculator, display_name: Work out}
  Expert: {type: Agent, display_name: Ask the shipping desk, model: "shipping:echo", tools: [Sums]}
  Refund:
    type: APIRequest
    display_name: Pay back
    method: POST
    url_input: https://api.example.com/orders/{order}/refunds
    body: {amount: "{amount}", currency: EUR, why: "{why}", notify: [customer, accounts]}
  ChatOutput: {type: ChatOutput, input_value: "${Agent}"}
chat: {icon: "↺", show_tools: true}
"""
_WORKED_OUT = """\
call Expert {"input_value": "What do two parcels cost?"} and call Sums {"expression": "2 * 45 - forty"}
call Sums {"expression": "2 * 45 - 9.8"}
We pay **80.20 euros** back: two lamps at 45 euros, less 9.80 for the parcels."""
_SHIPPING = """\
call Sums {"expression": "2 * 4.9"}
Two parcels cost 9.80 euros."""
_PAID_BACK = """\
call Refund {"order": "1042", "amount": "80.20", "why": "Both lamps came back"}
It is on its way."""
_PIECES = {"lamps": _WORKED_OUT, "refunds": _PAID_BACK, "shipping": _SHIPPING}
DESK = House(
    people=PEOPLE,
    config={
        "organization": {"name": "Acme"},
        "providers": {name: {"type": "scripted", "pieces": [text]} for name, text in _PIECES.items()},
    },
    flows={
        "lamps": _DESK.replace("MODEL", "lamps:echo"),
        "refunds": _DESK.replace("MODEL", "refunds:echo"),
        "thinker": flow_text("scripted:thinking", "Second opinions"),
    },
)


def _ask(page: "Page", server: AppServer, flow: str, question: str) -> "Page":
    enter_as(page, server, "olga")
    go(page, f"{server.url}/playground?flow={flow}")
    composer(page).wait_for()
    say(page, question)
    return page


def show_tools(page: "Page", server: AppServer) -> None:
    """One call within another, and one that failed, which is open."""
    _ask(page, server, "lamps", "Two lamps at 45 euros come back. What do we pay?")
    answers(page).locator('.fg-action-line[data-state="failed"]').wait_for()
    still(page).locator('.fg-action-line[data-state="failed"] summary').first.click()
    answers(page).get_by_text("Why it failed").wait_for()


def show_thought(page: "Page", server: AppServer) -> None:
    _ask(page, server, "thinker", "Shall we move to the larger office?")
    answers(page).get_by_text("You said:").wait_for()
    still(page).get_by_text("Thought for").wait_for()


def show_approval(page: "Page", server: AppServer) -> None:
    _ask(page, server, "refunds", "Pay order 1042 back, both lamps came back.")
    page.get_by_role("group", name="A tool waits for you").get_by_role("button", name="Refuse").wait_for()
    page.wait_for_timeout(500)


ACTED: dict[str, tuple[str, Callable[["Page", AppServer], None]]] = {
    "chat-tools": ("What tools were called with", show_tools),
    "chat-thoughts": ("A thought, folded", show_thought),
    "chat-approval": ("A call waits for its person", show_approval),
}
