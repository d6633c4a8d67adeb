"""No state of a conversation has what axe-core calls a violation, in light, in dark and on a phone."""

from typing import TYPE_CHECKING, Any

import pytest

from tests.axe import find_ours
from tests.chat_states import CHATS, STATES, show
from tests.open_page import visitor
from tests.servers import AppServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser
HOUSE = CHATS
LOOKS: dict[str, Any] = {
    "wide": {},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True},
}
SEEN = [state for state in STATES if state != "long"]
"""The long one has nothing that others have not, 600 kB of it."""


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("state", SEEN)
def test_a_conversation(house: AppServer, browser: "Browser", axe: str, *, state: str, look: str) -> None:
    with visitor(browser, **LOOKS[look]) as page:
        assert find_ours(show(page, house, state), axe) == set()
