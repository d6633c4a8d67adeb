"""Values as the tables hold them.

Text: PostgreSQL refuses NUL, both databases refuse half a surrogate pair, and JSON has both. Times are seconds since
1970, exact to the microsecond.
"""

from datetime import UTC, datetime


def storable(text: str) -> str:
    """The text with what cannot be stored replaced by U+FFFD."""
    return mend(text.replace("\x00", "\ufffd") if "\x00" in text else text)


def mend(text: str) -> str:
    """The text with the halves of surrogate pairs joined, as a model's server may cut them; one alone is U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def moment_or_none(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def seconds_or_none(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()
