"""The parts of a split payment, as rows: each is an intent of its own below the payment that is split.

A part is authorised, captured, voided, disputed and refunded like any payment. The payment above has no
charge; its sums are those of its parts, and follow them in the same transaction. A part that a later try
has replaced keeps its row, without a number.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, exists, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from app.domain.lifecycles import attempts
from app.domain.lifecycles import intents as lifecycle
from app.models.payments.attempt import Attempt
from app.models.payments.intent import PaymentIntent
from app.models.payments.refund import Refund

_Attempt = attempts.Status


def of(db: Session, parent_id: str, *, lock: bool = False) -> list[PaymentIntent]:
    """The parts of a payment in their order."""
    statement = (
        select(PaymentIntent)
        .where(PaymentIntent.parent_intent_id == parent_id, PaymentIntent.part.is_not(None))
        .order_by(PaymentIntent.part)
    )
    if lock:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    return list(db.scalars(statement))


def drop(db: Session, whole: PaymentIntent, *, cause: str, reason: str) -> None:
    """One payment again: its parts, of which nothing was sent, are given up; a whole one has none."""
    if not whole.split:
        return
    for part in of(db, whole.id, lock=True):
        part.part = None
        if lifecycle.LIFECYCLE.allows(part.status, lifecycle.Trigger.CANCELED):
            part.advance(lifecycle.Trigger.CANCELED, cause=cause, cancel_reason=reason)
    whole.split = False


def charged_for(intent: PaymentIntent) -> ColumnElement[bool]:
    """Which attempts are charges of a payment: its own, or those of its parts, also of replaced ones."""
    own = Attempt.intent_id == intent.id
    if not intent.split:
        return own
    below = select(PaymentIntent.id).where(PaymentIntent.parent_intent_id == intent.id)
    return or_(own, Attempt.intent_id.in_(below))


def refunded_for(intent: PaymentIntent) -> ColumnElement[bool]:
    """Which refunds are refunds of a payment, likewise."""
    own = Refund.intent_id == intent.id
    if not intent.split:
        return own
    below = select(PaymentIntent.id).where(PaymentIntent.parent_intent_id == intent.id)
    return or_(own, Refund.intent_id.in_(below))


def is_looked_at() -> ColumnElement[bool]:
    """Whether a part's attempt is under way, so that the sweep of attempts looks at it."""
    part, resting = aliased(PaymentIntent), (_Attempt.AUTHORIZED, _Attempt.CAPTURED, *attempts.DEAD)
    return exists().where(
        part.parent_intent_id == PaymentIntent.id,
        Attempt.intent_id == part.id,
        Attempt.status.not_in(resting),
        Attempt.next_query_at.is_not(None),
    )


def sum_up(db: Session, part_id: str) -> None:
    """Let the sums of the payment above follow its parts; nothing happens where there is none above.

    The payment above waits for its capture to be complete: before, its sums are its orchestrator's. It is
    locked by a statement of its own: one that adds up and waits for a lock adds up what was before it waited.
    """
    parent_id = select(PaymentIntent.parent_intent_id).where(PaymentIntent.id == part_id).scalar_subquery()
    captured = PaymentIntent.succeeded_at.is_not(None)
    whole_id = db.scalar(
        select(PaymentIntent.id).where(PaymentIntent.id == parent_id, captured).with_for_update()
    )
    if whole_id is None:
        return
    part = PaymentIntent.__table__.alias("part")

    def total(name: str) -> ColumnElement[int]:
        mine = (part.c.parent_intent_id == PaymentIntent.id) & part.c.part.is_not(None)
        return select(func.coalesce(func.sum(part.c[name]), 0)).where(mine).scalar_subquery()

    names = ("amount_refunding", "amount_refunded", "amount_disputed")
    statement = (
        update(PaymentIntent)
        .where(PaymentIntent.id == whole_id)
        .values({"version": PaymentIntent.version + 1, **{name: total(name) for name in names}})
        .execution_options(synchronize_session=False)
    )
    db.execute(statement)
