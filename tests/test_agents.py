"""Agents: what a model may call, with which arguments, what becomes of it, and where one that goes too far ends."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Mapping
from typing import Any, ClassVar

import pytest
from msgspec import structs

from flowground.components import COMPONENTS
from flowground.components.base import Context, Output, ToolComponent
from flowground.core.caller import RunRequest
from flowground.core.errors import ComponentFailed, FlowError, RunOverBudget
from flowground.core.events import ComponentFinished, ModelThought, ThinkingBegan, Token, ToolCalled, ToolReturned
from flowground.core.messages import Reasoning, ToolCall, Usage
from flowground.core.values import PastMessage, ValueKind
from flowground.flows.checks import link_flow
from flowground.flows.fields import list_types
from flowground.flows.parse import parse_flow
from flowground.flows.wiring import wire
from flowground.providers.base import Completion, ModelCall, Piece
from flowground.runs.inner import RunBudget
from flowground.runs.outputs import LONGEST_RESULT
from flowground.runs.runner import run_flow
from flowground.settings.limits import Limits
from tests.calling import FLOW, TYPES, Calling, Note, find_answer, find_results, run, use, wired
from tests.flow_runs import SaidBefore, nothing_said, read_into
from tests.one_step import make_flow, offer
from tests.running import chat_flow


@pytest.mark.parametrize("stream", [True, False])
async def test_a_model_calls_tools_and_answers_with_what_they_gave(stream: bool) -> None:
    models = Calling([use("Calculator", expression="6*7"), use("Note", 2, text="so")], "It is 42.")
    budget = RunBudget(Limits())
    events = await run(models, stream=stream, budget=budget)
    assert find_answer(events) == "It is 42."
    first, second = models.asked
    assert [tool.name for tool in first.tools] == ["Calculator", "Note"]
    assert [message.role for message in second.messages] == ["system", "user", "assistant", "tool"]
    results = [(result.call_id, result.text) for result in find_results(second)]
    assert results == [("call-1", "42"), ("call-2", "hi: so")]
    step = next(event for event in events if isinstance(event, ComponentFinished) and event.component_id == "Agent")
    assert budget.usage == events[-1].usage == step.usage == Usage(11, 22)
    told = [event for event in events if isinstance(event, ToolCalled | ToolReturned)]
    assert [type(event) for event in told] == [ToolCalled, ToolReturned] * 2
    returned = [(call.called.tool, call.text, call.status) for call in told if isinstance(call, ToolReturned)]
    assert returned == [("Calculator", "42", "done"), ("Note", "hi: so", "done")]
    if stream:
        assert "".join(event.text for event in events if isinstance(event, Token)) == "It is 42."


@pytest.mark.parametrize("stream", [True, False])
async def test_a_model_that_calls_tools_without_end_leaves_a_sentence(stream: bool) -> None:
    calls = [[use("Calculator", expression=f"{number}+1")] for number in range(14)]
    for first, last in (([], ""), (["Let me see."], [use("Note", text="once more")])):
        events = await run(Calling([*first, use("Note", text="so")], *calls, last), stream=stream)
        said = "\n\n".join([*first, "Stopped without an answer: too many tool calls in a row."])
        assert find_answer(events) == said
        if stream:
            assert "".join(event.text for event in events if isinstance(event, Token)) == said
    assert find_answer(await run(Calling(""), stream=stream)) == ""  # it called none


async def test_what_is_said_between_calls_is_a_part_of_the_answer() -> None:
    events = await run(Calling(["Let me see.", use("Calculator", expression="6*7")], "42."))
    told = "".join(event.text for event in events if isinstance(event, Token))
    assert told == find_answer(events) == "Let me see.\n\n42."


def test_a_tool_is_told_with_its_name_its_sentence_and_the_arguments_that_are_left() -> None:
    (calculator, note) = wired().tools["Agent"]
    assert (note.spec.name, note.spec.description) == ("Note", "Gives back what it is told. More about it.")
    assert note.arguments == ("text", "times")
    assert note.spec.parameters["required"] == ["text"]
    times = {"type": "integer", "minimum": 1, "maximum": 100_000, "title": "Times", "description": "How often."}
    assert note.spec.parameters["properties"]["times"] == times
    assert calculator.arguments == ("expression",)
    named = FLOW.replace("[Calculator, Note]", "[{use: Note, name: write, description: Writes it.}]")
    named = named.replace("{type: Calculator}", "{type: Calculator, expression: '1'}")
    named = named.replace('prefix: "${ChatInput}: "', "times: 3")
    (tool,) = wired(named).tools["Agent"]
    assert (tool.spec.name, tool.spec.description, tool.arguments) == ("write", "Writes it.", ("text",))


async def test_a_component_that_is_only_a_tool_runs_only_when_it_is_called() -> None:
    flow = wired()
    assert "Note" not in flow.order
    assert "Agent" in flow.followers["ChatInput"]
    Note.seen.clear()
    events = await run(Calling("No need."))
    assert Note.seen == []
    ran = [event.component_id for event in events if isinstance(event, ComponentFinished)]
    assert ran == ["ChatInput", "Agent", "ChatOutput"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"text": "a", "times": 100_001}, "`times` is a whole number from 1 to 100,000, not 100001."),
        ({"text": "a", "times": "many"}, "`times` is a whole number"),
        ({"text": "a", "prefix": "b"}, "takes `text`, `times`, and no `prefix`"),
        ({"times": 2}, "needs `text`"),
        ({"text": "fail"}, "It failed: Nobody is there."),
    ],
)
async def test_a_wrong_call_is_a_sentence_to_the_model(arguments: dict[str, Any], says: str) -> None:
    models = Calling([use("Note", **arguments)], "Well.")
    assert find_answer(await run(models)) == "Well."
    (result,) = find_results(models.asked[1])
    assert result.is_error
    assert says in result.text


async def test_a_tool_that_is_not_there_is_a_sentence_too() -> None:
    models = Calling([use("Notes"), ToolCall("x", "Note", {}, misfit="no JSON")], "Well.")
    await run(models)
    said = ["There is no tool `Notes`; there are Calculator, Note.", "The arguments could not be read: no JSON"]
    assert [result.text for result in find_results(models.asked[1])] == said


async def test_the_third_failure_of_the_same_call_ends_the_calling() -> None:
    models = Calling(*[[use("Note", text="fail")]] * 3, "I could not.")
    assert find_answer(await run(models)) == "I could not."
    assert [call.tool_choice for call in models.asked] == ["auto", "auto", "auto", "none"]


async def test_calls_of_one_answer_run_side_by_side() -> None:
    class Both(ToolComponent):
        """Waits for the other one."""

        type_name: ClassVar[str] = "Both"
        title: ClassVar[str] = "Both"
        outputs: ClassVar[Mapping[str, ValueKind]] = {"text": "text"}
        barrier: ClassVar[asyncio.Barrier]

        async def run(self, context: Context) -> Output:
            await self.barrier.wait()
            return Output({"text": "met"})

    Both.barrier = asyncio.Barrier(2)
    text = FLOW.replace('Note: {type: Note, prefix: "${ChatInput}: "}', "Note: {type: Both}")
    flow = wire(parse_flow(text, "agent.yaml"), types={**TYPES, "Both": Both})
    models = Calling([use("Note", 1), use("Note", 2)], "Done.")
    await run(models, flow)
    assert [result.text for result in find_results(models.asked[1])] == ["met", "met"]


async def test_a_long_result_is_cut_and_the_model_told() -> None:
    models = Calling([use("Note", text="x", times=50_000)], "Long.")
    await run(models)
    (result,) = find_results(models.asked[1])
    assert result.text.endswith(f"[Cut: these are the first {LONGEST_RESULT:,} of 50,004 characters.]")


async def test_a_flow_and_another_agent_are_tools() -> None:
    inner = "{ChatInput: {type: ChatInput}, ChatOutput: {type: ChatOutput, input_value: 'flow says ${ChatInput}'}}"
    text = """
components:
  ChatInput: {type: ChatInput}
  Boss: {type: Agent, model: boss, input_value: "${ChatInput}", tools: [Billing, Expert]}
  Billing: {type: RunFlow, flow: billing, step: {description: Answers questions about invoices.}}
  Expert: {type: Agent, model: expert, tools: [Calculator]}
  Calculator: {type: Calculator}
  ChatOutput: {type: ChatOutput, input_value: "${Boss}"}
"""
    flow = link_flow(wired(text), {"billing": wired(f"components: {inner}")})
    both = [use("Billing", 1, input_value="what?"), use("Expert", 2, input_value="2+2")]
    answers = (both, [use("Calculator", 3, expression="2+2")], "It is 4.", "All done.")
    models, budget = Calling(*answers), RunBudget(Limits())
    events = await run(models, flow, budget=budget)
    assert find_answer(events) == "All done."
    assert [result.text for result in find_results(models.asked[-1])] == ["flow says what?", "It is 4."]
    assert flow.tools["Boss"][0].spec.description == "Answers questions about invoices."
    step = next(event for event in events if isinstance(event, ComponentFinished) and event.component_id == "Boss")
    assert [inner.flow_id for inner in step.inner] == ["agent"]
    calls = [(event.name, event.number, event.within) for event in events if isinstance(event, ToolCalled)]
    assert calls == [("Billing", 1, None), ("Expert", 2, None), ("Calculator", 3, 2)]
    assert set(budget.used) == {"boss", "expert"}
    assert budget.steps == 3 + 3 + 2  # its own, the tools', and those of the flow within one
    for bounds in (Limits(run_steps=budget.steps - 1), Limits(run_tokens=60)):
        with pytest.raises(RunOverBudget):
            await run(Calling(*answers), flow, limits=bounds)


async def test_what_a_flow_says_as_a_tool_is_no_part_of_the_answer() -> None:
    text = make_flow("Billing", {"type": "RunFlow", "flow": "billing"}, offer("Billing"))
    models = Calling([use("Billing", input_value="what?")], "Said inside.", "It is 4.")
    events = await run(models, link_flow(wired(text), {"billing": wired(chat_flow("inner"))}))
    assert [result.text for result in find_results(models.asked[-1])] == ["Said inside."]
    assert "".join(event.text for event in events if isinstance(event, Token)) == find_answer(events) == "It is 4."


async def test_a_tool_whose_branch_was_skipped_is_left_out() -> None:
    gate = '  Gate: {type: ConditionalRouter, input_text: "${ChatInput}", match_text: never}\n'
    models = Calling("Fine.")
    await run(models, FLOW.replace('prefix: "${ChatInput}: "', 'prefix: "${Gate.true_result}"') + gate)
    assert [tool.name for tool in models.asked[0].tools] == ["Calculator"]


async def test_a_model_that_calls_no_tools_says_so() -> None:
    with pytest.raises(ComponentFailed, match="'calling:m' calls no tools"):
        await run(Calling("x", takes=False))
    alone = FLOW.replace(", tools: [Calculator, Note]", "").replace("Calculator}", "Calculator, expression: '1'}")
    alone = alone.replace('prefix: "${ChatInput}: "', "text: x")
    assert find_answer(await run(Calling("Hello.", takes=False), alone)) == "Hello."


async def test_earlier_messages_are_shown() -> None:
    history = SaidBefore(PastMessage("user", "before"), PastMessage("assistant", "yes"))
    models = Calling("Hello.")
    flow = wired(FLOW.replace("model: m,", "model: m, n_messages: 7,"))
    await read_into([], run_flow(flow, RunRequest("hi"), history=history, models=models))
    assert history.asked == [7]
    assert [message.text for message in models.asked[0].messages] == ["Be brief.", "before", "yes", "hi"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("[Calculator, Note]", "[Calculato, Note]"), "`Calculato` names no component of this flow. (did you"),
        (("[Calculator, Note]", "[ChatInput]"), "`ChatInput` (ChatInput) cannot be a tool"),
        (("[Calculator, Note]", "[Agent]"), "An agent cannot be its own tool"),
        (("[Calculator, Note]", "[Note, {use: Calculator, name: Note}]"), "are both called `Note`: give one a `name`"),
        (("[Calculator, Note]", "[{use: Note, name: a b}]"), "An entry of `tools` is an id"),
        (('"${Agent}"', '"${Agent} ${Note}"'), "so it also runs by itself: set its `text`"),
        (('prefix: "${ChatInput}: "', 'prefix: "${Agent}"'), "A tool of `Agent` refers to `Agent`"),
    ],
)
def test_tools_that_cannot_be_are_told_with_their_place(change: tuple[str, str], says: str) -> None:
    with pytest.raises(FlowError, match=re.escape(says)):
        wired(FLOW.replace(*change))


def test_no_model_sets_what_is_closed_but_for_one_query() -> None:
    every = [(kind.type_name, known) for kind in COMPONENTS.values() for known in list_types(kind).values()]
    closed = [(kind, known) for kind, known in every if known.model_may_set and not known.callers_may_set]
    assert [(kind, known.name, known.is_fixed) for kind, known in closed] == [("SQL", "query", False)]


class CallingOn(Calling):
    """Calls the first of its tools each time, and counts how often it is asked."""

    async def stream(self, call: ModelCall) -> AsyncGenerator[Piece, None]:
        self.asked.append(call)
        calls = (use(call.tools[0].name, input_value="go on"),) if call.tool_choice != "none" else ()
        yield Completion("" if calls else "Enough.", "m", Usage(1, 2), "tool_calls" if calls else "stop", calls)


async def test_agents_that_call_each_other_end_at_the_eighth() -> None:
    text = """
components:
  ChatInput: {type: ChatInput}
  Top: {type: Agent, model: m, input_value: "${ChatInput}", tools: [One], max_iterations: 2}
  One: {type: Agent, model: m, tools: [Two], max_iterations: 2}
  Two: {type: Agent, model: m, tools: [One], max_iterations: 2}
  ChatOutput: {type: ChatOutput, input_value: "${Top}"}
"""
    models = CallingOn()
    events = await run(models, text)
    (told,) = (event for event in events if isinstance(event, ToolReturned) and event.status == "failed")
    why = "It failed: Agents call each other 8 deep at most: Top" + " → One → Two" * 4 + "."
    assert (told.text, told.has_run) == (why, False)
    assert len(models.asked) == 16
    assert find_answer(events) == "Enough."


async def test_no_more_is_told_of_a_call_than_there_is_room_for() -> None:
    long = "x" * 100_000
    events = await run(Calling([ToolCall(long, "Note", {"text": long})], "Done."))
    (told,) = (event for event in events if isinstance(event, ToolReturned))
    assert len(json.dumps(structs.asdict(told), default=structs.asdict)) < 20_000


async def test_every_call_has_an_end_also_where_the_run_ends_first() -> None:
    models = Calling([use("Note", text="a"), use("Note", text="b")], [use("Note", text="c")])
    request, limits, noted = RunRequest("hi", stream=True), Limits(run_steps=4), list[Any]()
    run = run_flow(wired(), request, history=nothing_said, models=models, limits=limits, note=noted.append)
    with pytest.raises(RunOverBudget):
        await read_into([], run)
    calls = [event for event in noted if isinstance(event, ToolCalled)]
    ends = [event for event in noted if isinstance(event, ToolReturned)]
    assert [event.number for event in calls] == [event.called.number for event in ends] == [1, 2, 3]
    assert [event.status for event in ends] == ["done", "done", "failed"]
    assert "4 steps" in ends[-1].text


async def test_thoughts_have_a_beginning_and_an_end_before_what_follows_them() -> None:
    class Thinks(Calling):
        async def stream(self, call: ModelCall) -> AsyncGenerator[Piece, None]:
            self.asked.append(call)
            yield Reasoning("So ")
            yield Reasoning("be it.")
            if len(self.asked) > 1:
                yield "Done."
                yield Completion("Done.", "m", None, "stop")
            else:
                yield Completion("", "m", None, "tool_calls", (use("Calculator", expression="1+1"),))

    events = await run(Thinks())
    acts = (ToolCalled, ToolReturned, ThinkingBegan, ModelThought, Token)
    acted = [type(event) for event in events if isinstance(event, acts)]
    assert acted == [*(ThinkingBegan, ModelThought, ToolCalled, ToolReturned), *(ThinkingBegan, ModelThought, Token)]
    assert [event.text for event in events if isinstance(event, ModelThought)] == ["So be it."] * 2
    assert find_answer(events) == "Done."
