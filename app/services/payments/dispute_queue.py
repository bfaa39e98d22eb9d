"""Disputes that wait for the merchant's answer, the most urgent one first, and what each costs."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import func, literal, select, tuple_

from app.db import UtcDateTime, reading
from app.domain.actor import Actor
from app.domain.errors import InvalidRequest
from app.domain.lifecycles import disputes as lifecycle
from app.kit.pagination import DEFAULT_LIMIT, Page, decode_cursor, encode_cursor
from app.models.payments.dispute import Dispute

_S = lifecycle.Status

#: In these the merchant may answer.
WAITING = (_S.WARNING, _S.NEEDS_RESPONSE)
#: Where one without a due date stands: behind all others.
_NEVER = datetime(9999, 1, 1, tzinfo=UTC)


def list_due(actor: Actor, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None) -> Page[Dispute]:
    """Disputes that may be answered, by the day on which evidence is due.

    Raises:
        InvalidRequest: not a cursor of this list.
    """
    due = func.coalesce(Dispute.evidence_due_at, literal(_NEVER, UtcDateTime()))
    mine = select(Dispute).where(Dispute.tenant_id == actor.tenant_id, Dispute.mode == str(actor.mode))
    statement = mine.where(Dispute.status.in_([str(status) for status in WAITING]))
    with reading() as db:
        if cursor:
            last = db.scalars(mine.where(Dispute.id == decode_cursor(cursor))).one_or_none()
            if last is None:
                raise InvalidRequest("Not a cursor of this list", field="cursor")
            place = tuple_(literal(last.evidence_due_at or _NEVER, UtcDateTime()), last.id)
            statement = statement.where(tuple_(due, Dispute.id) > place)
        rows = list(db.scalars(statement.order_by(due, Dispute.id).limit(limit + 1)))
    return Page(rows[:limit], encode_cursor(rows[limit - 1].id) if len(rows) > limit else None)


def net(dispute: Dispute) -> int:
    """What a dispute has done to the merchant's balance as it stands, minor units: nothing, or a cost."""
    held = (dispute.status in lifecycle.HOLDS) or (dispute.status == _S.CLOSED and dispute.outcome == "lost")
    return -(dispute.amount if held else 0) - dispute.fee
