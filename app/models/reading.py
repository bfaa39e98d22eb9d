"""Reading entities with one prepared statement, for hot paths: to look at, or to change in a transaction."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeVar, cast

from sqlalchemy import Label, Row, inspect
from sqlalchemy.orm import Session, make_transient_to_detached
from sqlalchemy.orm.attributes import manager_of_class

from app.models.base import Base

T = TypeVar("T", bound=Base)


class Reader:
    """The columns of some entities, and the way from a row of them to objects.

    The objects are complete and have their properties. Those that are taken belong to no session, so nothing
    that is set on them is ever written; those that are attached belong to the transaction.
    """

    def __init__(self, *kinds: type[Base]) -> None:
        self.columns: list[Label[Any]] = []
        self._parts: list[tuple[Any, tuple[str, ...], int, int, int]] = []
        for number, kind in enumerate(kinds):
            attributes = list(inspect(kind).column_attrs)
            start = len(self.columns)
            self.columns += [a.columns[0].label(f"e{number}_{a.key}") for a in attributes]
            keys = tuple(a.key for a in attributes)
            self._parts.append(
                (manager_of_class(kind), keys, start, start + len(keys), start + keys.index("id"))
            )

    def take(self, row: Row[Any]) -> tuple[Any, ...]:
        """The objects of a row; None where an outer join found nothing."""
        values = tuple(row)
        found: list[Any] = []
        for manager, keys, start, end, identity in self._parts:
            if values[identity] is None:
                found.append(None)
                continue
            made = manager.new_instance()
            made.__dict__.update(zip(keys, values[start:end], strict=True))
            found.append(made)
        return tuple(found)

    def attach(self, db: Session, row: Row[Any]) -> tuple[Any, ...]:
        """The objects of a row as the transaction's own, to be changed; what it has already is read again."""
        return tuple(None if made is None else _attached(db, made) for made in self.take(row))


def attached_copy(db: Session, seen: T) -> T:
    """An object that was read before as the transaction's own: written if it still is in that version."""
    kind = type(seen)
    made: T = manager_of_class(kind).new_instance()
    held = inspect(seen).dict
    made.__dict__.update({key: held[key] for key in _columns(kind)})
    return cast(T, _attached(db, made))


@lru_cache(maxsize=64)
def _columns(kind: type[Base]) -> tuple[str, ...]:
    return tuple(attribute.key for attribute in inspect(kind).column_attrs)


def _attached(db: Session, made: Any) -> Any:
    present = db.identity_map.get(inspect(type(made)).identity_key_from_instance(made))
    if present is not None:
        db.refresh(present)
        return present
    make_transient_to_detached(made)
    db.add(made)
    return made
