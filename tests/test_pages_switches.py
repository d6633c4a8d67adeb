"""What pages say while a flow or its model is switched off; conversations: tests/test_conversation_switches.py."""

import asyncio
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from flowground.caller import LOCAL_OWNER
from flowground.runtime import Runtime
from flowground.ui.page import switched_off
from tests.app_page import open_script, read
from tests.in_process import runtime_of
from tests.open_page import flow_text
from tests.running import chat_flow
from tests.servers import write_folder

SAYS = "Back at three."
TOLD = f"This flow is switched off. {SAYS}"
FORM = """\
name: Form
components:
  Topic: {type: TextInput}
  Out: {type: TextOutput, input_value: "${Topic}"}
"""
CHOICE = 'api: {overridable: [{field: Model.model, choices: ["scripted:echo", "other:echo"]}]}\n'
FLOWS = {
    "talk": flow_text("scripted:echo", "Talk", starters=["Hello"]),
    "form": FORM,
    "choice": chat_flow("scripted:echo", "Choice") + CHOICE,
}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Runtime]:
    providers = {"other": {"type": "scripted"}}
    config = write_folder(tmp_path, config={"default_model": "scripted", "providers": providers}, flows=FLOWS)
    with runtime_of(config) as running:
        yield running


def wait(app: Runtime, deed: Coroutine[Any, Any, object]) -> None:
    asyncio.run_coroutine_threadsafe(deed, app.loop).result(60)


def switch_off(app: Runtime, flow: str) -> None:
    wait(app, app.switches.switch_off("flow", flow, says=SAYS, by="cli"))


def list_infos(at: AppTest) -> list[str]:
    return [info.value for info in at.info]


def test_the_pane_says_so(app: Runtime) -> None:
    switch_off(app, "talk")
    assert list_infos(open_script("api_access", flow="talk")) == [TOLD]


def test_a_card_says_so_and_stays(app: Runtime) -> None:
    at = open_script()
    assert TOLD not in read(at)
    switch_off(app, "talk")
    at.run()
    assert [TOLD in block.proto.body for block in at.get("html")].count(True) == 1
    assert "Talk" in [link.proto.label for link in at.get("page_link")]


def test_a_model_that_is_off_is_told_unless_an_override_asks_another(app: Runtime) -> None:
    wait(app, app.switches.switch_off("provider", "scripted", says=SAYS, by="cli"))
    wired = app.catalogue.list_flows()["choice"]
    for model, told in (("other:echo", ""), ("scripted:echo", f"The model of this flow is switched off. {SAYS}")):
        assert switched_off.find_sentence(LOCAL_OWNER, wired, {"Model": {"model": model}}) == told
