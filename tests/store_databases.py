"""Empty databases for tests: SQLite always, PostgreSQL where TEST_DATABASE_URL names one (each test gets a schema)."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import NullPool, create_engine, make_url

SERVER = os.environ.get("TEST_DATABASE_URL", "")

DATABASES = [
    "sqlite",
    pytest.param("postgresql", marks=pytest.mark.skipif(not SERVER, reason="TEST_DATABASE_URL names no PostgreSQL")),
]


@contextmanager
def empty_database(kind: str, folder: Path) -> Iterator[str]:
    """The URL of a database with nothing in it, as config.yaml would name it."""
    if kind == "sqlite":
        yield f"sqlite:///{folder}/data/test.db"
        return
    schema = f"test_{uuid4().hex}"
    url = make_url(SERVER)
    engine = create_engine(url.set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
    try:
        yield (
            url.set(drivername="postgresql")
            .update_query_dict({"options": f"-csearch_path={schema}"})
            .render_as_string(hide_password=False)
        )
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"DROP SCHEMA {schema} CASCADE")
