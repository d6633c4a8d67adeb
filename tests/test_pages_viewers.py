"""The list of pages that follow a conversation: it forgets those that were closed."""

import subprocess
import sys
from pathlib import Path

from tests.servers import ROOT, clean_environment, free_port, write_folder


def test_pages_that_were_closed_are_let_go_of(tmp_path: Path) -> None:
    config = write_folder(tmp_path, config={"default_model": "scripted"}, flows=["echo"])
    done = subprocess.run(
        [sys.executable, "-m", "tests.viewers_process", str(free_port()), "300"],
        cwd=ROOT,
        env=clean_environment(FLOWGROUND_CONFIG=str(config), STREAMLIT_SERVER_DISCONNECTED_SESSION_TTL="1"),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    known = next(int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("known "))
    assert 0 < known <= 130  # 64, or twice what is open or has just been left
