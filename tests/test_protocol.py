"""Streamlit's own protocol tells strangers nothing and does nothing for them."""

from collections.abc import Iterator

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg

from flowground.ui.protocol import ASKED
from tests.page_socket import Browser, open_page
from tests.servers import ROOT, AppServer
from tests.test_gate import ADA


@pytest.fixture(scope="module")
def shut(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    with AppServer(tmp_path_factory.mktemp("protocol"), config={"credentials": {"usernames": ADA}}) as server:
        yield server


def test_no_path_of_this_computer_is_told(shut: AppServer, server: AppServer) -> None:
    for running in (shut, server):
        with open_page(Browser(running.url)) as page:
            sent = page.visit()
            for told in (str(ROOT), str(running.folder), "router.py"):
                assert told.encode() not in sent, told


@pytest.mark.parametrize("asked", sorted({field.name for field in BackMsg.DESCRIPTOR.oneofs[0].fields} - ASKED))
def test_whatever_else_a_browser_asks_is_not_heard(shut: AppServer, asked: str) -> None:
    message = BackMsg()
    if BackMsg.DESCRIPTOR.fields_by_name[asked].message_type:
        getattr(message, asked).SetInParent()
    else:
        setattr(message, asked, True)
    assert message.WhichOneof("type") == asked
    with open_page(Browser(shut.url)) as page:
        page.visit()
        page.received(within=0.3)
        page.send(message)
        assert page.received(within=0.3) == b""
        assert b"Sign in" in page.visit()
