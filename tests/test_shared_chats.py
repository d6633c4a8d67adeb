"""A shared chat on the wire: who reads it, and that every other link looks the same."""

import re
import secrets
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from flowground.access.sign_in import SignIn
from flowground.store import Store
from flowground.store.people import members
from flowground.store.publications import Sharing
from flowground.store.runs import shared_chats
from tests.open_page import flow_text
from tests.page_socket import Browser, open_browser, open_page
from tests.people import PASSWORD
from tests.servers import PUBLIC, SHARED, AppServer, House, share
from tests.stored_chats import here, said, say, take_turn
from tests.test_access_websocket import beside

HOUSE = House(
    flows={
        "talk": flow_text("scripted:echo", "Talk"),
        "other": flow_text("scripted:echo", "Other") + "api: {endpoint_name: gone}\n",
    },
    shared={"talk": SHARED, "other": SHARED},
    config={"sharing": {"allow_public": True}, "limits": {"person": {"stored_bytes": 100_000}}},
)
SAID = b"You said: Between us"


@pytest.fixture(scope="module")
def session(house: AppServer) -> str:
    """A chat of somebody's whom the app keeps, not config.yaml."""
    house.member("nina", PASSWORD)
    with open_page(open_browser(house, "nina")) as page:
        page.visit("playground", "flow=talk")
        assert SAID in page.say("Between us")
        return page.chat.session


@pytest.fixture(autouse=True)
def _as_at_first(house: AppServer) -> None:
    share(house, "talk", SHARED)


def make_link(house: AppServer, session: str, *, days: float | None = None) -> str:
    place = {"flow_id": "talk", "owner": "member:nina", "session_id": session}
    until = None if days is None else datetime.now(UTC) + timedelta(days=days)
    made: str = beside(house, lambda store, _: store.write(shared_chats.share, **place, expires_at=until)).id
    return made


def end(house: AppServer, key: str) -> None:
    beside(house, lambda store, _: store.write(shared_chats.revoke, owner="member:nina", key=key))


def look(house: AppServer, who: str | None, key: str) -> bytes:
    """What is sent for the link."""
    with open_page(open_browser(house, who) if who else Browser(house.url)) as page:
        return page.visit("shared_chat", f"id={key}")


def is_refused(sent: bytes) -> bool:
    return SAID not in sent and b"You don't have access to this page" in sent


async def share_turn(store: Store, _: SignIn, *, flow_id: str = "talk", **more: Any) -> str:
    """Augusta asks, is answered, and shares it; the link's id."""
    place = here("of hers", owner="member:augusta", flow_id=flow_id)
    await take_turn(store, said(SAID.decode()), said("So much", "assistant", **more), **place)
    return (await store.write(shared_chats.share, **place, expires_at=None)).id


def test_members_who_may_open_the_flow_read_it_and_nothing_of_the_inside(house: AppServer, session: str) -> None:
    key = make_link(house, session)
    for who in ("zoe", "nina", "augusta"):
        sent = look(house, who, key)
        assert (SAID in sent, b"Shared by" in sent, b"canary in the prompt" in sent) == (True, True, False)
        assert b"scripted:echo" not in sent
    end(house, key)


def read_words(sent: bytes) -> set[bytes]:
    """What was sent as text; ids and times differ each time."""
    return set(re.findall(rb"[A-Za-z][A-Za-z ,.']{12,}", sent))


def test_unknown_expired_revoked_and_forbidden_links_look_the_same(house: AppServer, session: str) -> None:
    expired, revoked, good = make_link(house, session, days=-1), make_link(house, session), make_link(house, session)
    end(house, revoked)
    unknown = read_words(look(house, "zoe", "u" * 32))
    assert any(b"You don't have access to this page" in words or b"does not exist" in words for words in unknown)
    for key in (expired, revoked, "", "x" * 5_000, "%00", "%ED%A0%80"):
        assert is_refused(look(house, "zoe", key)), key
    share(house, "talk", Sharing(True, "people"))
    assert is_refused(look(house, "zoe", good))
    # Nina lost the flow as well: an admin, who opens every flow, reads it no more.
    assert SAID not in look(house, "augusta", good)
    share(house, "talk", SHARED)
    assert SAID in look(house, "augusta", good)
    nina: dict[str, Any] = {"member": "nina", "by": "tests"}
    beside(house, lambda store, _: store.write(members.set_active, **nina, is_active=False))
    assert SAID not in look(house, "augusta", good)
    beside(house, lambda store, _: store.write(members.set_active, **nina, is_active=True))
    for key in (expired, good):
        end(house, key)


def test_an_answer_that_was_cut_says_so_there_too(house: AppServer) -> None:
    key = beside(house, partial(share_turn, finish_reason="length"))
    assert b"This answer was cut" in look(house, "zoe", key)
    end(house, key)


def test_a_flow_that_took_another_ones_name_opens_none_of_its_chats(house: AppServer) -> None:
    assert is_refused(look(house, "zoe", beside(house, partial(share_turn, flow_id="gone"))))


def test_guests_and_strangers_meet_the_sign_in_page(house: AppServer, session: str) -> None:
    key = make_link(house, session)
    share(house, "talk", PUBLIC)
    sent = look(house, None, key)
    assert (SAID in sent, b"Sign in" in sent) == (False, True)
    with open_page(Browser(house.url), base="/public_flow/talk") as page:
        assert SAID not in page.visit("shared_chat", f"id={key}")
    end(house, key)


def test_a_long_chat_is_read_a_page_at_a_time(house: AppServer) -> None:
    async def speak(store: Store, _: SignIn) -> None:
        for number in range(60):
            await say(store, f"Said as number {number:02}", "many", flow_id="talk", owner="member:nina")

    beside(house, speak)
    key = make_link(house, "many")
    sent = look(house, "zoe", key)
    assert set(re.findall(rb"Said as number \d\d", sent)) == {b"Said as number %02d" % number for number in range(25)}
    assert b"1 to 25 of 60" in sent
    end(house, key)


def test_a_link_opens_whatever_its_id(house: AppServer, session: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One id in a hundred has `__`, which Streamlit takes for the end of a component's key."""
    for key in ("a__b" * 8, "ends_" * 6 + "__"):
        monkeypatch.setattr(secrets, "token_urlsafe", lambda size, key=key: key)
        assert make_link(house, session) == key
        sent = look(house, "zoe", key)
        assert (SAID in sent, b"Something went wrong" in sent) == (True, False)
        with open_page(open_browser(house, "nina")) as page:
            sent = page.visit("account")
            assert (key.encode() in sent, b"Something went wrong" in sent) == (True, False)
        end(house, key)
