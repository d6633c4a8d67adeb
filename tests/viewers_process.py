"""Serves the app and opens pages of it from the same process; prints how many of them it still knows as viewers.

python -m tests.viewers_process PORT PAGES (with FLOWGROUND_CONFIG; in a folder with the flow `echo`)
"""

import sys
import threading
import time

import uvicorn

from app import app
from flowground.ui.chat.live import open_viewers
from tests.page_socket import Browser, open_page


def main() -> None:
    port, pages = int(sys.argv[1]), int(sys.argv[2])
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))
    serving = threading.Thread(target=server.run)
    serving.start()
    while not server.started:
        time.sleep(0.05)
    browser = Browser(f"http://127.0.0.1:{port}")
    for _ in range(pages):
        with open_page(browser) as page:
            page.visit("playground", "flow=echo")
    sys.stdout.write(f"known {len(open_viewers()._pages)}\n")
    server.should_exit = True
    serving.join(30)


if __name__ == "__main__":
    main()
