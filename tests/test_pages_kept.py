"""A page whose connection was lost waits for its owner, for nobody else, and not for long."""

import ast
import asyncio
import json
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from streamlit import config
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.session_manager import SessionInfo
from streamlit.testing.v1 import AppTest

from flowground.caller import LOCAL_OWNER, PageHeader
from flowground.shims.kept_pages import OWNER, KeptPages
from tests.house import SHARED, House
from tests.in_process import runtime_of
from tests.page_socket import Browser, open_page
from tests.servers import ROOT, AppServer, write_folder
from tests.tickets import open_browser
from tests.waiting import eventually

SHORT = {"STREAMLIT_SERVER_DISCONNECTED_SESSION_TTL": "2"}
HOUSE = House(
    config={"sharing": {"allow_public": True}},
    flows=["echo"],
    shared={"echo": SHARED},
    environment=SHORT,
)


def test_streamlit_has_the_settings_that_this_rests_on() -> None:
    ours = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    assert ours["server"]["disconnectedSessionTTL"] == 60
    assert json.loads(ours["server"]["trustedUserHeaders"]) == {PageHeader.PAGE: OWNER}
    named = [f"{section}.{name}" for section in ("server", "client") for name in ours[section]]
    assert "server.disconnectedSessionTTL" in named
    assert set(named) <= config._config_options_template.keys()


def test_its_owner_comes_back_to_a_page(house: AppServer) -> None:
    browser = open_browser(house, "augusta")
    with open_page(browser) as page:
        page.visit()
        lost = page.session_id
        with open_page(browser, session=lost) as again:  # the first connection is not known to be lost yet
            again.visit()
            assert again.session_id == lost
    with open_page(browser, session=lost) as again:
        again.visit()
        assert again.session_id == lost


@pytest.mark.parametrize("while_open", [True, False])
def test_nobody_else_joins_a_page_whose_id_they_know(house: AppServer, while_open: bool) -> None:
    with open_page(open_browser(house, "augusta")) as page:
        page.visit()
        shown = page.session_id
        if while_open:
            assert joined(house, shown) == [False, False, False]
        assert b"Echo" in page.visit()
    assert joined(house, shown) == [False, False, False]


def joined(house: AppServer, session: str) -> list[bool]:
    """Whether another member, the same person signed in elsewhere, and a stranger get the page of that id."""
    found = []
    for browser in (open_browser(house, "bob"), open_browser(house, "augusta"), Browser(house.url)):
        with open_page(browser, session=session) as page:
            page.visit()
            found.append(page.session_id == session)
    return found


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
            assert b"Echo" in still.visit()


def test_a_page_of_somebody_not_signed_in_is_not_kept(house: AppServer) -> None:
    browser = Browser(house.url)
    with open_page(browser) as page:
        page.visit()
        lost = page.session_id
    with open_page(browser, session=lost) as page:
        page.visit()
        assert page.session_id != lost


def test_pages_end_when_nobody_comes_back_in_time(house: AppServer) -> None:
    """Also the last ones, after which no other page is lost."""
    descriptors = f"/proc/{house.pid}/fd"
    browser = open_browser(house, "augusta")
    before, most = len(os.listdir(descriptors)), 0
    for _ in range(20):
        with open_page(browser) as page:
            page.visit()
        most = max(most, len(os.listdir(descriptors)))
    some = 3  # of the process's own, a connection to the database among them
    eventually(lambda: len(os.listdir(descriptors)) <= before + some)
    assert most > len(os.listdir(descriptors)) + 40 - some  # `before` may hold pages of another test


def test_an_id_never_stands_in_the_log(house: AppServer) -> None:
    browser = open_browser(house, "augusta")
    with open_page(browser) as page:
        page.visit()
        with open_page(browser, session=page.session_id) as again:
            again.visit()
    assert "is already connected" in house.log
    assert page.session_id not in house.log
    assert page.session_id[:8] in house.log


class _Page:
    """As much of a page as the store of kept pages touches."""

    def __init__(self, number: int, owner: str) -> None:
        self.id = f"{owner}-{number}"
        self._user_info = {OWNER: f"{owner}-digest"}
        self.is_over = False

    def shutdown(self) -> None:
        self.is_over = True


@pytest.mark.anyio
async def test_visitors_pages_do_not_push_out_members() -> None:
    kept = KeptPages(ttl_seconds=60)
    pages = [_Page(number, "member") for number in range(90)] + [_Page(number, "visitor") for number in range(200)]
    for page in pages:
        kept.save(SessionInfo(client=None, session=cast(AppSession, page)))
    waiting = {info.session.id for info in kept.list()}
    assert waiting == {page.id for page in pages if not page.is_over}
    assert [name for name in sorted(waiting) if name.startswith("visitor")] == sorted(
        f"visitor-{n}" for n in range(168, 200)
    )
    assert len(waiting) == 90 + 32
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

from flowground.caller import LOCAL_OWNER, Caller
from flowground.ui.page.caller import bind_to_caller

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
    """Those whose first argument is a caller."""
    found, unmarked = 0, []
    for file in sorted((ROOT / "flowground" / "ui").rglob("*.py")):
        tree = ast.parse(file.read_text("utf-8"))
        marked = {
            item.name
            for item in ast.walk(tree)
            if isinstance(item, ast.FunctionDef)
            and any(isinstance(mark, ast.Name) and mark.id == "bind_to_caller" for mark in item.decorator_list)
        }
        for call in (item for item in ast.walk(tree) if isinstance(item, ast.Call)):
            for callback, first in callbacks_of(call):
                if isinstance(callback, ast.Name) and isinstance(first, ast.Name) and first.id == "caller":
                    found += 1
                    unmarked += [] if callback.id in marked else [f"{file.name}:{callback.id}"]
    assert found >= 10
    assert unmarked == []


def callbacks_of(call: ast.Call) -> Iterator[tuple[ast.expr, ast.expr]]:
    """What a call of `draw_action`, or of an element of Streamlit's, has called, and with what first argument."""
    if isinstance(call.func, ast.Name) and call.func.id == "draw_action":
        if len(call.args) > 2:
            yield call.args[1], call.args[2]
        return
    given = {word.arg: word.value for word in call.keywords}
    args = given.get("args")
    for name in {"on_click", "on_change"} & given.keys():
        if isinstance(args, ast.Tuple):
            yield given[name], args.elts[0]


ALL_THAT_IS_KEPT = """
import streamlit as st

from flowground.ui.page.caller import require_visitor

require_visitor()
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
