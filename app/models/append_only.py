"""Triggers that let rows of a table be added, and neither changed nor deleted, whoever asks the database."""

from __future__ import annotations

from sqlalchemy import Connection


def install(connection: Connection, table: str) -> None:
    """Create the triggers; doing it twice does no harm."""
    name, message = f"{table}_stand", f"rows of {table} are only ever added"
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(
            f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{message}'; END $$"
        )
        connection.exec_driver_sql(
            f"CREATE OR REPLACE TRIGGER {name} BEFORE UPDATE OR DELETE ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION {name}()"
        )
        return
    for event in ("UPDATE", "DELETE"):
        connection.exec_driver_sql(
            f"CREATE TRIGGER IF NOT EXISTS {name}_{event.lower()} BEFORE {event} ON {table} "
            f"FOR EACH ROW BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )


def remove(connection: Connection, table: str) -> None:
    """Drop the triggers."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {table}_stand ON {table}")
        return
    for event in ("update", "delete"):
        connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {table}_stand_{event}")
