"""Packages of npm that tests use, fetched when they run."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def install(folder: Path, package: str, *, kind: str = "commonjs") -> None:
    """`package` is `NAME@VERSION`. Skips the test, naming it, where node or npm is not installed."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}")
    (folder / "package.json").write_text(f'{{"private": true, "type": "{kind}"}}')
    command = ["npm", "install", "--no-audit", "--no-fund", "--no-save", "--ignore-scripts", package]
    done = subprocess.run(
        command, cwd=folder, env=dict(os.environ), capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
