"""A component with a secret field, which none of the shipped ones has: nobody is shown it, and nothing keeps it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
from streamlit.testing.v1 import AppTest

from flowground.app import runtime
from flowground.components import COMPONENTS
from flowground.components.base import Context, Output, declare
from flowground.components.io import Kind, OutputComponent
from flowground.core.values import ValueKind
from flowground.flows.tweaks import read_link
from tests.app_page import find_by_label, go, read
from tests.chat_socket import TalkHere
from tests.in_process import runtime_of
from tests.page_talk import talk
from tests.servers import ROOT, write_folder

AUTHORS, TYPED = "authorsword", "typedsecret-of-25-letters"
VAULT = """\
name: Vault
components:
  ChatInput: {type: ChatInput, input_value: Hello}
  Prompt: {type: Prompt, template: "{tone}: {said}", tone: kind, said: "${ChatInput}"}
  Locked: {type: Locked, display_name: Safe, key: "${env:VAULT_WORD}", input_value: "${Prompt}"}
  ChatOutput: {type: ChatOutput, input_value: "${Locked}"}
api: {overridable: [Locked.key, Prompt.tone]}
"""


class Locked(OutputComponent):
    """Says how long its key is, and passes its text on."""

    type_name: ClassVar[str] = "Locked"
    title: ClassVar[str] = "Locked"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"text": "text"}
    kind: ClassVar[Kind] = "text"

    key: str = declare("", "Key", "A key.", secret=True)
    input_value: str = declare("", "Text", "What is passed on.")

    async def run(self, context: Context) -> Output:
        return Output({"text": f"{len(self.key)} letters, {self.input_value}"})


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    """The pages, as the author sees them."""
    monkeypatch.setenv("VAULT_WORD", AUTHORS)
    monkeypatch.setattr(COMPONENTS, "_types", {**COMPONENTS, "Locked": Locked})
    with runtime_of(write_folder(tmp_path, config={"default_model": "scripted"}, flows={"vault": VAULT})):
        yield AppTest.from_file(str(ROOT / "pages" / "router.py"), default_timeout=60).run()


def answer_of(at: AppTest) -> str:
    return talk(go(at, "playground", flow="vault")).ask("Morning")


def everything_drawn(at: AppTest) -> str:
    return "\n".join(str(element.proto) for element in at.main) + read(at)


def test_the_authors_secret_is_used_and_shown_nowhere(at: AppTest) -> None:
    go(at, "api_access", flow="vault")
    assert not find_by_label(at.text_input, "Key").value
    drawn = everything_drawn(at)
    assert ("kind" in drawn, AUTHORS in drawn) == (True, False)
    answered = answer_of(at)
    assert (f"{len(AUTHORS)} letters, kind: Morning" in answered, AUTHORS in everything_drawn(at)) == (True, False)


def check_kept(folder: Path) -> None:
    """All that was typed but the secret."""
    kept = b"".join(file.read_bytes() for file in (folder / "data").rglob("*") if file.is_file())
    assert (b"tonekept" in kept, TYPED.encode() in kept) == (True, False)


def test_a_secret_that_somebody_overrides_is_used_and_written_down_nowhere(at: AppTest, tmp_path: Path) -> None:
    go(at, "api_access", flow="vault")
    find_by_label(at.text_input, "Key").set_value(TYPED).run()
    find_by_label(at.text_input, "Tone").set_value("tonekept").run()
    [link] = [code.value for code in at.code if "/playground?" in code.value]
    assert read_link(parse_qs(urlsplit(link).query)["overrides"][0]) == {"Prompt": {"tone": "tonekept"}}
    assert f"{len(TYPED)} letters, tonekept: Morning" in answer_of(at)
    check_kept(tmp_path)


def test_a_secret_is_written_down_nowhere_either_by_another_name_of_its_component(at: AppTest, tmp_path: Path) -> None:
    tweaks = {"Safe": {"key": TYPED}, "Prompt": {"tone": "tonekept"}}
    page = TalkHere(runtime.get(), "vault")
    page.show()
    assert f"{len(TYPED)} letters, tonekept: Morning" in page.ask("Morning", tweaks=tweaks)
    check_kept(tmp_path)
