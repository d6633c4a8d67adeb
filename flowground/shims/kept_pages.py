"""Pages whose connection was lost: whose they are, how long they wait, how many, and that their memory is given back.

Streamlit 1.67 keeps the last 128 pages that lost their connection, whoever had them, and frees one only when another
is lost, so the last ones stay for good. And whoever names a page's id gets that page, unless
`server.trustedUserHeaders` (.streamlit/config.toml) names the header by which the edge says whose it is.
tests/test_pages_each.py guards both.
"""

import asyncio

from streamlit.runtime import memory_session_storage
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.session_manager import SessionInfo, SessionStorage

OWNER = "page"
"""Where Streamlit puts the header's value: `KIND-DIGEST`, None for whoever is not signed in."""

_MOST = 128
_MOST_VISITORS = 32
"""Of the kept pages those of visitors, so that strangers cannot push out members'. Each holds three descriptors."""
_Pages = list[SessionInfo]  # inside the class `list` is Streamlit's method

_is_resumable = AppSession.is_resumable


def keep_less() -> None:
    """For every page from now on; a second call changes nothing."""
    memory_session_storage.MemorySessionStorage = KeptPages  # type: ignore[assignment, misc]  # a class in its place
    AppSession.is_resumable = _has_owner  # type: ignore[assignment, method-assign]  # ours, asked before theirs


def _has_owner(session: AppSession) -> bool:
    """Streamlit shuts a page down at once, instead of keeping it, when this is False."""
    return bool(session._user_info.get(OWNER)) and _is_resumable(session)


class KeptPages(SessionStorage):
    """In place of Streamlit's own; used on the server's loop."""

    def __init__(self, maxsize: int = _MOST, ttl_seconds: int = 60) -> None:
        self._most = maxsize
        self._seconds = ttl_seconds
        self._kept: dict[str, tuple[SessionInfo, asyncio.TimerHandle]] = {}

    def get(self, session_id: str) -> SessionInfo | None:
        kept = self._kept.get(session_id)
        return kept[0] if kept else None

    def save(self, session_info: SessionInfo) -> None:
        page = session_info.session.id
        self.delete(page)
        timer = asyncio.get_running_loop().call_later(self._seconds, self._end, page)
        self._kept[page] = (session_info, timer)
        # Whoever is not signed in has no page kept, so guests' are visitors'.
        visitors = [page for page, (info, _) in self._kept.items() if _is_guests(info.session)]
        if len(visitors) > _MOST_VISITORS:
            self._end(visitors[0])
        if len(self._kept) > self._most:
            self._end(next(iter(self._kept)))

    def delete(self, session_id: str) -> None:
        if kept := self._kept.pop(session_id, None):
            kept[1].cancel()

    def list(self) -> _Pages:
        return [info for info, _ in self._kept.values()]

    def _end(self, page: str) -> None:
        if info := self.get(page):
            self.delete(page)
            info.session.shutdown()


def _is_guests(session: AppSession) -> bool:
    """Whether it is the page of a visitor, or of somebody who is not signed in."""
    owner = session._user_info.get(OWNER)
    return owner is None or str(owner).startswith("visitor-")
