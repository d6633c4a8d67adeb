"""Every file of pages/: it opens, it stands in the navigation, and by itself it shows nothing to nobody. A page whose
connection was lost waits for its owner, for nobody else, and not for long."""

import ast
import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.session_manager import SessionInfo
from streamlit.testing.v1 import AppTest

from flowground.access import passwords
from flowground.core.caller import LOCAL_OWNER
from flowground.ui.shims.streamlit_process import OWNER, KeptPages
from tests.app_page import find_by_label, open_script, read
from tests.in_process import runtime_of
from tests.open_page import flow_text
from tests.page_socket import Browser, open_browser, open_page
from tests.people import CREDENTIALS, PASSWORD
from tests.servers import ROOT, SHARED, AppServer, House, write_folder
from tests.waiting import eventually

FLOWS = {"talk": flow_text("scripted:echo", "Talk", welcome="Say something.")}
PAGES = sorted(path.stem for path in (ROOT / "pages").glob("*.py"))
OWNERS = {"home", "playground", "api_access", "inside", "knowledge", "feedback", "usage", "first_account", "join"}
"""What the local owner's navigation lists; the others are run by themselves."""

OPENED = {
    "home": "1 flow",
    "playground": "Say something.",
    "api_access": "export FLOWGROUND_API_KEY=YOUR_TOKEN",
    "inside": "flowchart TB",
    "knowledge": "No documents connected",
    "feedback": "0 ratings",
    "usage": "No runs in this period",
    "first_account": "keep what you said so far",
    "sign_in": "Sign in",
    "join": "This link does not work",
    "account": "You don't have access to this page",
    "organization": "You don't have access to this page",
    "shared_chat": "You don't have access to this page",
    "public_flow": "You don't have access to this page",
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

SHORT = {"STREAMLIT_SERVER_DISCONNECTED_SESSION_TTL": "2"}
HOUSE = House(flows=FLOWS, shared={"talk": SHARED}, environment=SHORT)

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
    with runtime_of(write_folder(tmp_path, config=CREDENTIALS, flows=FLOWS)):
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
    find_by_label(at.text_input, "User name").input("augusta")
    find_by_label(at.text_input, "Password").input(PASSWORD)
    find_by_label(at.button, "Sign in").click().run()
    assert not at.exception
    assert at.warning[0].value == "Too many people are signing in right now. Try again in a moment."


# The owner's alone are opened by the navigation above, and in tests/test_local_mode.py.
@pytest.mark.parametrize("page", sorted({*PAGES} - {"first_account", "owner_code", "router"}))
def test_each_page_stands_in_the_navigation_and_brings_no_tables(house: AppServer, page: str) -> None:
    """A page that no list names is a file that nobody can open. pandas and pyarrow are 52 MB and most of a second."""
    browser = Browser(house.url) if page == "sign_in" else open_browser(house, "augusta")
    with open_page(browser, base="/public_flow/talk" if page == "public_flow" else "") as opened:
        drawn = opened.visit("" if page in ("home", "public_flow", "sign_in") else page, "flow=talk")
    words = OTHERS_READ.get(page) or OPENED[page]
    assert words.encode() in drawn, f"pages/{page}.py is in nobody's navigation"
    loaded = Path(f"/proc/{house.pid}/maps").read_text("utf-8")
    assert ("orjson" in loaded, "pandas" in loaded, "pyarrow" in loaded) == (True, False, False)


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


def joins(browser: Browser, session: str) -> bool:
    """Whether this browser gets the page of that id."""
    with open_page(browser, session=session) as page:
        page.visit()
        return page.session_id == session


def test_its_owner_comes_back_to_a_page(house: AppServer) -> None:
    """Its id stands in no log."""
    browser, stranger = open_browser(house, "augusta"), Browser(house.url)
    with open_page(browser) as page, open_page(stranger) as unkept:
        page.visit()
        unkept.visit()
        assert joins(browser, page.session_id)  # the first connection is not known to be lost yet
    assert joins(browser, page.session_id)
    assert not joins(stranger, unkept.session_id)
    assert "is already connected" in house.log
    assert page.session_id not in house.log
    assert page.session_id[:8] in house.log


@pytest.mark.parametrize("while_open", [True, False])
def test_nobody_else_joins_a_page_whose_id_they_know(house: AppServer, while_open: bool) -> None:
    """Neither another member, nor the same person signed in elsewhere, nor a stranger."""
    others = (open_browser(house, "bob"), open_browser(house, "augusta"), Browser(house.url))
    with open_page(open_browser(house, "augusta")) as page:
        page.visit()
        if while_open:
            assert [joins(other, page.session_id) for other in others] == [False] * 3
        assert b"Talk" in page.visit()
    assert [joins(other, page.session_id) for other in others] == [False] * 3


def test_a_button_of_somebody_elses_page_cannot_be_pressed(house: AppServer) -> None:
    """Streamlit runs a button's callback before the page asks who is there."""
    owner = open_browser(house, "augusta")
    with open_page(owner) as other_browser_of_hers, open_page(open_browser(house, "augusta")) as page:
        other_browser_of_hers.visit()
        page.visit("account")
        buttons = [widget for widget in page.widgets["button"] if "account:out:" in widget]
        assert buttons
        with open_page(open_browser(house, "bob"), session=page.session_id) as foreign:
            foreign.visit("account")
            for button in buttons:
                foreign.press(button)
        for still in (other_browser_of_hers, page):
            assert b"Talk" in still.visit()


def test_pages_end_when_nobody_comes_back_in_time(house: AppServer) -> None:
    """Also the last ones, after which no other page is lost."""
    browser = open_browser(house, "augusta")
    before, most = house.descriptors, 0
    for _ in range(20):
        with open_page(browser) as page:
            page.visit()
        most = max(most, house.descriptors)
    some = 3  # of the process's own, a connection to the database among them
    eventually(lambda: house.descriptors <= before + some)
    assert most > house.descriptors + 10  # `before` may hold pages of another test


class _Page:
    """As much of a page as the store of kept pages touches."""

    def __init__(self, number: int, owner: str) -> None:
        self.id = f"{owner}-{number}"
        self._user_info = {OWNER: f"{owner}-digest"}
        self.is_over = False

    def shutdown(self) -> None:
        self.is_over = True


async def test_visitors_pages_do_not_push_out_members() -> None:
    kept = KeptPages(ttl_seconds=60)
    pages = [_Page(number, "member") for number in range(90)] + [_Page(number, "visitor") for number in range(200)]
    for page in pages:
        kept.save(SessionInfo(client=None, session=cast(AppSession, page)))
    waiting = {info.session.id for info in kept.list()}
    assert waiting == {page.id for page in pages if not page.is_over}
    assert waiting == {f"member-{n}" for n in range(90)} | {f"visitor-{n}" for n in range(168, 200)}
    for page in [_Page(number, "member") for number in range(100, 200)]:
        kept.save(SessionInfo(client=None, session=cast(AppSession, page)))
    assert len(kept.list()) == 128
    assert kept.get("member-199") is not None
    kept.delete("member-199")
    assert kept.get("member-199") is None
    for info in kept.list():
        kept.delete(info.session.id)
    await asyncio.sleep(0)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[None]:
    """The app in this process, before its first account."""
    with runtime_of(write_folder(tmp_path, config={}, flows=[])):
        yield


CALLBACKS = """
import streamlit as st

from flowground.core.caller import LOCAL_OWNER, Caller
from flowground.ui.page.bridge import bind_to_caller

@bind_to_caller
def act(caller, what):
    st.session_state[what] = True

st.button("mine", on_click=act, args=(LOCAL_OWNER, "mine done"))
st.button("foreign", on_click=act, args=(Caller("member", "olga", "author"), "foreign done"))
"""


@pytest.mark.usefixtures("here")
def test_a_callback_runs_only_for_whom_it_was_drawn() -> None:
    app = AppTest.from_string(CALLBACKS).run()
    for button in app.button:
        button.click()
    app.run()
    state: Any = app.session_state
    assert ("mine done" in state, "foreign done" in state) == (True, False)


def test_every_callback_that_acts_for_somebody_asks_for_whom() -> None:
    """Those whose first argument is a caller: of `render_action`, and of elements of Streamlit's."""
    found = set()
    marked = set()
    for file in sorted((ROOT / "flowground" / "ui").rglob("*.py")):
        for item in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(item, ast.FunctionDef) and "bind_to_caller" in map(ast.unparse, item.decorator_list):
                marked.add((file, item.name))
            elif isinstance(item, ast.Call) and ast.unparse(item.func) == "render_action":
                found |= {
                    (file, ast.unparse(item.args[1])) for first in item.args[2:3] if ast.unparse(first) == "caller"
                }
            elif isinstance(item, ast.Call):
                given = {word.arg: ast.unparse(word.value) for word in item.keywords}
                if given.get("args", "").startswith("(caller,"):
                    found |= {(file, given[name]) for name in ("on_click", "on_change") if name in given}
    assert len(found) >= 10
    marks = {name for _, name in marked}
    for file, name in found - marked:  # of another module, or with a sentence of its own
        written = re.search(rf"\b{name}\b.* = .*\bpartial\((\w+)", file.read_text("utf-8"))
        assert (written[1] if written else name) in marks


ALL_THAT_IS_KEPT = """
import streamlit as st

from flowground.ui.page.bridge import require_caller

require_caller()
st.text(str(st.session_state.to_dict()))
"""


@pytest.mark.usefixtures("here")
def test_a_page_that_is_somebody_elses_now_keeps_nothing() -> None:
    """Behind the binding of pages to sign-ins: should one ever get through."""
    app = AppTest.from_string(ALL_THAT_IS_KEPT)
    app.session_state["flowground:caller"] = "member:olga"
    app.session_state["typed"] = "secret of olga"
    [kept] = app.run().text
    assert str(LOCAL_OWNER.owner) in kept.value
    assert "secret of olga" not in kept.value
