"""Opening the largest legal conversation keeps nobody waiting."""

import asyncio
import subprocess
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flowground.caller import LOCAL_OWNER
from flowground.store.runs import turns
from flowground.store.runs.records import StoredMessage
from tests.heartbeat import MOST, TRIES
from tests.in_process import runtime_of
from tests.servers import ROOT, clean_environment, free_port, write_folder

RUNS = "".join("`" * count + "a" for count in range(1, 632))[:199_000]


def test_the_largest_conversation_keeps_nobody_waiting(tmp_path: Path) -> None:
    config = write_folder(tmp_path, config={"default_model": "scripted"}, flows=["echo"])
    with runtime_of(config) as app:

        async def fill() -> None:
            for number in range(TRIES):  # each try reads texts that are not kept yet
                place: dict[str, Any] = {
                    "flow_id": "echo",
                    "owner": str(LOCAL_OWNER.owner),
                    "session_id": f"large{number}",
                }
                for turn in range(50):
                    text = f"$5 ![{number}](y) {turn} " + "`" * 1000 + RUNS[:198_900]
                    message = StoredMessage(str(uuid.uuid4()), "assistant", text, "complete", datetime.now(UTC))
                    await app.store.write(turns.begin_turn, **place, message=message)

        asyncio.run_coroutine_threadsafe(fill(), app.loop).result(60)
    done = subprocess.run(
        [sys.executable, "-m", "tests.large_chat_process", str(free_port()), "large"],
        cwd=ROOT,
        env=clean_environment(FLOWGROUND_CONFIG=str(config)),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    held = next(line for line in done.stdout.splitlines() if line.startswith("held "))
    callback, gil = map(float, held.split()[1:])
    assert callback < MOST
    assert gil < MOST
