"""Flow files that are changed in the browser: by whom, to which bytes, over nothing that somebody else wrote."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from flowground.access import flow_files
from flowground.access.flow_files import make_digest, write_changed, write_shown
from flowground.app import endpoint
from flowground.app.authorize import PersonChatting
from flowground.app.runtime import Runtime
from flowground.core.caller import LOCAL_OWNER, Caller, RunRequest
from flowground.core.errors import FlowError, FlowNotFound, InvalidRequest, NotAllowed
from flowground.core.events import TurnFinished
from flowground.flows import folder
from flowground.flows.templates import make_draft
from flowground.store import publications
from tests.app_page import find_by_key, open_script, press, read
from tests.in_process import runtime_of
from tests.running import FLOWS, chat_flow, look_at_once, organization, running, sign_in
from tests.servers import write_folder

TALK = FLOWS["talk"]
CHANGED = TALK.replace("name: Talk", "name: Talk more")


@pytest.fixture(autouse=True)
def _look_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    look_at_once(monkeypatch)


@pytest.fixture
async def runtime(tmp_path: Path) -> AsyncIterator[Runtime]:
    flows = {"talk": TALK, "other": chat_flow("scripted", "Other"), "broken": "components: {"}
    async with running(tmp_path, flows) as opened:
        yield opened


@pytest.fixture
def flows(tmp_path: Path) -> Iterator[Path]:
    with runtime_of(write_folder(tmp_path, config={"default_model": "scripted"}, flows={"talk": TALK})):
        yield tmp_path / "flows"


@pytest.mark.parametrize(
    "before",
    [b"a\nb\nc\n", b"a\r\nb\r\nc", b"\xef\xbb\xbfa\r\nb\nc\r\n", b"a\rb\rc", b"a\n\n\nb\r\nc", b"b", b"", b"\n"],
)
def test_what_was_not_touched_stays_byte_by_byte(before: bytes) -> None:
    shown = write_shown(before)
    assert not {"\r", "\ufeff"} & {*shown}
    assert write_changed(before, shown) == before
    assert write_changed(before, shown.replace("b", "ö")) == before.replace(b"b", "ö".encode())
    assert write_shown(write_changed(before, f"{shown}more")) == f"{shown}more"
    assert write_changed(before, "") == before[: 3 if before.startswith(b"\xef\xbb\xbf") else 0]


def test_new_lines_end_as_most_of_the_file_do() -> None:
    assert write_changed(b"a\r\nb\nc\r\n", "a\nb\nx\ny\nc\n") == b"a\r\nb\nx\r\ny\r\nc\r\n"
    assert write_changed(b"", "a\nb") == b"a\nb"


async def save(runtime: Runtime, caller: Caller, text: str, before: str = TALK) -> None:
    digest = make_digest(before.encode())
    await flow_files.replace_flow_file(runtime.access, caller, "talk.yaml", before=digest, after=text.encode())


@pytest.mark.parametrize(
    ("setting", "may"), [("admins", ["augusta"]), ("authors", ["augusta", "olga"]), ("nobody", [])]
)
async def test_who_changes_a_flow_is_whom_the_settings_let_and_owns_it(
    tmp_path: Path, setting: str, may: list[str]
) -> None:
    async with organization(tmp_path, config={"authors": {"may_write": setting}}) as acme:
        file, text = tmp_path / "flows" / "talk.yaml", TALK
        for name in ("augusta", "olga", "anton", "bob"):
            caller = await sign_in(acme, name)
            if name in may:
                await save(acme, caller, f"{text}# {name}\n", text)
                text += f"# {name}\n"
                assert acme.catalogue.list_flows()["talk"].version == make_digest(text.encode())[:12]
                continue
            with pytest.raises(FlowNotFound if name == "bob" else NotAllowed):
                await save(acme, caller, f"{text}# {name}\n", text)
            with pytest.raises(FlowNotFound if name == "bob" else NotAllowed):
                await flow_files.open_flow_file(acme.access, caller, "talk.yaml")
        assert file.read_text() == text


async def test_a_file_that_is_no_flow_is_the_admins(tmp_path: Path) -> None:
    flows = {"broken": "owners: [olga]\ncomponents: {"}
    async with organization(tmp_path, flows, config={"authors": {"may_write": "authors"}}) as acme:
        assert await flow_files.open_flow_file(acme.access, await sign_in(acme, "augusta"), "broken.yaml")
        with pytest.raises(NotAllowed):
            await flow_files.open_flow_file(acme.access, await sign_in(acme, "olga"), "broken.yaml")


@pytest.mark.parametrize("file", ["../config.yaml", "/etc/passwd", "none.yaml", "", "."])
async def test_no_other_file_is_read_or_written(runtime: Runtime, file: str) -> None:
    with pytest.raises(FlowNotFound):
        await flow_files.open_flow_file(runtime.access, LOCAL_OWNER, file)
    with pytest.raises(FlowNotFound):
        await flow_files.replace_flow_file(runtime.access, LOCAL_OWNER, file, before="", after=TALK.encode())


BOMB = "x: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (TALK.replace("type: ChatInput", "type: ChatInptu"), "ChatInptu"),
        (TALK + "id: other\n", "'other' is the address of two flows"),
        (TALK + "# " + "x" * 2_000_000, "is the limit"),
        (BOMB + TALK, "values"),
    ],
)
async def test_what_would_be_no_flow_is_told_as_of_files_and_not_written(
    runtime: Runtime, tmp_path: Path, text: str, says: str
) -> None:
    wired, problems = await flow_files.check_flow_file(runtime.access, LOCAL_OWNER, "talk.yaml", text.encode())
    assert wired is None
    assert says in str(problems[0])
    with pytest.raises(FlowError):
        await save(runtime, LOCAL_OWNER, text)
    assert (tmp_path / "flows" / "talk.yaml").read_text() == TALK
    await runtime.catalogue.refresh()
    assert runtime.catalogue.list_flows().keys() == {"talk", "other"}


def edit(at: AppTest, text: str) -> AppTest:
    find_by_key(at.text_area, "edit:text").set_value(text).run()
    return at


def test_a_flow_is_changed_at_the_page_its_mistakes_below_it(flows: Path) -> None:
    at = press(open_script("inside", flow="talk"), "edit:open")
    edit(at, TALK.replace("model:", "modle:"))
    assert "**Line 8** · LanguageModel has no field `modle`. Did you mean **model**?" in read(at)
    assert "modle: scripted" in [code.value.strip() for code in at.code]
    press(at, "edit:save")
    assert (flows / "talk.yaml").read_text() == TALK
    edit(at, CHANGED)
    press(at, "edit:save")
    assert (flows / "talk.yaml").read_text() == CHANGED
    assert "Saved: what stands here answers." in read(at)
    press(at, "edit:close")
    assert "Talk more" in read(at)
    (flows / "talk.yaml").write_text(TALK)
    press(at, "edit:open")  # where nothing was typed since, it begins with what stands there
    assert find_by_key(at.text_area, "edit:text").value == TALK
    assert "changed meanwhile" not in read(at)


def test_a_file_that_was_changed_meanwhile_is_shown_beside_ones_own_text_and_not_written_over(flows: Path) -> None:
    at = press(open_script("inside", flow="talk"), "edit:open")
    by_hand = TALK + "# by hand\n"
    (flows / "talk.yaml").write_text(by_hand)
    edit(at, CHANGED)
    assert "The file was changed meanwhile" in read(at)
    assert by_hand.strip() in [code.value.strip() for code in at.code]
    assert find_by_key(at.text_area, "edit:text").value == CHANGED
    assert find_by_key(at.button, "edit:save").disabled
    press(at, "edit:keep")
    press(at, "edit:save")
    assert (flows / "talk.yaml").read_text() == CHANGED


def saying(words: str) -> str:
    output = f"{{type: ChatOutput, input_value: '{words}'}}"
    return f"owners: [olga]\ncomponents:\n  ChatInput: {{type: ChatInput}}\n  Out: {output}\n"


async def ask(runtime: Runtime, caller: Caller, *, tries_draft: bool = True) -> str:
    person = PersonChatting(caller, "s", tries_draft=tries_draft)
    answer = await endpoint.answer(runtime, person, address="says", ask=RunRequest("hi", session_id="s", stream=True))
    finished = await answer.finish()
    assert isinstance(finished, TurnFinished)
    return finished.outputs[0].text


@pytest.fixture
async def says(tmp_path: Path) -> AsyncIterator[Runtime]:
    async with organization(tmp_path, {"says": saying("saved")}, config={"authors": {"may_write": "authors"}}) as acme:
        yield acme


async def try_draft(runtime: Runtime, caller: Caller, text: str) -> None:
    await flow_files.try_flow_file(runtime.access, caller, "says.yaml", before="", content=text.encode())


async def test_a_draft_answers_the_playground_of_who_tries_it_and_nobody_elses(says: Runtime) -> None:
    olga, augusta = await sign_in(says, "olga"), await sign_in(says, "augusta")
    await try_draft(says, olga, saying("drafted"))
    assert [await ask(says, olga), await ask(says, augusta)] == ["drafted", "saved"]
    assert await ask(says, olga, tries_draft=False) == "saved"
    wired = says.catalogue.list_flows()["says"]
    assert says.access.find_draft(olga, wired) is not wired
    assert says.access.find_draft(replace(olga, role="member"), wired) is wired
    await flow_files.drop_draft(says.access, olga, "says")
    assert await ask(says, olga) == "saved"


async def test_a_draft_names_no_secret_of_the_server_that_the_file_did_not(
    says: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_THE_DATABASE", "x")
    asked = '  Ask: {type: APIRequest, url_input: "https://example.com", headers: {a: "${env:NAME}"}}\n  Out'
    told = set()
    for name in ("OF_THE_DATABASE", "NOT_THERE"):
        text = saying("x").replace("  Out", asked.replace("NAME", name), 1)
        for caller in (await sign_in(says, "olga"), await sign_in(says, "augusta")):
            with pytest.raises(FlowError) as caught:
                await try_draft(says, caller, text)
            told.add(str(caught.value.problems[0].message).replace(name, "NAME"))
    assert told == {"`${env:NAME}` is not in the file that serves: add it where the files are kept."}


async def test_a_draft_is_gone_when_it_is_saved_after_an_hour_and_when_there_are_many(
    says: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    olga, text = await sign_in(says, "olga"), saying("drafted")
    await try_draft(says, olga, text)
    for number in range(folder._MOST):
        assert await ask(says, olga) == "drafted", number
        wired = says.access.find_draft(olga, says.catalogue.list_flows()["says"])
        says.access.drafts.put(f"member:{number}", folder.FlowDraft(wired, b"", ""))
    assert await ask(says, olga) == "saved"
    await try_draft(says, olga, text)
    with monkeypatch.context() as later:
        later.setattr(folder, "_SECONDS", -1)
        assert await ask(says, olga) == "saved"
    before = make_digest(saying("saved").encode())
    await flow_files.replace_flow_file(says.access, olga, "says.yaml", before=before, after=saying("new").encode())
    assert await ask(says, olga) == "new"


async def test_a_draft_with_mistakes_or_of_another_flow_is_not_tried(says: Runtime) -> None:
    olga = await sign_in(says, "olga")
    with pytest.raises(FlowError):
        await try_draft(says, olga, saying("${nothing}"))
    for name, why in (("augusta", "another id"), ("olga", "Only admins")):
        with pytest.raises(InvalidRequest, match=why):
            await try_draft(says, await sign_in(says, name), saying("drafted") + "id: other\n")
    assert await ask(says, olga) == "saved"


async def test_only_admins_give_a_flow_another_address_or_one_that_a_flow_had(tmp_path: Path) -> None:
    """Who is let in there, and what was said there, would be the new one's."""
    called = f"{TALK}api: {{endpoint_name: shop}}\n"
    async with organization(tmp_path, {"talk": called}, config={"authors": {"may_write": "authors"}}) as acme:
        olga, augusta = [await sign_in(acme, name) for name in ("olga", "augusta")]
        for more in ("id: gone\n", "id: shop\n", "api: {endpoint_name: gone}\n"):
            with pytest.raises(InvalidRequest, match="Only admins"):
                await save(acme, olga, f"{TALK}{more}", called)
        gone = make_draft("Gone", "text", owner="olga")
        await acme.store.write(publications.set_shared, flow_id=gone.id, is_shared=True, by="test")
        with pytest.raises(InvalidRequest, match="There was a flow at gone before"):
            await flow_files.write_flow(acme.access, olga, gone)
        await flow_files.write_flow(acme.access, olga, make_draft("New", "text", owner="olga"))
        await flow_files.write_flow(acme.access, augusta, gone)
        await save(acme, olga, TALK, called)
        await save(acme, augusta, f"{TALK}id: moved\n")
        assert {"moved", "gone", "new"} <= acme.catalogue.list_flows().keys()


async def test_a_file_with_mistakes_may_go_on_naming_the_secrets_that_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_THE_SHOP", "x")
    ask = '  Ask: {type: APIRequest, url_input: "https://example.com", headers: {a: "${env:OF_THE_SHOP}"}}\n'
    right = TALK.replace("components:\n", f"components:\n{ask}", 1)
    wrong = right.replace("type: APIRequest", "type: APIReqest")
    async with organization(tmp_path, {"talk": wrong}) as acme:
        assert "talk" not in acme.catalogue.list_flows()
        await save(acme, await sign_in(acme, "augusta"), right, wrong)
        assert "talk" in acme.catalogue.list_flows()
