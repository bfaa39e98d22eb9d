"""What was changed of loaded rows, written without the unit of work: one UPDATE a row, with what else waits.

A row is written here if it is versioned, loaded whole and changed in its plain columns alone, and nothing was
added or deleted beside it. Everything else is the unit of work's, which costs several times as much.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import ClauseElement, bindparam, inspect, update
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import InstanceState, Mapper, Session

from app.db import writes
from app.db.engine import engine
from app.db.plans import Plan


def settle(session: Session) -> None:
    """Write whatever was changed or collected so far, so that the next statement sees it.

    Raises:
        StaleDataError: a row is no longer as it was read.
    """
    collect(session)
    writes.send(session)


def untouched(session: Session) -> bool:
    """Whether no row of the transaction was changed, added or deleted since it was last written."""
    return not session.identity_map.check_modified() and not session.new and not session.deleted


def collect(session: Session) -> None:
    """Collect the UPDATEs of the rows that were changed; what cannot be collected is flushed."""
    if untouched(session):
        return
    if session.new or session.deleted:
        session.flush()
        return
    changed = []
    for row in session.dirty:
        state = inspect(row)
        kind = _kind(state.mapper)
        if kind is None or not kind.simply(state):
            session.flush()
            return
        changed.append((kind, state))
    for kind, state in sorted(changed, key=lambda pair: (pair[0].place, pair[1].identity)):
        kind.collect(session, state)


@dataclass(frozen=True, slots=True, eq=False)
class _Kind:
    """How rows of an entity are updated; `place` is its table's in the order of references."""

    table: Any
    place: int
    key: str
    version: str
    columns: dict[str, Any]
    on_update: dict[str, Any]

    def simply(self, state: InstanceState[Any]) -> bool:
        """Whether plain values were set in a row that is loaded whole."""
        values = state.dict
        return (
            self.key in values
            and self.version in values
            and all(
                name in self.columns and not isinstance(values[name], ClauseElement)
                for name in state.committed_state
            )
        )

    def collect(self, session: Session, state: InstanceState[Any]) -> None:
        """Have one row updated, if it is still in the version that was read."""
        values = state.dict
        new = {
            name: values[name] for name, old in state.committed_state.items() if _differs(old, values[name])
        }
        if not new:
            return
        seen: Any = state.committed_state.get(self.version, values[self.version])
        new.setdefault(self.version, seen + 1)
        for name, make in self.on_update.items():
            new.setdefault(name, make(None))
        plan = _plan(self, engine().dialect, tuple(sorted(new)))
        given = {f"new_{name}": value for name, value in new.items()}
        given |= {"same_key": values[self.key], "same_version": seen}
        writes.collect(session, plan, [plan.values(given)], exact=True)
        values.update(new)
        state._commit_all(values, session.identity_map)  # as a flush leaves it: SQLAlchemy has no public way


def _differs(old: Any, new: Any) -> bool:
    try:
        return bool(old != new)
    except TypeError:  # a moment with a time zone and one without
        return True


@lru_cache(maxsize=256)
def _kind(mapper: Mapper[Any]) -> _Kind | None:
    """None where an UPDATE would be more than one of a row of one table by its one key and its version."""
    table: Any = mapper.local_table
    version = mapper.version_id_col
    if (
        version is None
        or mapper.inherits is not None
        or mapper.polymorphic_on is not None
        or len(mapper.primary_key) != 1
    ):
        return None
    columns = {attribute.key: attribute.columns[0] for attribute in mapper.column_attrs}
    return _Kind(
        table,
        table.metadata.sorted_tables.index(table),
        mapper.get_property_by_column(mapper.primary_key[0]).key,
        mapper.get_property_by_column(version).key,
        columns,
        {name: column.onupdate.arg for name, column in columns.items() if column.onupdate is not None},
    )


@lru_cache(maxsize=512)
def _plan(kind: _Kind, dialect: Dialect, names: tuple[str, ...]) -> Plan:
    columns = kind.columns
    statement = (
        update(kind.table)
        .where(columns[kind.key] == bindparam("same_key"), columns[kind.version] == bindparam("same_version"))
        .values({columns[name]: bindparam(f"new_{name}", type_=columns[name].type) for name in names})
    )
    return Plan.of(statement, dialect)
