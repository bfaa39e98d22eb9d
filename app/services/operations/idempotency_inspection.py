"""Idempotency keys to look at: the first request under a key, its status, and what differed later."""

from __future__ import annotations

from sqlalchemy import Select, literal, select, tuple_

from app.db import UtcDateTime, reading
from app.domain.actor import Actor
from app.domain.errors import InvalidRequest, NotFound
from app.kit.pagination import DEFAULT_LIMIT, Page, decode_cursor, encode_cursor
from app.models.operations.idempotency import IdempotencyRecord


def list_page(
    actor: Actor,
    *,
    key: str = "",
    clashed: bool = False,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
) -> Page[IdempotencyRecord]:
    """The keys of the last day, newest first: all, those of one name, or those that were used twice wrongly.

    Raises:
        InvalidRequest: not a cursor of this list.
    """
    place = tuple_(IdempotencyRecord.created_at, IdempotencyRecord.scope_hash)
    statement = _mine(actor)
    if key:
        statement = statement.where(IdempotencyRecord.key == key)
    if clashed:
        statement = statement.where(IdempotencyRecord.clashes > 0)
    with reading() as db:
        if cursor:
            last = db.scalars(_mine(actor).where(IdempotencyRecord.scope_hash == decode_cursor(cursor)))
            row = last.one_or_none()
            if row is None:
                raise InvalidRequest("Not a cursor of this list", field="cursor")
            at = literal(row.created_at, UtcDateTime())
            statement = statement.where(place < tuple_(at, literal(row.scope_hash)))
        ordered = statement.order_by(IdempotencyRecord.created_at.desc(), IdempotencyRecord.scope_hash.desc())
        rows = list(db.scalars(ordered.limit(limit + 1)))
    return Page(rows[:limit], encode_cursor(rows[limit - 1].scope_hash) if len(rows) > limit else None)


def get(actor: Actor, scope_hash: str) -> IdempotencyRecord:
    """One key in its scope.

    Raises:
        NotFound: there is none in this mode, it is another merchant's, or it was forgotten after a day.
    """
    with reading() as db:
        found = db.scalars(_mine(actor).where(IdempotencyRecord.scope_hash == scope_hash)).one_or_none()
    if found is None:
        raise NotFound("There is no such key any more", code="idempotency_key_not_found")
    return found


def _mine(actor: Actor) -> Select[IdempotencyRecord]:
    return select(IdempotencyRecord).where(
        IdempotencyRecord.tenant_id == actor.tenant_id, IdempotencyRecord.mode == str(actor.mode)
    )
