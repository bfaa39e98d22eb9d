"""The sums of an intent that bound what may leave it, each changed by one UPDATE (reliability.md 12).

Σrefunds + disputes ≤ captured holds whoever asks at the same moment: an UPDATE that would break it changes
no row.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Update, literal, select, update
from sqlalchemy.orm import Session

from app.domain.lifecycles.disputes import Status
from app.domain.rules.refundable import refundable
from app.kit import clock
from app.models.payments.dispute import Dispute
from app.models.payments.intent import PaymentIntent
from app.services.payments import parts

_LEFT: Any = PaymentIntent.amount_captured - PaymentIntent.amount_refunding - PaymentIntent.amount_disputed


def for_refund(db: Session, intent_id: str, amount: int) -> bool:
    """Reserve minor units for a refund; False where so much is not left."""
    return _take(db, intent_id, amount, amount_refunding=PaymentIntent.amount_refunding + amount)


def for_dispute(db: Session, intent_id: str, amount: int) -> bool:
    """Reserve minor units for a dispute; False where so much is not left."""
    return _take(db, intent_id, amount, amount_disputed=PaymentIntent.amount_disputed + amount)


def up_to(db: Session, intent_id: str, amount: int) -> int:
    """Reserve for a dispute what is left of a locked intent, at most `amount`; how much that was."""
    columns = (PaymentIntent.amount_captured, PaymentIntent.amount_refunding, PaymentIntent.amount_disputed)
    captured, refunding, disputed = db.execute(select(*columns).where(PaymentIntent.id == intent_id)).one()
    taken = min(amount, refundable(captured, refunding, disputed))
    return taken if taken and for_dispute(db, intent_id, taken) else 0


def adjust(db: Session, intent_id: str, *, refunding: int = 0, refunded: int = 0, disputed: int = 0) -> None:
    """Move sums that were reserved before, by so many minor units each.

    What comes free is first of all for disputes that have taken more than was left to reserve.
    """
    table = PaymentIntent
    db.execute(
        _change(
            intent_id,
            amount_refunding=table.amount_refunding + refunding,
            amount_refunded=table.amount_refunded + refunded,
            amount_disputed=table.amount_disputed + disputed,
        )
    )
    if refunding < 0 or disputed < 0:
        _cover_disputes(db, intent_id)
    parts.sum_up(db, intent_id)


def _cover_disputes(db: Session, intent_id: str) -> None:
    """Reserve what is left of an intent, which is locked by now, for what its disputes hold of it."""
    short = (
        select(Dispute)
        .where(
            Dispute.intent_id == intent_id,
            Dispute.opened_at.is_not(None),
            Dispute.outcome.is_distinct_from(str(Status.WON)),
            Dispute.amount_reserved < Dispute.amount,
        )
        .order_by(Dispute.id)
        .with_for_update()
    )
    for dispute in db.scalars(short):
        dispute.amount_reserved += up_to(db, intent_id, dispute.amount - dispute.amount_reserved)


def _take(db: Session, intent_id: str, amount: int, **changes: Any) -> bool:
    statement = _change(intent_id, **changes).where(amount <= _LEFT, literal(amount) > 0)
    taken = bool(db.execute(statement).rowcount)  # type: ignore[attr-defined]
    if taken:
        parts.sum_up(db, intent_id)
    return taken


def _change(intent_id: str, **changes: Any) -> Update:
    return (
        update(PaymentIntent)
        .where(PaymentIntent.id == intent_id)
        .values(version=PaymentIntent.version + 1, updated_at=clock.now(), **changes)
        .execution_options(synchronize_session=False)
    )
