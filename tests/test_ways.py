"""docs/ways.md lists the files that a run, a message and an override enter; docs/architecture.md counts them."""

import re
import subprocess
import sys

from tests.servers import ROOT, clean_environment


def test_each_way_enters_the_files_that_the_page_lists() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "docs.ways", "--check"],
        cwd=ROOT, env=clean_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_each_step_is_a_whole_sentence() -> None:
    steps = re.findall(r"^\d+\. .*$", (ROOT / "docs" / "ways.md").read_text("utf-8"), re.MULTILINE)
    assert len(steps) > 100
    assert [step for step in steps if not step.endswith(".")] == []


def test_the_architecture_page_has_the_same_counts() -> None:
    page = (ROOT / "docs" / "ways.md").read_text("utf-8")
    headings = re.findall(r"^## (.+): (\d+) files$", page, re.MULTILINE)
    assert len(headings) == 3
    architecture = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    assert [name for name, count in headings if f"| {name} | {count} |" not in architecture] == []
