"""What we show, we execute: commands, flows, links and generated pages of README, CONTRIBUTING and docs/."""

import json
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import pytest

from docs.generate import stale
from flowground.api.app import create_api
from flowground.flows.folder import Catalogue
from flowground.ui.inside.inside import render_picture
from tests.documents import Block, blocks, links, pages
from tests.servers import ROOT, SHIPPED_FLOWS, AppServer, clean_environment

# Installing, and processes that never end: looked at, not run. CI and the other tests do them for real.
LOOKED_AT = re.compile(
    r"^(pip install|streamlit run|uvicorn|make|git clone|TEST_DATABASE_URL=|python -m flowground model)\b"
)


def flow_blocks() -> list[Block]:
    """YAML blocks that are whole flows."""
    return [block for block in blocks("yaml") if re.search(r"^components:", block.text, re.MULTILINE)]


def commands(block: Block) -> list[str]:
    """The block's commands, continued lines joined, comments left out."""
    joined = block.text.replace("\\\n", " ").splitlines()
    return [line.strip() for line in joined if line.strip() and not line.lstrip().startswith("#")]


def runs(block: Block) -> bool:
    return not all(LOOKED_AT.match(command) for command in commands(block))


@pytest.fixture(scope="module")
def documented(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    """The app with the shipped flows and the README's, answered by the scripted model."""
    with AppServer(tmp_path_factory.mktemp("docs")) as server:
        readme = next(block for block in flow_blocks() if block.file == "README.md")
        (server.folder / "flows" / "haiku.yaml").write_text(readme.text, encoding="utf-8")
        yield server


def run_block(documented: AppServer, home: Path, block: Block) -> str:
    """What its commands print; they succeed, and a call of the API reaches the app of the tests."""
    if "curl" in block.text and shutil.which("curl") is None:
        pytest.skip("needs curl")
    python = str(Path(sys.executable).parent)
    environment = clean_environment(**documented.environment)
    environment["HOME"] = str(home)  # where a backup goes
    environment["PATH"] = f"{python}:{environment['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.text.replace("http://127.0.0.1:8501", documented.url)],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_the_request_of_the_readme_is_answered(documented: AppServer, tmp_path: Path) -> None:
    (block,) = (block for block in blocks("bash") if block.file == "README.md" and "curl" in block.text)
    answer = json.loads(run_block(documented, tmp_path, block))
    assert answer["text"] == "The sea at night"


def test_the_readme_begins_in_an_environment_of_its_own_with_two_commands(tmp_path: Path) -> None:
    """Debian's pip installs nothing beside the system's packages: "externally-managed-environment"."""
    first, start, tests = [block.text.strip() for block in blocks("bash") if block.file == "README.md"][:3]
    assert start == "pip install -r requirements.txt && streamlit run app.py"
    assert tests == "pip install -r requirements-dev.txt && pytest"
    line = f"{first.replace('venv .venv', 'venv --without-pip .venv')} && command -v python"
    told = subprocess.run(["bash", "-euc", line], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert told.stdout.strip() == f"{tmp_path}/.venv/bin/python"


@pytest.mark.parametrize("block", [block for block in blocks("bash") if runs(block) and "/" in block.file], ids=str)
def test_commands_of_docs_run(documented: AppServer, tmp_path: Path, block: Block) -> None:
    calls = block.file == "docs/guide/agents.md" and "What do three parcels cost?" in block.text
    if calls:
        asked = r"call calculator {\"expression\": \"3 * 5\"}"  # as a larger model would
        block = replace(block, text=block.text.replace("What do three parcels cost?", asked))
    printed = run_block(documented, tmp_path, block)
    if calls:
        assert printed.splitlines()[0] == "calculator {'expression': '3 * 5'} 15"
    if "ekko" in block.text:  # the five calls of docs/api.md, which go on after one that fails
        told = ['"text":"hello"', '"session_id":"order-7"', "Flow identifier ekko not found", "You said: Good morning"]
        assert [word for word in [*told, "event: token", "event: end"] if word not in printed] == []


def test_files_and_targets_of_commands_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for block in blocks("bash"):
        for command in commands(block):
            for target in re.findall(r"(?<![-\w])make (\w+)", command):
                assert re.search(rf"^{target}:", makefile, re.MULTILINE), (block, target)
            for name in re.findall(r"[\w./-]+\.(?:txt|py|yaml)\b", command):
                assert (ROOT / name).exists() or "flows/" in name, (block, name)


def test_pictures_in_the_guide_are_those_of_the_flows() -> None:
    catalogue = Catalogue(SHIPPED_FLOWS)
    drawn = {block.file: block.text for block in blocks("mermaid") if block.file.startswith("docs/guide/")}
    assert len(drawn) == 9
    for file, text in drawn.items():
        flow = re.search(r"^\[`([a-z-]+)`\]\(", (ROOT / file).read_text("utf-8"), re.MULTILINE)
        assert flow is not None, file
        wired = catalogue.find(flow[1])
        assert wired is not None, flow[1]
        assert text.rstrip() == render_picture(wired), f"{file}: put this there\n{render_picture(wired)}"


def test_the_flows_of_the_guide_pass_their_tests(documented: AppServer) -> None:
    tested = [block for block in flow_blocks() if block.file.startswith("docs/guide/") and "tests:" in block.text]
    names = [f"guide-{number}" for number in range(len(tested))]
    for name, block in zip(names, tested, strict=True):
        (documented.folder / "flows" / f"{name}.yaml").write_text(block.text, encoding="utf-8")
    done = documented.run_command("test", *names)
    assert "6 tests of 4 flows, all passed." in done.stderr, done.stdout + done.stderr


def test_queries_are_answered(documented: AppServer) -> None:
    assert blocks("sql")
    assert documented.run_command("keys", "create", "asked").returncode == 0
    for block in blocks("sql"):
        with closing(sqlite3.connect(documented.folder / "data" / "flowground.db")) as connection:
            rows = connection.execute(block.text).fetchall()
        assert ("cli", "token.created") in [row[1:3] for row in rows], block


def test_json_is_json() -> None:
    assert blocks("json")
    for block in blocks("json"):
        assert json.loads(block.text) is not None, block


def test_links_lead_somewhere() -> None:
    broken = {page.name: [link for link in links(page) if not (page.parent / link).exists()] for page in pages()}
    assert {name: found for name, found in broken.items() if found} == {}


def test_each_picture_is_shown_by_a_page() -> None:
    shown = {(page.parent / link).resolve() for page in pages() for link in links(page)}
    assert set((ROOT / "docs" / "images").iterdir()) - shown == set()


def test_what_the_architecture_page_names_is_where_it_says() -> None:
    rows = (ROOT / "docs" / "architecture.md").read_text("utf-8").partition("## Where it is")[2].partition("\n## ")[0]
    parts = re.findall(r"`([\w.]+)` of \[[^]]+\]\(\.\./([^)]+)\)", rows)
    assert len(parts) >= 15
    for name, file in parts:
        defined = re.compile(rf"^ *(?:async def |def |class ){name.rpartition('.')[2]}\b|^{name}\b.* = ", re.MULTILINE)
        assert defined.search((ROOT / file).read_text("utf-8")), (name, file)


def test_generated_pages_are_fresh() -> None:
    assert [f"docs/{name} is stale: run `make fix`" for name in stale()] == []


def test_every_address_of_the_api_is_documented() -> None:
    def nobody() -> NoReturn:
        raise AssertionError("the document needs no runtime")

    text = (ROOT / "docs" / "api.md").read_text("utf-8")
    assert [path for path in create_api(nobody).openapi()["paths"] if path not in text] == []


PROMISES = (ROOT / "docs" / "security.md").read_text("utf-8").partition("## What is promised")[2].partition("\n## ")[0]
CONTRACT = (ROOT / "docs" / "api.md").read_text("utf-8")
NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def read_tables(text: str) -> Iterator[list[list[str]]]:
    """The cells of each table, its head first."""
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()]
        yield [row for row in rows if set("".join(row)) - set("- ")]


def test_every_promise_of_security_names_its_test_and_its_end() -> None:
    rows = [row for _, *rows in read_tables(PROMISES) for row in rows]
    assert len(rows) >= 20
    assert [row for row in rows if not (row[0] and NAMED_TEST.search(row[1]) and row[2])] == []


def test_every_row_of_the_api_contract_names_its_test() -> None:
    """And one that compares with Langflow says same, or what is different."""
    tables = [(head, rows) for head, *rows in read_tables(CONTRACT) if head[-1] == "test"]
    assert len(tables) >= 12
    for head, rows in tables:
        assert [row[0] for row in rows if not NAMED_TEST.search(row[-1])] == []
        if "here" in head:
            assert [row[0] for row in rows if row[0] != "–" and not re.match(r"same\b|\*\*", row[1])] == []


def test_every_test_and_module_that_pages_name_exists() -> None:
    text = "\n".join(page.read_text("utf-8") for page in pages())
    modules = set(re.findall(r"python -m ((?:bench|docs|tests)\.\w+)", text))
    assert [module for module in sorted(modules) if find_spec(module) is None] == []
    files = sorted(set(re.findall(r"`((?:tests|bench)/[\w/]+\.py)\b", text)))
    assert [file for file in files if not (ROOT / file).exists()] == []
    texts = {file: (ROOT / file).read_text("utf-8") for file in files}
    assert [one for one in sorted(set(NAMED_TEST.findall(text))) if f"def {one[1]}(" not in texts[one[0]]] == []
