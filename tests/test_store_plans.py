"""Nothing that is asked while a process starts, a run goes on or a page opens reads a growing table from end to end."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from sqlalchemy import Connection, inspect

from flowground.store import tables
from flowground.store.connections import Database
from flowground.store.people import access_requests, groups, members, sign_ins, tokens
from flowground.store.people.access_requests import SearchedWord
from flowground.store.people.members import MemberFilter
from flowground.store.people.tokens import TokenFilter
from flowground.store.runs import (
    chunks,
    conversations,
    counters,
    erasing,
    feedback,
    files,
    idempotency,
    progress,
    requests,
    session_lists,
    shared_chats,
    transcripts,
    turns,
    usage,
    versions,
)
from flowground.store.runs.feedback import FeedbackFilter
from flowground.store.runs.records import RunRecord, StoredMessage
from flowground.store.schema import migrate
from flowground.store.sql import ListPlace
from tests.query_plans import FEW, GROWING, find_scans, list_steps
from tests.run_rows import HERE

NOW = datetime.now(UTC)
RUN = RunRecord("r", "echo", "v", "member:ada", "s", "running", NOW, 0, holder="h")
ASKED = StoredMessage("q", "user", "Hi", "complete", NOW, "r")
ANEW = {"message": replace(ASKED, id="v", run_id="v"), "run": replace(RUN, id="v")}
SESSION = 1
LIST = {"flow_id": "echo", "owner": "member:ada"}
ADA = {"owner": "member:ada"}
PLACE = ListPlace(2e9, SESSION)
PAGE: dict[str, Any] = {**HERE, "most": 50, "most_chars": 500_000}
THERE = HERE | {"session_id": "t"}
RATED: dict[str, Any] = {**THERE, "message_id": "b"}
"""An answer that is rated, and shared."""
EXPLAINED: dict[str, Any] = {"labels": ["wrong"], "reason": "No", "shares_conversation": True}
OWNERS = {"owners": ["member:ada", "person:ada"]}
FLOWS = ["echo", "talk"]
DECISION = requests.PassedDecision("r", 1, "digest", "once")
RATINGS = (
    *(FeedbackFilter(), FeedbackFilter("bad", since=1.0)),
    *(FeedbackFilter(is_explained=True), FeedbackFilter("good", is_explained=True)),
)
COUNTED = [
    *(counters.Counter(by, "echo", "day") for by in get_args(counters.CountedBy)),
    *(counters.Counter(by, "echo", "running") for by in ("person", "visitor", "address", "flow")),
]
Job = tuple[Callable[..., object], dict[str, Any]]


def one(job: Callable[..., object], **arguments: Any) -> Job:
    return job, arguments


def each(arguments: dict[str, Any], *jobs: Callable[..., object]) -> list[Job]:
    return [(job, arguments) for job in jobs]


JOBS = [
    # A run begins, goes on and ends
    one(turns.begin_turn, **HERE, message=replace(ASKED, id="n", run_id="n"), run=replace(RUN, id="n")),
    one(chunks.keep, chunks=[chunks.Chunk("r", 1, 3, "[]")]),
    one(turns.finish_turn, **HERE, answers=[replace(ASKED, id="a", role="assistant")], run=RUN, journal=("a", "[]")),
    *(one(progress.find_run, run_id="r"), one(progress.list_answers, run=RUN), one(progress.list_holders)),
    *(one(progress.list_places_elsewhere, holder="another"), one(progress.interrupt_runs, holders=["dead"])),
    *(one(chunks.poll, after={"r": 0, "k": 0}, most_chars=9), one(chunks.read, run_id="r")),
    *(
        one(erasing.delete_expired, kind="idempotency_keys", before=2e9),
        one(idempotency.find_first_request, key_id="k"),
    ),
    *(one(idempotency.find_kept_run, run_id="r"), one(usage.list_running, most=50)),
    *(one(usage.find_ids, begin="r"), one(requests.ask_stop, run_id="r", kind="own", by="member:ada")),
    *(one(requests.ask_stops, **OWNERS), one(requests.read_orders, holder="h")),
    *each({"passed": DECISION}, requests.pass_on, requests.read_outcome),
    one(requests.note_outcomes, outcomes={DECISION: "taken"}),
    one(requests.follow, runs=["r"]),
    one(counters.read, counters=COUNTED, now=9.0),
    one(counters.add, run=counters.CountedRun(COUNTED, 9.0, counters.Used(runs=1))),
    # Files
    one(files.find_named, owners=["member:ada"], flow_id="echo", name="a.txt", second=9),
    *(one(files.find_file, key="f", owners=["member:ada"]), one(files.list_page, owners=["member:ada"], limit=20)),
    *each({"owners": ["member:ada"]}, files.measure, files.delete_of_owners),
    *each({"before": 9.0}, files.delete_unsent, files.delete_old),
    *(one(files.delete_of_messages, messages=["q"]), one(files.find_kept, digests=["d"])),
    # A chat
    *each(HERE, progress.find_running, transcripts.find_head, shared_chats.list_of_session, erasing.erase_conversation),
    *each({**HERE, "message_id": "q"}, conversations.find_message, conversations.find_question),
    *(one(conversations.find_overrides, **HERE, message_id="q"), one(transcripts.read_part, **HERE, after=1)),
    *(one(conversations.list_page, **PAGE), one(conversations.list_page, **PAGE, before="q")),
    one(conversations.list_page, **PAGE | THERE, through="before"),
    one(conversations.read_history, **HERE, before="q", limit=100),
    one(versions.begin_version, **THERE, **ANEW, version_of="before"),
    *each({**THERE, "message_id": "first"}, versions.choose, versions.read_versions),
    *(one(shared_chats.share, **HERE, expires_at=None), one(shared_chats.read_page, key="k", offset=25)),
    *each({"key": "k"}, shared_chats.find, shared_chats.read_page),
    *(one(shared_chats.list_of_owner, **ADA), one(shared_chats.list_of_owner, **ADA, words="a b")),
    *(one(shared_chats.revoke, **ADA, key="k"), one(shared_chats.forget_expired, before=2e9)),
    # Ratings, usage
    *(one(feedback.list_values, **HERE, message_ids=["q", "b"]), one(feedback.find_rating, **RATED)),
    *(one(feedback.rate, **RATED, value=value) for value in ("good", None)),
    one(feedback.explain, **RATED, **EXPLAINED),
    *(one(job, flow_id="echo", only=only) for only in RATINGS for job in (feedback.list_page, feedback.count_values)),
    *(one(feedback.list_page, flow_id="echo", only=only, after=ListPlace(2e9, "b")) for only in RATINGS),
    one(feedback.read_conversation, flow_id="echo", message_id="b"),
    *(one(usage.sum_usage, flow_id="echo", since=NOW, days=30), one(usage.sum_up, flow_id="echo", since=NOW)),
    one(usage.count_people, flow_id="echo", since=NOW, besides="member:ada"),
    # Lists of chats
    *(one(session_lists.list_page, **LIST), one(session_lists.list_page, **LIST, after=PLACE)),
    one(session_lists.search, **LIST, words="hi there"),
    one(session_lists.search, **LIST, words="hi", after=PLACE),
    *(one(session_lists.pin, **HERE, is_pinned=True), one(session_lists.list_last_used, **ADA)),
    *each({**ADA, "flows": ["echo"], "limit": 4}, session_lists.list_pinned, session_lists.list_recent),
    *(one(session_lists.list_runs, **OWNERS, flows=flows, after="r", limit=9) for flows in (FLOWS, None)),
    # All that somebody said, and what is forgotten
    *each(OWNERS, usage.sum_bytes, transcripts.list_places, transcripts.list_session_ids),
    *each({**OWNERS, "session_id": "s"}, transcripts.list_places, erasing.erase_conversations),
    one(conversations.find_key, **HERE),
    *(one(transcripts.read_messages, **OWNERS, positions=[1, 2]), one(transcripts.list_keys, **OWNERS, until=2e9)),
    one(transcripts.read_exported, key=SESSION),
    *(one(erasing.erase_conversations, **OWNERS, until=1.0), one(erasing.forget_contents, before=2e9)),
    *(one(erasing.find_unused, after=0, before=2e9), one(erasing.erase_unused, session=SESSION, until=2e9)),
    one(erasing.find_surplus, keep=9, before=1.0, limit=9),
    # People
    one(access_requests.find_page, flows=FLOWS, limit=25),
    one(access_requests.find_page, flows=FLOWS, limit=25, words=[SearchedWord("a", ["echo"]), SearchedWord("b")]),
    one(access_requests.find_last, flow_id="echo", member="ada"),
    *(one(sign_ins.find_page, member="ada", limit=25), one(sign_ins.check, sign_in_id="s")),
    *(one(tokens.find_page, only=TokenFilter("ada"), limit=25), one(tokens.find_any, secret="fg_" + "x" * 43)),
    one(tokens.find_page, only=TokenFilter("ada", words="a", flow_id="echo", sets="opened"), limit=3),
    *(one(tokens.count_in_force, owner="ada"), one(sign_ins.was_link_of, hashed="x", member="ada")),
    *each({"members": ["ada", "bob"]}, sign_ins.list_links, groups.list_names_of),
    *(one(groups.find_page, **{key: "a"}, limit=25) for key in ("words", "having", "lacking")),
    *(one(groups.list_by_ids, ids=["g", "h"]), one(groups.list_first_members, ids=["g", "h"], most=8)),
    *(one(members.find_group_members, group_id="g", words=words, limit=25) for words in ("", "a b")),
    one(members.find_page, wanted=MemberFilter("a", not_in="g"), limit=5),
]
SMALL = {"runs_running", "sessions_of_visitors"}
"""Indexes with an entry of running runs, and of visitors' conversations, of which few are kept."""


@pytest.fixture
def connection(url: str) -> Iterator[Connection]:
    engine = Database.open(url).writer
    migrate(engine)
    with engine.connect() as opened, opened.begin():
        # So that jobs find something to go on with: a run that runs, and one that has its end, a while ago.
        turns.begin_turn(opened, **HERE, message=ASKED, run=RUN, request="{}")
        first = replace(RUN, id="first", session_id="t", status="complete")
        turns.begin_turn(opened, **THERE, message=replace(ASKED, id="first", run_id="first"), run=first)
        message = replace(ASKED, id="before", run_id="before")
        begun = replace(RUN, id="before", session_id="t")
        versions.begin_version(opened, **THERE, version_of="first", message=message, run=begun)
        ended = replace(begun, status="complete")
        turns.finish_turn(opened, **THERE, answers=[replace(message, id="b", role="assistant")], run=ended)
        assert feedback.rate(opened, **RATED, value="bad")
        assert feedback.explain(opened, **RATED, **EXPLAINED)
        yield opened


def test_no_job_reads_all_there_is(connection: Connection) -> None:
    reads_all = "SELECT count(*) FROM messages AS m WHERE role = 'user'"
    assert find_scans(connection, lambda to: to.exec_driver_sql(reads_all).all()) & {"messages", "m"}
    found = []
    for job, arguments in JOBS:
        before = connection.begin_nested()
        scans = find_scans(connection, job, **arguments) - SMALL
        before.rollback()
        if scans:
            found.append((job, arguments, scans))
    assert found == []


def test_of_each_table_it_is_said_whether_it_grows() -> None:
    """So that jobs on a new table are looked at."""
    assert sorted((*GROWING, *FEW)) == sorted(tables.metadata.tables)


def test_what_a_deleted_row_takes_along_is_found_by_an_index(connection: Connection) -> None:
    """A foreign key without an index costs the deletion of one row a look at all rows that might refer to it."""
    looked = inspect(connection)
    for other in looked.get_table_names():
        begins = [tuple(index["column_names"]) for index in looked.get_indexes(other)]
        begins.append(tuple(looked.get_pk_constraint(other)["constrained_columns"]))
        for key in looked.get_foreign_keys(other):
            if key["referred_table"] in GROWING:
                wanted = tuple(key["constrained_columns"])
                assert any(columns[: len(wanted)] == wanted for columns in begins), (other, wanted)


OF_RUNNING = "SEARCH runs USING INDEX runs_running (holder>?)"
OF_REQUESTS = "SEARCH access_requests USING INDEX access_requests_by_state (state=?)"
FEW_ROWS: dict[Callable[..., object], str] = {
    transcripts.read_messages: "SEARCH messages USING INTEGER PRIMARY KEY (rowid=?)",
    **dict.fromkeys((progress.find_running, erasing.erase_unused, erasing.find_unused), OF_RUNNING),
    **dict.fromkeys((requests.ask_stop, usage.list_running, counters.read), "SCAN runs USING INDEX runs_running"),
    access_requests.find_page: OF_REQUESTS,
    sign_ins.find_page: "SEARCH sign_ins USING INDEX sign_ins_of_member (member=?)",
    tokens.find_page: "SEARCH tokens USING INDEX tokens_of_owner (owner=?)",
}


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)  # PostgreSQL chooses by what it counted
def test_few_rows_are_found_by_what_makes_them_few(connection: Connection) -> None:
    """SQLite, which counts no rows, took the owner's hundred thousand sessions first, and the flow's million runs."""
    for wanted, step in FEW_ROWS.items():
        job, arguments = next(one for one in JOBS if one[0] is wanted)
        before = connection.begin_nested()
        steps = list_steps(connection, job, **arguments)
        before.rollback()
        assert step in steps, (job, steps)
