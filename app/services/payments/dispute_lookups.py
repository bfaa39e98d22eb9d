"""Disputes as the dashboard asks for them: those that wait for the merchant, and those of one payment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import case, func, or_, select

from app.db import reading
from app.domain.actor import Actor
from app.domain.lifecycles.disputes import Status
from app.kit import clock
from app.models.payments.dispute import Dispute
from app.models.payments.intent import PaymentIntent

#: What asks for an answer: a chargeback, or an inquiry that would become one.
WAITING = (Status.NEEDS_RESPONSE, Status.WARNING)
_DAYS = {"overdue": 0, "two_days": 2, "week": 7}


@dataclass(frozen=True, slots=True)
class Deadlines:
    """`counts` are by when an answer is due (overdue, two_days, week, later); `next` come first."""

    counts: dict[str, int]
    next: list[Dispute]

    @property
    def total(self) -> int:
        """All that wait."""
        return sum(self.counts.values())


def waiting(actor: Actor, *, limit: int = 5) -> Deadlines:
    """The disputes of a merchant that wait for evidence, over the index of what is due."""
    due, now = Dispute.evidence_due_at, clock.now()
    mine = (
        Dispute.tenant_id == actor.tenant_id,
        Dispute.mode == str(actor.mode),
        Dispute.status.in_([str(status) for status in WAITING]),
        due.is_not(None),
    )
    bucket = case(
        *((due <= now + timedelta(days=days), name) for name, days in _DAYS.items()), else_="later"
    ).label("bucket")
    inner = select(bucket).where(*mine).subquery()
    with reading() as db:
        counted = db.execute(select(inner.c.bucket, func.count()).group_by(inner.c.bucket))
        found: dict[str, int] = {row[0]: row[1] for row in counted}
        first = list(db.scalars(select(Dispute).where(*mine).order_by(due, Dispute.id).limit(limit)))
    return Deadlines({name: found.get(name, 0) for name in (*_DAYS, "later")}, first)


def of_intent(actor: Actor, intent_id: str) -> list[Dispute]:
    """The disputes of a payment, and of the parts of a split one, oldest first."""
    parts = select(PaymentIntent.id).where(PaymentIntent.parent_intent_id == intent_id)
    statement = select(Dispute).where(
        Dispute.tenant_id == actor.tenant_id,
        Dispute.mode == str(actor.mode),
        or_(Dispute.intent_id == intent_id, Dispute.intent_id.in_(parts)),
    )
    with reading() as db:
        return list(db.scalars(statement.order_by(Dispute.id)))
