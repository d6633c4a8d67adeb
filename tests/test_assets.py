"""The files built from `frontend/`: served small, kept for good, and exactly what a build makes of the sources."""

import gzip
import json
import shutil
import subprocess
from pathlib import Path

import pytest
import requests

from flowground.ui.assets import FOLDER, find_asset, list_assets
from tests.servers import ROOT, AppServer, House

HOUSE = House(flows=["echo"])
FRONTEND = ROOT / "frontend"
KINDS = {".js": "text/javascript", ".css": "text/css", ".woff2": "font/woff2", ".txt": "text/plain"}


def ask(house: AppServer, path: str, **headers: str) -> requests.Response:
    named = {"accept": "*/*", "accept-encoding": "gzip"} | headers
    return requests.get(house.url + path, headers=named, timeout=10, allow_redirects=False)


@pytest.mark.parametrize("ending", KINDS)
def test_each_kind_of_file_is_sent_to_whoever_asks_and_says_what_it_is(house: AppServer, ending: str) -> None:
    """Nobody signed in, no cookie given: there is nothing in it but the program."""
    path = next(path for path in list_assets() if path.endswith(ending))
    answer = ask(house, path)
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, KINDS[ending])
    assert answer.content == list_assets()[path].read_bytes()
    assert answer.headers.get("content-encoding") == (None if ending == ".woff2" else "gzip")
    assert answer.headers["cache-control"] == "public, immutable, max-age=31536000"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "path",
    ["/assets/", "/assets", "/assets/manifest.json", "/assets/none.js", "/assets/../app.py", "/assets/%2e%2e/app.py"],
)
def test_there_is_nothing_else(house: AppServer, path: str) -> None:
    """What ends in a slash is mended by Streamlit, which leads to the same 404."""
    prepared = requests.Request("GET", house.url).prepare()
    prepared.url = house.url + path
    with requests.Session() as session:
        assert session.send(prepared, timeout=10, allow_redirects=False).status_code in (404, 301)


def test_what_a_page_needs_to_draw_text_is_small() -> None:
    text = FOLDER / find_asset("markdown.js").rpartition("/")[2]
    assert len(gzip.compress(text.read_bytes(), 9)) < 45_000


def test_the_manifest_names_files_that_are_there() -> None:
    manifest = json.loads((FOLDER / "manifest.json").read_text("utf-8"))
    assert "markdown.js" in manifest
    assert [name for name in manifest.values() if not (FOLDER / name).is_file()] == []


def test_notice_and_licences_name_every_package() -> None:
    licences = (FOLDER / "LICENCES.txt").read_text("utf-8")
    notice = (ROOT / "NOTICE").read_text("utf-8")
    wanted = json.loads((FRONTEND / "package.json").read_text("utf-8"))["dependencies"]
    assert wanted
    assert [name for name, version in wanted.items() if f"{name} {version}" not in licences] == []
    assert "flowground/web/assets/LICENCES.txt" in notice
    assert [name for name in wanted if name not in notice] == []
    assert "holds no text of its licence" not in licences


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """frontend/ with its packages, in a folder of its own."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}")
    folder = tmp_path_factory.mktemp("frontend")
    shutil.copytree(FRONTEND, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules"))
    command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_files_are_what_a_build_makes_of_the_sources(sources: Path, tmp_path: Path) -> None:
    """Byte by byte: nobody has to trust what stands there. `cd frontend && npm ci && npm run build` makes it so."""
    built = tmp_path / "assets"
    names = build(sources, built)
    assert "manifest.json" in names
    assert names == {file.name for file in FOLDER.iterdir()}
    assert [name for name in names if (built / name).read_bytes() != (FOLDER / name).read_bytes()] == []


def test_a_change_of_the_chat_renames_no_library(sources: Path, tmp_path: Path) -> None:
    """Browsers keep Mermaid's and KaTeX's files, and a release changes few."""
    src = sources / "src"
    before = {file: file.read_bytes() for file in (src / "markdown.js", src / "chat.js")}
    (src / "new.js").write_text('import katex from "katex";\nexport default katex.render;\n', "utf-8")
    for file, text in before.items():
        file.write_bytes(text + b'import("./new.js").then((found) => (globalThis.found = found));\n')
    try:
        new = build(sources, tmp_path / "assets") - {file.name for file in FOLDER.iterdir()}
    finally:
        (src / "new.js").unlink()
        for file, text in before.items():
            file.write_bytes(text)
    assert any(name.startswith("chat-") for name in new)
    assert {name.partition("-")[0] for name in new} <= {
        "chat",
        "inside",
        "knowledge",
        "markdown",
        "new",
        "reading",
        "chunk",
    }
    assert len(new) <= 6


def build(sources: Path, folder: Path) -> set[str]:
    command = ["node", "build.mjs", str(folder)]
    done = subprocess.run(command, cwd=sources, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return {file.name for file in folder.iterdir()}


def test_every_source_is_checked_and_its_types_hold(sources: Path) -> None:
    unchecked = [
        file.name for file in sources.glob("src/**/*.js") if not file.read_text("utf-8").startswith("// @ts-check")
    ]
    assert unchecked == []
    command = ["npm", "run", "--silent", "check"]
    done = subprocess.run(command, cwd=sources, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-1_000:]


def test_the_sources_own_tests_pass(sources: Path) -> None:
    done = subprocess.run(
        ["node", "--test", "--test-reporter=tap", *sorted(map(str, sources.glob("test/*.test.js")))],
        cwd=sources, capture_output=True, text=True, timeout=250, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-1_000:]
    passed = next(line for line in done.stdout.splitlines() if line.startswith("# pass "))
    assert int(passed.split()[-1]) >= 130
