"""Flows that run other flows: what comes out, whose time and budget it is, and what is kept of it."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flowground.app.runtime import Runtime
from flowground.core.caller import LOCAL_OWNER, RunRequest
from flowground.core.errors import ComponentFailed, FlowgroundError, RunOverBudget, RunTimeout
from flowground.core.events import ComponentFinished, Event, RunEvent, RunFinished, Token, TurnFinished
from flowground.flows.checks import link_flow
from flowground.flows.parse import parse_flow
from flowground.flows.wiring import WiredFlow, wire
from flowground.runs.inner import RunBudget
from flowground.runs.runner import run_flow
from flowground.settings.limits import Limits
from flowground.store.runs import conversations
from flowground.store.runs.records import StoredMessage
from tests.flow_runs import nothing_said, read_into
from tests.meeting import Meeting
from tests.running import running, take_turn
from tests.switched import switch_off, switch_on

PARENT = """
components:
  ChatInput: {type: ChatInput}
  Sub: {type: RunFlow, flow: child, input_value: "<${ChatInput}>", Tone: kind}
  ChatOutput: {type: ChatOutput, input_value: "${Sub}"}
"""
CHILD = """
components:
  ChatInput: {type: ChatInput}
  Tone: {type: TextInput, input_value: plain}
  Model: {type: LanguageModel, model: echo, system_message: "${Tone}", input_value: "${Tone} ${ChatInput}"}
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
"""
CALM = "step: {on_error: continue, fallback: sorry}}"
SELF = """
components:
  ChatInput: {type: ChatInput}
  Again: {type: RunFlow, flow: self, input_value: "${ChatInput}"}
  ChatOutput: {type: ChatOutput, input_value: "${Again}"}
"""


def link(flows: Mapping[str, str]) -> WiredFlow:
    """The first of them, with the others to run."""
    made = {name: wire(parse_flow(text, f"{name}.yaml")) for name, text in flows.items()}
    return link_flow(next(iter(made.values())), made)


async def run(
    flows: Mapping[str, str], models: Any = None, *, limits: Limits | None = None, **asks: Any
) -> list[RunEvent]:
    limits, models, events = limits or Limits(), models or Meeting(1), list[RunEvent]()
    request = RunRequest(**{"input_value": "hi", "stream": True, **asks})
    how: dict[str, Any] = {"history": nothing_said, "models": models, "limits": limits, "budget": RunBudget(limits)}
    await read_into(events, run_flow(link(flows), request, **how))
    return events


def find_end(events: list[Any]) -> RunFinished | TurnFinished:
    assert isinstance(events[-1], RunFinished | TurnFinished)
    return events[-1]


def find_step(events: list[Any], name: str) -> ComponentFinished:
    return next(event for event in events if isinstance(event, ComponentFinished) and event.component_id == name)


async def ask(runtime: Runtime, flow: str, said: str = "hi") -> list[Event]:
    wired = await runtime.access.open_flow(LOCAL_OWNER, flow)
    request = RunRequest(input_value=said, session_id="s", stream=True)
    return [event async for event in take_turn(runtime, LOCAL_OWNER, wired, request)]


async def read_chat(runtime: Runtime, flow: str) -> list[StoredMessage]:
    here = {"flow_id": flow, "owner": str(LOCAL_OWNER.owner), "session_id": "s"}
    messages, _ = await runtime.store.read(conversations.list_page, **here, most=20, most_chars=10_000)
    return messages


async def test_a_flow_runs_another_and_streams_what_it_says(tmp_path: Path) -> None:
    async with running(tmp_path, {"parent": PARENT, "child": CHILD.replace("model: echo, ", "")}) as runtime:
        events = await ask(runtime, "parent")
        end = find_end(events)
        assert [output.text for output in end.outputs] == ["You said: kind <hi>"]
        pieces = [(event.component_id, event.text) for event in events if isinstance(event, Token)]
        assert (len(pieces), {name for name, _ in pieces}) == (4, {"ChatOutput"})
        assert "".join(text for _, text in pieces) == "You said: kind <hi>"
        assert end.outputs[0].model == "scripted:echo"
        assert end.usage is not None
        _, told = await read_chat(runtime, "parent")
        assert await read_chat(runtime, "child") == []
        assert told.usage == end.usage
        (inner,) = next(step for step in told.trace if step.component_id == "Sub").inner
        assert (inner.flow_id, inner.error) == ("child", None)
        assert [(step.component_id, step.text) for step in inner.steps][-1] == ("ChatOutput", "You said: kind <hi>")
        assert 0 < inner.at <= inner.steps[-1].at


async def test_what_an_inner_run_may_not_keep_is_not_in_the_trace() -> None:
    private = CHILD.replace("ChatInput: {type: ChatInput}", "ChatInput: {type: ChatInput, should_store_message: false}")
    (inner,) = find_step(await run({"parent": PARENT, "child": private}), "Sub").inner
    assert (inner.flow_id, inner.steps) == ("child", ())


@pytest.mark.parametrize("stream", [True, False])
async def test_flows_run_each_other_eight_deep_at_most(stream: bool) -> None:
    with pytest.raises(ComponentFailed, match=r"8 deep at most: self( → self){8}") as failed:
        await run({"self": SELF}, stream=stream)
    assert failed.value.component_id == " › ".join(["Again"] * 8)


async def test_a_failure_inside_is_named_with_its_way_and_hidden_and_goes_on_where_the_step_says_so() -> None:
    child = CHILD.replace("echo", "fails")
    with pytest.raises(ComponentFailed, match="Component 'Sub › Model' failed: The model fails") as failed:
        await run({"parent": PARENT, "child": child})
    assert failed.value.hide_inside().message == "The model failed."
    events = await run({"parent": PARENT.replace("Tone: kind}", CALM), "child": child})
    assert find_end(events).outputs[0].text == "sorry"
    step = find_step(events, "Sub")
    assert (step.status, step.inner[0].error) == ("failed", "Component 'Model' failed: The model fails.")


async def test_what_is_not_there_fails_by_name() -> None:
    with pytest.raises(ComponentFailed, match="There is no flow `child`"):
        await run({"parent": PARENT})
    for name, hint in (("Tune", "Did you mean `Tune`?"), ("Manner", "Its inputs are ChatInput, Manner.")):
        child = CHILD.replace("Tone: {", f"{name}: {{").replace("${Tone}", f"${{{name}}}")
        with pytest.raises(ComponentFailed, match="The flow `child` has no input `Tone`") as failed:
            await run({"parent": PARENT, "child": child})
        assert failed.value.hint == hint


async def test_where_all_its_outputs_were_skipped_nothing_is_taken() -> None:
    gate = """
components:
  ChatInput: {type: ChatInput}
  Gate: {type: ConditionalRouter, input_text: "${ChatInput}", match_text: never}
  ChatOutput: {type: ChatOutput, input_value: "${Gate.true_result}"}
"""
    flows = {"parent": PARENT.replace(", Tone: kind", ""), "child": gate}
    events = await run(flows)
    assert find_end(events).outputs == ()
    assert find_step(events, "ChatOutput").status == "skipped"
    events = await run(flows, stream=False, output_type="debug")
    assert [output.component_id for output in find_end(events).outputs] == ["ChatInput"]


async def test_files_that_a_flow_shows_are_their_names_outside() -> None:
    """Whoever ran it may not have them."""
    parent = PARENT.replace(", Tone: kind", "").replace("${Sub}", "<${Sub.flow_outputs_data}>")
    shows = 'components: {ChatInput: {type: ChatInput}, Out: {type: ChatOutput, input_value: "${ChatInput.files}"}}'
    assert find_end(await run({"parent": parent, "child": shows})).outputs[0].text == "<>"


async def test_the_budget_is_one_for_all_that_a_run_starts() -> None:
    await run({"parent": PARENT, "child": CHILD}, limits=Limits(run_steps=7))
    flows = {"parent": PARENT.replace("Tone: kind}", CALM), "child": CHILD}
    for limits, says in ((Limits(run_steps=6), "more than 6 steps"), (Limits(run_tokens=10), "more than 10 tokens")):
        with pytest.raises(RunOverBudget, match=says):
            await run(flows, limits=limits)


async def test_the_time_is_one_for_all_that_a_run_starts_and_stopping_ends_the_call_of_an_inner_flow() -> None:
    flows = {"parent": PARENT, "child": CHILD.replace("echo", "waits")}
    models = Meeting(1)
    with pytest.raises(RunTimeout):
        await run(flows, models, limits=Limits(run_seconds=1))
    assert models.cancelled == ["waits"]
    models = Meeting(1)
    task = asyncio.create_task(run(flows, models))
    await models.wait_for(1)
    assert models.came == ["waits"]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert models.cancelled == ["waits"]


def test_the_version_is_of_all_files_that_a_run_may_use_and_its_fields_are_of_its_own() -> None:
    before, same = (link({"parent": PARENT, "child": CHILD}) for _ in range(2))
    after, alone = link({"parent": PARENT, "child": CHILD.replace("plain", "rude")}), link({"child": CHILD})
    assert before.version not in (after.version, before.flow.version)
    assert before.flow.version == after.flow.version
    assert same.version == before.version
    assert alone.version == alone.flow.version
    assert before.policy.fields["Sub"]["flow"].closed == "protected"
    assert "Model" not in before.policy.fields
    assert [name for name, _ in before.list_models()] == ["Model"]
    assert replace(before, inner_flows={}).version == before.version


async def test_a_change_of_an_inner_flow_is_seen_and_a_run_keeps_what_it_began_with(tmp_path: Path) -> None:
    flows = {"parent": PARENT, "child": CHILD.replace("model: echo, ", "")}
    async with running(tmp_path, flows) as runtime:
        before = await runtime.access.open_flow(LOCAL_OWNER, "parent")
        path = runtime.catalogue.folder / "child.yaml"
        path.write_text(flows["child"].replace("${Tone} ${ChatInput}", "new"), "utf-8")
        await runtime.catalogue.read_now()
        after = await runtime.access.open_flow(LOCAL_OWNER, "parent")
        assert before.version != after.version
        for wired, says in ((before, "You said: kind <hi>"), (after, "You said: new")):
            events = [event async for event in take_turn(runtime, LOCAL_OWNER, wired, RunRequest(input_value="hi"))]
            assert find_end(events).outputs[0].text == says


async def test_links_that_lead_nowhere_or_in_a_circle_are_warnings(tmp_path: Path) -> None:
    flows = {"parent": PARENT.replace("Tone", "Tome"), "child": CHILD, "self": SELF}
    runs = {"lost": "chidl", "a": "b", "b": "a"}
    flows |= {name: SELF.replace("flow: self", f"flow: {other}") for name, other in runs.items()}
    async with running(tmp_path, flows) as runtime:
        assert not runtime.catalogue.list_problems()
        found = {file: [str(each) for each in warnings] for file, warnings in runtime.catalogue.list_warnings().items()}
    lost = "lost.yaml:4:32: warning: There is no flow `chidl` yet: a run that comes here fails. (did you mean child?)"
    parts = {"a": ["runs itself by `b`"], "b": ["itself"], "lost": [lost], "self": ["by `self`"]}
    parts["parent"] = ["has no input `Tome`", "did you mean Tone?"]
    assert list(found) == [f"{name}.yaml" for name in sorted(parts)]
    assert all(part in found[f"{name}.yaml"][0] for name in parts for part in parts[name])


async def test_a_switch_of_an_inner_flow_or_its_provider_holds_for_the_outer(tmp_path: Path) -> None:
    flows = {"parent": PARENT, "child": CHILD.replace("model: echo, ", "")}
    async with running(tmp_path, flows) as runtime:
        wired = await runtime.access.open_flow(LOCAL_OWNER, "parent")
        assert runtime.switches.find_off(wired) is None
        for kind, name in (("flow", "child"), ("provider", "scripted")):
            await switch_off(runtime, kind, name, "Later.")  # type: ignore[arg-type]  # one of two words
            off = runtime.switches.find_off(wired)
            assert isinstance(off, FlowgroundError)
            assert "Later." in off.message
            await switch_on(runtime, kind, name)  # type: ignore[arg-type]  # as above
