"""What belongs to what, for whoever goes from thing to thing: what a payment is for, what a link brought."""

from __future__ import annotations

from sqlalchemy import select

from app.db import reading
from app.domain.actor import Actor
from app.models.checkout.order import Order
from app.models.checkout.session import CheckoutSession
from app.models.checkout.subscription import Subscription, SubscriptionPeriod
from app.models.payments.intent import PaymentIntent
from app.services.payments import listing
from app.services.payments.listing import Line

#: Payments of a link that are shown, of so many of its latest checkouts.
SHOWN, LOOKED_AT = 10, 100


def paid_for(actor: Actor, intent: PaymentIntent) -> Order | Subscription | None:
    """What a payment without a checkout pays for: an order, or a period of a subscription."""
    if intent.paid_for is None:
        return None
    statement = select(Order).where(Order.id == intent.paid_for, Order.tenant_id == actor.tenant_id)
    by_period = (
        select(Subscription)
        .join(SubscriptionPeriod, SubscriptionPeriod.subscription_id == Subscription.id)
        .where(SubscriptionPeriod.id == intent.paid_for, Subscription.tenant_id == actor.tenant_id)
    )
    with reading() as db:
        return db.scalars(statement).one_or_none() or db.scalars(by_period).one_or_none()


def of_link(actor: Actor, link_id: str) -> list[Line]:
    """The latest payments that came of a payment link, newest first."""
    session = CheckoutSession
    statement = (
        select(session.payment_intent_id)
        .where(
            session.tenant_id == actor.tenant_id,
            session.mode == str(actor.mode),
            session.payment_link_id == link_id,
        )
        .order_by(session.id.desc())
        .limit(LOOKED_AT)
    )
    with reading() as db:
        found = tuple(name for name in db.scalars(statement) if name)
    return listing.page(actor, listing.Filters(ids=found), limit=SHOWN).data if found else []
