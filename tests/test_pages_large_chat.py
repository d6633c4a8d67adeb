"""Opening the largest legal conversation keeps nobody waiting.

python -m tests.test_pages_large_chat PORT SESSION (with FLOWGROUND_CONFIG) serves the app and opens its largest
conversation from the same process, beside the heartbeat; prints two figures in seconds, see `Hold`.
"""

import asyncio
import subprocess
import sys
import threading
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn

from flowground.core.caller import LOCAL_OWNER
from flowground.store.runs import turns
from flowground.store.runs.records import StoredMessage
from tests.heartbeat import MOST, TRIES, Hold, heartbeat
from tests.in_process import runtime_of
from tests.page_socket import Browser, open_page
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
        [sys.executable, "-m", "tests.test_pages_large_chat", str(free_port()), "large"],
        cwd=ROOT,
        env=clean_environment(FLOWGROUND_CONFIG=str(config)),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    held = next(line for line in done.stdout.splitlines() if line.startswith("held "))
    assert max(map(float, held.split()[1:])) < MOST, held


def main() -> None:
    from app import app  # noqa: PLC0415 - in this process alone

    port, session = int(sys.argv[1]), sys.argv[2]
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", loop="asyncio"))
    serving = threading.Thread(target=server.run, daemon=True)
    serving.start()
    while not server.started:
        time.sleep(0.05)
    browser = Browser(f"http://127.0.0.1:{port}")
    with open_page(browser) as page:
        page.visit("playground", "flow=echo")  # what is imported on demand
    tries: list[Hold] = []
    while len(tries) < TRIES and not any(hold.longest < MOST for hold in tries):
        with heartbeat() as hold, open_page(browser) as page:
            page.visit("playground", f"flow=echo&session={session}{len(tries)}")
            shown = page.chat.told[-1]
        if not shown["has_earlier"] or "`" * 1000 not in shown["messages"][0]["text"]:
            raise SystemExit("the conversation was not opened")
        tries.append(hold)
    sys.stdout.write(f"held {min(hold.callback for hold in tries)} {min(hold.gil for hold in tries)}\n")
    server.should_exit = True
    serving.join(30)


if __name__ == "__main__":
    main()
