"""Inserting a new object with one prepared statement: on hot paths the unit of work costs more."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeVar

from sqlalchemy import insert, inspect
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import manager_of_class

from app.db import Command
from app.models.base import Base

T = TypeVar("T", bound=Base)


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
    held, values = inspect(row).dict, {}
    for attribute, column, default in columns:
        value = held.get(attribute)
        if value is None:
            if default is not None:
                value = default.arg(None) if default.is_callable else default.arg
            elif column == "version":
                value = 1
            held[attribute] = value
        if value is not None:  # what is left out is NULL
            values[column] = value
    command.later(db, values)


def made(kind: type[T], **values: Any) -> T:
    """A new object with these columns, for `insert_now` or `Session.add`.

    As its constructor makes it, without a history of each value: nobody asks what was there before.

    Raises:
        TypeError: it has no such column.
    """
    unknown = values.keys() - _names(kind)
    if unknown:
        raise TypeError(f"{kind.__name__} has no {', '.join(sorted(unknown))}")
    row: T = manager_of_class(kind).new_instance()
    row.__dict__.update(values)
    return row


@lru_cache(maxsize=64)
def _names(kind: type[Base]) -> frozenset[str]:
    return frozenset(attribute.key for attribute in inspect(kind).column_attrs)
