"""Streamlit's own protocol tells strangers nothing and does nothing for them."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.Common_pb2 import FileUploaderState
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.runtime.app_session import AppSession, AppSessionState
from streamlit.runtime.state.session_state import SessionState

from flowground.ui.shims.page_messages import ASKED, drop_unknown_widgets
from tests.page_socket import Browser, PageSocket, open_browser, open_page
from tests.people import CREDENTIALS
from tests.servers import ROOT, AppServer, House
from tests.waiting import eventually

HOUSE = House()


def test_no_path_of_this_computer_is_told(house: AppServer, server: AppServer) -> None:
    for running in (house, server):
        with open_page(Browser(running.url)) as page:
            sent = page.visit()
            for told in (str(ROOT), str(running.folder), "router.py"):
                assert told.encode() not in sent, told


def require_deaf(page: PageSocket, messages: Mapping[str, BackMsg]) -> None:
    """Nothing is answered to any of these."""
    page.visit()
    while page.received(within=0.3):
        pass
    for name, message in messages.items():
        page.send(message)
        assert page.received(within=0.05) == b"", name
    assert page.received(within=0.5) == b""


def test_whatever_else_a_browser_asks_is_not_heard(house: AppServer) -> None:
    messages = {}
    for asked in {field.name for field in BackMsg.DESCRIPTOR.oneofs[0].fields} - ASKED:
        messages[asked] = message = BackMsg()
        if BackMsg.DESCRIPTOR.fields_by_name[asked].message_type:
            getattr(message, asked).SetInParent()
        else:
            setattr(message, asked, True)
        assert message.WhichOneof("type") == asked
    with open_page(Browser(house.url)) as page:
        require_deaf(page, messages)
        assert b"Sign in" in page.visit()


HEX = "0123456789abcdef" * 2
OWN_STATE = "$$STREAMLIT_INTERNAL_KEY_SCRIPT_RUN_WITHOUT_ERRORS"
FORGED = "x\n2026-11-25 12:00:00.000 Publishing asks for the owner code: FAKE-FAKE\x1b[31m"


def forged(**fields: object) -> BackMsg:
    message = BackMsg()
    for name, value in fields.items():
        place, _, last = f"rerun_script.{name}".replace("__", ".").rpartition(".")
        target: object = message
        for part in place.split("."):
            target = getattr(target, part)
        if isinstance(value, list):
            getattr(target, last).extend(value)
        else:
            setattr(target, last, value)
    return message


FILES = WidgetState(id=f"$$ID-{HEX}-n", file_uploader_state_value=FileUploaderState())
NONE_OF_OURS = {
    "a line for the log": forged(fragment_id=FORGED),
    "an id that is none": forged(fragment_id=HEX[:-1]),
    "an id and more": forged(fragment_id=f"{HEX}\n"),
    "a page that is none": forged(page_script_hash="router"),
    "a long name": forged(page_name="a" * 201),
    "a long query": forged(query_string="a" * 16_001),
    "a long address": forged(context_info__url="a" * 20_001),
    "a long language": forged(context_info__locale="a" * 201),
    "a long time zone": forged(context_info__timezone="a" * 201),
    "a message that is none": forged(cached_message_hashes=["a"]),
    "many messages": forged(cached_message_hashes=[HEX] * 10_001),
    "a widget that is none": forged(widget_states__widgets=[WidgetState(id="flowground:caller")]),
    "a state of Streamlit's own": forged(widget_states__widgets=[WidgetState(id=OWN_STATE)]),
    "files": forged(widget_states__widgets=[FILES]),
    "many widgets": forged(widget_states__widgets=[WidgetState(id=f"$$ID-{HEX}-{n}") for n in range(2_001)]),
}


def test_what_streamlits_frontend_would_not_say_is_not_heard(ample: AppServer) -> None:
    with open_page(open_browser(ample, "augusta")) as page:
        require_deaf(page, NONE_OF_OURS)
        assert b"Sign out" in page.visit()
    assert "Publishing asks for the owner code: FAKE" not in ample.log


@pytest.mark.parametrize("data", [b"\x5a\x05", b"\x80", b"\x5a\x03\x0a\x01\xff"])
def test_what_is_no_message_is_refused_in_one_line_of_the_log(house: AppServer, data: bytes) -> None:
    with open_page(Browser(house.url)) as page:
        page._connection.send(data)
        assert page.closed()[0] == 1002
    eventually(lambda: "Error deserializing back message" in house.log)
    assert "Traceback" not in house.log
    assert "DecodeError" not in house.log


@pytest.fixture(scope="module")
def ample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    with AppServer(tmp_path_factory.mktemp("ample"), config=CREDENTIALS) as server:
        yield server


def test_a_fragment_that_is_gone_is_named_in_the_log_and_runs_nothing(ample: AppServer) -> None:
    with open_page(open_browser(ample, "augusta")) as page:
        page.visit()
        page.send(forged(fragment_id=HEX))
        eventually(lambda: f"The fragment with id {HEX} does not exist anymore" in ample.log)


def list_kept(*widgets: WidgetState, drawn: str = "") -> list[str]:
    """Ids of the widgets whose values a page keeps; it drew one at most."""
    session = AppSession.__new__(AppSession)
    session._session_state = SessionState()
    session._state = AppSessionState.SHUTDOWN_REQUESTED  # for its __del__
    if drawn:
        session._session_state._new_widget_state.widget_metadata[drawn] = cast(Any, object())
    state = ClientState()
    state.widget_states.widgets.extend(widgets)
    drop_unknown_widgets(session, state)
    return [widget.id for widget in state.widget_states.widgets]


def test_a_page_keeps_no_values_of_widgets_it_did_not_draw() -> None:
    drawn, unknown = WidgetState(id=f"$$ID-{HEX}-drawn"), WidgetState(id=f"$$ID-{HEX}-unknown")
    assert list_kept(drawn, unknown) == [drawn.id, unknown.id]  # it drew none yet
    assert list_kept(drawn, unknown, drawn=drawn.id) == [drawn.id]
