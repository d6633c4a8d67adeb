"""The page *Inside* for who may see it: what it is told of a flow's file, whatever stands in that; and files that a
page writes: for whom, where, over nothing that is there."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flowground.access import flow_files
from flowground.core.caller import LOCAL_OWNER
from flowground.core.errors import InvalidRequest, NotAllowed, NotSignedIn, Problem
from flowground.flows.templates import TEMPLATES, DraftedFlow, choose_address, make_draft, write_flow_file
from flowground.ui.inside.inside import MOST_CHARS, MOST_LINES, MOST_MISTAKES, write_file
from tests.acting import ALWAYS
from tests.app_page import find_by_key, open_script, read
from tests.flow_files import LARGEST
from tests.flow_texts import mistakes
from tests.in_process import runtime_of
from tests.running import chat_flow, look_at_once, organization, running, sign_in
from tests.servers import write_folder

BROKEN = """\
name: Review
components:
  ChatInput: {type: ChatInput}
  Model: {type: LanguageModel, modle: scripted, input_value: "${ChatInptu}"}
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
"""


def told(**query: str) -> Any:
    """What the page tells its component."""
    return json.loads(find_by_key(open_script("inside", **query).get("bidi_component"), "inside:").proto.json)[0]


def shown(file: dict[str, Any]) -> list[str]:
    return [line for part in file["parts"] for line in part["lines"]]


@pytest.fixture
def flows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    look_at_once(monkeypatch)
    files = {"talk": chat_flow("scripted", "Talk"), "review": BROKEN}
    with runtime_of(write_folder(tmp_path, config={"default_model": "scripted"}, flows=files)):
        yield tmp_path / "flows"


def test_a_flow_has_its_picture_its_steps_and_its_file(flows: Path) -> None:
    page = told(flow="talk")
    assert page["picture"].startswith("flowchart TB\n")
    assert [(step["id"], step["label"], step["line"]) for step in page["steps"]] == [
        ("ChatInput", "Chat Input", 3),
        ("Model", "Language Model (Model)", 5),
        ("ChatOutput", "Chat Output", 9),
    ]
    assert shown(page["file"]) == chat_flow("scripted", "Talk").splitlines()
    assert (page["file"]["mistakes"], page["says"], page["file"]["note"]) == ([], "", "")


def test_tools_of_agents_are_listed_behind_the_steps(flows: Path) -> None:
    (flows / "acts.yaml").write_text(ALWAYS)
    steps = told(flow="acts")["steps"]
    assert [step["id"] for step in steps] == ["ChatInput", "Agent", "ChatOutput", "Sums"]
    assert (steps[-1]["label"], steps[-1]["node"], steps[-1]["line"]) == ("Calculator (Sums)", "n2", 10)


@pytest.mark.parametrize("query", [{"flow": "review"}, {"file": "review.yaml"}])
def test_a_file_that_never_was_a_flow_has_its_mistakes_in_place(flows: Path, query: dict[str, str]) -> None:
    page = told(**query)
    assert (page["picture"], page["steps"]) == ("", [])
    assert page["file"]["note"] == "There is a picture once the file has no mistake."
    assert shown(page["file"]) == BROKEN.splitlines()
    assert [(one["line"], one["column"], one["length"], one["hint"]) for one in page["file"]["mistakes"]] == [
        (4, 32, 5, "Did you mean `model`?"),
        (4, 63, 12, "Did you mean `ChatInput`?"),
    ]


def test_while_the_last_good_version_serves_its_picture_is_shown_with_the_mistakes(flows: Path) -> None:
    (flows / "talk.yaml").write_text(chat_flow("scripted", "Talk").replace("model:", "modle:"))
    page = told(flow="talk")
    assert page["picture"].startswith("flowchart TB\n")
    assert page["says"] == "The picture is of the last good version, which answers until the file is corrected."
    assert {step["line"] for step in page["steps"]} == {None}
    (mistake,) = page["file"]["mistakes"]
    assert mistake["text"] == "LanguageModel has no field `modle`."


def test_warnings_stand_in_place_too(flows: Path) -> None:
    (flows / "old.yaml").write_text(
        'components:\n  Rows: {type: ParseData, input_data: [{text: a}], template: "{text}"}\n'
        '  Out: {type: ChatOutput, input_value: "${Rows} ${Found}"}\n'
        "  Found: {type: Retrieve, knowledge: docz, search_query: Out}\nknowledge: {docs: {files: ['*.md']}}\n"
    )
    page = told(flow="old")
    warning, unknown, plain = page["file"]["mistakes"]
    assert plain["text"] == "`Out` is plain text here: a reference to the component is `${Out}`."
    assert unknown["text"].startswith("There is no knowledge `docz`")
    assert (unknown["line"], unknown["hint"]) == (4, "Did you mean `docs`?")
    assert (warning["line"], warning["is_warning"]) == (2, True)
    assert (page["says"], page["steps"][0]["line"]) == ("", 2)


def test_secrets_are_not_shown(flows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "canary-of-the-environment")
    (flows / "talk.yaml").write_text(chat_flow("scripted", "${env:MY_KEY}"))
    page = told(flow="talk")
    assert "${env:MY_KEY}" in str(page)
    assert "canary" not in str(page)


def test_a_file_over_the_limit_is_shown_from_its_beginning_on_and_one_that_cannot_be_read_not(flows: Path) -> None:
    (flows / "large.yaml").write_text("# a line of it\n" * 80_000)
    file = told(file="large.yaml")["file"]
    assert "bytes" in file["mistakes"][0]["text"]
    assert len(shown(file)) == MOST_LINES
    (flows / "gone.yaml").symlink_to(flows / "nowhere")
    file = told(file="gone.yaml")["file"]
    assert file["note"] == "The file cannot be read."
    assert "cannot be read" in file["mistakes"][0]["text"]


@pytest.mark.parametrize(
    "query", [{}, {"flow": "unknown"}, {"file": "unknown.yaml"}, {"file": "../config.yaml"}, {"file": "/etc/passwd"}]
)
def test_what_is_not_there_is_the_calm_page(flows: Path, query: dict[str, str]) -> None:
    at = open_script("inside", **query)
    assert "You don't have access to this page" in read(at)
    assert not [one for one in at.get("bidi_component") if str(one.key).startswith("inside:")]


@pytest.mark.parametrize("name", LARGEST)
def test_the_largest_files_are_bounded(name: str) -> None:
    text = LARGEST[name]
    places = [said.split(":")[1:3] for said in mistakes(text)]
    problems = [Problem("x", int(line), int(column), "m") for line, column in places]
    file = write_file(text, problems)
    lines = shown(dict(file))
    assert lines
    assert sum(map(len, lines)) <= MOST_CHARS + 9 * 1_002 * MOST_MISTAKES
    numbers = {number for part in file["parts"] for number in range(part["start"], part["start"] + len(part["lines"]))}
    assert {one["line"] for one in file["mistakes"]} <= numbers | {file["count"] + 1}
    assert len(file["mistakes"]) + file["more"] == len(problems)


def draft(name: str, address: str = "") -> DraftedFlow:
    return make_draft(name, "chat", address=address)


def test_an_address_is_made_from_the_name() -> None:
    names = {
        "Order status": "order-status",
        "Größe: ändern!": "grosse-andern",
        "..": "",
        "注文": "",
        "a" * 70: "a" * 64,
    }
    assert [choose_address(name) for name in names] == [*names.values()]


@pytest.mark.parametrize("template", TEMPLATES)
async def test_what_the_local_owner_writes_can_be_opened_at_once(tmp_path: Path, template: str) -> None:
    async with running(tmp_path, {"talk": chat_flow("scripted", "Talk")}) as runtime:
        wanted = make_draft("注文", template, address="orders")
        await flow_files.write_flow(runtime.access, LOCAL_OWNER, wanted)
        assert (await runtime.access.open_flow(LOCAL_OWNER, "orders")).name == "注文"
        with pytest.raises(InvalidRequest, match="There is already a flow at orders"):
            await flow_files.write_flow(runtime.access, LOCAL_OWNER, wanted)


def test_no_file_is_written_over_and_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "orders.yaml").write_text("kept", "utf-8")
    with pytest.raises(InvalidRequest, match=r"There is already a file flows/orders.yaml"):
        write_flow_file(tmp_path, draft("Orders"), shown="flows/orders.yaml")
    assert (tmp_path / "orders.yaml").read_text("utf-8") == "kept"
    with pytest.raises(InvalidRequest, match=r"flows/orders.yaml cannot be written: \w+"):
        write_flow_file(Path("/proc/flows"), draft("Orders"), shown="flows/orders.yaml")


def list_flow_files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*.yaml")} - {"config.yaml"}


WRITERS = [("admins", ["augusta"]), ("authors", ["augusta", "olga", "anton"]), ("nobody", [])]


@pytest.mark.parametrize(("setting", "may"), WRITERS)
async def test_who_adds_flow_files_is_whom_the_settings_let(tmp_path: Path, setting: str, may: list[str]) -> None:
    async with organization(tmp_path, config={"authors": {"may_write": setting}}) as acme:
        for name in ("augusta", "olga", "anton", "bob"):
            caller = await sign_in(acme, name)
            if name in may:
                await flow_files.write_flow(acme.access, caller, draft(f"Orders of {name}", "../../" + name))
            else:
                with pytest.raises(NotAllowed):
                    await flow_files.write_flow(acme.access, caller, draft(f"Orders of {name}", name))
        with pytest.raises(NotSignedIn):
            await flow_files.write_flow(acme.access, LOCAL_OWNER, draft("Orders"))
        assert list_flow_files(tmp_path) == {f"flows/{name}.yaml" for name in ("talk", "other", *may)}


async def test_on_ones_own_computer_the_owner_adds_flow_files_unless_nobody_may(tmp_path: Path) -> None:
    unproven = replace(LOCAL_OWNER, is_proven=False)
    async with running(tmp_path, {"talk": chat_flow("scripted", "Talk")}) as runtime:
        with pytest.raises(NotAllowed, match="owner code"):
            await flow_files.write_flow(runtime.access, unproven, draft("Orders"))
    nobody = {"authors": {"may_write": "nobody"}}
    async with running(tmp_path / "closed", {"talk": chat_flow("scripted", "Talk")}, config=nobody) as runtime:
        with pytest.raises(NotAllowed):
            await flow_files.write_flow(runtime.access, LOCAL_OWNER, draft("Orders"))
