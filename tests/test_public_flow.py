"""A flow shared without sign-in: chat for anybody, each browser with its own conversations, and nothing else."""

import pytest

from flowground.store.publications import Sharing
from tests.page_socket import Browser, open_page
from tests.servers import PUBLIC, AppServer, House, share
from tests.test_gate import SECRETS

HOUSE = House(config={"sharing": {"allow_public": True}})


def test_strangers_open_this_flow_and_nothing_else(house: AppServer) -> None:
    share(house, "echo", Sharing(is_shared=True, audience="public", shares_api=True))
    browser = Browser(house.url)
    with open_page(browser, base="/public_flow/echo") as page:
        sent = page.visit()
        assert (b"Echo" in sent, b"Not signed in" in sent) == (True, True)
        for place in ("", "home", "playground", "api_access", "first_account"):
            sent = page.visit(place, "flow=memory-chatbot")
            assert [secret for secret in SECRETS[:4] if secret in sent] == []
    for base in ("", "/public_flow/memory-chatbot", "/public_flow/nonsense", "/public_flow/echo"):
        headers = {"Cookie": ""} if base == "/public_flow/echo" else None
        with open_page(browser, base=base, headers=headers) as page:
            sent = page.visit()
            assert (b"Sign in" in sent, b"Echo" in sent) == (True, False)


@pytest.mark.parametrize("after", [Sharing(is_shared=False, audience="public"), Sharing(is_shared=True)])
def test_it_ends_at_the_next_action(house: AppServer, after: Sharing) -> None:
    share(house, "echo", PUBLIC)
    with open_page(Browser(house.url), base="/public_flow/echo") as page:
        assert b"Not signed in" in page.visit()
        share(house, "echo", after)
        sent = page.visit()
        assert (b"not shared with you any more" in sent, b"Echo" in sent) == (True, False)
