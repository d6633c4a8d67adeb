"""Recall and Store Message, by the API: what is remembered and added, of which conversation, and how often."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api.calls import Api
from tests.api.serving import serving

DIARY = """
name: Diary
components:
  In: {type: ChatInput}
  Note: {type: StoreMessage, message: "Noted: ${In}", sender_name: Clerk}
  Said: {type: Recall, n_messages: 10}
  Out: {type: ChatOutput, input_value: "${Said}"}
"""
NOTE = '  Note: {type: StoreMessage, message: "Noted: ${In}", sender_name: Clerk}\n'
TEXT = '  Text: {type: Parser, input_data: "${Said.messages}", template: "{text} ({sender_name}, {score})"}\n  Out:'
FLOWS = {
    "diary": DIARY,
    "reads": DIARY.replace(NOTE, ""),
    "unkept": DIARY.replace("In: {type: ChatInput}", "In: {type: ChatInput, should_store_message: false}"),
    "as-user": DIARY.replace("sender_name: Clerk", "sender: User"),
    "fails": DIARY.replace('"${Said}"', '"${Model}"').replace(
        "  Out:", '  Model: {type: LanguageModel, model: "scripted:fail", input_value: "${Note} ${Said}"}\n  Out:'
    ),
    "finds": DIARY.replace("type: Recall,", 'type: Recall, search_query: "${In}", sender_type: User,')
    .replace('"${Said}"', '"${Text}"')
    .replace("  Out:", TEXT),
    "agent": """
name: Agent
components:
  In: {type: ChatInput}
  Agent: {type: Agent, model: "scripted:echo", input_value: "${In}", tools: [{use: Note, confirm: false}, Said]}
  Note: {type: StoreMessage}
  Said: {type: Recall}
  Out: {type: ChatOutput, input_value: "${Agent}"}
""",
}
FLOWS["asks-first"] = FLOWS["agent"].replace("{use: Note, confirm: false}", "Note")
FLOWS["outer"] = """
name: Outer
components:
  In: {type: ChatInput}
  Inner: {type: RunFlow, flow: diary, input_value: "${In}"}
  Out: {type: ChatOutput, input_value: "${Inner}"}
"""


@pytest.fixture
async def api(url: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(tmp_path, config={"database": url}, flows=FLOWS) as opened:
        yield opened


async def say(
    api: Api, flow: str, text: str, *, session: str = "s", status: int = 200, headers: dict[str, str] | None = None
) -> str:
    body = {"input_value": text, "session_id": session}
    answer = await api.run(flow, body, query="?shape=simple", headers=headers)
    assert answer.status_code == status, answer.text
    return str(answer.json().get("text", ""))


async def list_said(api: Api, flow: str, session: str = "s") -> list[tuple[str, str, str]]:
    found = await api.messages(flow_id=flow, session_id=session)
    return [(one["sender"], one["sender_name"], one["text"]) for one in found]


async def test_what_is_added_stands_behind_the_answer_and_is_remembered_by_the_next_turn(api: Api) -> None:
    assert await say(api, "diary", "Bread") == ""
    said = [("User", "User", "Bread"), ("Machine", "AI", ""), ("Machine", "Clerk", "Noted: Bread")]
    assert await list_said(api, "diary") == said
    assert await say(api, "diary", "Salt") == "User: Bread\nAI: \nClerk: Noted: Bread"
    await say(api, "as-user", "Bread")
    assert (await list_said(api, "as-user"))[-1] == ("User", "User", "Noted: Bread")
    assert (await say(api, "as-user", "Salt")).endswith("\nUser: Noted: Bread")


async def test_no_other_conversation_is_read_or_written(api: Api) -> None:
    await say(api, "diary", "Bread")
    assert await say(api, "diary", "Salt", session="other") == ""
    assert await say(api, "reads", "Salt") == ""
    _, stranger = await api.token()
    assert await say(api, "diary", "Salt", headers=stranger) == ""
    assert [text for _, _, text in await list_said(api, "diary")] == ["Bread", "", "Noted: Bread"]


async def test_a_flow_within_a_flow_adds_to_the_conversation_of_the_one_that_was_asked(api: Api) -> None:
    await say(api, "outer", "Bread")
    assert (await list_said(api, "outer"))[-1] == ("Machine", "Clerk", "Noted: Bread")
    assert await list_said(api, "diary") == []


async def test_nothing_is_added_where_nothing_of_the_turn_is_stored(api: Api) -> None:
    assert await say(api, "unkept", "Bread") == ""
    assert await list_said(api, "unkept") == []
    assert await say(api, "unkept", "Salt") == ""


async def test_what_was_added_before_the_turn_failed_is_there_once_however_often_it_is_sent(api: Api) -> None:
    for _ in range(2):
        await say(api, "fails", "Bread", status=502, headers={"idempotency-key": "one"})
    said = await list_said(api, "fails")
    assert [text for _, name, text in said if name == "Clerk"] == ["Noted: Bread"]
    for _ in range(2):
        await say(api, "diary", "Bread", headers={"idempotency-key": "two"})
    assert [text for _, name, text in await list_said(api, "diary") if name == "Clerk"] == ["Noted: Bread"]


async def test_messages_are_found_by_their_words(api: Api) -> None:
    for text in ("My parcel is number 7", "I like tea", "Is tea healthy?"):
        await say(api, "finds", text)
    found = (await say(api, "finds", "healthy tea")).splitlines()
    assert [line.partition(" (")[0] for line in found] == ["I like tea", "Is tea healthy?"]
    assert found[1].endswith("(User, 1.0)")
    assert await say(api, "finds", "coffee") == ""


async def test_an_agent_stores_and_recalls_by_tools_and_stores_nothing_that_nobody_allowed(api: Api) -> None:
    answer = await say(api, "agent", 'call Note {"message": "The parcel is lost"}')
    assert "The parcel is lost" in answer
    assert ("Machine", "AI", "The parcel is lost") in await list_said(api, "agent")
    assert "AI: The parcel is lost" in await say(api, "agent", 'call Said {"search_query": "lost parcels"}')
    await say(api, "asks-first", 'call Note {"message": "The parcel is lost"}', status=202)
    said = await list_said(api, "asks-first")
    assert said
    assert "The parcel is lost" not in [text for _, _, text in said]
