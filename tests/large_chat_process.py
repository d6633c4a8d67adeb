"""Serves the app and opens its largest legal conversation from the same process, beside the heartbeat.

python -m tests.large_chat_process PORT SESSION (with FLOWGROUND_CONFIG); prints two figures in seconds, see `Hold`.
"""

import sys
import threading
import time

import uvicorn

from app import app
from tests.heartbeat import MOST, TRIES, Hold, heartbeat
from tests.page_socket import Browser, open_page


def main() -> None:
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
