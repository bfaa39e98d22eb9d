"""Pages of a list in the order of one column, which its index serves too; see kit/pagination.py."""

from __future__ import annotations

from typing import TypeVar

from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute

from app.db import reading
from app.domain.errors import InvalidRequest
from app.kit.pagination import Page, decode_cursor, encode_cursor
from app.models.base import Base

T = TypeVar("T", bound=Base)


def newest(statement: Select[T], ids: InstrumentedAttribute[str], cursor: str | None, limit: int) -> Page[T]:
    """A page of these rows, newest first: `ids` grow with time.

    Raises:
        InvalidRequest: not a cursor of this list.
    """
    if cursor:
        last = decode_cursor(cursor)
        if last is None:
            raise InvalidRequest("Not a cursor of this list", field="cursor")
        statement = statement.where(ids < last)
    with reading() as db:
        rows = list(db.scalars(statement.order_by(ids.desc()).limit(limit + 1)))
    return Page(rows[:limit], encode_cursor(getattr(rows[limit - 1], ids.key)) if len(rows) > limit else None)
