"""Values as the tables hold them.

Text: PostgreSQL refuses NUL, both databases refuse half a surrogate pair, and JSON has both. Times are seconds since
1970, exact to the microsecond.
"""

from datetime import UTC, datetime

from flowground.messages import mend


def storable(text: str) -> str:
    """The text with what cannot be stored replaced by U+FFFD."""
    return mend(text.replace("\x00", "\ufffd") if "\x00" in text else text)


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def moment_or_none(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def seconds_or_none(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()
