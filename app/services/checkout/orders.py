"""Orders that a completed checkout leaves behind: one a session, with its receipt number."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db import reading
from app.domain.lifecycles import orders as lifecycle
from app.kit.ids import new_id
from app.models.checkout.order import Order
from app.models.checkout.session import CheckoutSession


def add_paid(db: Session, session: CheckoutSession, *, cause: str) -> Order:
    """The paid order of a session, in the caller's transaction; its checkout id is unique."""
    totals = session.totals or {}
    order = Order(
        id=new_id("ord"),
        tenant_id=session.tenant_id,
        mode=session.mode,
        checkout_id=session.id,
        payment_intent_id=session.payment_intent_id,
        currency=session.currency,
        sub_total=totals["sub_total"],
        discount_total=totals["discount_total"],
        tax_total=totals["tax_total"],
        shipping_total=totals["shipping_total"],
        fee_total=totals["fee_total"],
        grand_total=totals["grand_total"],
        discount_code=session.applied_promotions[0]["code"] if session.applied_promotions else None,
        lines=session.cart_snapshot["lines"],
        receipt_id=new_id("rcpt"),
        status=str(lifecycle.Status.PAID),
    )
    db.add(order)
    order.begin(cause=cause)
    return order


def of_session(session: CheckoutSession) -> Order | None:
    """The order of a completed session."""
    with reading() as db:
        return db.scalars(select(Order).where(Order.checkout_id == session.id)).one_or_none()
