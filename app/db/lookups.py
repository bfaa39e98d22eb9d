"""Look-ups that every request makes: a SELECT compiled once, and run on the driver itself.

SQLAlchemy writes the statement and knows the types; what it does around each execution takes several times
as long as the look-up itself (docs/adr/0018). Inside a transaction a look-up is that transaction's.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select
from sqlalchemy.engine import Dialect

from app.db import drivers
from app.db.engine import current_drivers, engine
from app.db.units import active

Converter = Callable[[Any], Any]


@dataclass(slots=True)
class _Plan:
    """A statement in one database's dialect. `order` is there where parameters go by position."""

    sql: str
    fixed: dict[str, Any]
    binders: tuple[tuple[str, Converter], ...]
    order: tuple[str, ...] | None
    converters: tuple[tuple[int, Converter], ...] | None = None

    def values(self, parameters: dict[str, Any]) -> Any:
        """The parameters as the driver takes them."""
        given = {**self.fixed, **parameters}
        for name, bind in self.binders:
            given[name] = bind(given[name])
        return given if self.order is None else [given[name] for name in self.order]


class Lookup:
    """A prepared SELECT of one row at most; rows are named tuples by the columns' keys."""

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
        plan = self._plans.get(dialect.name) or self._compile(dialect)
        session = active()
        if session is None:
            row, cursor = current_drivers().fetch(plan.sql, plan.values(parameters))
        else:
            driver = session.connection().connection.dbapi_connection
            row, cursor = drivers.fetch(driver, plan.sql, plan.values(parameters))
        if row is None:
            return None
        if plan.converters is None:
            plan.converters = self._converters(dialect, cursor.description)
        if not plan.converters:
            return self._make(row)
        values = list(row)
        for place, convert in plan.converters:
            values[place] = convert(values[place])
        return self._make(values)

    def _compile(self, dialect: Dialect) -> _Plan:
        compiled = self._statement.compile(dialect=dialect)
        binders = [
            (name, bind.type.dialect_impl(dialect).bind_processor(dialect))
            for name, bind in compiled.binds.items()
        ]
        plan = self._plans[dialect.name] = _Plan(
            compiled.string,
            {name: value for name, value in compiled.params.items() if value is not None},
            tuple((name, binder) for name, binder in binders if binder is not None),
            tuple(compiled.positiontup) if compiled.positiontup is not None else None,
        )
        return plan

    def _converters(self, dialect: Dialect, description: Any) -> tuple[tuple[int, Converter], ...]:
        """What turns the driver's values into ours; some types ask for the driver's own type codes."""
        found = [
            (place, column.type.dialect_impl(dialect).result_processor(dialect, description[place][1]))
            for place, column in enumerate(self._columns)
        ]
        return tuple((place, convert) for place, convert in found if convert is not None)
