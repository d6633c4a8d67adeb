"""The app without a server: AppTest draws app.py and the router, for the local owner, whom nobody else can be."""

import asyncio
import gc
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from flowground import runtime
from tests.app_page import read_chat
from tests.servers import ROOT, write_folder


@pytest.fixture(autouse=True)
def own_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    config = write_folder(tmp_path, config={"default_model": "scripted"}, flows=["echo", "memory-chatbot"])
    monkeypatch.setenv("FLOWGROUND_CONFIG", str(config))
    runtime.install(None)
    before = set(threading.enumerate())
    yield
    opened = runtime.get()
    runtime.install(None)
    asyncio.run_coroutine_threadsafe(opened.close(), opened.loop).result(60)
    (thread,) = (thread for thread in set(threading.enumerate()) - before if thread.name == "flowground-loop")
    opened.loop.call_soon_threadsafe(opened.loop.stop)
    thread.join(60)
    opened.loop.close()


@pytest.mark.parametrize("script", ["app.py", "pages/router.py"])
def test_the_gallery_is_drawn(script: str) -> None:
    app = AppTest.from_file(str(ROOT / script), default_timeout=60).run()
    assert not app.exception
    assert {"Echo", "Memory Chatbot"} <= {link.proto.label for link in app.get("page_link")}
    assert gc.isenabled()


def test_a_deep_link_is_drawn() -> None:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    app.query_params["flow"] = "echo"
    app.run()
    app.switch_page(str(ROOT / "pages" / "playground.py")).run()
    assert not app.exception
    assert read_chat(app)["flow"] == "echo"


def test_who_starts_the_process_owns_it_where_no_server_runs() -> None:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    app.switch_page(str(ROOT / "pages" / "first_account.py")).run()
    assert not app.exception
    assert [field.label for field in app.text_input] == ["Your name", "User name", "Password"]
