"""Triggers by which the database itself refuses to change or delete rows, on both kinds of database.

They hold against every client of the database, not only against this code.
"""

from __future__ import annotations

from sqlalchemy import Connection, inspect


def facts(connection: Connection, table: str, *, but: tuple[str, ...]) -> str:
    """The columns that the table has now, apart from those that may be set later; for `UPDATE OF …`."""
    columns = [column["name"] for column in inspect(connection).get_columns(table)]
    return ", ".join(f'"{name}"' for name in columns if name not in but)


def refuse(
    connection: Connection, table: str, name: str, event: str, message: str, condition: str = ""
) -> None:
    """Create a trigger that refuses `event` with `message`; doing it twice does no harm."""
    when = f"BEFORE {event} ON {table} FOR EACH ROW {condition}"
    make = _for_postgresql if connection.dialect.name == "postgresql" else _for_sqlite
    for statement in make(table, name, when, message):
        connection.exec_driver_sql(statement)


def allow(connection: Connection, table: str, name: str) -> None:
    """Drop the trigger, where it is there."""
    place = f" ON {table}" if connection.dialect.name == "postgresql" else ""
    connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}{place}")


def _for_postgresql(table: str, name: str, when: str, message: str) -> list[str]:
    return [
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{message}'; END $$",
        f"DROP TRIGGER IF EXISTS {name} ON {table}",
        f"CREATE TRIGGER {name} {when} EXECUTE FUNCTION {name}()",
    ]


def _for_sqlite(_table: str, name: str, when: str, message: str) -> list[str]:
    return [
        f"DROP TRIGGER IF EXISTS {name}",
        f"CREATE TRIGGER {name} {when} BEGIN SELECT RAISE(ABORT, '{message}'); END",
    ]
