"""For Each: a flow for each record, side by side, in order, within bounds."""

import asyncio
import time
from typing import Any

import pytest

from flowground.core.caller import RunRequest
from flowground.core.errors import ComponentFailed, RunOverBudget
from flowground.core.events import fold
from flowground.core.messages import Usage
from flowground.runs.runner import run_flow
from flowground.settings.limits import Limits
from flowground.store.runs.journals import read_journal
from flowground.ui.conversation.messages import write_steps
from tests.calling import Calling
from tests.flow_runs import nothing_said, read_into
from tests.flow_texts import wired
from tests.heartbeat import MOST, TRIES
from tests.meeting import Meeting
from tests.stored import make_journal
from tests.stored_chats import said
from tests.test_inner_flows import find_end, find_step, link, run

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
