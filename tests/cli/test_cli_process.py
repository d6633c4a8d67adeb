"""`python -m flowground` as a process of its own, once beside a running server."""

import os
import subprocess
import sys
from pathlib import Path

from tests.servers import ROOT, AppServer, clean_environment, write_folder


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flowground", *arguments],
        cwd=ROOT,
        env=clean_environment(FLOWGROUND_CONFIG=str(folder / "config.yaml")),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_wrong_config_is_told_without_a_traceback(tmp_path: Path) -> None:
    write_folder(tmp_path, config={"defualt_model": "local"}, flows={})
    said = command(tmp_path, "keys", "list")
    assert (said.returncode, said.stdout) == (1, "")
    assert "did you mean default_model?" in said.stderr
    assert "Traceback" not in said.stderr


def test_an_unexpected_error_is_one_line(tmp_path: Path) -> None:
    write_folder(tmp_path, config={"database": "sqlite:///broken.db"}, flows={})
    (tmp_path / "broken.db").write_bytes(b"this is no database" * 1_000)
    said = command(tmp_path, "keys", "list")
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr.count("\n") == 1
    assert "Traceback" not in said.stderr


def test_who_stops_reading_early_sees_no_error(tmp_path: Path) -> None:
    write_folder(tmp_path, config={}, flows={})
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "flowground", "schema"], cwd=ROOT, env=clean_environment(), stdout=closed,
            stderr=subprocess.PIPE, check=False, timeout=60,
        )  # fmt: skip
    assert done.stderr == b""


def test_commands_work_beside_a_running_server(server: AppServer) -> None:
    made = server.run_command("keys", "create", "beside", "--flow", "echo")
    assert made.returncode == 0, made.stderr
    server.environment["FLOWGROUND_API_KEY"] = made.stdout.split()[-1]
    try:
        for stream in ((), ("--stream",)):
            said = server.run_command("run", "echo", "--message", "it's me", "--server", server.url, *stream)
            assert (said.returncode, said.stdout, said.stderr) == (0, "it's me\n", "")
        refused = server.run_command("run", "basic-prompting", "--message", "hi", "--server", server.url)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr.count("\n") == 1
        assert server.run_command("members", "list").returncode == 0
    finally:
        del server.environment["FLOWGROUND_API_KEY"]
