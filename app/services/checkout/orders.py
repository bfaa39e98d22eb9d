"""Orders of completed checkouts: what the Order Service is told, and where the order is found again."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db import reading
from app.domain.lifecycles import orders as lifecycle
from app.models.checkout.finalization import Finalization
from app.models.checkout.order import Order
from app.models.checkout.session import CheckoutSession
from app.providers.base import OrderDraft
from app.services.checkout import parcels


def draft(
    db: Session, session: CheckoutSession, run: Finalization | None, *, receipt_id: str | None
) -> OrderDraft:
    """What the Order Service is told of a sale; its key is the run's, or the checkout's where it has none."""
    return OrderDraft(
        key=run.id if run is not None else session.id,
        checkout_id=session.id,
        payment_intent_id=session.payment_intent_id,
        currency=session.currency,
        lines=tuple(session.cart_snapshot["lines"]),
        totals=session.totals or {},
        discount_codes=tuple(promotion["code"] for promotion in session.applied_promotions),
        customer={**session.contact, **session.customer},
        shipping_address=session.shipping_address,
        billing_address=session.billing_address,
        selected_shipping=session.selected_shipping,
        pickup_location=session.pickup_location,
        reference=session.reference,
        metadata=session.metadata_,
        hint=run.order_hint if run is not None else None,
        receipt_id=receipt_id,
        shipment_plan_id=session.shipment_plan_id,
        shipments=tuple(parcels.of_session(db, session) or ()),
    )


def is_here(checkout_id: str) -> bool:
    """Whether an order of the checkout stands in this house."""
    standing = select(Order.id).where(
        Order.checkout_id == checkout_id, Order.status != lifecycle.Status.CANCELLED
    )
    with reading() as db:
        return db.scalar(standing.limit(1)) is not None


def of_session(session: CheckoutSession) -> Order | None:
    """The order of a completed session that is kept here."""
    statement = select(Order).where(
        Order.checkout_id == session.id, Order.status != lifecycle.Status.CANCELLED
    )
    with reading() as db:
        return db.scalars(statement).one_or_none()
