"""The policy of a flow's fields: what each takes, who may set it, and what edits it.

Lists and mappings as tweaks: open where the author leaves them open, checked like any value, and bounded.

A component with a secret field, which none of the shipped ones has: nobody is shown it, and nothing keeps it.

Who may set a field, and what may fill it, are marked apart.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
from streamlit.testing.v1 import AppTest

from flowground.app import runtime
from flowground.components import COMPONENTS
from flowground.components.base import LONGEST_TEXT, Component, Context, Kind, Output, declare
from flowground.components.io import OutputComponent
from flowground.core.caller import LOCAL_OWNER, RunRequest
from flowground.core.errors import TweaksRefused
from flowground.core.values import ValueKind
from flowground.flows.fields import FieldPolicy, list_types
from flowground.flows.tweaks import apply_tweaks, find_changes, read_link
from flowground.flows.wiring import WiredFlow
from flowground.store import publications
from flowground.store.people import members
from flowground.store.publications import Sharing
from tests.api.serving import serving
from tests.app_page import find_by_label, go, read
from tests.chat_socket import TalkHere
from tests.flow_texts import wired
from tests.heartbeat import stays_responsive
from tests.in_process import runtime_of
from tests.page_talk import talk
from tests.servers import ROOT, SHIPPED_FLOWS, shipped_flow, write_folder
from tests.talk import FLOW, MEMBER, OPENED, TALK


def fields(flow: WiredFlow, *, sees_inside: bool = True) -> dict[str, FieldPolicy]:
    seen = flow.policy.list_fields(LOCAL_OWNER if sees_inside else MEMBER)
    return {policy.key: policy for policies in seen.values() for policy in policies.values()}


@pytest.mark.parametrize(
    ("key", "kind", "value", "bounds"),
    [
        ("ChatInput.input_value", "area", "Hello", (None, None, None)),
        ("Prompt.tone", "area", "kind", (None, None, None)),
        ("Model.temperature", "slider", 0.1, (0, 2, 0.01)),
        ("Model.top_p", "number", None, (0.01, 1, 0.01)),
        ("Model.max_tokens", "integer", None, (1, 1_000_000, 1)),
        ("Model.stream", "switch", True, (None, None, None)),
        ("History.n_messages", "slider", 100, (0, 1000, 1)),
    ],
)
def test_the_editor_follows_the_model(key: str, kind: str, value: Any, bounds: tuple[Any, ...]) -> None:
    field = fields(FLOW)[key]
    assert (field.widget, field.value, (field.min, field.max, field.step)) == (kind, value, bounds)
    assert field.closed is None


def test_fields_stand_in_the_flows_order_and_say_what_their_model_says() -> None:
    seen = FLOW.policy.list_fields(LOCAL_OWNER)
    assert list(seen) == ["ChatInput", "Topic", "Prompt", "Model", "History", "ChatOutput"]
    assert list(seen["Prompt"]) == ["template", "topic", "tone"]
    field = fields(FLOW)["History.order"]
    assert (field.type.title, field.type.description) == ("Order", "Oldest first (Ascending) or newest first.")
    assert (field.widget, field.choices, field.value) == ("choice", ("Ascending", "Descending"), "Ascending")
    assert (field.type.is_optional, fields(FLOW)["Model.seed"].type.is_optional) == (False, True)
    needed = {key: field.type.is_required for key, field in fields(FLOW).items() if field.component == "Prompt"}
    assert needed == {"Prompt.template": True, "Prompt.topic": False, "Prompt.tone": False}


def test_what_is_locked_says_why() -> None:
    said = {key: FLOW.policy.explain_lock(field) for key, field in fields(FLOW).items()}
    assert {key: why for key, why in said.items() if why} == {
        "Prompt.topic": "Set by The topic",
        "Model.model": "Change it in the flow file",
        "Model.files": "Change it in the flow file",
        "Model.system_message": "Set by Prompt and The topic",
        "Model.input_value": "Set by Chat Input",
        "ChatOutput.input_value": "Set by Language Model",
    }
    assert fields(FLOW)["Model.system_message"].value == "${Prompt} ${Topic}"
    assert {key for key, field in fields(FLOW).items() if field.closed} == {key for key, why in said.items() if why}
    opened = {key: OPENED.policy.explain_lock(field) for key, field in fields(OPENED).items()}
    assert opened["Prompt.template"] == "Not editable via API"
    assert opened["Prompt.topic"] == "Set by The topic"
    assert opened["Model.model"] is None


def test_bounds_are_the_tighter_of_models_and_authors() -> None:
    found = fields(OPENED)
    assert (found["Model.temperature"].min, found["Model.temperature"].max) == (0, 1)
    assert (found["Model.model"].widget, found["Model.model"].choices) == ("choice", ("scripted", "local"))
    assert found["Model.max_tokens"].choices == (10,)
    assert (found["History.n_messages"].min, found["History.n_messages"].max) == (2, 9)
    assert found["History.n_messages"].widget == "integer"  # the author's own 100 lies outside


def test_from_outside_there_is_only_what_the_author_opened() -> None:
    opened = ["Prompt.tone", "Model.model", "Model.temperature", "Model.max_tokens", "History.n_messages"]
    assert list(fields(OPENED, sees_inside=False)) == opened
    assert FLOW.policy.list_fields(MEMBER) == {}
    seen = repr(OPENED.policy.list_fields(MEMBER))
    assert not any(word in seen for word in ("Talk of", "${", "Hello", "tea"))


BOUNDED = """\
name: Bounded
components:
  ChatInput: {type: ChatInput}
  Model: {type: LanguageModel, input_value: "${ChatInput}", temperature: 0.5}
  History: {type: MessageHistory}
  Rows: {type: Parser, input_data: [{text: a}]}
  Named: {type: DataOperations, data: {text: a}, operation: Rename Keys, rename_keys_input: {text: said}}
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
api:
  overridable:
    - {field: Model.temperature, min: 0.25, max: 3}
    - {field: Model.max_tokens, choices: [10, 20]}
    - {field: Model.model, choices: ["scripted:json", "scripted:echo"]}
    - {field: History.n_messages, min: 2}
    - Rows.input_data
    - Named.data
    - Named.rename_keys_input
"""


def list_probes(field: FieldPolicy) -> list[tuple[Any, bool]]:
    """Values with whether they fit: bounds and choices themselves do, what lies beyond them does not."""
    if field.choices is not None:
        return [*((choice, True) for choice in field.choices), ("no choice of it", False), (10**9, False)]
    if field.type.is_json:
        takes: dict[str, list[Any]] = {
            "Rows.input_data": [[], [{"value": 1}], {"value": [{"text": "wrapped"}]}],
            "Named.data": [{}, {"value": [1]}, [{"a": None}]],
            "Named.rename_keys_input": [{}, {"value": "a"}],
        }
        tried = [(value, True) for value in takes.get(field.key, [])]
        return [*tried, ("[]", False), (7, False), ([[]], False), ({"a": [1]}, field.key == "Named.data")]
    found: list[tuple[Any, bool]] = [({"a": [1]}, False), (10**400, False)]
    found += [(bound, True) for bound in (field.min, field.max) if bound is not None]
    found += [] if field.min is None else [(field.min - 2, False)]  # 0 for `max_tokens` is Langflow's "no limit"
    found += [] if field.max is None else [(field.max + 1, False)]
    if field.type.is_text:
        found += [(7, False), (True, False)] if field.name == "template" else [("probe", True), (7, False)]
    return found


@pytest.mark.parametrize("sees_inside", [True, False], ids=["author", "member"])
async def test_what_the_pane_offers_the_api_takes_and_nothing_else(tmp_path: Path, sees_inside: bool) -> None:
    """Every field of every shipped flow: open or closed as it is shown, within the bounds that are shown."""
    texts = {path.stem: shipped_flow(path.stem) for path in SHIPPED_FLOWS.glob("*.yaml")} | {"bounded": BOUNDED}
    texts = {name: text.replace("model: scripted", "model: scripted:json") for name, text in texts.items()}
    tried = {True: 0, False: 0}
    async with serving(tmp_path, flows=texts, config={"default_model": "scripted:json"}) as api:
        store, flows = api.runtime.store, api.runtime.catalogue.list_flows()
        await store.write(members.add, name="mia", display_name="Mia", role="member", by="tests")
        for name in flows:
            await store.write(publications.change, flow_id=name, sharing=Sharing(True, shares_api=True), by="tests")
        _, headers = await api.token(owner=None if sees_inside else "mia")
        api.client.headers.update(headers)
        for flow in flows.values():
            shown = fields(flow, sees_inside=sees_inside)
            for key, field in fields(flow).items():
                is_open = key in shown and not field.closed
                for value, fits in list_probes(field):
                    body = {"tweaks": {field.component: {field.name: value}}, "output_type": "any"}
                    response = await api.run(flow.id, body)
                    is_idle = not is_open and (value in ([], {}) or (sees_inside and value == field.value))
                    is_taken = is_idle or (is_open and fits)
                    taken = (200, 503) if flow.id == "ask-the-docs" else (200,)  # it has no documents
                    assert response.status_code in (taken if is_taken else (422,)), (flow.id, key, value)
                    tried[is_open] += 1
    assert min(tried.values()) > 20


def test_a_text_input_that_is_opened_is_asked_and_others_where_their_author_says_so() -> None:
    entries = "[Prompt.tone, {field: Model.temperature, ask: true}, Topic.input_value, ChatInput.input_value]"
    opened = wired(TALK + f"api: {{overridable: {entries}}}\n")
    assert [policy.key for policy in opened.policy.asked] == ["Model.temperature", "Topic.input_value"]
    quiet = wired(TALK + "api: {overridable: [{field: Topic.input_value, ask: false}]}\n")
    assert (quiet.policy.asked, wired(TALK).policy.asked) == ((), ())

    opened = wired(TALK + "api: {overridable: [Topic.input_value, ChatInput.input_value, Prompt.tone]}\n")
    inputs = [(kind, policy.key) for kind, policy in opened.policy.inputs]
    assert inputs == [("text", "Topic.input_value"), ("chat", "ChatInput.input_value")]


TEXT = """\
components:
  ChatInput: {type: ChatInput}
  Route: {type: SmartRouter, input_text: "${ChatInput}", routes: {all: Everything}}
  Rows: {type: Parser, input_data: [{text: a}]}
  Named: {type: DataOperations, data: {text: a}, operation: Append or Update, append_update_data: {b: 1}}
  Fed: {type: Parser, input_data: "${Named}"}
  Out: {type: ChatOutput, input_value: "${Route.all} ${Rows} ${Fed}"}
"""
JSON_FLOW = wired(TEXT)


def change(component: str, **fields: Any) -> Any:
    request = RunRequest(tweaks={component: fields})
    return apply_tweaks(JSON_FLOW, request, unknown="refuse").wired.components[component].model_dump()


def test_a_list_or_a_mapping_is_taken_as_it_is() -> None:
    assert change("Rows", input_data=[{"text": "b"}, {}])["input_data"] == [{"text": "b"}, {}]
    assert change("Rows", input_data={"value": [{"text": "b"}]})["input_data"] == [{"text": "b"}]
    assert change("Named", append_update_data={"value": {"c": [2]}})["append_update_data"] == {"value": {"c": [2]}}
    both = {"value": 1, "load_from_db": True}
    assert change("Named", append_update_data=both)["append_update_data"] == both
    for nothing in (None, {"value": None}, {"value": None, "load_from_db": False}):
        assert change("Named", append_update_data=nothing)["append_update_data"] == {"b": 1}


def test_the_code_of_an_override_says_what_the_page_says() -> None:
    given: list[Any] = [{"value": [1]}, {"value": {"value": None}}, []]
    for data in given:
        changed = find_changes(JSON_FLOW, {"Named": {"data": data}}, LOCAL_OWNER)
        assert changed == {"Named": {"data": data}}
        assert find_changes(JSON_FLOW, changed, LOCAL_OWNER) == changed


def make_deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("component", "fields", "says"),
    [
        ("Rows", {"input_data": "[]"}, '`Rows.input_data` is records, a list of mappings, not "[]".'),
        ("Rows", {"input_data": [{"text": "x" * LONGEST_TEXT}]}, "has 1,000,013 bytes as JSON; 1,000,000 is the limit"),
        ("Named", {"append_update_data": {"a": make_deep(500)}}, "`Named.append_update_data` is nested too deeply."),
        ("Named", {"data": {"value": 5}, "append_update_data": 5}, "is a mapping, not 5."),
        ("Fed", {"input_data": [{"text": "b"}]}, "`Fed.input_data` is filled by `${Named}`"),
        ("Route", {"routes": {"other": "x"}}, "The field is protected"),
    ],
)
def test_what_cannot_be_is_refused_by_the_fields_own_rule(component: str, fields: dict[str, Any], says: str) -> None:
    with pytest.raises(TweaksRefused, match=re.escape(says)):
        change(component, **fields)


async def test_a_large_tweak_stops_nobody() -> None:
    rows = [{"text": "x", "n": number} for number in range(35_000)]
    request = RunRequest(tweaks={"Rows": {"input_data": rows}})

    async def apply() -> None:
        apply_tweaks(JSON_FLOW, request, unknown="refuse")

    await stays_responsive(apply)


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
    output_kind: ClassVar[Kind] = "text"

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


class Split(Component):
    """A key, a name that callers may set and no reference, a text that a reference may fill and no caller."""

    type_name: ClassVar[str] = "Split"
    title: ClassVar[str] = "Split"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"text": "text"}
    key: str = declare("", "Key", "A key.", secret=True)
    name: str = declare("", "Name", "A name.", literal=True)
    text: str = declare("", "Text", "A text.", protected=True)


def test_what_a_reference_fills_and_what_a_caller_sets_are_marked_apart() -> None:
    marks = {field.name: (field.takes_references, field.callers_may_set) for field in list_types(Split).values()}
    assert marks == {"key": (False, False), "name": (False, True), "text": (True, False)}
