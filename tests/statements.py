"""Counting SQL: what a piece of work sends to the database, without BEGIN and COMMIT."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from app import db
from app.db import drivers

_FRAME = ("BEGIN", "COMMIT", "ROLLBACK")


@contextmanager
def counted() -> Iterator[list[str]]:
    """The statements that are sent meanwhile."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith(_FRAME):
            sent.append(statement)

    engine, fetch, fetch_all, change = db.engine(), drivers.fetch, drivers.fetch_all, drivers.change

    def fetch_noted(connection: Any, sql: str, values: Any) -> Any:
        sent.append(sql)
        return fetch(connection, sql, values)

    def all_noted(connection: Any, sql: str, values: Any) -> Any:
        sent.append(sql)
        return fetch_all(connection, sql, values)

    def change_noted(connection: Any, sql: str, rows: Any) -> int:
        sent.append(sql)
        return change(connection, sql, rows)

    event.listen(engine, "before_cursor_execute", note)
    # Prepared statements go past SQLAlchemy.
    drivers.fetch, drivers.fetch_all, drivers.change = fetch_noted, all_noted, change_noted
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)
        drivers.fetch, drivers.fetch_all, drivers.change = fetch, fetch_all, change
