"""Migrations make exactly the tables that `tables` declares, whole, once, and under a lock."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, inspect

from flowground.core.errors import ConfigError
from flowground.store.connections import Database
from flowground.store.migration_steps import MIGRATIONS
from flowground.store.migrations import ADDITIONS, migrate
from flowground.store.people import identities
from flowground.store.tables import metadata
from tests.store_databases import DATABASES, empty_database


@pytest.fixture
def database(url: str) -> Database:
    return Database.make(url)


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


@pytest.mark.parametrize("kind", DATABASES)
def test_migrations_equal_tables(kind: str, tmp_path: Path) -> None:
    """Only PostgreSQL has tables of knowledge."""
    with empty_database(kind, tmp_path / "a") as migrated, empty_database(kind, tmp_path / "b") as declared:
        migrated_engine, declared_engine = Database.make(migrated).writer, Database.make(declared).writer
        migrate(migrated_engine)
        metadata.create_all(declared_engine)
        assert read_shape(migrated_engine) == read_shape(declared_engine)
        assert set(read_shape(migrated_engine)) == set(metadata.tables)
        parts = ("files", "indexes", "passages", "vectors", "words") if kind == "postgresql" else ()
        assert find_tables(migrated_engine, of_knowledge=True) == [f"knowledge_{part}" for part in parts]


def applied(engine: Engine) -> list[tuple[str, float]]:
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT name, applied_at FROM migrations ORDER BY name")
        return [(name, at) for name, at in rows]


def test_migrating_again_changes_nothing_and_replicas_may_start_at_once(database: Database) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: migrate(database.writer), range(4)))
    before = applied(database.writer)
    migrate(database.writer)
    assert applied(database.writer) == before
    assert [name for name, _ in before] == [migration.__name__ for migration in MIGRATIONS]


def test_a_failing_migration_leaves_nothing_behind(database: Database) -> None:
    def m998_good(connection: Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE half (name TEXT)")

    migrate(database.writer)
    before = applied(database.writer)
    with pytest.raises(Exception, match="already exists"):
        migrate(database.writer, [*MIGRATIONS, m998_good, m998_good])
    assert applied(database.writer) == before
    assert "half" not in inspect(database.writer).get_table_names()
    with pytest.raises(ConfigError, match="newer version of Flowground"):
        migrate(database.writer, MIGRATIONS[:-1])


def test_the_release_before_opens_what_this_one_added_to(database: Database) -> None:
    """It knows the migrations to m010 and looks at nothing else; what a newer one added is left alone here too."""

    def m999_of_a_newer_one(connection: Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE newer (name TEXT)")

    migrate(database.writer, additions=[*ADDITIONS, m999_of_a_newer_one])
    assert {name for name, _ in applied(database.writer)} == {migration.__name__ for migration in MIGRATIONS}
    migrate(database.writer)
    assert "newer" in inspect(database.writer).get_table_names()


def test_ids_of_members_who_were_removed_before_are_remembered(database: Database) -> None:
    """As digests: the audit trail, which names them, may be shortened later."""
    migrate(database.writer, additions=ADDITIONS[:1])
    line = "INSERT INTO audit (at, actor, action, subject) VALUES (1, 'x', '{}', '{}')"
    with database.writer.begin() as connection:
        for action, subject in (("member.removed", "ada"), ("member.removed", "ada"), ("member.added", "bob")):
            connection.exec_driver_sql(line.format(action, subject))
    migrate(database.writer)
    with database.writer.begin() as connection:
        connection.exec_driver_sql("DELETE FROM audit")
        assert len(connection.exec_driver_sql("SELECT digest FROM used_ids").all()) == 1
        found = {name: identities.choose_id(connection, name=name) for name in ("ada", "bob")}
    assert (found["ada"].startswith("ada~"), found["bob"]) == (True, "bob")
