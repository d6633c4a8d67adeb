"""Runs a snippet as its reader does: saved under its name, started with python, node or bash."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

import pytest

from flowground.api.snippets import LANGUAGES, Mode
from tests.servers import clean_environment

_PROGRAMS = {"python": [sys.executable], "javascript": ["node"], "curl": ["bash", "curl"]}

MODES: tuple[Mode, ...] = get_args(Mode)
HOSTILE = {
    "apostrophe": "what's up?",
    "double quote": 'say "hi"',
    "both quotes": """'it's' "so" '''three''' \"\"\"three\"\"\"""",
    "backslash": "C:\\new\\table \\",
    "newline": "two\nlines\r\nand a tab\t.\nJSON\n'@\n",
    "home": "$HOME ${HOME} $(id) %HOME% !ls !!",
    "backticks": "`id` ${message} `` ```",
    "percent": "100% %s %(message)s %%",
    "emoji": "👋🏽 👩‍👩‍👧 ﬀ é ‘so’",
    "right to left": "שלום \u202eevil\u202c عالم",
    "separators": "\u2028\u2029\x85\x0b\x7f\x1b[31m\ufeff",
    "words": "None True construed nullable",
    "script": "</script><!--<script>",
    "gap": "«message» «body» {message} {{x}}\n«stream?»x\n",
    "20 kB": "aé'\"\\\n$`" * 2_000,
}
EVERYTHING = "".join(HOSTILE.values())
AS_A_WHOLE = ("", "null", "--message=-x", "@/etc/hostname", "two\nlines\n")
"""Texts that mean something else to a shell or a parser where nothing stands before or after them."""


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
