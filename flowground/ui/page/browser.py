"""What a page knows of the visitor's browser: the address it uses, its clock, its name, and the drafts that it keeps.

Drafts are kept in the browser's storage by frontend/src/chat/page.js; here is when they are deleted.
"""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from hashlib import blake2b
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

from flowground.app import runtime
from flowground.core.caller import Owner
from flowground.flows.wiring import WiredFlow
from flowground.ui.page import words

PAGES = runtime.APP_FOLDER / "pages"
"""The folder of pages, for whole paths: Streamlit resolves short ones from its script, which is app.py in AppTest."""
PLAYGROUND = str(PAGES / "playground.py")
API_ACCESS = str(PAGES / "api_access.py")
INSIDE = str(PAGES / "inside.py")
KNOWLEDGE = str(PAGES / "knowledge.py")
USAGE = str(PAGES / "usage.py")
LOOKS = tuple(Path(__file__).with_name(name) for name in ("looks.css", "phone.css"))
# Marks in a browser's user agent; the first mark that is found counts.
_BROWSERS = {"Edg": "Edge", "OPR": "Opera", "Firefox": "Firefox", "FxiOS": "Firefox", "Chrom": "Chrome"}
_BROWSERS |= {"CriOS": "Chrome", "Safari": "Safari"}
_SYSTEMS = {"Android": "Android", "iPhone": "iPhone", "iPad": "iPad", "Windows": "Windows", "CrOS": "ChromeOS"}
_SYSTEMS |= {"Mac OS": "Mac", "Linux": "Linux"}
_CHARS = 40
_THIS_COMPUTER = ("127.0.0.1", "::1", "localhost")

_PREFIX = "flowground:draft:"


def find_base_url() -> str:
    """`public_url` of the settings, else where this visitor's browser found the app; no slash at its end."""
    configured = runtime.get().settings.public_url
    if configured:
        return configured
    seen = urlsplit(st.context.url or "http://127.0.0.1:8501")
    return f"{seen.scheme}://{seen.netloc}"


def write_share_link(wired: WiredFlow) -> str:
    """The shareable playground's full address."""
    return f"{find_base_url()}/public_flow/{wired.id}"


def render_reach(*, is_admin: bool) -> None:
    """Beside a link to hand out: a warning if it works only on this computer. An admin also reads what to change."""
    if urlsplit(find_base_url()).hostname not in _THIS_COMPUTER:
        return
    if is_admin:
        st.warning(
            "**This link works only on this computer.** For others, put a proxy before this server or let it listen "
            "at `0.0.0.0` (docs/operating.md), and write the address at which they reach it into config.yaml, as "
            "`public_url: https://flows.example.com`."
        )
    else:
        st.caption("This link works only on this computer. Ask an administrator to change that.")


def write_day(moment: datetime) -> str:
    """ "3 Dec 2026", by the visitor's clock."""
    return spell_day(moment.astimezone(_find_zone()))


def write_moment(moment: datetime) -> str:
    """ "3 Dec 2026, 14:05", by the visitor's clock."""
    seen = moment.astimezone(_find_zone())
    return f"{spell_day(seen)}, {seen:%H:%M}"


def write_since(moment: datetime) -> str:
    """How long ago a moment was: "just now", "5 min ago", "3 h ago", "yesterday", "4 days ago", then the day."""
    minutes = int((datetime.now(UTC) - moment).total_seconds() // 60)
    if minutes < 60:
        return f"{minutes} min ago" if minutes > 0 else "just now"
    day = moment.astimezone(_find_zone()).date()
    days = (find_today() - day).days
    if days == 0:
        return f"{minutes // 60} h ago"
    return "yesterday" if days == 1 else f"{days} days ago" if days < 7 else spell_day(day)


def find_day(moment: datetime) -> date:
    """The day of the moment, in the visitor's time zone."""
    return moment.astimezone(_find_zone()).date()


def spell_day(day: date) -> str:
    """ "3 Dec 2026"; `%-d` would do it in one, on Linux alone."""
    return f"{day.day} {day:%b %Y}"


def find_today() -> date:
    return datetime.now(_find_zone()).date()


def begin_day() -> datetime:
    """The visitor's last midnight, in UTC."""
    return datetime.combine(find_today(), time(), _find_zone()).astimezone(UTC)


def name_zone() -> str:
    """ "Europe/Berlin", as the visitor's browser says it."""
    return str(_find_zone())


def end_day(chosen: date) -> datetime:
    """The midnight that ends this day of the visitor, in UTC."""
    return datetime.combine(chosen + timedelta(days=1), time(), _find_zone()).astimezone(UTC)


def find_last_day(end: datetime) -> date:
    """The visitor's day that ends at this moment."""
    return (end - timedelta(seconds=1)).astimezone(_find_zone()).date()


def _find_zone() -> tzinfo:
    try:
        return ZoneInfo(st.context.timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def write_name(agent: str | None) -> str:
    """ "Firefox on Linux", from a user agent; the user agent itself if the browser is unknown."""
    if not agent:
        return "A browser"
    browser = next((name for mark, name in _BROWSERS.items() if mark in agent), None)
    system = next((name for mark, name in _SYSTEMS.items() if mark in agent), None)
    if browser is None:
        return words.cut(agent, _CHARS)
    return f"{browser} on {system}" if system else browser


def name_person(owner: Owner) -> str:
    """A digest of the owner, under which the browser keeps their drafts."""
    return blake2b(str(owner).encode(), digest_size=8).hexdigest()


def write_forgetting(keep: Owner | None = None) -> str:
    """One JavaScript expression that deletes all drafts except those of `keep`, and without it where fields stood. It
    never fails."""
    kept = f"{_PREFIX}{name_person(keep)}:" if keep else ""
    is_other = f'name.startsWith("{_PREFIX}")' + (f' && !name.startsWith("{kept}")' if kept else "")
    return (
        "(() => { try { for (const name of Object.keys(localStorage)) "
        f"if ({is_other}) localStorage.removeItem(name); }} catch {{ /* it keeps nothing */ }} "
        f"{'' if keep else 'window.flowground?.forgetFields?.();'} }})()"
    )
