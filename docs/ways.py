"""docs/ways.md: the files that a run, a message and an override enter, found by doing them.

A file of `flowground/` counts when one of its functions is entered each time the same thing is done again, so that what
happens once (imports, caches) and what happens by the clock are left out. The order is that of first entry, over all
threads but the one that moves SQLite's log: nobody waits for it, and it comes when it comes.
"""

import ast
import asyncio
import inspect
import math
import re
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import Any
from unittest.mock import patch

import httpx2
from streamlit.testing.v1 import AppTest

from flowground import loader
from flowground.api import create_api
from flowground.store.people import tokens
from tests.chat_socket import TalkHere
from tests.in_process import runtime_of
from tests.running import running
from tests.servers import ROOT, write_folder

PAGE = ROOT / "docs" / "ways.md"
_PACKAGE = f"{ROOT / 'flowground'}/"
_ASIDE = "store-checkpoints"
_WARM_UP, _TIMES = 2, 3
_FLOW = """\
name: Talk
components:
  ChatInput: {type: ChatInput}
  Model: {type: LanguageModel, model: "scripted:echo", input_value: "${ChatInput}", temperature: 0.5}
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
"""
_TEXT = """# Three ways through the code

Written by `make fix` from what `docs/ways.py` sees when it does them, and held by `tests/test_ways.py`: the files of
`flowground/` in which a function is entered, in the order of first entry, each with that function and what it says of
itself. Where it says nothing, it is the file's, after *File:*. Read from the top, a way is a reading list; the
rooms stand in [architecture.md](architecture.md).

| way | files |
| --- | ---: |
"""


@dataclass(frozen=True, slots=True)
class Step:
    """The function by which a way enters a file."""

    file: str
    function: str
    says: str


class _Watch:
    """Notes the first function that is entered in each file, in every thread that begins after this."""

    def __init__(self) -> None:
        self._entered: dict[str, CodeType] = {}
        self._seen: list[dict[str, CodeType]] = []
        self._is_on = False
        threading.setprofile(self._note)
        sys.setprofile(self._note)

    @contextmanager
    def one_time(self) -> Iterator[None]:
        time.sleep(0.2)  # what other threads do after the time before is over by then
        self._entered, self._is_on = {}, True
        yield
        self._is_on = False
        self._seen.append(self._entered)

    def end(self) -> list[Step]:
        threading.setprofile(None)
        sys.setprofile(None)
        times = self._seen[_WARM_UP:]
        return [_describe(file, code) for file, code in times[0].items() if all(file in others for others in times)]

    def _note(self, frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        is_ours = event == "call" and code.co_filename.startswith(_PACKAGE) and code.co_name != "<module>"
        file = code.co_filename.removeprefix(_PACKAGE)
        if not (self._is_on and is_ours) or file in self._entered or threading.current_thread().name == _ASIDE:
            return
        if not _is_by_the_clock(frame):
            self._entered[file] = code


def _is_by_the_clock(frame: FrameType | None) -> bool:
    """Whether a timer of the loop has called it."""
    while frame is not None:
        if isinstance(frame.f_locals.get("self"), asyncio.TimerHandle):
            return True
        frame = frame.f_back
    return False


def find_ways() -> Mapping[str, list[Step]]:
    """What is done -> the steps of its way. Takes some seconds."""
    ways = {}
    for name, do in {
        "A run through the API": _run_through_the_api,
        "A chat message": _send_messages,
        "A temporary override": _override,
    }.items():
        watch = _Watch()
        never = patch.object(loader, "_LOOK_EVERY", math.inf)  # a slow machine would look at the folder each time
        with never, tempfile.TemporaryDirectory() as folder:
            do(watch, Path(folder))
        ways[name] = watch.end()
    return ways


def _run_through_the_api(watch: _Watch, folder: Path) -> None:
    async def run() -> None:
        async with _api(folder) as client:
            for _ in range(_WARM_UP + _TIMES):
                with watch.one_time():
                    (await client.post("/api/v1/run/talk", json={"input_value": "Hello"})).raise_for_status()

    asyncio.run(run())


@asynccontextmanager
async def _api(folder: Path) -> AsyncIterator[httpx2.AsyncClient]:
    async with running(folder, {"talk": _FLOW}) as runtime:
        _, secret = await runtime.store.write(
            tokens.create, name="way", owner=None, flows=None, expires_at=None, by="docs"
        )
        transport = httpx2.ASGITransport(app=create_api(lambda: runtime))
        async with httpx2.AsyncClient(
            transport=transport, base_url="http://flowground", headers={"x-api-key": secret}
        ) as client:
            yield client


def _send_messages(watch: _Watch, folder: Path) -> None:
    """Over a conversation's socket, in one conversation: no page's script runs."""
    with runtime_of(_write_folder(folder)) as runtime:
        conversation = TalkHere(runtime, "talk")
        conversation.show()
        for _ in range(_WARM_UP + _TIMES):
            with watch.one_time():
                conversation.ask("Hello")


def _override(watch: _Watch, folder: Path) -> None:
    with _page(folder, "api_access") as page:
        for number in range(_WARM_UP + _TIMES):
            with watch.one_time():
                page.slider[0].set_value(1 + number / 10).run()


@contextmanager
def _page(folder: Path, name: str) -> Iterator[AppTest]:
    with runtime_of(_write_folder(folder)):
        page = AppTest.from_file(str(ROOT / "pages" / "router.py"), default_timeout=60).run()
        page.switch_page(f"{name}.py")
        page.query_params["flow"] = "talk"
        yield page.run()
        if page.exception:
            raise RuntimeError(page.exception[0].message)


def _write_folder(folder: Path) -> Path:
    return write_folder(folder, config={"default_model": "scripted"}, flows={"talk": _FLOW})


def _describe(file: str, code: CodeType) -> Step:
    function = code.co_qualname.partition(".<locals>")[0]
    first = code.co_consts[0] if code.co_consts and not code.co_name.startswith("<") else None
    if isinstance(first, str):
        return Step(file, function, _cut_summary(first))
    docstring = ast.get_docstring(ast.parse((Path(_PACKAGE) / file).read_text("utf-8")))
    return Step(file, function, f"*File:* {_cut_summary(docstring or '')}")


def _cut_summary(docstring: str) -> str:
    return inspect.cleandoc(docstring).partition("\n")[0]


def ways_page(ways: Mapping[str, list[Step]]) -> str:
    """The whole page."""
    rows = [f"| {name} | {len(steps)} |" for name, steps in ways.items()]
    parts = [f"\n## {name}: {len(steps)} files\n\n" + "\n".join(_lines(steps)) + "\n" for name, steps in ways.items()]
    return _TEXT + "\n".join(rows) + "\n" + "".join(parts)


def _lines(steps: list[Step]) -> Iterator[str]:
    for number, step in enumerate(steps, 1):
        yield f"{number}. [{step.file}](../flowground/{step.file}) `{step.function}`: {step.says}"


def main() -> int:
    """0 when all is well; with `--check`, 1 when the page lists other files, and nothing is written."""
    ways = find_ways()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(ways_page(ways), encoding="utf-8")
        return 0
    listed = _read_page()
    for name, steps in ways.items():
        for file in {step.file for step in steps} ^ listed.get(name, set()):
            sys.stderr.write(f"docs/ways.md is stale, {name}: {file}: run `make fix`\n")
    return 0 if listed == {name: {step.file for step in steps} for name, steps in ways.items()} else 1


def _read_page() -> dict[str, set[str]]:
    """The files that the page lists for each way."""
    _, *parts = PAGE.read_text("utf-8").split("\n## ")
    return {part.partition(":")[0]: set(re.findall(r"^\d+\. \[([^]]+)\]", part, re.MULTILINE)) for part in parts}


if __name__ == "__main__":
    sys.exit(main())
