"""Every file of pages/: it opens, it stands in the navigation, and by itself it shows nothing to nobody."""

from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest
from streamlit.testing.v1 import AppTest

from flowground.sign_in import passwords
from tests.app_page import find_by_label, open_script, read
from tests.house import SHARED, House
from tests.in_process import runtime_of
from tests.open_page import flow_text
from tests.page_socket import Browser, open_page
from tests.servers import ROOT, AppServer, write_folder
from tests.tickets import open_browser

FLOWS = {"talk": flow_text("scripted:echo", "Talk", welcome="Say something.")}
PAGES = sorted(path.stem for path in (ROOT / "pages").glob("*.py"))
OWNERS = {"home", "playground", "api_access", "inside", "knowledge", "feedback", "usage", "first_account", "join"}
"""What the local owner's navigation lists; the others are run by themselves."""

OPENED = {
    "home": "1 flow",
    "playground": "Say something.",
    "api_access": "export FLOWGROUND_API_KEY=YOUR_TOKEN",
    "inside": "flowchart TB",
    "knowledge": "This flow looks nothing up",
    "feedback": "0 ratings",
    "usage": "Nobody has run this flow",
    "first_account": "keep what you said so far",
    "sign_in": "Sign in",
    "join": "This link does not work",
    "account": "Nothing here for you",
    "organization": "Nothing here for you",
    "shared_chat": "Nothing here for you",
    "public_flow": "Nothing here for you",
    "router": "1 flow",
}
"""Words that the local owner reads on each page at `?flow=talk`."""

OTHERS_READ = {
    "account": "Where you are signed in",
    "organization": "Invite somebody",
    "public_flow": "Say something.",
    "sign_in": "Sign in to",
}
"""Words that those read for whom these pages are; all other pages say to an admin what they say in OPENED."""

HOUSE = House(flows=FLOWS, shared={"talk": SHARED})

FOR_NOBODY = {"first_account", "join", "owner_code", "sign_in", "router"}
"""Pages that are meant for people who are nobody yet; router asks before it runs another one."""

ALONE = """
import runpy
import streamlit as st
from streamlit.runtime.scriptrunner import RerunException
try:
    runpy.run_path({page!r}, run_name="__main__")
except RerunException:
    st.text("nobody is here")
"""


@pytest.fixture
def nobody(tmp_path: Path) -> Iterator[None]:
    """An account exists, so whoever is on this computer is nobody until they sign in."""
    password = bcrypt.hashpw(b"Secret-123", bcrypt.gensalt(4)).decode()
    config = {"credentials": {"usernames": {"ada": {"password": password, "roles": ["admin"]}}}}
    with runtime_of(write_folder(tmp_path, config=config, flows=FLOWS)):
        yield


@pytest.mark.parametrize("page", sorted({*PAGES} - {"owner_code"}))  # needs a browser: tests/test_local_mode.py
def test_each_page_opens(page: str, tmp_path: Path) -> None:
    assert page in OPENED, f"tests/test_pages_each.py has no words of {page} in OPENED"
    with runtime_of(write_folder(tmp_path, config={"default_model": "scripted"}, flows=FLOWS)):
        if page in OWNERS:
            at = open_script(page, flow="talk")
        else:
            at = AppTest.from_file(str(ROOT / "pages" / f"{page}.py"), default_timeout=60)
            at.query_params["flow"] = "talk"
            at.run()
        assert not at.exception
        assert OPENED[page] in read(at)


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize("page", sorted({*PAGES} - FOR_NOBODY))
def test_each_page_asks_who_is_here(page: str) -> None:
    path = str(ROOT / "pages" / f"{page}.py")
    at = AppTest.from_string(ALONE.format(page=path), default_timeout=60)
    at.query_params["flow"] = "talk"
    at.run()
    assert not at.exception
    assert read(at) == "nobody is here", f"pages/{page}.py drew something for nobody"


@pytest.mark.usefixtures("nobody")
def test_the_sign_in_page_says_when_too_many_people_sign_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_WAITING", 0)
    at = AppTest.from_file(str(ROOT / "pages" / "sign_in.py"), default_timeout=60).run()
    find_by_label(at.text_input, "User name").input("ada")
    find_by_label(at.text_input, "Password").input("Secret-123")
    find_by_label(at.button, "Sign in").click().run()
    assert not at.exception
    assert [warning.value for warning in at.warning] == [
        "Too many people are signing in right now. Try again in a moment."
    ]


# The owner's alone are opened by the navigation above, and in tests/test_local_mode.py.
@pytest.mark.parametrize("page", sorted({*PAGES} - {"first_account", "owner_code", "router"}))
def test_each_page_stands_in_the_navigation(house: AppServer, page: str) -> None:
    """A page that no list names is a file that nobody can open."""
    browser = Browser(house.url) if page == "sign_in" else open_browser(house, "augusta")
    with open_page(browser, base="/public_flow/talk" if page == "public_flow" else "") as opened:
        drawn = opened.visit("" if page in ("home", "public_flow", "sign_in") else page, "flow=talk")
    words = OTHERS_READ.get(page) or OPENED[page]
    assert words.encode() in drawn, f"pages/{page}.py is in nobody's navigation"


def test_each_page_is_told_its_width_once(house: AppServer) -> None:
    """What was drawn in another would move."""
    with open_page(open_browser(house, "augusta")) as opened:
        for page in ("", "playground", "inside", "organization", ""):
            opened.visit(page, "flow=talk")
    assert opened.layouts == ["WIDE", "CENTERED", "WIDE", "CENTERED", "WIDE"]


@pytest.mark.parametrize("page", sorted({*PAGES} - FOR_NOBODY - {"home", "public_flow"} | {"join"}))
def test_each_address_is_there_for_those_who_have_yet_to_sign_in(house: AppServer, page: str) -> None:
    """A link to it survives the sign-in: Streamlit would else send them to the first page."""
    with open_page(Browser(house.url)) as opened:
        opened.visit(page, "flow=talk")
        assert opened.misses == 0, f"pages/{page}.py has no address for whoever is signed out"
        opened.visit("nothing")
        assert opened.misses == 1
