"""For tests of the risk room: a shop with other choices, its decisions, a buyer's address."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, select

from app.connectors.sandbox import book
from app.db import reading, transaction
from app.domain.actor import Actor, shopper_actor
from app.domain.rules import risk_choices
from app.models.access.tenant import Tenant
from app.models.events.journal import JournalEntry
from app.models.payments.intent import PaymentIntent
from app.models.payments.method import PaymentMethod
from app.models.risk.fraud_decision import FraudDecision
from app.models.risk.velocity_counter import VelocityCounter
from app.services.access import keys
from app.services.payments import intents, methods
from app.services.payments.intents import IntentDraft
from app.services.risk import screening
from app.services.risk.opinions import Opinion
from tests import shops
from tests.shops import GOOD, Shop, card

BLOCKED, HIGHEST, ELEVATED = "4100000000000019", "4000000000004954", "4000000000009235"
GERMAN = "4000002760003184"

#: Addresses of two shoppers, both public.
HERE, THERE = "81.2.69.142", "2a02:8070:1::7"


def choose(shop: Shop, **choices: Any) -> Shop:
    """The shop after its merchant chose."""
    risk_choices.check(choices)
    with transaction() as db:
        tenant = db.get_one(Tenant, shop.actor.tenant_id)
        tenant.settings = {**tenant.settings, **choices}
    return Shop(keys.authenticate(shop.secret), shop.secret)


def shopper(shop: Shop, session_id: str, address: str = HERE) -> Actor:
    """A shopper on the page of a session."""
    return shopper_actor(shop.actor.tenant, "test", session_id, "req", address)


def intent_of(shop: Shop, amount: int = 5000, **draft: Any) -> PaymentIntent:
    """A payment without a checkout."""
    return intents.create(shop.actor, IntentDraft(amount, "GBP", **draft))


def confirm(
    shop: Shop, intent: PaymentIntent, number: str = GOOD, nonce: str = "n1", **how: Any
) -> PaymentIntent:
    """Confirm with a card."""
    method = methods.tokenize_card(shop.actor, card(number))
    return intents.confirm(shop.actor, intent.id, nonce=nonce, method_id=method.id, **how)


def decisions(intent: PaymentIntent) -> list[FraudDecision]:
    """The decisions of a payment, oldest first."""
    statement = select(FraudDecision).where(FraudDecision.intent_id == intent.id).order_by(FraudDecision.id)
    with reading() as db:
        return list(db.scalars(statement))


def facts(intent: PaymentIntent, type_: str) -> list[JournalEntry]:
    """What the journal says of a payment under that type."""
    statement = (
        select(JournalEntry)
        .where(JournalEntry.payment_intent_id == intent.id, JournalEntry.type == type_)
        .order_by(JournalEntry.id)
    )
    with reading() as db:
        return list(db.scalars(statement))


def at_the_gateway() -> list[str]:
    """The status of each payment that the gateway has heard of."""
    with reading() as db:
        return list(db.scalars(select(book.payments.c.status)))


def reusable(shop: Shop, number: str = GOOD) -> str:
    """A method that a customer left to be charged later; its id."""
    return methods.tokenize_card(shop.actor, card(number), customer_id="cust_1", consent=True).id


def another() -> Shop:
    """Another merchant."""
    return shops.make("Stranger")


def counters() -> Select[Any]:
    """What the counters hold."""
    row = VelocityCounter
    return select(row.bucket, row.tries, row.declines, row.amount).order_by(row.bucket)


def open_with(
    shop: Shop, intent: PaymentIntent, method: PaymentMethod, opinion: Opinion, *, amount: int
) -> FraudDecision:
    """Screen the payment of another amount with that opinion; the decision."""
    with transaction(shop.actor) as db:
        fresh = intents.find(db, shop.actor, intent.id, lock=True)
        fresh.amount = amount
        made = screening.screen(db, fresh, method, opinion)
        return db.get_one(FraudDecision, made.decision_id)
