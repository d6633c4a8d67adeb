"""Runs: their facts, what they were asked and said, and what ends or repeats them."""

from sqlalchemy import BigInteger, Boolean, Column, Double, ForeignKey, Index, Integer, Text, literal_column

from flowground.store.tables.columns import allow, make_table, narrow_index, need

COUNTED, CAME_FROM = "counted_as IS NOT NULL", "came_from IS NOT NULL"

RUNNING = "status = 'running'"
"""Which runs the index `runs_running` has; `IS_RUNNING` asks for them."""

runs = make_table(
    "runs",
    Column("id", Text, primary_key=True),
    *need(Text, "flow_id", "flow_version", "owner", "session_id", "status"),
    *need(Double, "started_at", "seconds"),
    *allow(Integer, "input_tokens", "output_tokens"),
    *allow(Text, "error_code"),
    *need(Boolean, "streamed"),
    # `counted_as` (person, token or visitor) and `came_from` (a digest of a visitor's address) are filled where limits
    # count by them. `cost` is what its models cost, where prices were given.
    *allow(Text, "holder", "token", "counted_as", "came_from"),
    *allow(Double, "cost"),
    Index("runs_counted", "counted_as", "started_at", **narrow_index(COUNTED)),
    Index("runs_from", "came_from", "started_at", **narrow_index(CAME_FROM)),
    Index("runs_recent", "flow_id", "started_at"),
    Index("runs_of_owner", "owner", "flow_id", "started_at"),
    Index("runs_running", "holder", **narrow_index(RUNNING)),
)

IS_RUNNING = runs.c.status == literal_column("'running'")
"""Spelt so that both databases see the condition of the index in it: a bound value, or `… = 1`, hides it."""

run_contents = make_table(
    # What a run was asked beside its message, and what it has said so far: it goes with its conversation, while the
    # run's facts stay. Only runs that have such have a row. `answers` maps ids of messages to their text so far;
    # `receipt` is what a repeated request is answered from (`receipts`).
    "run_contents",
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("session", ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
    *allow(Text, "request", "answers", "receipt"),
    Index("run_contents_in_session", "session"),
)

stop_requests = make_table(
    # Runs that somebody wants ended in whatever process runs them: it looks here. `kind` is "own" or "admin".
    "stop_requests",
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    *need(Text, "kind"),
    *need(Double, "asked_at"),
)

passed_decisions = make_table(
    # What people said of calls that wait in another process, which looks here; `outcome` is what came of it there.
    "passed_decisions",
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("call", Integer, primary_key=True),
    *need(Text, "digest", "decision"),
    *need(Double, "asked_at"),
    *allow(Text, "outcome"),
)

waiting_calls = make_table(
    # Calls of tools that wait for a person, of runs that run, for other processes than theirs; `takes` are the
    # arguments as JSON, "" where nothing of the conversation is kept.
    "waiting_calls",
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("call", Integer, primary_key=True),
    *need(Text, "name", "takes", "digest"),
    *need(Double, "until"),
    *allow(Text, "sends"),
)

idempotency_keys = make_table(
    # By which a client's request is known again, for a day. `id` is a digest of whose it is, the flow and the key;
    # `digest` one of what was asked.
    "idempotency_keys",
    Column("id", Text, primary_key=True),
    *need(Text, "digest", "run_id"),
    *need(Double, "made_at"),
    Index("idempotency_keys_by_time", "made_at"),
)


UNSENT = "message IS NULL"

files = make_table(
    # `message` is what the file was sent with, and goes with; without one it waits to be sent, or is its owner's until
    # they delete it. Without `flow_id` it is for every flow.
    "files",
    Column("id", Text, primary_key=True),
    *need(Text, "owner", "name", "media_type", "sha256"),
    *need(BigInteger, "size"),
    *need(Double, "created_at"),
    *allow(Text, "flow_id", "message"),
    Index("files_of_owner", "owner", "created_at"),
    Index("files_of_flow", "flow_id"),
    Index("files_of_message", "message"),
    Index("files_with_bytes", "sha256"),
    Index("files_unsent", "created_at", **narrow_index(UNSENT)),
)

loose_files = make_table(
    # Bytes that no row may lead to any more, or not yet: from this moment on it is looked whether one does.
    "loose_files",
    Column("sha256", Text, primary_key=True),
    *need(Double, "look_at"),
)
