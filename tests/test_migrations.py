"""A database is made and added to whole, once, and under a lock; test_conversion.py has those of earlier releases."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, inspect

from flowground.core.errors import ConfigError
from flowground.store.connections import Database
from flowground.store.people import identities
from flowground.store.schema import migrate
from flowground.store.tables import metadata


@pytest.fixture
def database(url: str) -> Database:
    return Database.open(url)


def find_tables(engine: Engine, *, of_knowledge: bool = False) -> list[str]:
    names = sorted(inspect(engine).get_table_names())
    ours = [name for name in names if name not in ("migrations", "additions")]
    return [name for name in ours if name.startswith("knowledge_") == of_knowledge]


def read_shape(engine: Engine) -> dict[str, Any]:
    """Everything the database says of the store's tables, in an order of ours."""
    found = inspect(engine)

    def read(items: Any, *keys: str) -> list[Any]:
        return sorted([str(item[key]) for key in keys] for item in items)

    return {
        table: (
            read(found.get_columns(table), "name", "type", "nullable"),
            found.get_pk_constraint(table)["constrained_columns"],
            read(found.get_unique_constraints(table), "name", "column_names"),
            read(found.get_indexes(table), "name", "column_names", "unique"),
            read(
                found.get_foreign_keys(table),
                *("constrained_columns", "referred_table", "referred_columns", "options"),
            ),
        )
        for table in find_tables(engine)
    }


def read_names(engine: Engine, table: str = "migrations") -> set[str]:
    with engine.connect() as connection:
        return {name for (name,) in connection.exec_driver_sql(f"SELECT name FROM {table}")}


def m998_half(connection: Connection) -> None:
    connection.exec_driver_sql("CREATE TABLE half (name TEXT)")


def test_migrating_again_changes_nothing_and_replicas_may_start_at_once(database: Database) -> None:
    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(lambda _: migrate(database.writer), range(4))) == [False] * 3 + [True]
    assert not migrate(database.writer)
    assert set(read_shape(database.writer)) == set(metadata.tables)


def test_a_failing_addition_leaves_nothing_behind(database: Database) -> None:
    migrate(database.writer)
    before = read_names(database.writer, "additions")
    with pytest.raises(Exception, match="already exists"):
        migrate(database.writer, [m998_half, m998_half])
    assert read_names(database.writer, "additions") == before
    assert "half" not in inspect(database.writer).get_table_names()


def test_what_a_newer_release_added_is_left_alone_and_its_baseline_refused(database: Database) -> None:
    migrate(database.writer)
    migrate(database.writer, [m998_half])
    migrate(database.writer)
    assert "half" in inspect(database.writer).get_table_names()
    with database.writer.begin() as connection:
        connection.exec_driver_sql("INSERT INTO migrations VALUES ('another baseline', 1)")
    with pytest.raises(ConfigError, match="newer version of Flowground"):
        migrate(database.writer)


TAKEN_BACK = ("DROP INDEX runs_exclusive", "ALTER TABLE runs DROP COLUMN exclusive")
"""What undoes all additions, the last one first."""


def test_additions_lead_to_the_tables_of_a_new_database(database: Database) -> None:
    migrate(database.writer)
    new = read_shape(database.writer)
    with database.writer.begin() as connection:
        for statement in (*TAKEN_BACK, "DELETE FROM additions"):
            connection.exec_driver_sql(statement)
    assert read_shape(database.writer) != new
    migrate(database.writer)
    assert read_shape(database.writer) == new


def test_a_new_database_needs_no_addition(database: Database) -> None:
    migrate(database.writer, [m998_half])
    assert read_names(database.writer, "additions") == {"m998_half"}
    assert "half" not in inspect(database.writer).get_table_names()


def test_a_removed_member_s_id_is_given_to_nobody(database: Database) -> None:
    migrate(database.writer)
    with database.writer.begin() as connection:
        identities.end(connection, member="ada")
        found = {name: identities.choose_id(connection, name=name) for name in ("ada", "bob")}
    assert (found["ada"].startswith("ada~"), found["bob"]) == (True, "bob")
