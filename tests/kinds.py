"""Two kinds of tests: `pytest` asks the fast ones, in parallel; `pytest -m slow` those that tests/slow.toml lists.

Files that are named on the command line are asked whole, fast and slow; where slow ones were not asked, the end says
so. Where a program or a database is missing, the
end says in one sentence what was left out. Where the environment says CI=true, nothing may be left out (but the real
model's test, where no source of its weights answers), and at most three browser tests that failed are asked once more,
alone: what passes then is printed as a line for tests/unsteady.md."""

import datetime
import fnmatch
import os
import re
import subprocess
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

TABLE = Path(__file__).with_name("slow.toml")
NO_SOURCE = "no source answers"
"""Why the one test of the real model (marked `model`) may be skipped; the provider's own words."""
PROCESSES = 4
"""Of one run on two cores: many tests wait for other processes."""
SECOND_TRIES = 3
FAST = "not slow"


@dataclass(frozen=True)
class Area:
    """Slow tests of one subject: `paths` are product files whose change calls for them, `tests` say which they are.

    A test is a file, a function (`file::function`), a pattern of either, or `[text`: all with a parameter of that text.
    """

    paths: tuple[str, ...]
    tests: tuple[str, ...]

    def has(self, test: str) -> bool:
        """`test` is pytest's id: file::function[parameters]."""
        name, _, parameters = test.partition("[")
        file = name.partition("::")[0]
        return any(
            pattern[1:] in re.split(r"[-\]]", parameters)
            if pattern.startswith("[")
            else fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(file, pattern)
            for pattern in self.tests
        )


def read_areas() -> Mapping[str, Area]:
    """Areas by their names, in the order in which CI asks them."""
    table = tomllib.loads(TABLE.read_text("utf-8"))
    return {name: Area(tuple(entry["paths"]), tuple(entry["tests"])) for name, entry in table.items()}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--areas", default="", metavar="A,B", help="of the slow tests only these areas of tests/slow.toml")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Of many tests, several at once, unless the command line says otherwise."""
    option = config.option
    if hasattr(config, "workerinput") or _names_files(config) or option.collectonly or option.usepdb:
        return
    if getattr(option, "numprocesses", 0) is None and option.dist == "no":  # pytest-xdist is a development extra
        option.numprocesses, option.dist = PROCESSES, "worksteal"


def pytest_configure(config: pytest.Config) -> None:
    option = config.option
    if option.areas:
        unknown = ", ".join(set(option.areas.split(",")) - read_areas().keys())
        if unknown:
            raise pytest.UsageError(f"tests/slow.toml has no area {unknown}; there are {', '.join(read_areas())}.")
        option.markexpr = option.markexpr or "slow"
    if "slow" not in option.markexpr and not _names_files(config):
        option.markexpr = f"({option.markexpr}) and {FAST}" if option.markexpr else FAST
    if not hasattr(config, "workerinput"):  # of a worker's tests is heard where the worker was started
        config.pluginmanager.register(_Outcome(config), "outcome")


def _names_files(config: pytest.Config) -> bool:
    return config.args_source is pytest.Config.ArgsSource.ARGS and not all(map(os.path.isdir, config.args))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    areas = read_areas()
    wanted = config.option.areas.split(",") if config.option.areas else list(areas)
    for item in items:
        if any(area.has(item.nodeid) for area in areas.values()):
            item.add_marker("slow")
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")
    if config.option.areas:
        items[:] = [item for item in items if any(areas[name].has(item.nodeid) for name in wanted)]


class _Outcome:
    """Hears what was skipped and what failed, and turns a run of CI red or green where pytest alone would not."""

    def __init__(self, config: pytest.Config) -> None:
        self._is_ci = os.environ.get("CI") == "true"
        self._is_fast_only = config.option.markexpr.endswith(FAST)
        self._is_second_try = "SECOND_TRY" in os.environ
        self._began = time.monotonic()
        self._left_out: dict[str, str] = {}
        self._failed: dict[str, list[Any]] = {}
        self._passed_alone: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.pytest_collectreport(report)

    def pytest_collectreport(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped:
            why = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            self._left_out[report.nodeid] = why.removeprefix("Skipped: ")
        if report.failed:
            self._failed.setdefault(report.nodeid, []).append(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        option = session.config.option
        cache = getattr(session.config, "cache", None)  # pytest's plugin may be switched off
        chooses = option.keyword or option.collectonly or getattr(option, "lf", False) or option.markexpr != FAST
        chooses = chooses or session.config.args_source is not pytest.Config.ArgsSource.TESTPATHS
        if cache and not chooses and session.exitstatus == pytest.ExitCode.OK:
            cache.set("tests/seconds", time.monotonic() - self._began)
        reports = [report for several in self._failed.values() for report in several]
        can_be_chance = 0 < len(self._failed) <= SECOND_TRIES and all(
            "browser" in getattr(one, "keywords", ()) for one in reports
        )
        has_failed = session.exitstatus == pytest.ExitCode.TESTS_FAILED
        if self._is_ci and has_failed and can_be_chance and not self._is_second_try:
            asked = [sys.executable, "-m", "pytest", "--tb=short", *self._failed]
            environment = os.environ | {"SECOND_TRY": "yes"}  # not once more again
            if subprocess.run(asked, cwd=session.config.rootpath, env=environment, check=False).returncode == 0:
                self._passed_alone = list(self._failed)
                session.exitstatus = pytest.ExitCode.OK
                stats = session.config.pluginmanager.get_plugin("terminalreporter").stats  # type: ignore[union-attr]  # always there
                for kind in ("failed", "error"):
                    stats[kind] = [report for report in stats.pop(kind, []) if report not in reports]
                stats["passed at the second try"] = reports
        if self._is_ci and self._find_forbidden() and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for name in self._passed_alone:
            terminalreporter.section("passed at the second try: a line for tests/unsteady.md", yellow=True)
            text = str(self._failed[name][0].longreprtext)
            seen = re.search(r"^E +(.+)", text, re.MULTILINE)
            terminalreporter.write_line(text)
            terminalreporter.write_line(f"| {name} | {datetime.date.today()} | {seen[1] if seen else ''} |")
        if self._is_fast_only and terminalreporter.config.option.verbose >= 0:
            terminalreporter.write_line("Slow tests were not asked: `pytest -m slow` asks them.")
        if self._left_out:
            counts = Counter(self._left_out.values())
            terminalreporter.write_line("Left out: " + "; ".join(f"{n} × {why}" for why, n in counts.items()) + ".")
        if self._is_ci and self._find_forbidden():
            terminalreporter.section("left out, and CI leaves nothing out", red=True)
            terminalreporter.write_line("\n".join(self._find_forbidden()))

    def _find_forbidden(self) -> list[str]:
        return [name for name, why in self._left_out.items() if NO_SOURCE not in why]
