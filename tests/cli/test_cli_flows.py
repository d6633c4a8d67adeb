"""`validate` and `schema`."""

import json

import pytest

from tests.command_line import ASK, SHOUT, Here
from tests.servers import write_folder

WRONG = """\
name: Wrong
components:
  In: {type: ChatInputt}
"""


def test_validate_finds_nothing_wrong(here: Here) -> None:
    said = here("validate")
    assert (said.code, said.out) == (0, "")
    assert said.err == "3 flows, no mistakes: flows/ask.yaml, flows/echo.yaml, flows/shout.yaml.\n"


def test_validate_names_file_line_and_column_of_each_mistake(here: Here) -> None:
    (here.folder / "flows" / "wrong.yaml").write_text(WRONG, "utf-8")
    right = {
        (): "flows/ask.yaml, flows/echo.yaml, flows/shout.yaml",
        ("flows/wrong.yaml", "flows/echo.yaml"): "flows/echo.yaml",
    }
    for files, named in right.items():
        said = here("validate", *files)
        assert said.code == 1
        assert said.out.startswith("flows/wrong.yaml:3:")
        assert "ChatInputt" in said.out
        assert "did you mean ChatInput?" in said.out
        assert said.err == f"1 mistake in 1 file.\nNo mistakes in {named}.\n"


@pytest.mark.parametrize(
    ("model", "code", "says"),
    [
        ("scripted:ecko", 1, "There is no scripted model ecko (did you mean echo?)."),
        ("openai", 1, "openai is a provider: write openai: and the name of a model."),
        ("opnai:gpt-5-mini", 0, "config.yaml has no provider opnai (did you mean openai?); the form is provider:model"),
        ("gpt-5-mini", 0, "config.yaml has no provider gpt-5-mini; the form is provider:model, for example openai:gpt"),
        ("openai:gpt-5-mini", 0, ""),
        ("local", 0, ""),
    ],
)
def test_validate_names_a_model_that_cannot_answer(here: Here, model: str, code: int, says: str) -> None:
    """What another config.yaml may know is said, and is no mistake of the file."""
    (here.folder / "flows" / "ask.yaml").write_text(ASK.replace("scripted", model), "utf-8")
    for files in ((), ("flows/ask.yaml",)):
        said = here("validate", *files)
        assert said.code == code
        told = said.out if code else said.err
        assert (f"flows/ask.yaml:4:39: {says}" in told) is bool(says)
        assert ("flows/ask.yaml:" in said.out + said.err) is bool(says)


def test_a_flow_whose_provider_is_not_there_loads(here: Here) -> None:
    (here.folder / "flows" / "ask.yaml").write_text(ASK.replace("scripted", "opnai:gpt-5"), "utf-8")
    assert "ask" in here("flows", "list").out
    failed = here("run", "ask", "--message", "Hi")
    assert (failed.code, "There is no provider 'opnai'" in failed.err) == (1, True)


def test_validate_sees_two_flows_with_one_address(here: Here) -> None:
    (here.folder / "flows" / "other.yaml").write_text(SHOUT, "utf-8")
    said = here("validate")
    assert said.code == 1
    assert "loud" in said.out
    assert "shout.yaml" in said.out


def test_validate_of_a_file_that_is_not_there(here: Here) -> None:
    said = here("validate", "flows/none.yaml")
    assert (said.code, said.out, said.err) == (1, "", "flows/none.yaml: No such file or directory\n")


def test_validate_of_a_folder_that_is_not_there_or_empty(here: Here) -> None:
    write_folder(here.folder, config={"flows": "flowz/"}, flows={})
    assert here("validate").err == "There is no folder flowz. `flows` in config.yaml names it.\n"
    (here.folder / "flowz").mkdir()
    assert here("validate").err == "There are no flow files in flowz. `new NAME` writes one.\n"


def test_schema_is_json_on_stdout(here: Here) -> None:
    said = here("schema")
    assert said.code == 0
    assert json.loads(said.out)["type"] == "object"
    assert said.err == ""
