"""An author's bounds hold: whatever JSON a caller sends, what reaches the model's server lies inside them."""

import asyncio
import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowground.core.caller import LOCAL_OWNER, Caller, RunRequest
from flowground.core.errors import FlowgroundError, InvalidRequest, TweaksRefused
from flowground.flows.tweaks import apply_tweaks, find_changes
from tests.api.calls import Api
from tests.api.serving import serving
from tests.flow_texts import wired
from tests.talk import MEMBER, SETTING
from tests.wire import whole, wire

BOUNDED = """\
name: Bounded
components:
  ChatInput: {type: ChatInput, input_value: Hello}
  Topic: {type: TextInput, input_value: tea}
  History: {type: MessageHistory, n_messages: 4, order: Ascending}
  Prompt: {type: Prompt, template: "{topic} {tone} {said} {before}", topic: "${Topic}", said: "${ChatInput}",
           before: "${History}", tone: kind}
  Model:
    type: LanguageModel
    model: mine:small
    system_message: Be brief.
    input_value: ${Prompt}
    temperature: 0.2
    max_tokens: 50
    top_p: 0.5
    seed: 7
    stream: false
  Rows: {type: Parser, input_data: [{text: a}]}
  Named: {type: DataOperations, data: [], operation: Rename Keys, rename_keys_input: {a: b}}
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
api:
  overridable:
    - Rows.input_data
    - Named.rename_keys_input
    - {field: Model.model, choices: ["mine:small", "mine:tiny"]}
    - {field: Model.temperature, max: 0.5}
    - {field: Model.max_tokens, min: 10, max: 100}
    - {field: Model.top_p, min: 0.25}
    - {field: Model.seed, choices: [7, 8]}
    - {field: Model.system_message, choices: [Be brief., Be kind.]}
    - {field: Model.stream, choices: [false]}
    - {field: History.n_messages, min: 2, max: 5}
    - {field: History.order, choices: [Ascending]}
    - {field: Prompt.tone, choices: [kind, dry]}
    - {field: Topic.input_value, choices: [tea, milk]}
"""
INSIDE: dict[str, Callable[[Any], bool]] = {
    "Rows.input_data": lambda value: type(value) is list and all(type(item) is dict for item in value),
    "Named.rename_keys_input": lambda value: all(type(word) is str for pair in value.items() for word in pair),
    "Model.model": lambda value: value in ("mine:small", "mine:tiny"),
    "Model.temperature": lambda value: 0 <= value <= 0.5,
    "Model.max_tokens": lambda value: type(value) is int and 10 <= value <= 100,
    "Model.top_p": lambda value: 0.25 <= value <= 1,
    "Model.seed": lambda value: type(value) is int and value in (7, 8),
    "Model.system_message": lambda value: value in ("Be brief.", "Be kind."),
    "Model.stream": lambda value: value is False,
    "History.n_messages": lambda value: type(value) is int and 2 <= value <= 5,
    "History.order": lambda value: value == "Ascending",
    "Prompt.tone": lambda value: value in ("kind", "dry"),
    "Topic.input_value": lambda value: value in ("tea", "milk"),
}
FLOW = wired(BOUNDED)
NULLS = (None, {"value": None}, {"value": None, "load_from_db": False})

near = st.sampled_from(
    [0, 1, 2, 5, 6, 7, 8, 9.9, 10, 100, 100.9, 101, 0.24, 0.25, 0.5, 0.51, -0.5, 1e400, -1, 10**30, "0.5", "0.9", "7",
     "101", "", "mine:small", "mine:BIG", "tea", "milk", "kind", "Ascending", "Descending", "false", "true"]
)  # fmt: skip
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | near
words = st.text(max_size=5)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3))
wrapped = values | values.map(lambda value: {"value": value}) | st.sampled_from(NULLS)
by_field = st.dictionaries(st.sampled_from(sorted(INSIDE)), wrapped, min_size=1, max_size=6)
everywhere = st.dictionaries(st.sampled_from(sorted({key.split(".")[1] for key in INSIDE})), scalars, max_size=3)


def as_tweaks(fields: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    tweaks = dict(top)
    for key, value in fields.items():
        component, _, name = key.partition(".")
        tweaks.setdefault(component, {})[name] = value
    return tweaks


@given(by_field, everywhere, st.sampled_from([LOCAL_OWNER, MEMBER, SETTING]))
@settings(max_examples=600, deadline=None)
def test_no_json_value_leaves_the_bounds(fields: dict[str, Any], top: dict[str, Any], caller: Caller) -> None:
    request = RunRequest(tweaks=as_tweaks(fields, top))
    try:
        flow = apply_tweaks(FLOW, request, unknown="refuse", caller=caller).wired
    except TweaksRefused:
        return
    for key, holds in INSIDE.items():
        component, _, name = key.partition(".")
        value = getattr(flow.components[component], name)
        assert holds(value), (key, value)


@pytest.mark.parametrize("null", NULLS)
@pytest.mark.parametrize("caller", [LOCAL_OWNER, MEMBER])
def test_null_is_the_authors_value_in_every_field(null: Any, caller: Caller) -> None:
    tweaks = as_tweaks(dict.fromkeys(INSIDE, null), {})
    assert apply_tweaks(FLOW, RunRequest(tweaks=tweaks), unknown="refuse", caller=caller).wired is FLOW
    assert find_changes(FLOW, tweaks, caller) == {}
    assert find_changes(FLOW, {"Model": {"temperature": None, "seed": 8}}, caller) == {"Model": {"seed": 8}}


def test_a_specific_null_keeps_the_authors_value_from_a_global_tweak() -> None:
    tweaks = {"Model": {"temperature": None}, "temperature": 0.4}
    assert apply_tweaks(FLOW, RunRequest(tweaks=tweaks), unknown="refuse").wired is FLOW


def test_null_opens_no_door() -> None:
    for tweaks in ({"Model": {"input_value": None}}, {"Prompt": {"template": None}}, {"Nobody": {"a": None}}):
        assert apply_tweaks(FLOW, RunRequest(tweaks=tweaks), unknown="refuse", caller=MEMBER).wired is FLOW


def test_a_null_beside_the_message_is_no_conflict() -> None:
    for null in NULLS:
        tweaks = {"Topic": {"input_value": null}}
        asked = RunRequest(input_value="milk", input_type="text", tweaks=tweaks)
        assert apply_tweaks(FLOW, asked, unknown="refuse").wired is FLOW


@pytest.mark.parametrize("input_type", ["text", "any"])
def test_the_message_is_bound_too_where_it_fills_a_bounded_input(input_type: Any) -> None:
    for fits in ("tea", "milk"):
        apply_tweaks(FLOW, RunRequest(input_value=fits, input_type=input_type), unknown="refuse")
    with pytest.raises(InvalidRequest, match=r'`Topic.input_value` is one of "tea", "milk" here, not "beer"'):
        apply_tweaks(FLOW, RunRequest(input_value="beer", input_type=input_type), unknown="refuse")
    apply_tweaks(FLOW, RunRequest(input_value="beer"), unknown="refuse")


def test_what_reaches_the_models_server_lies_inside(tmp_path: Path) -> None:
    """The same through the API, with a server that keeps what it was sent; a member's token and an author's."""
    answer = whole({"choices": [{"message": {"content": "ok"}, "finish_reason": "stop"}]})
    sent = 0
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        server = runner.run(stack.enter_async_context(wire([answer])))
        mine = {"type": "openai", "base_url": f"{server.url}/v1", "api_key": "sk", "retries": 0}
        config = {"providers": {"mine": mine}, "default_model": "mine:BIG"}
        api: Api = runner.run(stack.enter_async_context(serving(tmp_path, config=config, flows={"bounded": BOUNDED})))

        @given(by_field, everywhere)
        @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
        def ask(fields: dict[str, Any], top: dict[str, Any]) -> None:
            nonlocal sent
            server.asked.clear()
            body = {"input_value": "hi", "tweaks": as_tweaks(fields, top)}
            try:
                content = json.dumps(body, ensure_ascii=False).encode()  # half a character has no bytes
            except ValueError:
                return
            response = runner.run(api.client.post("/api/v1/run/bounded", content=content))
            assert response.status_code in (200, 422), response.text
            assert len(server.asked) == (response.status_code == 200)
            for asked in server.asked:
                sent += 1
                assert_inside(asked.body)

        ask()
        nothing = {"tweaks": as_tweaks(dict.fromkeys(INSIDE), {})}
        server.asked.clear()
        assert runner.run(api.run("bounded", nothing)).status_code == 200
        assert_inside(server.asked[0].body)
        runner.run(stack.aclose())
    assert sent > 10


def assert_inside(body: dict[str, Any]) -> None:
    assert body["model"] in ("small", "tiny")
    for option in ("temperature", "max_tokens", "top_p", "seed"):
        assert INSIDE[f"Model.{option}"](body[option]), (option, body[option])
    system, asked = body["messages"]
    assert system["content"] in ("Be brief.", "Be kind.")
    topic, tone, *_ = asked["content"].split(" ")
    assert topic in ("tea", "milk")
    assert tone in ("kind", "dry")


def test_the_pane_and_the_api_refuse_alike() -> None:
    for fields in ({"Model": {"temperature": 0.6}}, {"History": {"order": "Descending"}}):
        said = []
        for refuse in (
            lambda: find_changes(FLOW, fields, LOCAL_OWNER),  # noqa: B023 - called in this turn of the loop
            lambda: apply_tweaks(FLOW, RunRequest(tweaks=fields), unknown="refuse"),  # noqa: B023 - as above
        ):
            with pytest.raises(FlowgroundError) as caught:
                refuse()
            said.append(caught.value.message)
        assert said[0] == said[1]
