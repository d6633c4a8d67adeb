"""Runs a snippet as its reader does: saved under its name, started with python, node or bash."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from flowground.snippets import LANGUAGES
from tests.servers import clean_environment

_PROGRAMS = {"python": [sys.executable], "javascript": ["node"], "curl": ["bash", "curl"], "powershell": ["pwsh"]}

RUNNABLE = [language for language in LANGUAGES if language != "powershell" or shutil.which("pwsh")]
"""PowerShell is run where it is; its text is parsed everywhere (tests/test_snippets_powershell.py)."""


def program(language: str) -> str:
    """What starts a script of this language. Skips the test, naming it, where something needed is not installed."""
    for name in _PROGRAMS[language]:
        if shutil.which(name) is None:
            pytest.skip(f"needs {name}")
    return _PROGRAMS[language][0]


def run_snippet(
    language: str,
    code: str,
    *,
    env: Mapping[str, str] | None = None,
    args: Sequence[str] = (),
    file_name: str | None = None,
    files: Mapping[str, bytes] | None = None,
) -> subprocess.CompletedProcess[str]:
    """What the script printed, as UTF-8, and how it ended. `env` is added to a clean environment,
    `files` lie beside it."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / (file_name or LANGUAGES[language].file_name)
        script.write_bytes(code.encode())
        for name, data in (files or {}).items():
            (Path(folder) / name).write_bytes(data)
        done = subprocess.run(
            [program(language), str(script), *args],
            cwd=folder,
            env=clean_environment(PYTHONIOENCODING="utf-8") | dict(env or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )
    # Decoded here, because subprocess's own text mode would turn "\r\n" into "\n".
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())
