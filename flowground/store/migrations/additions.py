"""The migrations from m011: appended to, never changed. Each only adds what the release before need not know."""

from sqlalchemy import Connection

from flowground.store.migrations.steps import Migration, run_statements


def m011_runs_in_progress(connection: Connection) -> None:
    run_statements(
        connection,
        """
        ALTER TABLE runs ADD COLUMN holder TEXT;
        CREATE INDEX runs_running ON runs (holder) WHERE status = 'running';
        ALTER TABLE messages ADD COLUMN steps TEXT;
        CREATE TABLE run_contents (
            run_id TEXT NOT NULL PRIMARY KEY,
            session TEXT NOT NULL,
            request TEXT,
            answers TEXT,
            FOREIGN KEY (run_id) REFERENCES runs (id) ON DELETE CASCADE,
            FOREIGN KEY (session) REFERENCES sessions (id) ON DELETE CASCADE
        );
        CREATE INDEX run_contents_in_session ON run_contents (session)
        """,
    )


ADDITIONS: tuple[Migration, ...] = (m011_runs_in_progress,)
