"""The policy of a flow's fields: what each takes, who may set it, and why the rest may not."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from flowground.caller import RunRequest
from flowground.components.inputs import TextInput
from flowground.fields.policy import FieldPolicy
from flowground.fields.types import list_types
from flowground.store.flows import publications
from flowground.store.flows.publications import Sharing
from flowground.store.people import members
from flowground.tweaks import apply_tweaks
from flowground.wiring import WiredFlow
from tests.api.serving import serving
from tests.flow_texts import wired
from tests.servers import SHIPPED_FLOWS, shipped_flow

TALK = """\
components:
  ChatInput: {type: ChatInput, input_value: Hello}
  Topic: {type: TextInput, display_name: The topic, input_value: tea}
  Prompt: {type: Prompt, template: "Talk of {topic} in a {tone} tone.", topic: "${Topic}", tone: kind}
  Model:
    type: LanguageModel
    model: scripted
    system_message: ${Prompt} ${Topic}
    input_value: ${ChatInput}
    temperature: 0.1
  History: {type: MessageHistory}
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
"""
FLOW = wired(TALK)
OPENED = wired(
    TALK
    + """\
api:
  overridable:
    - Prompt.tone
    - {field: Model.model, choices: [scripted, local]}
    - {field: Model.temperature, min: -1, max: 1}
    - {field: Model.max_tokens, choices: [0, 10, 20.0], max: 15}
    - {field: History.n_messages, min: 1.5, max: 9.5}
"""
)


def fields(flow: WiredFlow, *, sees_inside: bool = True) -> dict[str, FieldPolicy]:
    seen = flow.policy.list_fields(sees_inside=sees_inside)
    return {policy.key: policy for policies in seen.values() for policy in policies.values()}


def test_fields_stand_in_the_flows_order_by_component() -> None:
    seen = FLOW.policy.list_fields(sees_inside=True)
    assert list(seen) == ["ChatInput", "Topic", "Prompt", "Model", "History", "ChatOutput"]
    assert list(seen["Prompt"]) == ["template", "topic", "tone"]


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


def test_a_field_says_what_its_model_says() -> None:
    field = fields(FLOW)["History.order"]
    assert (field.type.title, field.type.description) == ("Order", "Oldest first (Ascending) or newest first.")
    assert (field.widget, field.choices, field.value) == ("choice", ("Ascending", "Descending"), "Ascending")
    assert (field.type.is_optional, fields(FLOW)["Model.seed"].type.is_optional) == (False, True)


def test_what_is_locked_says_why() -> None:
    said = {key: FLOW.policy.explain_lock(field) for key, field in fields(FLOW).items()}
    assert {key: why for key, why in said.items() if why} == {
        "Prompt.topic": "The topic feeds it",
        "Model.model": "Protected: only the author sets it",
        "Model.system_message": "Prompt and The topic feed it",
        "Model.input_value": "Chat Input feeds it",
        "ChatOutput.input_value": "Language Model feeds it",
    }
    assert fields(FLOW)["Model.system_message"].value == "${Prompt} ${Topic}"
    assert {key for key, field in fields(FLOW).items() if field.closed} == {key for key, why in said.items() if why}
    opened = {key: OPENED.policy.explain_lock(field) for key, field in fields(OPENED).items()}
    assert opened["Prompt.template"] == "The author has not opened it"
    assert opened["Prompt.topic"] == "The topic feeds it"
    assert opened["Model.model"] is None


def test_bounds_are_the_tighter_of_models_and_authors() -> None:
    found = fields(OPENED)
    assert (found["Model.temperature"].min, found["Model.temperature"].max) == (0, 1)
    assert (found["Model.model"].widget, found["Model.model"].choices) == ("choice", ("scripted", "local"))
    assert found["Model.max_tokens"].choices == (10,)
    assert (found["History.n_messages"].min, found["History.n_messages"].max) == (2, 9)
    assert found["History.n_messages"].widget == "integer"  # the author's own 100 lies outside


def test_from_outside_there_is_only_what_the_author_opened() -> None:
    assert list(fields(OPENED, sees_inside=False)) == [
        "Prompt.tone",
        "Model.model",
        "Model.temperature",
        "Model.max_tokens",
        "History.n_messages",
    ]
    assert FLOW.policy.list_fields(sees_inside=False) == {}
    seen = repr(OPENED.policy.list_fields(sees_inside=False))
    assert not any(word in seen for word in ("Talk of", "${", "Hello", "tea"))


def test_bounds_that_are_not_reached_become_the_last_values_that_fit() -> None:
    class Exclusive(TextInput):
        whole: int = Field(5, gt=0, lt=10)
        part: float = Field(0.5, gt=0, lt=1)

    found = list_types(Exclusive)
    assert (found["whole"].min, found["whole"].max) == (1, 9)
    assert (found["part"].min, found["part"].max) == (0.01, 0.99)
    assert (found["whole"].is_text, found["whole"].is_number, found["part"].is_whole) == (False, True, False)


BOUNDED = """\
name: Bounded
components:
  ChatInput: {type: ChatInput}
  Model: {type: LanguageModel, input_value: "${ChatInput}", temperature: 0.5}
  History: {type: MessageHistory}
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
api:
  overridable:
    - {field: Model.temperature, min: 0.25, max: 3}
    - {field: Model.max_tokens, choices: [10, 20]}
    - {field: Model.model, choices: ["scripted:json", "scripted:echo"]}
    - {field: History.n_messages, min: 2}
"""


def list_probes(field: FieldPolicy) -> list[tuple[Any, bool]]:
    """Values with whether they fit: bounds and choices themselves do, what lies beyond them does not."""
    if field.choices is not None:
        return [*((choice, True) for choice in field.choices), ("no choice of it", False), (10**9, False)]
    found: list[tuple[Any, bool]] = [({"a": [1]}, False), (10**400, False)]
    found += [(bound, True) for bound in (field.min, field.max) if bound is not None]
    found += [] if field.min is None else [(field.min - 1, False)]
    found += [] if field.max is None else [(field.max + 1, False)]
    if field.type.is_text:
        found += [(7, False), (True, False)] if field.name == "template" else [("probe", True), (7, False)]
    return found


@pytest.mark.anyio
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
                    assert response.status_code == (200 if is_open and fits else 422), (flow.id, key, value)
                    tried[is_open] += 1
    assert min(tried.values()) > 20


def test_two_entries_for_one_field_mean_the_last() -> None:
    entries = "[{field: Topic.input_value, choices: [tea]}, {field: Topic.input_value, choices: [milk]}]"
    flow = wired(TALK + f"api: {{overridable: {entries}}}\n")
    assert fields(flow)["Topic.input_value"].choices == ("milk",)
    for tweaks in ({"tweaks": {"Topic": {"input_value": "milk"}}}, {"input_value": "milk", "input_type": "text"}):
        apply_tweaks(flow, RunRequest(**tweaks), unknown="refuse")


OPEN = (
    "cannot be set here: the flow's author opened `Prompt.tone`, `Model.model`, `Model.temperature`, "
    "`Model.max_tokens`, `History.n_messages`."
)
NOTHING = "cannot be set here: the flow's author opened no field."
PROTECTED = "The field is protected and keeps the value set by the flow author"
LISTED_NONE = wired(TALK + "api: {overridable: []}\n")


@pytest.mark.parametrize(
    ("flow", "field", "sees_inside", "says", "may_warn"),
    [
        (FLOW, "Prompt.tone", True, None, None),
        (FLOW, "Prompt.topic", True, "`Prompt.topic` is filled by `${Topic}`: a tweak has no effect there.", True),
        (
            FLOW,
            "Model.system_message",
            True,
            "`Model.system_message` is filled by `${Prompt}` and `${Topic}`: a tweak has no effect there.",
            True,
        ),
        (FLOW, "Model.model", True, f"{PROTECTED}: `Model.model`.", False),
        (FLOW, "Model.code", True, f"{PROTECTED}: `Model.code`.", False),
        (FLOW, "Prompt.tome", True, "`Prompt` has no field `tome`: did you mean `tone`?", True),
        (FLOW, "Prompt.xyz", True, "`Prompt` has no field `xyz`; it has template, topic, tone.", True),
        (FLOW, "Prompt.tone", False, f"`Prompt.tone` {NOTHING}", True),
        (
            LISTED_NONE,
            "Prompt.tone",
            True,
            "`Prompt.tone` cannot be set here: the flow's author opened no field.",
            False,
        ),
        (OPENED, "Prompt.tone", True, None, None),
        (OPENED, "Prompt.tone", False, None, None),
        (OPENED, "Model.model", False, None, None),
        (OPENED, "Prompt.template", True, f"`Prompt.template` {OPEN}", False),
        (OPENED, "Prompt.template", False, f"`Prompt.template` {OPEN}", True),
        (OPENED, "Prompt.xyz", True, f"`Prompt.xyz` {OPEN}", True),
        (OPENED, "Prompt.xyz", False, f"`Prompt.xyz` {OPEN}", True),
        (OPENED, "Prompt.code", False, f"`Prompt.code` {OPEN}", True),
        (OPENED, "Prompt.code", True, f"{PROTECTED}: `Prompt.code`.", False),
        (OPENED, "Prompt.topic", False, f"`Prompt.topic` {OPEN}", True),
    ],
)
def test_a_refusal_says_why_and_whether_it_may_be_a_warning(
    flow: WiredFlow, field: str, sees_inside: bool, says: str | None, may_warn: bool | None
) -> None:
    name, _, key = field.partition(".")
    refusal = flow.policy.refuse(name, key, sees_inside=sees_inside)
    assert (refusal and refusal.message, refusal and refusal.may_warn) == (says, may_warn)


@pytest.mark.parametrize(
    ("flow", "key", "sees_inside", "component", "everywhere"),
    [
        (
            FLOW,
            "Modle",
            True,
            "The flow has no component `Modle`: did you mean `Model`?",
            "No component of the flow has a field `Modle`: did you mean `model`?",
        ),
        (
            FLOW,
            "The topics",
            True,
            "The flow has no component `The topics`: did you mean `The topic`?",
            "No component of the flow has a field `The topics`: did you mean `Topic`?",
        ),
        (
            FLOW,
            "temperature",
            True,
            "A tweak of `temperature` everywhere is a plain value, not an object.",
            None,
        ),
        (FLOW, "qqqq", True, None, "No component of the flow has a field `qqqq`."),
        (FLOW, "Model", False, *[f"`Model` {NOTHING}"] * 2),
        (OPENED, "xyz", True, *[f"`xyz` {OPEN}"] * 2),
        (OPENED, "Topic", False, *[f"`Topic` {OPEN}"] * 2),
    ],
)
def test_what_is_not_there_is_refused_mildly(
    flow: WiredFlow, key: str, sees_inside: bool, component: str | None, everywhere: str | None
) -> None:
    for says, refusal in (
        (component, flow.policy.refuse_component(key, sees_inside=sees_inside)),
        (everywhere, flow.policy.refuse_everywhere(key, sees_inside=sees_inside)),
    ):
        assert refusal.may_warn
        assert says is None or refusal.message == says


def test_a_component_is_found_by_what_the_caller_sees_of_it() -> None:
    assert FLOW.policy.find_component("The topic", sees_inside=True) == "Topic"
    assert OPENED.policy.find_component("Topic", sees_inside=True) == "Topic"
    assert OPENED.policy.find_component("Topic", sees_inside=False) is None
    assert OPENED.policy.find_component("Language Model", sees_inside=False) == "Model"


def test_opened_inputs_are_what_a_message_fills() -> None:
    opened = wired(TALK + "api: {overridable: [Topic.input_value, ChatInput.input_value, Prompt.tone]}\n")
    assert [(kind, policy.key) for kind, policy in opened.policy.inputs] == [
        ("text", "Topic.input_value"),
        ("chat", "ChatInput.input_value"),
    ]
