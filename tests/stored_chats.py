"""Chats in the store: who said what, where and when, each in a line of a test."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from flowground.store import Store
from flowground.store.runs import turns
from flowground.store.runs.records import RunRecord, StoredMessage
from tests.stored import StoredSession, list_messages, list_sessions, make_journal

START = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)


def here(session_id: str = "s", *, owner: str = "member:ada", flow_id: str = "echo") -> dict[str, Any]:
    return {"flow_id": flow_id, "owner": owner, "session_id": session_id}


def said(text: str, role: Any = "user", *, hours: float = 0, state: Any = "complete", **more: Any) -> StoredMessage:
    at = START + timedelta(hours=hours)
    return StoredMessage(more.pop("id", str(uuid4())), role, text, state, more.pop("at", at), **more)


def ran(session_id: str = "s", *, status: Any = "complete", **more: Any) -> RunRecord:
    return RunRecord(str(uuid4()), "echo", "abc", "member:ada", session_id, status, START, 0.25, **more)


async def say(store: Store, text: str, session_id: str = "s", *, hours: float = 0, **place: str) -> StoredMessage:
    """Says it, and nobody answers."""
    message = said(text, hours=hours)
    await store.write(turns.begin_turn, **here(session_id, **place), message=message)
    return message


async def take_turn(store: Store, question: StoredMessage, *answers: StoredMessage, **place: str) -> None:
    address = here(**place)
    await store.write(turns.begin_turn, **address, message=question)
    journal = make_journal(answers[0], question) if answers else None
    await store.write(turns.finish_turn, **address, answers=answers, run=ran(address["session_id"]), journal=journal)


async def list_texts(store: Store, session_id: str = "s", **place: str) -> list[str]:
    return [message.text for message in await store.read(list_messages, **here(session_id, **place))]


async def find_sessions(store: Store, *, flow_id: str = "echo", owner: str = "member:ada") -> list[StoredSession]:
    return await store.read(list_sessions, flow_id=flow_id, owner=owner)
