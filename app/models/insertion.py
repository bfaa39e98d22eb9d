"""Inserting a new object with one prepared statement: on hot paths the unit of work costs more."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import insert, inspect
from sqlalchemy.orm import Session

from app.db import Command
from app.models.base import Base


@lru_cache(maxsize=64)
def _plan(kind: type[Base]) -> tuple[Command, tuple[tuple[str, str, Any], ...]]:
    """The statement, and for each column: attribute, column, default."""
    mapper = inspect(kind)
    columns = tuple(
        (attribute.key, attribute.columns[0].key, attribute.columns[0].default)
        for attribute in mapper.column_attrs
    )
    return Command(lambda _: insert(mapper.local_table)), columns  # type: ignore[arg-type]


def insert_now(db: Session, row: Base) -> None:
    """Write the row as the unit of work would, defaults and first version included.

    The object is complete afterwards and stays outside the session: changing it later needs a fresh look-up.
    """
    command, columns = _plan(type(row))
    values: dict[str, Any] = {}
    for attribute, column, default in columns:
        value = getattr(row, attribute)
        if value is None and default is not None:
            value = default.arg(None) if default.is_callable else default.arg
            setattr(row, attribute, value)
        if column == "version" and value is None:
            value = 1
            setattr(row, attribute, value)
        if (
            value is not None
        ):  # what is left out is NULL; psycopg parses a statement of over 50 values each time
            values[column] = value
    command.later(db, values)
