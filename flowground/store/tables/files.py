"""Files that people and programs gave. Their bytes lie in the data folder, by their digest; here is whose they are."""

from sqlalchemy import BigInteger, Column, Double, Index, Text

from flowground.store.tables.columns import allow, make_table, narrow_index, need

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
