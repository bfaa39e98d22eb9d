"""Lists a page at a time: on from a cursor over an index, or by the page's number, counted then (OP-15)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import Select, func, select

from app.db import reading
from app.domain.errors import InvalidRequest
from app.kit.pagination import DEFAULT_LIMIT, Numbered, Page, decode_cursor, encode_cursor

T = TypeVar("T")


def newest_first(
    statement: Select[T],
    key: Any,
    *,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
    page: int | None = None,
) -> Page[T]:
    """A page of rows in the order of `key`, an id that is later the higher it is.

    Raises:
        InvalidRequest: not a cursor of this list, or a cursor and a number.
    """
    ordered = statement.order_by(key.desc())
    if page is not None:
        return numbered(ordered, limit=limit, page=page, cursor=cursor)
    if cursor:
        ordered = ordered.where(key < decoded(cursor))
    with reading() as db:
        rows = list(db.scalars(ordered.limit(limit + 1)))
    more = encode_cursor(getattr(rows[limit - 1], key.key)) if len(rows) > limit else None
    return Page(rows[:limit], more)


def numbered(ordered: Select[T], *, limit: int, page: int, cursor: str | None = None) -> Page[T]:
    """A page by its number, from 1, and how many rows there are in all: slow where there are many.

    Raises:
        InvalidRequest: there is a cursor as well.
    """
    _either(cursor)
    with reading() as db:
        total = db.scalar(select(func.count()).select_from(ordered.order_by(None).subquery())) or 0
        rows = list(db.scalars(ordered.offset((page - 1) * limit).limit(limit)))
    return Page(rows, numbered=Numbered(page, limit, total))


def of_rows(
    rows: Sequence[T],
    name: str,
    *,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
    page: int | None = None,
) -> Page[T]:
    """A page of rows that are all read already, in their order; `name` is the attribute that names one.

    Raises:
        InvalidRequest: not a cursor of this list, or a cursor and a number.
    """
    if page is not None:
        _either(cursor)
        start = (page - 1) * limit
        return Page(list(rows[start : start + limit]), numbered=Numbered(page, limit, len(rows)))
    start = 0
    if cursor:
        last = decoded(cursor)
        start = next((n + 1 for n, row in enumerate(rows) if getattr(row, name) == last), len(rows))
    shown = list(rows[start : start + limit])
    more = start + limit < len(rows)
    return Page(shown, encode_cursor(getattr(shown[-1], name)) if more else None)


def decoded(cursor: str) -> str:
    """The id that a cursor names.

    Raises:
        InvalidRequest: not a cursor of this list.
    """
    last = decode_cursor(cursor)
    if last is None:
        raise InvalidRequest("Not a cursor of this list", field="cursor")
    return last


def _either(cursor: str | None) -> None:
    if cursor is not None:
        raise InvalidRequest("Send cursor or page, not both", code="conflicting_filters", field="page")
