"""The small organization whose pages are shown."""

from typing import Any

from tests.house import PUBLIC, SHARED, House
from tests.people import HASHED
from tests.servers import shipped_flow

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
_ESSAY = """\
## Why small releases are safer

A release is a guess about what people need, and a large one is many guesses at once. When something breaks, nobody
knows which of them it was.

**Small ones are read.** A reviewer reads two hundred lines with care, and two thousand with hope.

**Small ones are undone.** What went out an hour ago can go back in a minute, before anybody has built upon it.

### What it asks of a team

- Tests that say within minutes whether the whole still holds.
- A way to switch a thing off without another release.
- The habit of leaving out what is not ready.

"""
_TROUBLE = """\
name: Contract review
components:
  ChatInput: {type: ChatInput}
  Model: {type: LanguageModel, model: scripted, input_value: "${ChatInptu}"}
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
"""
_STARTERS = ["How do I send something back?", "Where is my parcel?", "What does shipping cost to Norway?"]


_OPTIONS = """\
api:
  overridable:
    - {field: Prompt.tone, choices: [friendly and short, formal, like a lawyer], ask: true}
    - {field: Model.max_tokens, max: 4000, ask: true}
    - {field: Model.temperature, min: 0, max: 1, ask: true}
"""


_RECEIPTS = """\
name: Receipts
description: Says what a receipt is for, and whether it is paid back.
components:
  ChatInput: {type: ChatInput}
  Model: {type: LanguageModel, model: "receipts:echo", input_value: "${ChatInput}", files: "${ChatInput.files}"}
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
chat:
  icon: ◫
  welcome: Add a receipt.
  accepts: [image/*, application/pdf, text/csv]
"""


def _write_flow(name: str, description: str, model: str, **chat: Any) -> str:
    return f"""\
name: {name}
description: {description}
components:
  ChatInput: {{type: ChatInput}}
  Prompt: {{type: Prompt, template: "You answer for Acme. Be {{tone}}.", tone: friendly and short}}
  Model:
    type: LanguageModel
    model: {model}
    system_message: ${{Prompt}}
    input_value: ${{ChatInput}}
    temperature: 0.3
  ChatOutput: {{type: ChatOutput, input_value: "${{Model}}"}}
chat: {chat}
"""


_FLOWS = {
    "support": _write_flow(
        "Customer support",
        "Answers questions about orders, parcels and refunds.",
        "support:echo",
        icon="✦",
        accent="#0f766e",
        welcome="Ask about an order, a parcel or a refund.",
        starters=_STARTERS,
    ),
    "essays": _write_flow("Essays", "Writes a first draft about whatever you name.", "essays:echo", icon="✎"),
    "handbook": _write_flow(
        "Handbook",
        "Knows how we work, from travel to holidays.",
        "scripted:echo",
        welcome="What would you like to know?",
        starters=["How many days off do I have?", "Who books a hotel?"],
    )
    + _OPTIONS,
    "contracts": _write_flow("Contracts", "Finds clauses that need a lawyer.", "scripted:silent"),
    "invoices": _write_flow("Invoices", "Reads an invoice and books it.", "scripted:breaks", icon="§"),
    "summarizer": shipped_flow("summarizer"),
    "receipts": _RECEIPTS,
}
_PROVIDERS = {
    "support": {"type": "scripted", "pieces": [_ANSWER]},
    "receipts": {
        "type": "scripted",
        "pieces": ["Both are for the trip to Lyon: **12.40 €** for bread and coffee, ", "paid back."],
    },
    "essays": {"type": "scripted", "pieces": [f"{word} " for word in (_ESSAY * 20).split(" ")], "delay": 0.02},
}
_NAMES = {
    "augusta": ("Ada", "Lovelace", "admin"),
    "olga": ("Olga", "Ladyzhenskaya", "author"),
    "bob": ("Bob", "Ross", "member"),
    "zoe": ("Zoe", "Martin", "member"),
    "ivan": ("Ivan", "Petrov", "member"),
    "mara": ("Mara", "Lindqvist", "member"),
    "noor": ("Noor", "Haddad", "member"),
}
PEOPLE = {
    name: {"password": HASHED, "roles": [role], "first_name": first, "last_name": last}
    for name, (first, last, role) in _NAMES.items()
}
ACME = House(
    people=PEOPLE,
    config={
        "organization": {"name": "Acme", "links": [{"title": "Terms", "url": "https://example.com/terms"}]},
        "sharing": {"allow_public": True, "public": {"runs_per_minute": 1}},
        "providers": _PROVIDERS,
    },
    flows=_FLOWS,
    shared={"support": PUBLIC, "essays": SHARED, "handbook": SHARED, "summarizer": SHARED, "invoices": SHARED},
)
ALONE = House(people={}, flows={})
"""The local owner's, before there is a flow."""
MISTAKE = ("contract-review.yaml", _TROUBLE)
"""A file that is put among the flows for one picture."""
