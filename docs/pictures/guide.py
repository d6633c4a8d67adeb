"""Pictures of docs/guide/: shipped flows, answered as the built-in model answered them when it was asked.

Agents, for which it is too small, are answered as they should be.
"""

import json
import re
import shutil
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from docs.pictures.places import Show
from tests.house import House
from tests.open_page import answers, composer, go, say, still
from tests.servers import SHIPPED_FLOWS, AppServer, shipped_flow

if TYPE_CHECKING:
    from playwright.sync_api import Page

_NOTES = "Ada will send the offer by Friday. Bob books the room on Monday. We talked about the summer party."
_REPLIES: Mapping[str, str] = {
    "Desk": json.dumps({"route": "complaint"}),
    "Complaint": "Send it back within 30 days, you get your money 5 days later.",
    "Answer": "Press *Publish* beside the flow's chat: it shares with everybody, named people or groups [1].",
    "Invoice": json.dumps(
        {
            "number": "2026-118",
            "seller": "Northwind Paper Ltd.",
            "date": "3 November 2026",
            "total": 105.5,
            "currency": "EUR",
        }
    ),
    "Notes": json.dumps(
        {
            "summary": "Ada will send the offer by Friday",
            "tasks": [
                {"who": "Ada", "what": "will send the offer", "until": "Friday"},
                {"who": "Bob", "what": "books the room on Monday", "until": "Monday"},
            ],
        }
    ),
    "Agent": 'call desk {"input_value": "I want my money back."} and call calculator {"expression": "2 * 45"}\n'
    "Send both lamps back within 30 days. You get 90 euros, 5 days later.",
    "Planner": 'call costs {"input_value": "2 nights at 80 euros each"} and '
    'call interpreter {"input_value": "Where is the station?"}\n'
    "Two nights in Rome cost 160 euros. To find the station, ask: *Dov'è la stazione?*",
    "Keeper": 'call notes_add_note {"title": "Red bicycle", "text": "It is ready on Monday."}\nWritten down.',
    "Costs": 'call calculator {"expression": "2 * 80"}\n2 nights at 80 euros each cost 160 euros.',
    "Model": "Dov'è la stazione?",
}
"""By the component that asks."""
_SAMPLES = SHIPPED_FLOWS / "samples"
_FLOWS = (
    *("support-desk", "meeting-notes", "rate-review", "review-digest", "translator", "checked-translation"),
    *("support-agent", "trip-planner", "ask-the-docs", "invoice-reader", "note-keeper"),
)


def _read_flow(name: str) -> str:
    """The shipped file; each component that has a reply here asks a model of its own, which gives it."""
    text = shipped_flow(name)
    for component in _REPLIES:
        asking = rf"(^  {component}:\n    type: \w+\n    model: )scripted$"
        text = re.sub(asking, rf"\1{component.lower()}:echo", text, flags=re.MULTILINE)
    return text


GUIDE = House(
    people={},
    config={
        "providers": {name.lower(): {"type": "scripted", "pieces": [said]} for name, said in _REPLIES.items()},
        "mcp_servers": {
            "notes": {"command": [sys.executable, str(_SAMPLES / "notes_server.py"), str(_SAMPLES / "notes")]}
        },
    },
    flows={name: _read_flow(name) for name in _FLOWS},
)
"""The local owner's, as after the first start."""


def _open(page: "Page", server: AppServer, flow: str) -> "Page":
    composer(go(page, f"{server.url}/playground?flow={flow}")).wait_for()
    return page


def show_branches(page: "Page", server: AppServer) -> None:
    say(_open(page, server, "support-desk"), "I want my money back.")
    answers(page).get_by_text("Send it back").wait_for()
    still(page).get_by_role("button", name=re.compile("steps$")).click()


def show_records(page: "Page", server: AppServer) -> None:
    say(_open(page, server, "meeting-notes"), _NOTES)
    answers(page).get_by_role("cell", name="Ada", exact=True).wait_for()
    still(page)


def show_map(page: "Page", server: AppServer) -> None:
    go(page, f"{server.url}/inside?flow=review-digest").locator(".fg-figure g.node").last.wait_for()
    still(page)


def show_inner_flows(page: "Page", server: AppServer) -> None:
    _open(page, server, "checked-translation").get_by_role("textbox", name="Into").fill("German")
    still(page)


def _show_calls(page: "Page", server: AppServer, flow: str, said: str, answer: str) -> None:
    """The lines of what its agents called, the first one opened."""
    say(_open(page, server, flow), said)
    answers(page).get_by_text(answer).wait_for()
    still(page).locator("details.fg-action > summary").first.click()
    answers(page).get_by_text("Took", exact=True).first.wait_for()


def show_agent(page: "Page", server: AppServer) -> None:
    said = "I send two lamps back, 45 euros each. When do I get how much?"
    _show_calls(page, server, "support-agent", said, "Send both lamps back")


def show_experts(page: "Page", server: AppServer) -> None:
    said = "Two nights in Rome at 80 euros each. What does it cost, and how do I ask for the station?"
    _show_calls(page, server, "trip-planner", said, "Two nights in Rome cost")


def show_notes(page: "Page", server: AppServer) -> None:
    """What its server would write, which a person is asked about."""
    say(_open(page, server, "note-keeper"), "Write down: the red bicycle is ready on Monday.")
    answers(page).get_by_role("button", name="Allow once").wait_for(timeout=60_000)


def show_documents(page: "Page", server: AppServer) -> None:
    shutil.copytree(SHIPPED_FLOWS / "knowledge", server.folder / "flows" / "knowledge", dirs_exist_ok=True)
    server.run_command("knowledge", "index")
    say(_open(page, server, "ask-the-docs"), "How do I share a flow with my team?")
    answers(page).locator(".fg-cite").first.wait_for(timeout=60_000)
    still(page).locator(".fg-cite").first.click()
    answers(page).locator(".fg-passage").wait_for()


def show_invoice(page: "Page", server: AppServer) -> None:
    say(_open(page, server, "invoice-reader"), (SHIPPED_FLOWS / "samples" / "invoice.txt").read_text("utf-8"))
    answers(page).get_by_text("Northwind Paper Ltd.").wait_for()
    still(page)


GUIDES: dict[str, tuple[str, Show]] = {
    "guide-agents": ("Guide: an agent and what it called", show_agent),
    "guide-experts": ("Guide: an agent with two experts", show_experts),
    "guide-notes": ("Guide: an agent that asks before it writes", show_notes),
    "guide-branches": ("Guide: one of three ways", show_branches),
    "guide-records": ("Guide: a table out of notes", show_records),
    "guide-map-and-reduce": ("Guide: the inside of a flow", show_map),
    "guide-documents": ("Guide: an answer with its source", show_documents),
    "guide-invoices": ("Guide: an invoice as data", show_invoice),
    "guide-flows-in-flows": ("Guide: a flow that asks for two languages", show_inner_flows),
}
