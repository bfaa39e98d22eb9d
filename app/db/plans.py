"""Statements compiled once for a database, and their parameters as its driver takes them.

On PostgreSQL every parameter goes as text whose type the statement names, so that one statement is one
prepared statement there, whatever it is given.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from pydantic_core import to_json
from sqlalchemy import JSON, String, Table
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.engine import Dialect

from app.db.types import UtcDateTime

Converter = Callable[[Any], Any]


@dataclass(slots=True, eq=False)
class Plan:
    """A statement in one database's dialect; its parameters go by position, each by its `way`.

    One that `adds` is an INSERT of nothing but its values, which may stand there for several rows. By `place`
    a row comes after those that it refers to, and an UPDATE after each INSERT. One that `looks` neither
    changes nor locks anything.
    """

    sql: str
    fixed: dict[str, Any]
    ways: tuple[tuple[str, Converter | None], ...]
    table: str
    place: int
    adds: bool
    looks: bool
    converters: tuple[tuple[int, Converter], ...] | None = field(default=None)

    @classmethod
    def of(cls, statement: Any, dialect: Dialect, keys: Sequence[str] | None = None) -> Plan:
        """Compile a statement; `keys` are the columns that an INSERT sets."""
        as_text = dialect.name == "postgresql"
        compiled = statement.compile(dialect=_numbered() if as_text else dialect, column_keys=keys)
        make = _way_as_text if as_text else _way
        ways = {
            name: make(bind.type.dialect_impl(dialect), dialect) for bind, name in compiled.bind_names.items()
        }
        return cls(
            compiled.string,
            {name: compiled.params[name] for bind, name in compiled.bind_names.items() if not bind.required},
            tuple((name, ways[name]) for name in compiled.positiontup),
            statement.table.name if statement.is_dml else "",
            _place(statement.table) if statement.is_insert else sys.maxsize,
            statement.is_insert and " ON CONFLICT " not in compiled.string,
            statement.is_select and not _LOCKING.search(compiled.string),
        )

    def values(self, parameters: dict[str, Any]) -> list[Any]:
        """The parameters as the driver takes them."""
        given = {**self.fixed, **parameters} if self.fixed else parameters
        return [given[name] if way is None else way(given[name]) for name, way in self.ways]


#: How a SELECT that locks rows ends.
_LOCKING = re.compile(r"\bFOR (NO KEY )?(UPDATE|SHARE|KEY SHARE)\b")

#: What is not text already, and is not left to the driver.
_TEXT: dict[type, Converter] = {
    bool: lambda value: "t" if value else "f",
    int: str,
    float: repr,
    datetime: datetime.isoformat,
    date: date.isoformat,
}


@lru_cache(maxsize=256)
def _place(table: Table) -> int:
    return table.metadata.sorted_tables.index(table)


@lru_cache(maxsize=1)
def _numbered() -> Dialect:
    """PostgreSQL's dialect with parameters as the server numbers them: nothing is left to the driver."""
    return PGDialect_psycopg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]


def _way(kind: Any, dialect: Dialect) -> Converter | None:
    found: Converter | None = kind.bind_processor(dialect)
    return found


def _way_as_text(kind: Any, dialect: Dialect) -> Converter | None:
    if isinstance(kind, JSON):
        return _json_or_null if kind.none_as_null else _json
    if isinstance(kind, UtcDateTime):
        return _instant
    found = _way(kind, dialect)
    if found is None:
        return None if isinstance(kind, String) else _as_text
    return lambda value: _as_text(found(value))


def _as_text(value: Any) -> Any:
    text = _TEXT.get(type(value))
    return value if text is None else text(value)


def _instant(value: datetime | None) -> str | None:
    """As `UtcDateTime` has it."""
    if value is None:
        return None
    if value.tzinfo is None:
        raise ValueError("an instant needs its time zone")
    return value.isoformat()


def _json(value: Any) -> str:
    return to_json(None if value is JSON.NULL else value).decode()


def _json_or_null(value: Any) -> str | None:
    return None if value is None else _json(value)
