"""Browser tests that failed beside others are asked once more, alone, when all the rest is done (`--second-try=N`).

A browser, its page's server and other tests share the processors, and what is late there is often not wrong. A second
failure counts, as does the first of any other test; where more than N failed, it was not chance."""

import subprocess
import sys
from typing import Any

import pytest

TITLE = "passed at the second try"


class SecondTry:
    """Remembers what failed, and turns the run green where all of it was of browsers and passes alone."""

    def __init__(self, config: pytest.Config) -> None:
        self._most: int = config.option.second_try
        self._failed: dict[str, list[pytest.TestReport | pytest.CollectReport]] = {}
        self.passed: set[str] = set()
        """Ids of those that passed then."""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failed.setdefault(report.nodeid, []).append(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._failed.setdefault(report.nodeid, []).append(report)

    def finish(self, session: pytest.Session) -> None:
        """To be called when the last test is done, and before anything is said of them."""
        if session.exitstatus != pytest.ExitCode.TESTS_FAILED or not 0 < len(self._failed) <= self._most:
            return
        reports = [report for several in self._failed.values() for report in several]
        if all("browser" in report.keywords for report in reports) and self._pass_alone(session.config):
            self.passed = set(self._failed)
            session.exitstatus = pytest.ExitCode.OK
            stats = session.config.pluginmanager.get_plugin("terminalreporter").stats  # type: ignore[union-attr]  # always there
            for kind in ("failed", "error"):
                if kind in stats:
                    stats[kind] = [report for report in stats[kind] if report not in reports]
            stats[TITLE] = reports

    def _pass_alone(self, config: pytest.Config) -> bool:
        asked = [sys.executable, "-m", "pytest", f"--at-least={len(self._failed)}", *self._failed]
        return subprocess.run(asked, cwd=config.rootpath, check=False).returncode == 0

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for name in sorted(self.passed):
            terminalreporter.section(f"{TITLE}: {name}", yellow=True)
            terminalreporter.write_line("The first time it failed:")
            for report in self._failed[name]:
                terminalreporter.write_line(report.longreprtext)
