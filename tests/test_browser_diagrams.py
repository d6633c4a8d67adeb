"""A diagram that a model wrote asks for nothing: the browser would send the reader's cookie along."""

from typing import TYPE_CHECKING

import pytest

from tests.acme import enter_as
from tests.house import SHARED, House
from tests.open_page import flow_text, go, say, still, visitor
from tests.servers import AppServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

ASKS = [
    'flowchart TD\n  A@{ img: "/session/my-data?1", label: "y", w: 60, h: 60 }\n  A --> B',
    'flowchart TD\n  A@{ "\\x69mg": "/session/my-data?2", w: 60, h: 60 }\n  A --> B',
    'flowchart TD\n  A@{ im%%{init: {}}%%g: "/session/my-data?3", w: 60, h: 60 }\n  A --> B',
    'sequenceDiagram\n  participant A\n  properties A: {"icon": "/session/my-data?4"}\n  A->>B: x',
    'flowchart TD\n  A@{ img: "http://127.0.0.1:9/leak.png?5", w: 60, h: 60 }\n  A --> B',
]
ASKS_NOTHING = ['flowchart TD\n  A@{ shape: hex, label: "fine" }\n  A --> B', "sequenceDiagram\n  A->>B: x"]
HOUSE = House(
    flows={"talk": flow_text("drawing:echo", "Talk")},
    shared={"talk": SHARED},
    config={
        "providers": {
            "drawing": {
                "type": "scripted",
                "pieces": [f"```mermaid\n{diagram}\n```\n\n" for diagram in [*ASKS, *ASKS_NOTHING]],
            }
        }
    },
)


def test_a_diagram_with_images_stays_code_and_asks_for_none(house: AppServer, browser: "Browser") -> None:
    asked: list[str] = []
    with visitor(browser) as page:
        enter_as(page, house, "zoe")
        page.on("request", lambda request: asked.append(request.url))
        go(page, f"{house.url}/playground?flow=talk")
        say(still(page), "Draw")
        page.wait_for_function(
            f"document.querySelectorAll('.fg-failed').length === {len(ASKS)} && "
            f"document.querySelectorAll('.fg-diagram svg').length === {len(ASKS_NOTHING)}"
        )
    assert any("mermaid" in url for url in asked)
    assert [url for url in asked if "my-data" in url or "leak" in url] == []
