"""Rows of many conversations, put into a database as fast as it takes them: what a year of use would have left.

They have the shape that runs leave.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from bench.faults.stored import open_engine
from flowground.store.runs.journals import VERSION

LONG = "long"
"""The session of the longest conversation."""
_YEAR = 365 * 86_400.0
_TURN_SECONDS = 30.0
_AT_ONCE = 10_000
"""Turns that are made at once."""
_QUESTION = "What is the interesting thing here, and why? It is number {number}."
ANSWER = "Here is a short answer of twelve words from the stub model."
_JOURNAL = (
    '[["turn","","","","2026-12-01T12:00:00.000000Z","%s","\\u0000?",{"ChatOutput":"%s"}],'
    '["step","ChatInput","ChatInput",0.000012,"\\u0000?"],["step","Prompt","Prompt",0.00002,'
    '"Answer the user as if you were a GenAI expert, enthusiastic about helping them."],'
    '["step","Model","LanguageModel",0.0031,"\\u0000!ChatOutput",[30,12],"stub:stub-model"],'
    '["step","ChatOutput","ChatOutput",0.000009,"\\u0000!ChatOutput"],["ended",{},[],0.0031,[30,12],[],{}]]'
)
_SESSION = ("id", "flow_id", "owner", "session_id", "title", "created_at", "updated_at", "messages")
_COUNTED = {"sessions": "id", "messages": "position"}
"""The columns that count up by themselves."""
_RUN = (
    *("id", "flow_id", "flow_version", "owner", "session_id", "status", "started_at", "seconds", "streamed"),
    *("input_tokens", "output_tokens"),
)
_MESSAGE = (
    *("position", "id", "session", "role", "text", "state", "created_at", "run_id"),
    *("model", "input_tokens", "output_tokens", "seconds"),
)


@dataclass(frozen=True, slots=True)
class Conversation:
    owner: str
    flow_id: str
    session_id: str
    began: float
    """Seconds since 1970."""
    turns: int


def plan_conversations(flow_id: str, *, member: str, token: str, messages: int, now: float) -> list[Conversation]:
    """Of about so many messages 60 % are two hundred members', 18 % a token's, each run in a session of its own, 8 %
    one member's, 8 % visitors', 2 % other tokens', and 2 % each stand in one conversation of that token and member."""
    chance = random.Random(1)  # the same plan at each call
    turns = messages // 2

    def make(owner: str, share: float, *, of: int) -> Iterator[Conversation]:
        for number in range(round(turns * share / of)):
            yield Conversation(owner, flow_id, f"{owner}-{number}", now - _YEAR * chance.uniform(0.01, 1), of)

    longest = max(1, round(turns * 0.02))
    heavy = (f"member:{member}", f"token:{token}")
    planned = [Conversation(owner, flow_id, LONG, now - longest * _TURN_SECONDS, longest) for owner in heavy]
    planned += make(heavy[0], 0.08, of=20)
    planned += make(heavy[1], 0.18, of=1)
    for number in range(200):
        planned += make(f"member:m{number:03}", 0.6 / 200, of=10)
    for number in range(1_000):
        planned += make(f"visitor:v{number:03}", 0.08 / 1_000, of=40)
    for number in range(50):
        planned += make(f"token:t{number:02}", 0.02 / 50, of=1)
    return planned


def plan_programs(flow_id: str, *, token: str, turns: int, now: float) -> list[Conversation]:
    """Turns of one token, each in a session of its own, spread over a year."""
    chance = random.Random(3)
    return [
        Conversation(f"token:{token}", flow_id, _draw_id(chance, at), at, 1)
        for at in (now - _YEAR * (turns - number) / turns for number in range(turns))
    ]


def fill(database: str, planned: Sequence[Conversation]) -> int:
    """Puts the conversations into tables that are there; how many messages those are.

    The messages of all lie in the order in which they were said, as in a database that grew.
    """
    said = sorted(
        (talk.began + turn * _TURN_SECONDS, n) for n, talk in enumerate(planned) for turn in range(talk.turns)
    )
    chance = random.Random(2)
    runs = [_draw_id(chance, at) for at, _ in said]
    with open_engine(database).begin() as connection:
        first, position = (
            (connection.exec_driver_sql(f"SELECT MAX({key}) FROM {table}").scalar() or 0) + 1
            for table, key in _COUNTED.items()
        )
        _put(connection, "sessions", _SESSION, (_make_session(talk, first + n) for n, talk in enumerate(planned)))
        _put(
            connection,
            "runs",
            _RUN,
            (_make_run(planned[n], run, at) for run, (at, n) in zip(runs, said, strict=True)),
        )
        numbered = enumerate(zip(runs, said, strict=True))
        while part := list(islice(numbered, _AT_ONCE)):
            turns = [
                _make_turn(chance, first + n, position + 2 * turn, run=run, at=at) for turn, (run, (at, n)) in part
            ]
            _put(connection, "messages", _MESSAGE, (row for turn in turns for row in turn))
            journals = ((answer[0], VERSION, _JOURNAL % (asked[1], answer[1])) for asked, answer in turns)
            _put(connection, "journals", ("message", "version", "body"), journals)
        if connection.dialect.name == "postgresql":
            for table, key in _COUNTED.items():
                last = f"(SELECT MAX({key}) FROM {table})"
                connection.exec_driver_sql(f"SELECT setval(pg_get_serial_sequence('{table}', '{key}'), {last})")
    return 2 * len(said)


def _put(connection: Connection, table: str, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
    driver: Any = connection.connection.driver_connection
    cursor = driver.cursor()
    if connection.dialect.name == "sqlite":
        places = ", ".join("?" * len(columns))
        cursor.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})", rows)
        return
    with cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copying:
        for row in rows:
            copying.write_row(row)


def _make_session(talk: Conversation, key: int) -> tuple[Any, ...]:
    title = _QUESTION.format(number=0)
    last = talk.began + (talk.turns - 1) * _TURN_SECONDS
    return (key, talk.flow_id, talk.owner, talk.session_id, title, talk.began, last, 2 * talk.turns)


def _make_run(talk: Conversation, run: str, at: float) -> tuple[Any, ...]:
    return (run, talk.flow_id, "0" * 12, talk.owner, talk.session_id, "complete", at, 0.0031, False, 30, 12)


def _make_turn(
    chance: random.Random, session: int, position: int, *, run: str, at: float
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The rows of a question and its answer."""
    question = _QUESTION.format(number=run[-8:])
    asked = (position, _draw_id(chance, at), session, "user", question, "complete", at, run, *[None] * 4)
    more = ("stub:stub-model", 30, 12, 0.0031)
    answer = (position + 1, _draw_id(chance, at), session, "assistant", ANSWER, "complete", at + 0.0031, run, *more)
    return asked, answer


def _draw_id(chance: random.Random, at: float) -> str:
    """A UUID of version 7 as `make_id` makes them, of the time `at`, in seconds since 1970."""
    free, rest = chance.getrandbits(12), chance.getrandbits(62)
    return str(UUID(int=round(at * 1000) << 80 | 0x7 << 76 | free << 64 | 0b10 << 62 | rest))
