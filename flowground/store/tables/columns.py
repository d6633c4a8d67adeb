"""What tables are made of.

Times are seconds since 1970 (UTC) in double precision: exact to the microsecond, one type on both databases.
"""

from typing import Any

from sqlalchemy import BigInteger, Column, Integer, MetaData, Table, text
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeEngine

metadata = MetaData()

Counting = BigInteger().with_variant(Integer, "sqlite")
"""A key that counts up by itself: it is also the order in which rows were written."""


def narrow_index(condition: str) -> dict[str, Any]:
    """To those rows."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


def make_table(name: str, *parts: SchemaItem) -> Table:
    return Table(name, metadata, *parts)


def need(kind: type[TypeEngine[Any]], *names: str) -> list[Column[Any]]:
    """Columns that every row fills."""
    return [Column(name, kind, nullable=False) for name in names]


def allow(kind: type[TypeEngine[Any]], *names: str) -> list[Column[Any]]:
    """Columns that a row may leave empty."""
    return [Column(name, kind) for name in names]
