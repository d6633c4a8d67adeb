"""Flows that run other flows: what comes out, whose time and budget it is, and what is kept of it.

For Each: a flow for each record, side by side, in order, within bounds.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flowground.app.runtime import Runtime
from flowground.core.caller import LOCAL_OWNER, RunRequest
from flowground.core.errors import ComponentFailed, FlowgroundError, RunOverBudget, RunTimeout
from flowground.core.events import ComponentFinished, RunEvent, RunFinished, Token, TurnFinished, fold
from flowground.core.messages import Usage
from flowground.flows.checks import link_flow
from flowground.flows.parse import parse_flow
from flowground.flows.wiring import WiredFlow, wire
from flowground.runs.inner import RunBudget
from flowground.runs.runner import run_flow
from flowground.settings.limits import Limits
from flowground.store.runs import conversations
from flowground.store.runs.journals import read_journal
from flowground.store.runs.records import StoredMessage
from flowground.ui.conversation.messages import write_steps
from tests.calling import Calling
from tests.flow_runs import nothing_said, read_into
from tests.flow_texts import wired
from tests.heartbeat import MOST, TRIES
from tests.meeting import Meeting
from tests.running import hear_turn, running, take_turn
from tests.stored import make_journal
from tests.stored_chats import said
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


async def read_chat(runtime: Runtime, flow: str) -> list[StoredMessage]:
    here = {"flow_id": flow, "owner": str(LOCAL_OWNER.owner), "session_id": "s"}
    messages, _ = await runtime.store.read(conversations.list_page, **here, most=20, most_chars=10_000)
    return messages


async def test_a_flow_runs_another_and_streams_what_it_says(tmp_path: Path) -> None:
    async with running(tmp_path, {"parent": PARENT, "child": CHILD.replace("model: echo, ", "")}) as runtime:
        events = await hear_turn(runtime, "parent", "hi", stream=True)
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


ONE = """
components:
  ChatInput: {type: ChatInput}
  Model: {type: LanguageModel, model: "a", input_value: "${ChatInput}"}
  ChatOutput: {type: ChatOutput, input_value: "${ChatInput}!"}
"""
GOING_ON = ", step: {on_error: continue}"
TABLE = "[{text: one, n: 1}, {text: two, n: 2}, three]"


def each(data: str = TABLE, more: str = "") -> str:
    return f"""
components:
  ChatInput: {{type: ChatInput}}
  Each: {{type: ForEach, data: {data}, flow: one, input_value: "{{text}} {{n}}", parallel: 2{more}}}
  ChatOutput: {{type: ChatOutput, input_value: "${{Each}}"}}
"""


async def output_of(text: str, one: str = ONE, *more: Any) -> Any:
    (output,) = find_end(await run({"each": text, "one": one}, *more)).outputs
    return output


async def test_each_record_is_run_and_the_answers_keep_their_order() -> None:
    events = await run({"each": each(), "one": ONE})
    (output,) = find_end(events).outputs
    assert output.kind == "records"
    assert output.value == [{"text": "one 1!", "n": 1}, {"text": "two 2!", "n": 2}, {"text": "three !"}]
    assert output.text == "one 1!\n\ntwo 2!\n\nthree !"
    step = find_step(events, "Each")
    assert ([inner.flow_id for inner in step.inner], step.inner_count) == (["one"] * 3, 3)
    assert all(step.at <= one.at and 0 < one.seconds <= step.at + step.seconds - one.at for one in step.inner)
    assert step.usage == Usage(3, 6)


async def test_the_answer_stands_in_the_column_that_is_named() -> None:
    named = (await output_of(each(more=", output_column_name: answer"))).value[0]
    assert named == {"text": "one", "n": 1, "answer": "one 1!"}
    assert (await output_of(each(more=', output_column_name: ""'))).value[0] == {"text": "one 1!"}


async def test_data_of_an_inner_flow_stays_data() -> None:
    facts = """
components:
  ChatInput: {type: ChatInput}
  Found: {type: StructuredOutput, input_value: "${ChatInput}", output_schema: [{name: n, type: int}]}
  ChatOutput: {type: ChatOutput, input_value: "${Found}"}
"""

    output = await output_of(each(more=', output_column_name: ""'), facts, Calling(*['{"n": 1}'] * 3))
    assert [set(record) for record in output.value] == [{"n"}] * 3


async def test_no_more_run_at_once_than_allowed_and_that_many_do() -> None:
    models = Meeting(2)  # answers once two have come; a third would come only after
    events = await run({"each": each("[a, b]"), "one": ONE}, models)
    assert len(models.came) == 2
    assert find_step(events, "Each").status == "done"
    waiting = Meeting(3)
    task = asyncio.create_task(run({"each": each("[a, b, c]"), "one": ONE}, waiting))
    await waiting.wait_for(2)
    assert waiting.came == ["a", "a"]
    task.cancel()
    await asyncio.wait([task])


async def test_a_record_that_fails_ends_it_or_is_marked() -> None:
    router = """
components:
  ChatInput: {type: ChatInput}
  Gate: {type: ConditionalRouter, input_text: "${ChatInput}", match_text: "two 2"}
  Bad: {type: LanguageModel, model: fails, input_value: "${Gate.true_result}"}
  ChatOutput: {type: ChatOutput, input_value: "${Bad?}${Gate.false_result?}"}
"""
    with pytest.raises(ComponentFailed, match="Component 'Each › Bad' failed"):
        await run({"each": each(), "one": router})
    marked = {"text": "two", "n": 2, "error": "The model failed."}
    output = await output_of(each(more=GOING_ON), router)
    assert output.value == [{"text": "one 1", "n": 1}, marked, {"text": "three "}]
    (gone,) = find_end(await run({"each": each(more=GOING_ON)})).outputs
    assert gone.value[0] == {"text": "one", "n": 1, "error": "The flow failed."}


async def test_why_a_record_failed_stands_in_the_trace_alone() -> None:
    failing = ONE.replace('model: "a"', "model: fails").replace("${ChatInput}!", "${Model}")
    events = await run({"each": each(more=GOING_ON), "one": failing})
    assert "Component" not in find_end(events).outputs[0].text
    errors = [inner.error for inner in find_step(events, "Each").inner]
    assert errors == ["Component 'Model' failed: The model fails."] * 3


async def test_it_ends_before_its_answers_are_over_what_a_value_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowground.components.flows.LONGEST", 1_024)
    long, models = each(more=GOING_ON).replace("parallel: 2", "parallel: 1"), Meeting(1)
    flows = {"each": long, "one": ONE.replace("${ChatInput}!", "x" * 900)}
    events = await run(flows, models)
    step = find_step(events, "Each")
    assert (step.status, step.text) == ("failed", "The answers are over 1,024 bytes together after 2 of 3 records.")
    assert len(models.came) == 2


async def test_a_budget_ends_a_loop_that_goes_on_after_failures() -> None:
    with pytest.raises(RunOverBudget):
        await run({"each": each(more=GOING_ON), "one": ONE}, limits=Limits(run_steps=6))


async def test_a_loop_over_nothing_gives_nothing_and_a_trace_keeps_the_first_of_many() -> None:
    output = await output_of(each("[]"))
    assert (output.value, output.text) == ([], "")
    many = f"[{', '.join('a' for _ in range(300))}]"
    step = find_step(await run({"each": each(many).replace("parallel: 2", "parallel: 32"), "one": ONE}), "Each")
    assert (len(step.inner), step.inner_count) == (50, 300)
    assert sum(len(inner.steps) for inner in step.inner) <= 200


def test_its_flow_is_named_in_the_file_and_nowhere_else() -> None:
    assert link({"each": each(), "one": ONE}).policy.fields["Each"]["flow"].closed == "protected"


async def test_a_name_that_no_record_had_is_noted_in_the_trace() -> None:
    mistyped = each().replace("{n}", "{nn} {m}")
    note = "No record has `nn`, `m`: nothing stands there in the template."
    assert find_step(await run({"each": mistyped, "one": ONE}), "Each").note == note
    assert find_step(await run({"each": each(), "one": ONE}), "Each").note == ""
    assert find_step(await run({"each": mistyped.replace(TABLE, "[]"), "one": ONE}), "Each").note == ""
    parsed = 'Shown: {type: Parser, input_data: "${Each}", template: "{text} {prise}"}'
    shown = each(more=', output_column_name: ""').replace("ChatOutput:", f"{parsed}\n  ChatOutput:")
    note = "No record has `prise`: nothing stands there in the template."
    step = find_step(await run({"each": shown, "one": ONE}), "Shown")
    assert (step.note, step.text) == (note, "one 1! \ntwo 2! \nthree ! ")
    answer = said("", "assistant", trace=(step,))
    (kept,) = fold(read_journal(make_journal(answer)[1], [answer]).events).steps
    assert (kept.note, kept.text) == (note, step.text)
    assert [one["note"] for one in write_steps([kept], wired(ONE))] == [note]


async def test_a_crowd_of_loops_keeps_neither_the_loop_nor_a_short_run() -> None:
    """Twenty of sixty-four side by side: no turn of the loop is long, and who comes in the middle ends before them."""
    echo = 'components: {In: {type: ChatInput}, Out: {type: ChatOutput, input_value: "${In}"}}'
    crowd = each(str([*range(300)])).replace("parallel: 2", "parallel: 64")
    longest: list[float] = []

    async def watch() -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(0)
            longest[-1] = max(longest[-1], time.thread_time() - before)

    while len(longest) < TRIES and not any(seconds < MOST for seconds in longest):
        longest.append(0)
        flow = link({"each": crowd, "one": echo})
        loops = [
            asyncio.create_task(read_into([], run_flow(flow, RunRequest(), history=nothing_said, models=Meeting(0))))
            for _ in range(20)
        ]
        watching = asyncio.create_task(watch())
        await asyncio.sleep(0.01)
        find_end(await run({"each": echo}))
        assert not any(task.done() for task in loops)
        await asyncio.gather(*loops)
        watching.cancel()
    assert min(longest) < MOST
