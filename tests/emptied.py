"""An empty PostgreSQL database for the next test: the last test's, emptied, or a new copy of the template.

Copying takes ten times as long as emptying. Whatever a test changed beside rows (triggers, constraints,
planner statistics) shows in the database's shape, and then it is copied anew.
"""

from __future__ import annotations

import os

import psycopg
from sqlalchemy.engine import URL

#: From this size on a table is truncated, since deleted rows would go on taking part in scans.
BIG_BYTES = 200_000

_SHAPE = """
SELECT md5(string_agg(part, '|' ORDER BY part)) FROM (
  SELECT concat_ws(' ', relname, relkind, relhastriggers, reltuples) AS part FROM pg_class
    WHERE relnamespace = 'public'::regnamespace
  UNION ALL SELECT concat_ws(' ', conname, conrelid, pg_get_constraintdef(oid), convalidated)
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
  UNION ALL SELECT concat_ws(' ', tgname, tgrelid, tgenabled) FROM pg_trigger WHERE NOT tgisinternal
  UNION ALL SELECT concat_ws(' ', proname, md5(prosrc)) FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace
  UNION ALL SELECT concat_ws(' ', attrelid, attname, atttypid, attnotnull) FROM pg_attribute
    JOIN pg_class ON pg_class.oid = attrelid WHERE relnamespace = 'public'::regnamespace AND attnum > 0
) AS parts
"""
_TABLES = """
SELECT relname, pg_relation_size(oid) >= %s FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> 'alembic_version'
"""

#: The shape of this process's database when it was copied.
_made: dict[str, str] = {}
#: The connection that empties it; to open one each time takes as long as the emptying.
_open: dict[str, psycopg.Connection] = {}


def database(server: URL, template: str) -> str:
    """The name of an empty database of this process's own."""
    name = f"till_{os.getpid()}"
    if name not in _made or not _empty(server, name):
        if name in _open:
            _open.pop(name).close()
        with _connect(server) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')  # type: ignore[call-overload]
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')  # type: ignore[call-overload]
        with _connect(server.set(database=name)) as connection:
            _made[name] = _shape(connection)
    return name


def _empty(server: URL, name: str) -> bool:
    """Take every row away; False where more than rows has changed, or this user may not."""
    try:
        if name not in _open:
            _open[name] = _connect(server.set(database=name))
            _open[name].execute("SET session_replication_role = replica")  # no trigger keeps a row
        connection = _open[name]
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        if _shape(connection) != _made[name]:
            return False
        return not _delete(connection) or _shape(connection) == _made[name]
    except psycopg.Error:
        return False


def _delete(connection: psycopg.Connection) -> bool:
    """Take the rows away; whether tables were truncated, which may change what is known of them."""
    tables = connection.execute(_TABLES, (BIG_BYTES,)).fetchall()
    filled = " UNION ALL ".join(
        f"SELECT '{name}' WHERE EXISTS (SELECT 1 FROM \"{name}\")" for name, _ in tables
    )
    big = {name for name, is_big in tables if is_big}
    for (name,) in connection.execute(filled).fetchall():  # type: ignore[call-overload]
        way = "TRUNCATE" if name in big else "DELETE FROM"
        connection.execute(f'{way} "{name}"' + (" CASCADE" if name in big else ""))  # type: ignore[call-overload]
    for (sequence,) in connection.execute(
        "SELECT quote_ident(relname) FROM pg_class"
        " WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace"
    ).fetchall():
        connection.execute(f"ALTER SEQUENCE {sequence} RESTART")
    return bool(big)


def _shape(connection: psycopg.Connection) -> str:
    row = connection.execute(_SHAPE).fetchone()
    assert row is not None
    return str(row[0])


def _connect(address: URL) -> psycopg.Connection:
    text = address.set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(text, autocommit=True)
