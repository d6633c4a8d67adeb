"""One message is one line of the log, whatever a client put into it."""

import logging
from collections.abc import Iterator
from io import StringIO

import pytest
from uvicorn.logging import AccessFormatter

from flowground.web.process import LONGEST, escape_log_lines

FORGED = "a\n2026-11-25 12:00:00 The owner code is FAKE\x1b[31m\r\x9b\u2028\u202e"


@pytest.fixture
def written() -> Iterator[StringIO]:
    before = logging.getLogRecordFactory()
    ends = escape_log_lines()
    yield StringIO()
    ends()
    assert logging.getLogRecordFactory() is before


@pytest.fixture(params=["streamlit.runtime.app_session", "uvicorn.error", "flowground.api", "root"])
def log(request: pytest.FixtureRequest, written: StringIO) -> Iterator[logging.Logger]:
    logger = logging.getLogger(request.param)
    handler = logging.StreamHandler(written)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logger.addHandler(handler)
    yield logger
    logger.removeHandler(handler)


def test_a_forged_line_stays_in_its_message(log: logging.Logger, written: StringIO) -> None:
    log.error("Fragment %s is gone", FORGED)
    said = r"a\n2026-11-25 12:00:00 The owner code is FAKE\x1b[31m\r\x9b\u2028\u202e"
    assert written.getvalue() == f"ERROR Fragment {said} is gone\n"


def test_a_long_address_is_cut_in_uvicorns_own_format(written: StringIO) -> None:
    access, handler = logging.getLogger("uvicorn.access"), logging.StreamHandler(written)
    handler.setFormatter(AccessFormatter('%(client_addr)s - "%(request_line)s" %(status_code)s', use_colors=False))
    access.addHandler(handler)
    said = ("127.0.0.1:1", "GET", "/health?" + "a" * 60_000 + FORGED, "1.1", 200)
    access.warning('%s - "%s %s HTTP/%s" %d', *said)
    access.removeHandler(handler)
    line = written.getvalue()
    assert line.startswith('127.0.0.1:1 - "GET /health?aaa')
    assert line.endswith(' HTTP/1.1" 200 OK\n')
    assert line.count("\n") == 1
    assert len(line) < LONGEST + 100


def test_no_line_of_a_traceback_begins_where_a_message_does(log: logging.Logger, written: StringIO) -> None:
    try:
        raise ValueError(FORGED + "y" * 100_000)
    except ValueError:
        log.exception("It failed")
    first, *others = written.getvalue().splitlines()
    assert first == "ERROR It failed"
    assert len(others) >= 3
    assert all(line.startswith("  ") for line in others)
    assert "\x1b" not in written.getvalue()
    assert len(written.getvalue()) < 2 * LONGEST
