"""A process that writes until it is killed: prints each id after the write was acknowledged. Run by test_store_*."""

import asyncio
import sys
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from flowground.store import Store
from flowground.store.runs import turns
from flowground.store.runs.records import RunRecord, StoredMessage


async def client(store: Store, number: int) -> None:
    here: dict[str, Any] = {"flow_id": "echo", "owner": "member:ada", "session_id": f"s{number}"}
    while True:
        question = StoredMessage(str(uuid4()), "user", "q" * 500, "complete", datetime.now(UTC))
        await store.write(turns.begin_turn, **here, message=question)
        print(question.id, flush=True)  # noqa: T201 - read by the test
        answer = StoredMessage(str(uuid4()), "assistant", "a" * 500, "complete", datetime.now(UTC))
        run = RunRecord(str(uuid4()), "echo", "v", "member:ada", f"s{number}", "complete", datetime.now(UTC), 0)
        await store.write(turns.finish_turn, **here, answers=[answer], run=run)
        print(answer.id, flush=True)  # noqa: T201 - read by the test


async def main(url: str) -> None:
    store = Store.open(url)
    await asyncio.gather(*(client(store, number) for number in range(16)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
