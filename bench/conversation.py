"""A long conversation of the local owner, put straight into the store."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from flowground.caller import LOCAL_OWNER
from flowground.messages import MessageRole
from flowground.store import Store
from flowground.store.runs.records import RunRecord, StoredMessage
from flowground.store.runs.turns import begin_turn, finish_turn

LAST_WORDS = "and these are the last words of it"
QUESTION = "Question {turn}: what is the interesting thing here?"
ANSWER = "Answer {turn}: " + "a paragraph of some **Markdown**, with `code` in it. " * 3 + LAST_WORDS


async def fill(database: str, *, flow_id: str, session_id: str, messages: int) -> None:
    """`messages` messages, half of them answers; the last one ends with LAST_WORDS."""
    store = Store.open(database)
    owner = str(LOCAL_OWNER.owner)
    place: dict[str, Any] = {"flow_id": flow_id, "owner": owner, "session_id": session_id}
    began = datetime.now(UTC) - timedelta(days=1)
    try:
        for turn in range(messages // 2):
            at = began + timedelta(seconds=turn)
            run = str(uuid.uuid4())
            question = _message("user", QUESTION.format(turn=turn), at=at, run=run)
            answer = _message("assistant", ANSWER.format(turn=turn), at=at, run=run)
            record = RunRecord(run, flow_id, "bench", owner, session_id, "complete", at, 0.1)
            await store.write(begin_turn, message=question, **place)
            await store.write(finish_turn, answers=[answer], run=record, **place)
    finally:
        store.close()


def _message(role: MessageRole, text: str, *, at: datetime, run: str) -> StoredMessage:
    return StoredMessage(
        id=str(uuid.uuid4()), role=role, text=text, state="complete", created_at=at, run_id=run, model="stub-model"
    )
