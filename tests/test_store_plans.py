"""Nothing that is asked while a process starts, a run goes on or a page opens reads a growing table from end to end."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args
from uuid import uuid4

import pytest
from sqlalchemy import Connection, inspect

from flowground.events import ToolCalled, ToolWaits
from flowground.store import tables
from flowground.store.database.connections import Database
from flowground.store.migrations import migrate
from flowground.store.people import access_requests, groups, member_lists, password_links, removals, sign_ins, tokens
from flowground.store.people.access_requests import SearchedWord
from flowground.store.people.member_lists import MemberFilter
from flowground.store.people.removals import Removal
from flowground.store.people.tokens import TokenFilter
from flowground.store.runs import (
    contents,
    conversations,
    counts,
    erasing,
    exports,
    feedback,
    files,
    idempotency_keys,
    numbers,
    overview,
    passed_decisions,
    progress,
    ratings,
    recent,
    session_lists,
    shared_chats,
    stop_requests,
    transcripts,
    turns,
    usage,
    versions,
    visitors,
    waiting_calls,
    whole_chats,
)
from flowground.store.runs.feedback import FeedbackFilter, FeedbackPlace
from flowground.store.runs.records import RunRecord, StoredMessage
from tests.query_plans import FEW, GROWING, find_scans, list_steps
from tests.run_rows import HERE

NOW = datetime.now(UTC)
RUN = RunRecord("r", "echo", "v", "member:ada", "s", "running", NOW, 0, holder="h")
ASKED = StoredMessage("q", "user", "Hi", "complete", NOW, "r")
SESSION = conversations.make_session_key(**HERE)
LIST = {"flow_id": "echo", "owner": "member:ada"}
PLACE = session_lists.SessionPlace(2e9, SESSION)
PAGE: dict[str, Any] = {**HERE, "most": 50, "most_chars": 500_000}
THERE = HERE | {"session_id": "t"}
RATED: dict[str, Any] = {**THERE, "message_id": "b"}
"""An answer that is rated, and shared."""
EXPLAINED: dict[str, Any] = {"labels": ["wrong"], "reason": "No", "shares_conversation": True}
OWNERS = {"owners": ["member:ada", "person:ada"]}
DECIDED = {"passed": passed_decisions.PassedDecision("r", 1, "digest", "once")}
WAITS = ToolWaits(ToolCalled("Agent", "c", "Sums", "Sums", {}, 0, 1), "{}", "digest", 9.0)
JOBS: dict[str, tuple[Callable[..., object], dict[str, Any]]] = {
    "a run begins": (
        turns.begin_turn,
        {**HERE, "message": replace(ASKED, id="n", run_id="n"), "run": replace(RUN, id="n")},
    ),
    "its files are found": (files.find_file, {"key": "f", "owners": ["member:ada"]}),
    "a file is found by its name": (
        files.find_named,
        {"owners": ["member:ada"], "flow_id": "echo", "name": "a.txt", "second": 9},
    ),
    "a person's files are measured": (files.measure, {"owners": ["member:ada"]}),
    "a person's files are listed": (files.list_page, {"owners": ["member:ada"], "limit": 20}),
    "files that were not sent go": (files.delete_unsent, {"before": 9.0}),
    "files of no conversation go": (files.delete_old, {"before": 9.0}),
    "a person's files go": (files.delete_of_owners, {"owners": ["member:ada"]}),
    "files of messages go": (files.delete_of_messages, {"messages": ["q"]}),
    "it is looked whose bytes are": (files.find_kept, {"digests": ["d"]}),
    "its text is kept": (progress.keep_texts, {"texts": [progress.TextsSoFar("r", **HERE, answers={"a": "So far"})]}),
    "its history is read": (conversations.read_history, {**HERE, "before": "q", "limit": 100}),
    "it ends": (turns.finish_turn, {**HERE, "answers": [replace(ASKED, id="a", role="assistant")], "run": RUN}),
    "it is looked up": (progress.find_run, {"run_id": "r"}),
    "its answers are read": (progress.list_answers, {"run": RUN}),
    "a page looks who answers": (progress.find_running, HERE),
    "a process looks what others run": (progress.list_places_elsewhere, {"holder": "another"}),
    "pages look how far it is": (progress.look_at_runs, {"sizes": {"r": 0, "k": 0}, "most_chars": 9}),
    "a chat is opened": (conversations.list_page, PAGE),
    "its earlier messages are shown": (conversations.list_page, {**PAGE, "before": "q"}),
    "the steps of an answer are shown": (conversations.find_message, {**HERE, "message_id": "q"}),
    "its question is asked again": (conversations.find_question, {**HERE, "message_id": "q"}),
    "its code is shown": (conversations.find_overrides, {**HERE, "message_id": "q"}),
    "a question is asked anew": (
        versions.begin_version,
        {**THERE, "version_of": "before", "message": replace(ASKED, id="v", run_id="v"), "run": replace(RUN, id="v")},
    ),
    "a version is chosen": (versions.choose, {**THERE, "message_id": "first"}),
    "the versions of a question are read": (versions.read_versions, {**THERE, "message_id": "first"}),
    "a chat with versions is opened": (conversations.list_page, {**PAGE, **THERE, "through": "before"}),
    "it is looked whether a chat is stored": (whole_chats.find_head, HERE),
    "a shared chat is looked for": (shared_chats.find, {"key": "k"}),
    "a part of it is read": (shared_chats.read_page, {"key": "k", "offset": 25}),
    "it is read": (shared_chats.read_messages, {"key": "k"}),
    "a chat is shared": (shared_chats.share, {**HERE, "expires_at": None}),
    "links of a chat are listed": (shared_chats.list_of_session, HERE),
    "links of a person are listed": (shared_chats.list_of_owner, {"owner": "member:ada"}),
    "links of a person are searched": (shared_chats.list_of_owner, {"owner": "member:ada", "words": "a b"}),
    "a link is revoked": (shared_chats.revoke, {"owner": "member:ada", "key": "k"}),
    "links that expired are forgotten": (shared_chats.forget_expired, {"before": 2e9}),
    "a part of a chat is exported": (whole_chats.read_part, {**HERE, "after": 1}),
    "how its answers were rated is read": (ratings.list_values, {**HERE, "message_ids": ["q", "b"]}),
    "an answer is rated": (ratings.rate, {**RATED, "value": "good"}),
    "its rating is taken back": (ratings.rate, {**RATED, "value": None}),
    "why is told": (ratings.explain, {**RATED, **EXPLAINED}),
    "why is read": (ratings.find_rating, RATED),
    **{
        f"{what} of a flow are {deed}": (job, {"flow_id": "echo", "only": only} | more)
        for what, only in {
            "all ratings": FeedbackFilter(),
            "bad ratings of a week": FeedbackFilter("bad", since=1.0),
            "explained ratings": FeedbackFilter(is_explained=True),
            "explained good ratings": FeedbackFilter("good", is_explained=True),
        }.items()
        for deed, job, more in (
            ("listed", feedback.list_page, {}),
            ("listed further back", feedback.list_page, {"after": FeedbackPlace(2e9, "b")}),
            ("counted", feedback.count_values, {}),
        )
    },
    "a flow's usage is summed": (usage.sum_usage, {"flow_id": "echo", "since": NOW, "days": 30}),
    "a shared conversation is read": (feedback.read_conversation, {"flow_id": "echo", "message_id": "b"}),
    "a page of chats is listed": (session_lists.list_page, LIST),
    "a further page of chats is listed": (session_lists.list_page, {**LIST, "after": PLACE}),
    "chats are searched": (session_lists.search, {**LIST, "words": "hi there"}),
    "a search goes on": (session_lists.search, {**LIST, "words": "hi", "after": PLACE}),
    "a chat is pinned": (session_lists.pin, {**HERE, "is_pinned": True}),
    "home asks when flows were used": (recent.list_last_used, {"owner": "member:ada"}),
    "home lists pinned chats": (recent.list_pinned, {"owner": "member:ada", "flows": ["echo"], "limit": 4}),
    "home lists recent chats": (recent.list_recent, {"owner": "member:ada", "flows": ["echo"], "limit": 4}),
    "a process starts": (progress.list_holders, {}),
    "the runs of a dead process end": (progress.interrupt_runs, {"holders": ["dead"]}),
    **{
        f"runs of a {by} are counted": (
            counts.sum_runs,
            {"of": counts.RunsOf(by, "echo", 0.0), "unit": "tokens", "holder": "h"},
        )
        for by in get_args(counts.CountedBy)
    },
    "what conversations hold is counted": (counts.sum_bytes, OWNERS),
    "visitors' conversations are looked for": (visitors.find_surplus, {"keep": 9, "before": 1.0, "limit": 9}),
    "numbers are summed up": (numbers.sum_up, {"flow_id": "echo", "since": NOW}),
    "access requests are listed": (access_requests.list_open, {"flows": ["echo", "talk"]}),
    "a member's last request is asked": (access_requests.find_last, {"flow_id": "echo", "member": "ada"}),
    "access requests are searched": (
        access_requests.list_open,
        {"flows": ["echo", "talk"], "words": [SearchedWord("a", ["echo"], ["ada"]), SearchedWord("b")]},
    ),
    "access requests are counted": (access_requests.count_open, {"flows": ["echo", "talk"]}),
    "a member's sign-ins are listed": (sign_ins.find_page, {"member": "ada", "limit": 25}),
    "a member's tokens are listed": (tokens.find_page, {"only": TokenFilter("ada"), "limit": 25}),
    "a member's tokens that lack a right are listed": (
        tokens.find_page,
        {"only": TokenFilter("ada", words="a", flow_id="echo", sets="opened"), "limit": 3},
    ),
    "a member's tokens are counted": (tokens.count_in_force, {"owner": "ada"}),
    "a token is used": (tokens.find_any, {"secret": "fg_" + "x" * 43}),
    "a sign-in is checked": (sign_ins.check, {"sign_in_id": "s"}),
    "whose a used link was is asked": (password_links.was_used_by, {"hashed": "x", "member": "ada"}),
    "the links of a page of members are listed": (password_links.list_links, {"members": ["ada", "bob"]}),
    "the groups of a page of members are listed": (groups.list_names_of, {"members": ["ada", "bob"]}),
    "groups are listed": (groups.find_page, {"words": "a", "limit": 25}),
    "groups of a member are listed": (groups.find_page, {"having": "ada", "limit": 25}),
    "groups without a member are listed": (groups.find_page, {"lacking": "ada", "limit": 25}),
    "some groups are named": (groups.list_by_ids, {"ids": ["g", "h"]}),
    "the first of groups are named": (groups.list_first_members, {"ids": ["g", "h"], "most": 8}),
    "the members of a group are listed": (member_lists.find_group_members, {"group_id": "g", "limit": 25}),
    "they are searched": (member_lists.find_group_members, {"group_id": "g", "words": "a b", "limit": 25}),
    "people for a group are searched": (
        member_lists.find_members,
        {"wanted": MemberFilter("a", not_in="g"), "limit": 5},
    ),
    "people are counted": (numbers.count_people, {"flow_id": "echo", "since": NOW, "besides": "member:ada"}),
    "messages are listed": (transcripts.list_places, OWNERS),
    "a session's messages are listed": (transcripts.list_places, {**OWNERS, "session_id": "s"}),
    "they are read": (transcripts.read_messages, {**OWNERS, "positions": [1, 2]}),
    "sessions are listed": (transcripts.list_session_ids, OWNERS),
    "all conversations are listed to be exported": (exports.list_keys, {**OWNERS, "until": 2e9}),
    "a part of them is exported": (exports.read_part, {"keys": [(1.0, SESSION)], "after": exports.ExportPlace()}),
    "a conversation is deleted": (erasing.erase_conversation, HERE),
    "a session is deleted in every flow": (erasing.erase_conversations, {**OWNERS, "session_id": "s"}),
    "old keys are forgotten": (idempotency_keys.forget, {"before": 2e9}),
    "a repeat looks for the first": (idempotency_keys.find_first_request, {"key_id": "k"}),
    "a repeat reads the first": (idempotency_keys.find_kept_run, {"run_id": "r"}),
    "admins look what runs": (overview.list_running, {"most": 50}),
    "a run is named by the beginning of its id": (overview.find_ids, {"begin": "r"}),
    "a run is to be stopped": (stop_requests.ask_stop, {"run_id": "r", "kind": "own", "by": "member:ada"}),
    "a decision is passed on": (passed_decisions.pass_on, DECIDED),
    "it is read what came of it": (passed_decisions.read_outcome, DECIDED),
    "what came of decisions is noted": (passed_decisions.note_outcomes, {"outcomes": {DECIDED["passed"]: "taken"}}),
    "a decision was taken": (passed_decisions.drop, DECIDED),
    "calls wait": (waiting_calls.note_waiting, {"waiting": {"r": [WAITS]}}),
    "it is asked elsewhere which": (waiting_calls.list_waiting, {"run_id": "r"}),
    "all runs of a person are to be stopped": (stop_requests.ask_stops, OWNERS),
    "it is looked whether something came after a removal": (
        removals.find_late,
        {"removal": Removal("removed:x", ("digest",), ("digest",), 1.0, 2e9)},
    ),
    "a process looks what it is told": (stop_requests.read_orders, {"holder": "h"}),
    "ends that could not be stored are set": (progress.end_lost_runs, {"holder": "h", "before": 2e9, "known": ["k"]}),
    "old conversations are looked for": (erasing.find_unused, {"after": "", "before": 2e9}),
    "an old conversation is deleted": (erasing.erase_unused, {"session": SESSION, "before": 2e9}),
    "contents of runs are forgotten": (contents.forget_contents, {"before": 2e9}),
    "everything is deleted": (erasing.erase_conversations, {**OWNERS, "until": 1.0}),
}
SMALL = {"runs_running", "sessions_of_visitors"}
"""Indexes with an entry of running runs, and of visitors' conversations, of which few are kept."""


@pytest.fixture
def connection(url: str) -> Iterator[Connection]:
    engine = Database.make(url).writer
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
        assert ratings.rate(opened, **RATED, value="bad")
        assert ratings.explain(opened, **RATED, **EXPLAINED)
        yield opened


@pytest.mark.parametrize("name", JOBS)
def test_no_job_reads_all_there_is(name: str, connection: Connection) -> None:
    job, arguments = JOBS[name]
    assert find_scans(connection, job, **arguments) - SMALL == set()


def test_what_reads_all_is_noticed(connection: Connection) -> None:
    def count(connection: Connection) -> None:
        connection.exec_driver_sql("SELECT count(*) FROM messages AS m WHERE role = 'user'").all()

    assert find_scans(connection, count) & {"messages", "m"}


def test_of_each_table_it_is_said_whether_it_grows() -> None:
    """So that jobs on a new table are looked at."""
    assert sorted((*GROWING, *FEW)) == sorted(tables.metadata.tables)


@pytest.mark.parametrize("table", GROWING)
def test_what_a_deleted_row_takes_along_is_found_by_an_index(table: str, connection: Connection) -> None:
    """A foreign key without an index costs the deletion of one row a look at all rows that might refer to it."""
    looked = inspect(connection)
    for other in looked.get_table_names():
        begins = [tuple(index["column_names"]) for index in looked.get_indexes(other)]
        begins.append(tuple(looked.get_pk_constraint(other)["constrained_columns"]))
        for key in looked.get_foreign_keys(other):
            if key["referred_table"] == table:
                wanted = tuple(key["constrained_columns"])
                assert any(columns[: len(wanted)] == wanted for columns in begins), (other, wanted)


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)  # PostgreSQL chooses by what it counted
@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("they are read", "SEARCH messages USING INTEGER PRIMARY KEY (rowid=?)"),
        ("a page looks who answers", "SEARCH runs USING INDEX runs_running (holder>?)"),
        ("an old conversation is deleted", "SEARCH runs USING INDEX runs_running (holder>?)"),
        ("old conversations are looked for", "SEARCH runs USING INDEX runs_running (holder>?)"),
        ("a run is to be stopped", "SCAN runs USING INDEX runs_running"),
        ("admins look what runs", "SCAN runs USING INDEX runs_running"),
        ("access requests are listed", "SEARCH access_requests USING INDEX access_requests_by_state (state=?)"),
        ("access requests are counted", "SEARCH access_requests USING INDEX access_requests_by_state (state=?)"),
        ("a member's sign-ins are listed", "SEARCH sign_ins USING INDEX sign_ins_of_member (member=?)"),
        ("a member's tokens are listed", "SEARCH tokens USING INDEX tokens_of_owner (owner=?)"),
    ],
)
def test_few_rows_are_found_by_what_makes_them_few(name: str, step: str, connection: Connection) -> None:
    """SQLite, which counts no rows, took the owner's hundred thousand sessions first, and the flow's million runs."""
    job, arguments = JOBS[name]
    steps = list_steps(connection, job, **arguments)
    assert step in steps, steps


def test_a_session_is_found_without_reading_its_owners_others(tmp_path: Path) -> None:
    engine = Database.make(f"sqlite:///{tmp_path}/test.db").writer
    migrate(engine)
    with engine.connect() as opened, opened.begin():

        def add_sessions(count: int) -> None:
            for flow in ("echo", "talk"):
                for _ in range(count):
                    here: dict[str, Any] = {"flow_id": flow, "owner": "token:t", "session_id": str(uuid4())}
                    turns.begin_turn(opened, **here, message=replace(ASKED, id=str(uuid4())), run=None)

        def count_steps() -> int:
            steps: list[None] = []
            driver: Any = opened.connection.driver_connection
            driver.set_progress_handler(lambda: steps.append(None), 1)
            found = conversations.find_session_keys(opened, owners=["token:t", "token:u"], session_id="s")
            driver.set_progress_handler(None, 1)
            assert found == [conversations.make_session_key(flow, "token:t", "s") for flow in ("echo", "talk")]
            return len(steps)

        add_sessions(1)
        few = count_steps()
        add_sessions(200)
        assert 0 < count_steps() <= few
