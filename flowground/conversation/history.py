"""What a conversation shows when it is opened: its newest messages, then older ones a page at a time."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from flowground.conversation.elsewhere import RunSoFar
from flowground.conversation.spoken import read_answers, read_question
from flowground.runtime import LiveTurn, Runtime
from flowground.store.runs import conversations, feedback, progress
from flowground.store.runs.conversations import AskedQuestion
from flowground.store.runs.feedback import RatingValue
from flowground.store.runs.records import StoredMessage
from flowground.store.runs.versions import ConversationChanged

_MOST = 50
_MOST_CHARS = 500_000
"""Characters of one page of messages after which no older ones are added to it."""
_MOST_HELD = 50
_MOST_HELD_CHARS = 1_000_000
"""How many turns of which nothing is stored one socket holds, and how many characters of them; the newest always."""


class ConversationPlace(NamedTuple):
    """One conversation in the store: a session of one owner with one flow."""

    owner: str
    flow_id: str
    session_id: str


class HistoryPage(NamedTuple):
    """`ratings` are those of stored answers among the messages, by id; `explained` those of which somebody said why."""

    messages: Sequence[StoredMessage]
    has_earlier: bool
    ratings: Mapping[str, RatingValue]
    explained: Sequence[str]


async def read_page(
    runtime: Runtime, place: ConversationPlace, *, before: str | None = None, through: str | None = None
) -> HistoryPage:
    """The newest messages, or those before the one with this id; where `through` is an id, back to that one."""
    found = await runtime.store.read(
        conversations.list_page,
        **place._asdict(),
        before=before,
        through=through,
        most=_MOST,
        most_chars=_MOST_CHARS,
    )
    messages, has_earlier = found
    answers = [message.id for message in messages if message.role == "assistant"]
    rated = await runtime.store.read(feedback.list_values, **place._asdict(), message_ids=answers) if answers else {}
    ratings_by_id = {key: value for key, (value, _) in rated.items()}
    return HistoryPage(
        messages, has_earlier, ratings_by_id, [key for key, (_, is_explained) in rated.items() if is_explained]
    )


async def read_elsewhere(runtime: Runtime, place: ConversationPlace) -> RunSoFar | None:
    """None where no other process writes an answer. One whose process died is ended first."""
    run = await runtime.store.read(progress.find_running, **place._asdict())
    if run is None or run.holder == runtime.running.holder:
        return None
    await runtime.interruptions.end_left_runs()
    run = await runtime.store.read(progress.find_running, **place._asdict())
    if run is None or run.holder == runtime.running.holder:
        return None
    return RunSoFar(run.id, await runtime.store.read(progress.read_texts, run_id=run.id))


class HeldTurns:
    """Turns of which nothing is stored, as long as their page's socket is open."""

    def __init__(self) -> None:
        self._turns: list[tuple[ConversationPlace, LiveTurn]] = []

    def hold(self, place: ConversationPlace, turn: LiveTurn) -> None:
        """A second call for the same turn does nothing."""
        held = self._turns
        if any(other is turn for _, other in held):
            return
        held.append((place, turn))
        while len(held) > _MOST_HELD or (len(held) > 1 and sum(other.size for _, other in held) > _MOST_HELD_CHARS):
            del held[0]

    def add_to(self, page: HistoryPage, place: ConversationPlace) -> HistoryPage:
        """The page with those of this conversation, in their order."""
        found = [message for where, turn in self._turns if where == place for message in _read_messages(turn)]
        if not found:
            return page
        return page._replace(messages=sorted((*page.messages, *found), key=lambda message: message.created_at))

    def find_message(self, place: ConversationPlace, message_id: str) -> StoredMessage | None:
        found = (message for where, turn in self._turns if where == place for message in _read_messages(turn))
        return next((message for message in found if message.id == message_id), None)

    def find_question(self, place: ConversationPlace, message_id: str) -> AskedQuestion | None:
        """What this message asks or answers."""
        for where, turn in self._turns:
            started = turn.started
            if where == place and started and message_id in (started.user_message_id, *started.answer_ids.values()):
                return None if started.input_value is None else AskedQuestion(None, started.input_value, started.files)
        return None


async def find_message(
    runtime: Runtime, held: HeldTurns, place: ConversationPlace, message_id: str
) -> StoredMessage | None:
    """Held or stored; None where it is neither."""
    return held.find_message(place, message_id) or await runtime.store.read(
        conversations.find_message, **place._asdict(), message_id=message_id
    )


async def find_question(runtime: Runtime, held: HeldTurns, place: ConversationPlace, message_id: str) -> AskedQuestion:
    """What this message asks, or answers. Raises ConversationChanged."""
    asked = held.find_question(place, message_id) or await runtime.store.read(
        conversations.find_question, **place._asdict(), message_id=message_id.removesuffix(":none")
    )
    if asked is None:
        raise ConversationChanged
    return asked


def _read_messages(turn: LiveTurn) -> list[StoredMessage]:
    """The answers are there once the turn has its end."""
    if (started := turn.started) is None:
        return []
    question = read_question(started)
    return ([question] if question else []) + (read_answers(turn, started) if turn.is_done else [])
