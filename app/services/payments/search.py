"""Finding payments: by id, e-mail, reference, amount or the last four digits of the card."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from sqlalchemy import Select, String, cast, func, or_, select
from sqlalchemy.orm import aliased

from app.db import reading
from app.domain import money
from app.domain.actor import Actor
from app.models.checkout.session import CheckoutSession
from app.models.payments.attempt import Attempt
from app.models.payments.intent import PaymentIntent
from app.models.payments.method import PaymentMethod

#: More hits than anybody reads.
MAX_HITS = 100


_charged = aliased(PaymentIntent)


def find(actor: Actor, query: str) -> list[str]:
    """Ids of intents that the words fit, newest first."""
    statement = (
        _mine(actor)
        .outerjoin(CheckoutSession, CheckoutSession.id == PaymentIntent.checkout_id)
        .outerjoin(PaymentMethod, PaymentMethod.id == PaymentIntent.payment_method_id)
    )
    text = query.strip()
    conditions = [
        PaymentIntent.id == text,
        PaymentIntent.checkout_id == text,
        CheckoutSession.reference == text,
        CheckoutSession.order_id == text,
        PaymentIntent.id.in_(
            select(func.coalesce(_charged.parent_intent_id, _charged.id))
            .join(Attempt, Attempt.intent_id == _charged.id)
            .where(Attempt.id == text)
        ),
    ]
    if "@" in text:
        conditions.append(cast(CheckoutSession.customer, String).contains(text, autoescape=True))
    if len(text) == 4 and text.isdigit():
        conditions.append(PaymentMethod.last4 == text)
    amount = _amount(actor, text)
    if amount is not None:
        conditions.append(PaymentIntent.amount == amount)
    statement = statement.where(or_(*conditions)).order_by(PaymentIntent.id.desc()).limit(MAX_HITS)
    with reading() as db:
        return list(db.scalars(statement))


def session_of(actor: Actor, intent: PaymentIntent) -> CheckoutSession | None:
    """The checkout that a payment belongs to."""
    if intent.checkout_id is None:
        return None
    statement = select(CheckoutSession).where(
        CheckoutSession.id == intent.checkout_id, CheckoutSession.tenant_id == actor.tenant_id
    )
    with reading() as db:
        return db.scalars(statement).one_or_none()


def _mine(actor: Actor) -> Select[str]:
    return select(PaymentIntent.id).where(
        PaymentIntent.tenant_id == actor.tenant_id,
        PaymentIntent.mode == actor.mode,
        PaymentIntent.parent_intent_id.is_(None),
    )


def _amount(actor: Actor, text: str) -> int | None:
    try:
        return money.from_major(Decimal(text.replace(",", ".").lstrip("£$€")), actor.tenant.default_currency)
    except (InvalidOperation, ValueError):
        return None
