"""`validate` and `schema`."""

import json

import pytest

from tests.command_line import ASK, SHOUT, Here
from tests.flow_texts import components, reads
from tests.servers import write_folder

WRONG = """\
name: Wrong
components:
  In: {type: ChatInputt}
"""

OLD_WORD = """\
components:
  Rows: {type: ParseData, input_data: [{text: a}]}
  Out: {type: ChatOutput, input_value: "${Rows}"}
"""
WARNING = "flows/talk.yaml:2:16: warning: `ParseData` is an old word for `Parser`: write `Parser`, the old one will go."


def test_validate_finds_nothing_wrong(here: Here) -> None:
    said = here("validate")
    assert (said.code, said.out) == (0, "")
    assert said.err == "3 flows, no mistakes: flows/ask.yaml, flows/echo.yaml, flows/shout.yaml.\n"


def test_validate_names_file_line_and_column_of_each_mistake(here: Here) -> None:
    (here.folder / "flows" / "wrong.yaml").write_text(WRONG, "utf-8")
    three = "flows/ask.yaml, flows/echo.yaml, flows/shout.yaml"
    for files, named in (((), three), (("flows/wrong.yaml", "flows/echo.yaml"), "flows/echo.yaml")):
        said = here("validate", *files)
        assert (said.code, said.out.startswith("flows/wrong.yaml:3:")) == (1, True)
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


def test_validate_of_one_file_sees_another_with_its_address(here: Here) -> None:
    """Not where the file is no part of the folder of flows, as a copy that somebody works on."""
    for place in ("flows", "."):
        (here.folder / place / "wanting.yaml").write_text(SHOUT, "utf-8")
    says = "'loud' is the address of two flows: shout.yaml has it, so wanting.yaml needs another one."
    for named in ("wanting", "flows/wanting.yaml"):
        said = here("validate", named)
        assert (said.code, said.out.partition(": ")[2]) == (1, f"{says}\n")
    assert here("validate", "wanting.yaml").code == here("validate", "flows/shout.yaml").code == 0


SILENT = """\
components:
  In: {type: ChatInput}
  Found: {type: Retrieve, knowledge: handbook, search_query: "${In}"}
  Own: {type: PythonFunction, function: tests.own_functions.find_order, number: "${In}"}
  Model: {type: LanguageModel, input_value: "${In} ${Found.passages} ${Own}"}
  Rows: {type: SQL, database: shop, query: SELECT 1}
  Sort: {type: PythonFunction, function: tests.own_functions.find_order}
  Ask: {type: Agent, input_value: "${In}", tools: [{use: Sort, confirm: false}, Rows]}
  Out: {type: ChatOutput, input_value: "${Model}${Ask}"}
"""
FUNCTION = "tests.own_functions.find_order"


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ("knowledge: handbook", "knowledge: handbok", "There is no knowledge `handbok` … (did you mean handbook?)"),
        ("database: shop", "database: shp", "There is no database `shp` … (did you mean shop?)"),
        (
            f"{FUNCTION}, n",
            f"{FUNCTION[:-1]}, n",
            f"There is no function `{FUNCTION[:-1]}` (did you mean {FUNCTION}?) … .",
        ),
        (
            "number: ",
            "arguments: {number: 7}, nuber: ",
            f"`{FUNCTION}` has no argument `nuber` … (did you mean number?)",
        ),
        ("number: ", "kind: ", f"`{FUNCTION}` needs `number` … ."),
        (
            "${In} ${Found.passages}",
            "{{ found.passages }}",
            "`{{ found.passages }}` is plain … is `${Found.passages}`.",
        ),
        ("${Model}${Ask}", "Model", "`Model` is plain text here … is `${Model}`."),
        ("${Model}${Ask}", "${Ask}", "`Model` asks a model in every run, and nothing uses what it says."),
    ],
)
def test_validate_warns_of_what_goes_wrong_in_silence(here: Here, right: str, wrong: str, says: str) -> None:
    config = {
        "default_model": "scripted",
        "functions": {"modules": ["tests.own_functions"]},
        "knowledge": {"handbook": {"files": ["*.md"]}},
        "databases": {"shop": {"url": "sqlite:///shop.db"}},
    }
    write_folder(here.folder, config=config, flows={"silent": SILENT})
    assert here("validate", "silent").out == ""
    (here.folder / "flows" / "silent.yaml").write_text(SILENT.replace(right, wrong), "utf-8")
    for files in ((), ("flows/silent.yaml",)):
        said = here("validate", *files)
        assert said.code == 0
        told = [line.partition("warning: ")[2] for line in said.out.splitlines()]
        assert any(reads(line, says) for line in told), told


def test_plain_text_that_only_looks_alike_is_no_warning(here: Here) -> None:
    flow = """\
components:
  In: {type: ChatInput, input_value: Model}
  Model: {type: Prompt, template: "{said} {{ In }} {In}", said: "${In}", In: x}
  Gate: {type: ConditionalRouter, input_text: "${Model} {{ name }} {x} $${Out}", operator: equals, match_text: Model}
  Out: {type: ChatOutput, input_value: "${Gate.true_result?}${Gate.false_result?} an In {Out} {{Out}}"}
"""
    (here.folder / "flows" / "alike.yaml").write_text(flow, "utf-8")
    assert here("validate", "--strict", "flows/alike.yaml").out == ""


def test_validate_takes_ids_and_endpoint_names(here: Here) -> None:
    assert here("validate", "echo", "loud").err == "2 flows, no mistakes: flows/echo.yaml, flows/shout.yaml.\n"
    (here.folder / "flows" / "wrong.yaml").write_text(WRONG, "utf-8")
    said = here("validate", "wrong", "flows/echo.yaml")
    assert (said.code, said.out.startswith("flows/wrong.yaml:3:")) == (1, True)
    said = here("validate", "ecko")
    hint = "`validate` shows what is wrong with some flow files."
    assert (said.code, said.err) == (1, f"There is no flow ecko (did you mean echo?). {hint}\n")


def test_validate_of_a_file_or_folder_that_is_not_there_or_empty(here: Here) -> None:
    said = here("validate", "flows/none.yaml")
    assert (said.code, said.out, said.err) == (1, "", "flows/none.yaml: No such file or directory\n")
    write_folder(here.folder, config={"flows": "flowz/"}, flows={})
    assert "There is no folder flowz." in here("validate").err
    (here.folder / "flowz").mkdir()
    assert "There are no flow files in flowz." in here("validate").err


def test_validate_names_old_words_and_ends_with_1_where_it_is_strict(here: Here) -> None:
    (here.folder / "flows" / "talk.yaml").write_text(OLD_WORD, "utf-8")
    for files in ((), ("flows/talk.yaml",)):
        said = here("validate", *files)
        assert (said.code, said.out) == (0, f"{WARNING}\n")
        assert "no mistakes, 1 warning: flows/" in said.err
        assert here("validate", "--strict", *files).code == 1
    assert here("validate", "--strict", "flows/ask.yaml").code == 0


def test_schema_is_json_on_stdout(here: Here) -> None:
    said = here("schema")
    assert (said.code, json.loads(said.out)["type"], said.err) == (0, "object", "")


AGENT = """\
components:
  ChatInput: {type: ChatInput}
  Agent: {type: Agent, model: MODEL, input_value: "${ChatInput}", tools: [Calculator]}
  Calculator: {type: Calculator}
  ChatOutput: {type: ChatOutput, input_value: "${Agent}"}
"""


@pytest.mark.parametrize(
    ("address", "outgoing", "says"),
    [
        ("http://127.0.0.1:9313/parcels", "", "`127.0.0.1` is not public"),
        ("http://localhost:9313/{number}", "", "`localhost` is not public"),
        ("http://127.0.0.1:9313/parcels", "private_networks: [127.0.0.1]", ""),
        ("https://api.example.com/parcels", "hosts: [other.example.com]", "does not name `api.example.com`."),
        ("https://api.example.com/parcels", "", ""),
        ("https://10.0.0.7/parcels", "proxy: 'http://proxy.example:3128', hosts: [10.0.0.7]", ""),
        ("https://api.example.com/", "proxy: 'http://proxy.example:3128'", "Through a proxy only hosts are asked"),
    ],
)
def test_validate_names_an_address_that_may_not_be_asked(here: Here, address: str, outgoing: str, says: str) -> None:
    (here.folder / "config.yaml").write_text(f"default_model: scripted\noutgoing: {{{outgoing}}}\n", "utf-8")
    variable = ", number: '1'" if "{" in address else ""
    ask = f'Ask: {{type: APIRequest, url_input: "{address}"{variable}}}'
    (here.folder / "flows" / "ask.yaml").write_text(components(ask), "utf-8")
    said = here("validate", "flows/ask.yaml")
    assert said.code == 0, said
    assert (says in said.err and "asks for it fails" in said.err) if says else "fails" not in said.err


def test_validate_names_a_model_that_calls_no_tools(here: Here) -> None:
    write_folder(here.folder, config={"providers": {"plain": {"type": "scripted", "takes": []}}}, flows={})
    for model, says in (("plain:echo", "The model plain:echo calls no tools."), ("scripted:echo", "")):
        (here.folder / "flows" / "ask.yaml").write_text(AGENT.replace("MODEL", model), "utf-8")
        said = here("validate", "flows/ask.yaml")
        assert said.code == 0
        told = f"flows/ask.yaml:3:79: {says} The flow loads, and what asks for it fails."
        assert (told in said.err) is bool(says), said.err
