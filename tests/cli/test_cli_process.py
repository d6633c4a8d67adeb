"""`python -m flowground` as a process of its own, once beside a running server."""

import os
from pathlib import Path

from tests.cli.test_cli_terminal import command
from tests.servers import AppServer, write_folder


def test_an_unexpected_error_is_one_line(tmp_path: Path) -> None:
    write_folder(tmp_path, config={"database": "sqlite:///broken.db"}, flows={})
    (tmp_path / "broken.db").write_bytes(b"this is no database" * 1_000)
    said = command(tmp_path, "keys", "list")
    assert (said.returncode, said.stdout) == (1, b"")
    assert said.stderr.count(b"\n") == 1
    assert b"Traceback" not in said.stderr


def test_who_stops_reading_early_sees_no_error(tmp_path: Path) -> None:
    write_folder(tmp_path, config={}, flows={})
    reader, writer = os.pipe()
    os.close(reader)
    assert command(tmp_path, "schema", out=writer).stderr == b""
    os.close(writer)


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
