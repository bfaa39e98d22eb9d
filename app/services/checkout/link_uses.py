"""Uses of payment links: held when a payer starts, counted when the payment completes, else given back."""

from __future__ import annotations

from sqlalchemy import or_, update
from sqlalchemy.orm import Session

from app.domain.errors import Conflict
from app.kit import clock
from app.models.checkout.payment_link import PaymentLink
from app.models.checkout.session import CheckoutSession


def hold(db: Session, link_id: str) -> None:
    """Promise one use.

    Raises:
        Conflict: `link_not_payable`: all uses are taken or promised, or it is switched off or over.
    """
    limit, taken = PaymentLink.usage_limit, PaymentLink.used + PaymentLink.held
    ends = PaymentLink.expires_at
    held = db.execute(
        update(PaymentLink)
        .where(PaymentLink.id == link_id, PaymentLink.active, or_(limit.is_(None), taken < limit))
        .where(or_(ends.is_(None), ends > clock.now()))
        .values(held=PaymentLink.held + 1)
        .execution_options(synchronize_session=False)
    )
    if not held.rowcount:  # type: ignore[attr-defined]
        raise Conflict("This link cannot be paid any more", code="link_not_payable")


def commit(db: Session, session: CheckoutSession) -> None:
    """Count the use that the session held."""
    if session.payment_link_id:
        _change(db, session.payment_link_id, used=1)


def release(db: Session, session: CheckoutSession) -> None:
    """Give the use back that the session held."""
    if session.payment_link_id:
        _change(db, session.payment_link_id, used=0)


def restore(db: Session, session: CheckoutSession) -> None:
    """Take back a use that was counted: its sale was undone."""
    if session.payment_link_id:
        db.execute(
            update(PaymentLink)
            .where(PaymentLink.id == session.payment_link_id)
            .values(used=PaymentLink.used - 1)
            .execution_options(synchronize_session=False)
        )


def _change(db: Session, link_id: str, *, used: int) -> None:
    db.execute(
        update(PaymentLink)
        .where(PaymentLink.id == link_id)
        .values(held=PaymentLink.held - 1, used=PaymentLink.used + used)
        .execution_options(synchronize_session=False)
    )
