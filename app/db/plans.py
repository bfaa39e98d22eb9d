"""Statements compiled once for a database, and their parameters as its driver takes them.

On PostgreSQL every parameter goes as text whose type the statement names, so that one statement is one
prepared statement there, whatever it is given.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import JSON, Table
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.engine import Dialect

Converter = Callable[[Any], Any]


@dataclass(slots=True, eq=False)
class Plan:
    """A statement in one database's dialect; its parameters go by position, in this `order`.

    One that `adds` is an INSERT of nothing but its values, which may stand there for several rows. By `place`
    a row comes after those that it refers to, and an UPDATE after each INSERT. One that `looks` neither
    changes nor locks anything.
    """

    sql: str
    fixed: dict[str, Any]
    binders: tuple[tuple[str, Converter], ...]
    order: tuple[str, ...]
    table: str
    place: int
    adds: bool
    looks: bool
    as_text: bool
    converters: tuple[tuple[int, Converter], ...] | None = field(default=None)

    @classmethod
    def of(cls, statement: Any, dialect: Dialect, keys: Sequence[str] | None = None) -> Plan:
        """Compile a statement; `keys` are the columns that an INSERT sets."""
        as_text = dialect.name == "postgresql"
        compiled = statement.compile(dialect=_numbered() if as_text else dialect, column_keys=keys)
        binders = [
            (name, _binder(bind.type.dialect_impl(dialect), dialect, as_text))
            for bind, name in compiled.bind_names.items()
        ]
        return cls(
            compiled.string,
            {name: compiled.params[name] for bind, name in compiled.bind_names.items() if not bind.required},
            tuple((name, binder) for name, binder in binders if binder is not None),
            tuple(compiled.positiontup),
            statement.table.name if statement.is_dml else "",
            _place(statement.table) if statement.is_insert else sys.maxsize,
            statement.is_insert and " ON CONFLICT " not in compiled.string,
            statement.is_select and not _LOCKING.search(compiled.string),
            as_text,
        )

    def values(self, parameters: dict[str, Any]) -> list[Any]:
        """The parameters as the driver takes them."""
        given = {**self.fixed, **parameters}
        for name, bind in self.binders:
            given[name] = bind(given[name])
        values = [given[name] for name in self.order]
        if self.as_text:
            find = _TEXT.get
            return [value if (text := find(type(value))) is None else text(value) for value in values]
        return values


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


def _binder(kind: Any, dialect: Dialect, as_text: bool) -> Converter | None:
    if as_text and isinstance(kind, JSON):
        return _json_or_null if kind.none_as_null else _json
    found: Converter | None = kind.bind_processor(dialect)
    return found


def _json(value: Any) -> str:
    return json.dumps(None if value is JSON.NULL else value)


def _json_or_null(value: Any) -> str | None:
    return None if value is None else _json(value)
