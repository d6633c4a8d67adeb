"""Options of pytest for CI: no test skipped, no fewer run than there are, a second try for a browser's."""

from typing import Any

import pytest

from tests.second_try import SecondTry

NO_SOURCE = "no source answers"
"""Why the one test of the real model (marked `model`) may be skipped; the provider's own words."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--no-skips",
        action="store_true",
        help="fail when a test is skipped; the real model's may be where no source of its weights answers",
    )
    parser.addoption("--at-least", type=int, default=0, metavar="N", help="fail when fewer than N tests passed")
    parser.addoption(
        "--second-try",
        type=int,
        default=0,
        metavar="N",
        help="at most N browser tests that failed are asked once more, alone, after the rest",
    )


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # a worker of pytest-xdist, whose reports are counted where it was started
        second_try = SecondTry(config)
        config.pluginmanager.register(second_try, "second-try")
        config.pluginmanager.register(_Counts(config, second_try), "counts")


class _Counts:
    """Counts what passed and what was skipped, whole files too, and turns the run red where that is too little."""

    def __init__(self, config: pytest.Config, second_try: SecondTry) -> None:
        self.skipped: list[str] = []
        self.passed: set[str] = set()
        self._second_try = second_try
        self._least: int = config.option.at_least
        self._no_skips: bool = config.option.no_skips

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail") and not _may_be_skipped(report):
            self.skipped.append(report.nodeid)
        if report.when == "call" and report.passed:
            self.passed.add(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self.skipped.append(report.nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self._second_try.finish(session)
        self.passed |= self._second_try.passed
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
        if len(self.passed) < self._least:
            found["too few tests"] = [f"{len(self.passed)} passed; --at-least says {self._least}"]
        return found


def _may_be_skipped(report: pytest.TestReport) -> bool:
    why = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
    return "model" in report.keywords and NO_SOURCE in why
