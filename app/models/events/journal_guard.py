"""Triggers that keep the journal append-only in the database itself (security.md, Audit).

An unsealed row may only be given its place in the chain; a sealed row cannot be changed; no row can be
deleted. They hold against every client of the database, not only against this code.
"""

from __future__ import annotations

from sqlalchemy import Connection, inspect

TABLE = "journal"
#: What sealing may set; any other column is as it was written.
_SEAL = ("sequence", "hash")

_RULES = (
    ("journal_facts_stand", "UPDATE OF {facts}", "", "a journal entry cannot be changed"),
    (
        "journal_seal_stands",
        "UPDATE",
        "WHEN (OLD.sequence IS NOT NULL)",
        "a sealed journal entry cannot be changed",
    ),
    ("journal_stays", "DELETE", "", "a journal entry cannot be deleted"),
)


def install(connection: Connection) -> None:
    """Create the triggers, over the columns that the table has now; doing it twice does no harm."""
    columns = [column["name"] for column in inspect(connection).get_columns(TABLE)]
    facts = ", ".join(f'"{name}"' for name in columns if name not in _SEAL)
    make = _for_postgresql if connection.dialect.name == "postgresql" else _for_sqlite
    for name, event, condition, message in _RULES:
        when = f"BEFORE {event.format(facts=facts)} ON {TABLE} FOR EACH ROW {condition}"
        for statement in make(name, when, message):
            connection.exec_driver_sql(statement)


def remove(connection: Connection) -> None:
    """Drop the triggers (a migration that has to change the table does so, and installs them again)."""
    place = f" ON {TABLE}" if connection.dialect.name == "postgresql" else ""
    for name, *_ in _RULES:
        connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}{place}")


def _for_postgresql(name: str, when: str, message: str) -> list[str]:
    return [
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{message}'; END $$",
        f"DROP TRIGGER IF EXISTS {name} ON {TABLE}",
        f"CREATE TRIGGER {name} {when} EXECUTE FUNCTION {name}()",
    ]


def _for_sqlite(name: str, when: str, message: str) -> list[str]:
    return [
        f"DROP TRIGGER IF EXISTS {name}",
        f"CREATE TRIGGER {name} {when} BEGIN SELECT RAISE(ABORT, '{message}'); END",
    ]
