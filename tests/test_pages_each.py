"""Every file of pages/: it opens, it stands in the navigation, and by itself it shows nothing to nobody."""

import re
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest
from streamlit.testing.v1 import AppTest

from flowground.sign_in import passwords
from tests.in_process import runtime_of
from tests.open_page import flow_text
from tests.servers import ROOT, write_folder

FLOWS = {"talk": flow_text("scripted:echo", "Talk", welcome="Say something.")}
PAGES = sorted(path.stem for path in (ROOT / "pages").glob("*.py"))
_NAMED = set(re.findall(r'"(\w+)"', (ROOT / "flowground" / "ui" / "shell" / "navigation.py").read_text("utf-8")))
_LISTED = _NAMED - {"account", "organization", "public_flow", "sign_in"}
"""What the local owner's navigation lists; the others are run by themselves."""

OPENED = {
    "home": "Choose a flow to chat with.",
    "playground": "Say something.",
    "api_access": "export FLOWGROUND_API_KEY=YOUR_TOKEN",
    "first_account": "keep what you said so far",
    "sign_in": "Sign in",
    "join": "This link does not work",
    "account": "Nothing here for you",
    "organization": "Nothing here for you",
    "public_flow": "Nothing here for you",
    "router": "Choose a flow to chat with.",
}
"""Words that the local owner reads on each page at `?flow=talk`."""

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


def texts(at: AppTest) -> str:
    kinds = (at.title, at.header, at.subheader, at.markdown, at.caption, at.text, at.error, at.warning, at.code)
    return "\n".join(element.value for kind in kinds for element in kind)


@pytest.mark.parametrize("page", sorted({*PAGES} - {"owner_code"}))  # needs a browser: tests/test_local_mode.py
def test_each_page_opens(page: str, tmp_path: Path) -> None:
    assert page in OPENED, f"tests/test_pages_each.py has no words of {page} in OPENED"
    with runtime_of(write_folder(tmp_path, config={"default_model": "scripted"}, flows=FLOWS)):
        file = "router" if page in _LISTED else page
        at = AppTest.from_file(str(ROOT / "pages" / f"{file}.py"), default_timeout=20)
        if page in _LISTED:
            at.run().switch_page(f"{page}.py")
        at.query_params["flow"] = "talk"
        at.run()
        assert not at.exception
        assert OPENED[page] in texts(at)


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize("page", sorted({*PAGES} - FOR_NOBODY))
def test_each_page_asks_who_is_here(page: str) -> None:
    path = str(ROOT / "pages" / f"{page}.py")
    at = AppTest.from_string(ALONE.format(page=path), default_timeout=20)
    at.query_params["flow"] = "talk"
    at.run()
    assert not at.exception
    assert texts(at) == "nobody is here", f"pages/{page}.py drew something for nobody"


@pytest.mark.usefixtures("nobody")
def test_the_sign_in_page_says_when_too_many_people_sign_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_WAITING", 0)
    at = AppTest.from_file(str(ROOT / "pages" / "sign_in.py"), default_timeout=20).run()
    at.text_input[0].input("ada")
    at.text_input[1].input("Secret-123")
    at.button[0].click().run()
    assert not at.exception
    assert [error.value for error in at.error] == ["Too many people sign in right now. Try again in a moment."]


def test_each_page_stands_in_the_navigation() -> None:
    """A page that no list names is a file that nobody can open."""
    assert {*PAGES} - _NAMED == {"router"}
