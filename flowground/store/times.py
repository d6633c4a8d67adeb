"""Times in the tables: seconds since 1970, exact to the microsecond."""

from datetime import UTC, datetime


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def moment_or_none(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def seconds_or_none(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()
