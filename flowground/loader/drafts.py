"""Drafts that are tried: flows as they would be, each for one person, in the memory of this process alone."""

import time
from dataclasses import dataclass, field

from flowground.wiring import WiredFlow

_SECONDS = 3_600.0
"""After it was tried, or a run of it began, a draft is gone."""
_MOST = 50
"""Of all people; of more the one that was made first goes. Each has `MOST_BYTES` at most, as a file has."""


@dataclass(slots=True)
class FlowDraft:
    """`content` is what the flow's file would have, `before` the digest of what it had when the change began."""

    wired: WiredFlow
    content: bytes
    before: str
    used: float = field(default_factory=time.monotonic)


class Drafts:
    """By owner and flow."""

    def __init__(self) -> None:
        self._drafts: dict[tuple[str, str], FlowDraft] = {}

    def put(self, owner: str, draft: FlowDraft) -> None:
        self.drop(owner, draft.wired.id)
        self._drafts[owner, draft.wired.id] = draft
        while len(self._drafts) > _MOST:
            del self._drafts[next(iter(self._drafts))]

    def find(self, owner: str, flow_id: str) -> FlowDraft | None:
        draft = self._drafts.get((owner, flow_id))
        return draft if draft and time.monotonic() - draft.used <= _SECONDS else None

    def drop(self, owner: str, flow_id: str) -> None:
        self._drafts.pop((owner, flow_id), None)
