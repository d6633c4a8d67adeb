"""Options of pytest for CI: no test may be skipped, and no fewer may be run than there are."""

from typing import Any

import pytest

NO_SOURCE = "no source answers"
"""Why the one test of the real model (marked `model`) may be skipped; the provider's own words."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--no-skips",
        action="store_true",
        help="fail when a test is skipped; the real model's may be where no source of its weights answers",
    )
    parser.addoption("--at-least", type=int, default=0, metavar="N", help="fail when fewer than N tests passed")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # a worker of pytest-xdist, whose reports are counted where it was started
        config.pluginmanager.register(_Counts(config), "counts")


class _Counts:
    """Counts what passed and what was skipped, whole files too, and turns the run red where that is too little."""

    def __init__(self, config: pytest.Config) -> None:
        self.skipped: list[str] = []
        self.passed = 0
        self._least: int = config.option.at_least
        self._no_skips: bool = config.option.no_skips

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail") and not _may_be_skipped(report):
            self.skipped.append(report.nodeid)
        self.passed += report.when == "call" and report.passed

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self.skipped.append(report.nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        too_little = self._complaints()
        if too_little and session.exitstatus == 0:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for title, lines in self._complaints().items():
            terminalreporter.section(title, red=True)
            terminalreporter.write_line("\n".join(lines))

    def _complaints(self) -> dict[str, list[str]]:
        found = {}
        if self.skipped and self._no_skips:
            found["skipped, and nothing may be (--no-skips)"] = self.skipped
        if self.passed < self._least:
            found["too few tests"] = [f"{self.passed} passed; --at-least says {self._least}"]
        return found


def _may_be_skipped(report: pytest.TestReport) -> bool:
    why = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
    return "model" in report.keywords and NO_SOURCE in why
