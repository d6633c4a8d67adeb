"""`python -m docs.pictures [PICTURE …]`: takes the pictures of README and guide again.

Shipped flows are answered as the built-in model answered them; agents, for which it is too small, as they should be.
"""

import io
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.acme import enter_as
from tests.api_pane import open_pane
from tests.chromium import CHROMIUM_ARGUMENTS, find_quickest
from tests.open_page import answers, composer, go, say, still, visitor
from tests.people import HASHED
from tests.servers import PUBLIC, ROOT, SHIPPED_FLOWS, AppServer, House, shipped_flow

if TYPE_CHECKING:
    from playwright.sync_api import FilePayload, Page

FOLDER = ROOT / "docs" / "images"
_ANSWER = """\
You can send it back within **30 days**, and pay nothing for it:

1. Open *My orders* and choose **Send back**.
2. Print the label, or show the code at the counter.
3. The money is on its way a day after the parcel has reached us.

| What | How long | Refund |
| --- | --- | --- |
| Unused, in its box | 30 days | all of it |
| Opened | 14 days | all but 10 % |
| Broken on the way | 2 years | a new one |

To see where a parcel is, ask our API:

```python
import requests

order = requests.get("https://api.example.com/orders/1042", timeout=10).json()
print(order["parcel"]["state"])
```
"""
_SUPPORT = """\
name: Customer support
description: Answers questions about orders, parcels and refunds.
components:
  ChatInput: {type: ChatInput}
  Prompt: {type: Prompt, template: "You answer for Acme. Be {tone}.", tone: friendly and short}
  Model: {type: LanguageModel, model: "support:echo", system_message: "${Prompt}", input_value: "${ChatInput}"}
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
chat: {icon: ✦, accent: "#0f766e", welcome: "Ask about an order, a parcel or a refund."}
"""
_HANDBOOK = """\
name: Handbook
components:
  ChatInput: {type: ChatInput}
  Found: {type: Retrieve, knowledge: handbook, search_query: "${ChatInput}"}
  ChatOutput: {type: ChatOutput, input_value: "${Found.passages}"}
knowledge:
  handbook: {uploads: true}
"""
_DOCUMENTS = {
    "Leave.md": b"# Leave\n\nEverybody has thirty days of leave a year; days that are left are lost in April.",
    "Travel costs.csv": b"city,a night\nLyon,120\nOslo,180\n",
    "Contract 2019.pdf": b"%PDF-1.7 cut off",
}
_OLGA = {"password": HASHED, "roles": ["author"], "first_name": "Olga", "last_name": "Ladyzhenskaya"}
_ACME = House(
    people={"olga": _OLGA},
    config={
        "organization": {"name": "Acme"},
        "sharing": {"allow_public": True},
        "providers": {"support": {"type": "scripted", "pieces": [_ANSWER]}},
    },
    flows={"support": _SUPPORT, "handbook": _HANDBOOK},
    shared={"support": PUBLIC},
)
_REPLIES = {
    "Desk": json.dumps({"route": "complaint"}),
    "Complaint": "Send it back within 30 days, you get your money 5 days later.",
    "Answer": "Press *Publish* beside the flow's chat: it shares with everybody, named people or groups [1].",
    "Invoice": '{"number": "2026-118", "seller": "Northwind Paper Ltd.", "date": "3 November 2026", "total": 105.5, '
    '"currency": "EUR"}',
    "Notes": '{"summary": "Ada will send the offer by Friday", "tasks": ['
    '{"who": "Ada", "what": "will send the offer", "until": "Friday"}, '
    '{"who": "Bob", "what": "books the room on Monday", "until": "Monday"}]}',
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
_NOTES_SERVER = [str(SHIPPED_FLOWS / "samples" / name) for name in ("notes_server.py", "notes")]


def _read_flow(name: str) -> str:
    """The shipped file; each component that has a reply here asks a model of its own, which gives it."""
    text = shipped_flow(name)
    for component in _REPLIES:
        asking = rf"(^  {component}:\n    type: \w+\n    model: )scripted$"
        text = re.sub(asking, rf"\1{component.lower()}:echo", text, flags=re.MULTILINE)
    return text


_GUIDE = House(
    people={},
    config={
        "providers": {name.lower(): {"type": "scripted", "pieces": [text]} for name, text in _REPLIES.items()},
        "mcp_servers": {"notes": {"command": [sys.executable, *_NOTES_SERVER]}},
    },
    flows={path.stem: _read_flow(path.stem) for path in SHIPPED_FLOWS.glob("*.yaml")},
)
"""The local owner's, as after the first start."""


def _ask(page: "Page", server: AppServer, flow: str, message: str, answer: str) -> None:
    composer(go(page, f"{server.url}/playground?flow={flow}")).wait_for()
    say(page, message)
    answers(page).get_by_text(answer).first.wait_for()
    still(page)


def _ask_agent(page: "Page", server: AppServer, flow: str, message: str, answer: str) -> None:
    """With what it called first opened."""
    _ask(page, server, flow, message, answer)
    page.locator("details.fg-action > summary").first.click()
    answers(page).get_by_text("Input", exact=True).first.wait_for()


def show_playground(page: "Page", server: AppServer) -> None:
    question = "How do I send something back, and when do I get my money?"
    _ask(enter_as(page, server, "olga"), server, "support", question, "where a parcel is")


def show_api_access(page: "Page", server: AppServer) -> None:
    pane = open_pane(go(enter_as(page, server, "olga"), f"{server.url}/playground?flow=support"), "Python")
    pane.get_by_text("2 · Code").evaluate("heading => heading.scrollIntoView()")


def show_knowledge(page: "Page", server: AppServer) -> None:
    go(enter_as(page, server, "olga"), f"{server.url}/knowledge?flow=handbook")
    with page.expect_file_chooser() as chosen:
        page.get_by_role("button", name="Add files").click()
    documents: list[FilePayload] = [{"name": name, "mimeType": "", "buffer": data} for name, data in _DOCUMENTS.items()]
    chosen.value.set_files(documents)
    page.get_by_text("2 passages of 2 files").wait_for()
    page.get_by_label("What would somebody ask?").fill("How many days of leave do I have?")
    page.get_by_role("button", name="Find passages").click()
    page.get_by_text("thirty days of leave").wait_for()


def show_branches(page: "Page", server: AppServer) -> None:
    _ask(page, server, "support-desk", "I want my money back.", "Send it back")
    page.get_by_role("button", name=re.compile("steps$")).click()


def show_records(page: "Page", server: AppServer) -> None:
    notes = "Ada will send the offer by Friday. Bob books the room on Monday. We talked about the summer party."
    _ask(page, server, "meeting-notes", notes, "will send the offer")


def show_map(page: "Page", server: AppServer) -> None:
    go(page, f"{server.url}/inside?flow=review-digest").locator(".fg-figure g.node").last.wait_for()


def show_inner_flows(page: "Page", server: AppServer) -> None:
    go(page, f"{server.url}/playground?flow=checked-translation").get_by_role("textbox", name="Into").fill("German")


def show_agent(page: "Page", server: AppServer) -> None:
    message = "I send two lamps back, 45 euros each. When do I get how much?"
    _ask_agent(page, server, "support-agent", message, "Send both lamps back")


def show_experts(page: "Page", server: AppServer) -> None:
    message = "Two nights in Rome at 80 euros each. What does it cost, and how do I ask for the station?"
    _ask_agent(page, server, "trip-planner", message, "Two nights in Rome cost")


def show_notes(page: "Page", server: AppServer) -> None:
    composer(go(page, f"{server.url}/playground?flow=note-keeper")).wait_for()
    say(page, "Write down: the red bicycle is ready on Monday.")
    answers(page).get_by_role("button", name="Allow once").wait_for()  # the answer waits for it


def show_documents(page: "Page", server: AppServer) -> None:
    shutil.copytree(SHIPPED_FLOWS / "knowledge", server.folder / "flows" / "knowledge", dirs_exist_ok=True)
    server.run_command("knowledge", "index")
    _ask(page, server, "ask-the-docs", "How do I share a flow with my team?", "Press Publish")
    page.locator(".fg-cite").first.click()
    answers(page).locator(".fg-passage").wait_for()


def show_invoice(page: "Page", server: AppServer) -> None:
    invoice = (SHIPPED_FLOWS / "samples" / "invoice.txt").read_text("utf-8")
    _ask(page, server, "invoice-reader", invoice, "Northwind Paper Ltd.")


_PICTURES: dict[str, tuple[House, Callable[["Page", AppServer], None]]] = {
    "playground.png": (_ACME, show_playground),
    "api-access.png": (_ACME, show_api_access),
    "knowledge.webp": (_ACME, show_knowledge),
    "guide-agents.webp": (_GUIDE, show_agent),
    "guide-branches.webp": (_GUIDE, show_branches),
    "guide-documents.webp": (_GUIDE, show_documents),
    "guide-experts.webp": (_GUIDE, show_experts),
    "guide-flows-in-flows.webp": (_GUIDE, show_inner_flows),
    "guide-invoices.webp": (_GUIDE, show_invoice),
    "guide-map-and-reduce.webp": (_GUIDE, show_map),
    "guide-notes.webp": (_GUIDE, show_notes),
    "guide-records.webp": (_GUIDE, show_records),
}


def _keep(page: "Page", file: Path) -> None:
    page.wait_for_function("document.fonts.status === 'loaded'")
    page.wait_for_timeout(800)  # nothing fades or slides any more, and code has its colours
    taken = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    if file.suffix == ".png":  # README's, where some readers know no WebP
        taken.quantize(256, dither=Image.Dither.NONE).save(file, optimize=True)
    else:
        taken.save(file, quality=80, method=6)


def main() -> None:
    wanted = sys.argv[1:] or list(_PICTURES)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_quickest(), args=CHROMIUM_ARGUMENTS)
        for house in (_ACME, _GUIDE):
            with tempfile.TemporaryDirectory() as folder, house.open(Path(folder)) as server:
                for name in [name for name in wanted if _PICTURES[name][0] is house]:
                    with visitor(browser, viewport={"width": 1280, "height": 800}, color_scheme="light") as page:
                        _PICTURES[name][1](page, server)
                        _keep(page, FOLDER / name)
        browser.close()


if __name__ == "__main__":
    main()
