"""What every request on a hot path sends: statements compiled once, and run on the driver itself.

SQLAlchemy writes the statement and knows the types; what it does around each execution takes several times
as long as the statement itself (docs/adr/0018). Elsewhere plain SQLAlchemy is used.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Insert, Select, Update
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningInsert

from app.db import changes, drivers, writes
from app.db.engine import current_drivers, engine
from app.db.plans import Converter, Plan
from app.db.units import active, in_transaction, transaction

#: Sets of columns for which a command keeps its statement; the one that was not used for longest goes first.
MAX_FORMS = 64


class Lookup:
    """A prepared SELECT, of one row at most or of all; rows are named tuples by the columns' keys.

    Inside `transaction()` it is that transaction's; elsewhere, and in one that has not begun to do anything,
    it runs on a connection kept for look-ups. In a transaction it may be an INSERT that returns rows.
    """

    def __init__(self, statement: Select[*tuple[Any, ...]] | ReturningInsert[*tuple[Any, ...]]) -> None:
        self._statement = statement
        self._columns = list(statement.exported_columns)
        kind: Any = namedtuple("Found", [column.key for column in self._columns])  # type: ignore[misc]
        self._make = kind._make
        self._plans: dict[str, Plan] = {}

    def one(self, parameters: dict[str, Any]) -> Any:
        """The row, or None where there is none.

        Raises:
            ServiceUnavailable: the database cannot be reached.
        """
        dialect = engine().dialect
        plan = self._plan(dialect)
        session = active()
        if session is None or (plan.looks and _unbegun(session)):
            row, cursor = current_drivers().fetch(plan.sql, plan.values(parameters))
        else:
            changes.settle(session)  # it sees what was changed before it, as a query of the session's would
            row, cursor = writes.run(session, drivers.fetch, plan.sql, plan.values(parameters))
        return None if row is None else self._read(plan, dialect, row, cursor)

    def all(self, db: Session, parameters: dict[str, Any]) -> list[Any]:
        """Every row, in the caller's transaction."""
        dialect = engine().dialect
        plan = self._plan(dialect)
        changes.settle(db)
        rows, cursor = writes.run(db, drivers.fetch_all, plan.sql, plan.values(parameters))
        return [self._read(plan, dialect, row, cursor) for row in rows]

    def _plan(self, dialect: Dialect) -> Plan:
        plan = self._plans.get(dialect.name)
        if plan is None:
            plan = self._plans[dialect.name] = Plan.of(self._statement, dialect)
        return plan

    def _read(self, plan: Plan, dialect: Dialect, row: Sequence[Any], cursor: Any) -> Any:
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


def _unbegun(session: Session) -> bool:
    return changes.untouched(session) and writes.may_look_outside(session)


class First:
    """A row that goes before all else of its transaction, and may be completed until it was sent."""

    def __init__(self, session: Session, write: writes.Write | None) -> None:
        self._session = session
        self._write = write

    def complete(self, row: dict[str, Any]) -> bool:
        """Send this row, of the same columns, in its place; False where it was sent already."""
        if self._write is None or not writes.waits(self._session, self._write):
            return False
        self._write.rows = [self._write.plan.values(row)]
        return True

    def send(self) -> None:
        """Send it now, without what was collected behind it, unless that was done.

        Raises:
            StaleDataError: it changed nothing.
        """
        if self._write is not None and writes.waits(self._session, self._write):
            writes.send_only(self._session, self._write)


class Command:
    """A prepared INSERT or UPDATE, run in the caller's transaction after what was changed before it.

    `build` makes the statement for a dialect's name. An INSERT has a form for each set of columns given.
    """

    def __init__(self, build: Callable[[str], Insert | Update]) -> None:
        self._build = build
        self._plan_of = lru_cache(MAX_FORMS)(self._compile)

    def run(self, db: Session, *rows: dict[str, Any]) -> int:
        """Send it for each row; how many rows it changed.

        Raises:
            DBAPIError: as SQLAlchemy raises it.
        """
        plan = self._plan(engine().dialect, rows[0])
        changes.settle(db)
        return writes.run(db, drivers.change, plan.sql, [plan.values(row) for row in rows])

    def later(self, db: Session, *rows: dict[str, Any]) -> None:
        """Have it sent for each row with what else the transaction writes, where nobody asks what it changed.

        It is there for whatever the transaction reads after; an error comes then, or from `transaction()`.
        """
        plan = self._plan(engine().dialect, rows[0])
        changes.collect(db)
        values = [plan.values(row) for row in rows]
        for part in [values] if plan.adds else [[value] for value in values]:
            writes.collect(db, plan, part)

    def first(self, db: Session, row: dict[str, Any]) -> First:
        """Have it sent before all else that the transaction writes, locks or reads in itself.

        If it changes nothing, the transaction ends in a `VersionConflict`.
        """
        plan = self._plan(engine().dialect, row)
        return First(db, writes.collect_first(db, plan, plan.values(row)))

    def alone(self, row: dict[str, Any], *, relaxed: bool = False) -> int:
        """Send it as a transaction of its own, without another round trip; how many rows it changed.

        For a `relaxed` one see `transaction`.

        Raises:
            DBAPIError: as SQLAlchemy raises it.
            ServiceUnavailable: the database cannot be reached.
        """
        dialect = engine().dialect
        if in_transaction() or dialect.name == "sqlite":  # its writers queue (sqlite.py)
            with transaction() as db:
                return self.run(db, row)
        plan = self._plan(dialect, row)
        try:
            sql = _relaxed(plan.sql) if relaxed else plan.sql
            return current_drivers().change(sql, plan.values(row), counts=relaxed)
        except dialect.loaded_dbapi.Error as error:
            raise writes.wrapped(error) from error

    def _plan(self, dialect: Dialect, row: dict[str, Any]) -> Plan:
        return self._plan_of(dialect, tuple(row))

    def _compile(self, dialect: Dialect, names: tuple[str, ...]) -> Plan:
        statement = self._build(dialect.name)
        return Plan.of(statement, dialect, names if statement.is_insert else None)


@lru_cache(maxsize=64)
def _relaxed(sql: str) -> str:
    """An INSERT or UPDATE that counts its rows, and has its own transaction committed without waiting."""
    return f"WITH changed AS ({sql} RETURNING 1) SELECT count(*), {writes.RELAX} FROM changed"  # noqa: S608 - ours
