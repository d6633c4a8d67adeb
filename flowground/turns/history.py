"""The conversation that a turn belongs to, as its run reaches it."""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from uuid import uuid4

from flowground.errors import RunError, StoreUnavailable
from flowground.events import TurnStarted
from flowground.store import Store
from flowground.store.runs import conversations, files
from flowground.values import AddedMessage, SaidMessage

_MOST_ADDED, _MOST_ADDED_CHARS = 100, 500_000
"""Messages that one run adds, and their characters together."""


@dataclass(slots=True)
class TurnHistory:
    """`History` of the run of one turn; what the turn asks is not among what was said. `owner` is whose it is.

    `note_call` is told of each message that is added: what cannot be taken back. `added` waits for the turn's end,
    by the ids that the messages will have.
    """

    store: Store
    turn: TurnStarted
    owner: str
    note_call: Callable[[], None]
    added: dict[str, AddedMessage] = field(default_factory=dict)

    async def read(self, limit: int) -> Sequence[SaidMessage]:
        """As `History` says. Which files are there still is asked where a message had some. Raises StoreUnavailable."""
        turn = self.turn
        place = {"flow_id": turn.flow_id, "owner": self.owner, "session_id": turn.session_id}
        try:
            said = await self.store.read(conversations.read_history, **place, before=turn.user_message_id, limit=limit)
            if not (keys := [file.id for message in said for file in message.files]):
                return said
            present = await self.store.read(files.find_present, keys=keys)
        except StoreUnavailable as error:
            raise name_run(error, turn.run_id) from None
        return [_mark_gone(message, present) if message.files else message for message in said]

    def append(self, message: AddedMessage) -> bool:
        """As `History` says."""
        if not self.turn.is_kept:
            return False
        size = len(message.text) + sum(len(one.text) for one in self.added.values())
        if len(self.added) >= _MOST_ADDED or size > _MOST_ADDED_CHARS:
            raise RunError(
                f"A run stores {_MOST_ADDED} messages at most, of {_MOST_ADDED_CHARS:,} characters together.",
                hint="Store fewer, or shorter ones.",
            )
        self.note_call()
        self.added[str(uuid4())] = message
        return True


def _mark_gone(message: SaidMessage, present: set[str]) -> SaidMessage:
    kept = tuple(file for file in message.files if file.id in present)
    return replace(message, files=kept, gone=tuple(file.name for file in message.files if file.id not in present))


def name_run(error: StoreUnavailable, run_id: str) -> StoreUnavailable:
    """The same error, of this run: one may have met many."""
    named = copy(error)
    named.run_id = run_id
    return named
