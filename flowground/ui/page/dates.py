"""Days and moments as the visitor's own clock shows them."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st


def day(moment: datetime) -> str:
    """ "3 Dec 2026"."""
    return f"{moment.astimezone(_zone()):%-d %b %Y}"


def moment(at: datetime) -> str:
    """ "3 Dec 2026, 14:05"."""
    return f"{at.astimezone(_zone()):%-d %b %Y, %H:%M}"


def today() -> date:
    return datetime.now(_zone()).date()


def local_date(at: datetime) -> date:
    return at.astimezone(_zone()).date()


def end_of(chosen: date) -> datetime:
    """The first moment of the next day, in UTC."""
    return datetime.combine(chosen + timedelta(days=1), time(), _zone()).astimezone(UTC)


def last_day(end: datetime) -> date:
    """The day whose end this is."""
    return local_date(end - timedelta(seconds=1))


def _zone() -> tzinfo:
    try:
        return ZoneInfo(st.context.timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return UTC
