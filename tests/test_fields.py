"""The policy of a flow's fields: what each takes, who may set it, and what edits it."""

from pathlib import Path
from typing import Any

import pytest

from flowground.core.caller import LOCAL_OWNER
from flowground.flows.fields import FieldPolicy
from flowground.flows.wiring import WiredFlow
from flowground.store import publications
from flowground.store.people import members
from flowground.store.publications import Sharing
from tests.api.serving import serving
from tests.flow_texts import wired
from tests.servers import SHIPPED_FLOWS, shipped_flow
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
