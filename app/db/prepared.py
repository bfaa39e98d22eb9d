"""What every request on a hot path sends: statements compiled once, and run on the driver itself.

SQLAlchemy writes the statement and knows the types; what it does around each execution takes several times
as long as the statement itself (docs/adr/0018). Elsewhere plain SQLAlchemy is used.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Insert, Select, Update
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.db import drivers
from app.db.engine import current_drivers, engine
from app.db.units import active, in_transaction, transaction

Converter = Callable[[Any], Any]


@dataclass(slots=True)
class _Plan:
    """A statement in one database's dialect. `order` is there where parameters go by position."""

    sql: str
    fixed: dict[str, Any]
    binders: tuple[tuple[str, Converter], ...]
    order: tuple[str, ...] | None
    converters: tuple[tuple[int, Converter], ...] | None = None

    @classmethod
    def of(cls, statement: Any, dialect: Dialect, keys: Sequence[str] | None = None) -> _Plan:
        """Compile a statement; `keys` are the columns that an INSERT sets."""
        compiled = statement.compile(dialect=dialect, column_keys=keys)
        binders = [
            (name, bind.type.dialect_impl(dialect).bind_processor(dialect))
            for bind, name in compiled.bind_names.items()
        ]
        return cls(
            compiled.string,
            {name: compiled.params[name] for bind, name in compiled.bind_names.items() if not bind.required},
            tuple((name, binder) for name, binder in binders if binder is not None),
            tuple(compiled.positiontup) if compiled.positiontup is not None else None,
        )

    def values(self, parameters: dict[str, Any]) -> Any:
        """The parameters as the driver takes them."""
        given = {**self.fixed, **parameters}
        for name, bind in self.binders:
            given[name] = bind(given[name])
        return given if self.order is None else [given[name] for name in self.order]


class Lookup:
    """A prepared SELECT, of one row at most or of all; rows are named tuples by the columns' keys.

    Inside `transaction()` it is that transaction's; elsewhere it runs on a connection kept for look-ups.
    """

    def __init__(self, statement: Select[*tuple[Any, ...]]) -> None:
        self._statement = statement
        self._columns = list(statement.selected_columns)
        kind: Any = namedtuple("Found", [column.key for column in self._columns])  # type: ignore[misc]
        self._make = kind._make
        self._plans: dict[str, _Plan] = {}

    def one(self, parameters: dict[str, Any]) -> Any:
        """The row, or None where there is none.

        Raises:
            ServiceUnavailable: the database cannot be reached.
        """
        dialect = engine().dialect
        plan = self._plan(dialect)
        session = active()
        if session is None:
            row, cursor = current_drivers().fetch(plan.sql, plan.values(parameters))
        else:
            session.flush()  # it sees what was changed before it, as a query of the session's would
            row, cursor = drivers.fetch(_driver(session), plan.sql, plan.values(parameters))
        return None if row is None else self._read(plan, dialect, row, cursor)

    def all(self, db: Session, parameters: dict[str, Any]) -> list[Any]:
        """Every row, in the caller's transaction."""
        dialect = engine().dialect
        plan = self._plan(dialect)
        db.flush()
        rows, cursor = drivers.fetch_all(_driver(db), plan.sql, plan.values(parameters))
        return [self._read(plan, dialect, row, cursor) for row in rows]

    def _plan(self, dialect: Dialect) -> _Plan:
        plan = self._plans.get(dialect.name)
        if plan is None:
            plan = self._plans[dialect.name] = _Plan.of(self._statement, dialect)
        return plan

    def _read(self, plan: _Plan, dialect: Dialect, row: Sequence[Any], cursor: Any) -> Any:
        if plan.converters is None:
            plan.converters = self._converters(dialect, cursor.description)
        if not plan.converters:
            return self._make(row)
        values = list(row)
        for place, convert in plan.converters:
            values[place] = convert(values[place])
        return self._make(values)

    def _converters(self, dialect: Dialect, description: Any) -> tuple[tuple[int, Converter], ...]:
        """What turns the driver's values into ours; some types ask for the driver's own type codes."""
        found = [
            (place, column.type.dialect_impl(dialect).result_processor(dialect, description[place][1]))
            for place, column in enumerate(self._columns)
        ]
        return tuple((place, convert) for place, convert in found if convert is not None)


class Command:
    """A prepared INSERT or UPDATE, run in the caller's transaction after what was changed before it.

    `build` makes the statement for a dialect's name. An INSERT has a form for each set of columns given.
    """

    def __init__(self, build: Callable[[str], Insert | Update]) -> None:
        self._build = build
        self._plans: dict[Hashable, _Plan] = {}

    def run(self, db: Session, *rows: dict[str, Any]) -> int:
        """Send it for each row; how many rows it changed.

        Raises:
            DBAPIError: as SQLAlchemy raises it.
        """
        dialect = engine().dialect
        plan = self._plan(dialect, rows[0])
        db.flush()
        driver = _driver(db)
        try:
            return drivers.change(driver, plan.sql, [plan.values(row) for row in rows])
        except dialect.loaded_dbapi.Error as error:
            raise _as_sqlalchemy(db, plan.sql, error) from error

    def alone(self, row: dict[str, Any]) -> int:
        """Send it as a transaction of its own, without another round trip; how many rows it changed.

        Raises:
            ServiceUnavailable: the database cannot be reached.
        """
        dialect = engine().dialect
        if in_transaction() or dialect.name == "sqlite":  # its writers queue (sqlite.py)
            with transaction() as db:
                return self.run(db, row)
        plan = self._plan(dialect, row)
        return current_drivers().change(plan.sql, plan.values(row))

    def _plan(self, dialect: Dialect, row: dict[str, Any]) -> _Plan:
        key = (dialect.name, *row)
        plan = self._plans.get(key)
        if plan is None:
            statement = self._build(dialect.name)
            keys = list(row) if statement.is_insert else None
            plan = self._plans[key] = _Plan.of(statement, dialect, keys)
        return plan


def _driver(db: Session) -> Any:
    """The driver's connection of a transaction."""
    return db.connection().connection.dbapi_connection


def _as_sqlalchemy(db: Session, sql: str, error: Exception) -> Exception:
    """The driver's error as SQLAlchemy's; a connection that is lost is given up, as it would do."""
    connection = db.connection()
    dialect = connection.dialect
    lost = dialect.is_disconnect(error, connection.connection.dbapi_connection, None)  # type: ignore[arg-type]
    if lost:
        connection.invalidate(error)
    return DBAPIError.instance(
        sql,
        None,
        error,
        dialect.loaded_dbapi.Error,
        hide_parameters=True,
        connection_invalidated=lost,
        dialect=dialect,
    )
