"""Failed checkouts for tests: a merchant who allows one try, declines, and awaited bank transfers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from app.connectors.sandbox import simulations as bank
from app.models.checkout.session import CheckoutSession
from app.models.events.journal import JournalEntry
from app.services.checkout import payment
from app.services.checkout.payment import Order
from app.services.events import timeline
from app.services.payments import gateway
from tests.shops import NO_FUNDS, Shop


def strict(shop: Shop, **settings: Any) -> Shop:
    """The shop, with one try for each checkout."""
    chosen = {**shop.actor.tenant.settings, "max_payment_attempts": 1, **settings}
    return Shop(replace(shop.actor, tenant=replace(shop.actor.tenant, settings=chosen)), shop.secret)


def failed(shop: Shop, number: str = NO_FUNDS, **draft: Any) -> CheckoutSession:
    """A session whose only try was declined."""
    session = shop.session(**draft)
    done = strict(shop).pay(session, number, f"declined-{session.id}")
    assert done.status == "failed"
    return done


def awaited(shop: Shop, **draft: Any) -> CheckoutSession:
    """A session that waits for a bank transfer."""
    session = shop.session(**draft)
    done = payment.pay_by_redirect(shop.actor, session.id, "bank_transfer", Order("transfer"))
    assert (done.status, shop.intent(done).status) == ("payment_processing", "processing")
    return done


def bank_decides(shop: Shop, session: CheckoutSession, *, approve: bool) -> None:
    """The bank says what became of the session's transfer; its webhook is on its way."""
    [attempt] = shop.attempts(session)
    assert bank.decide(
        gateway.context(attempt.tenant_id, attempt.mode), attempt.gateway_key("authorize"), approve=approve
    )


def told(shop: Shop, session: CheckoutSession, type_: str) -> list[JournalEntry]:
    """The session's entries of a type."""
    return [entry for entry in timeline.of_checkout(shop.actor, session.id) if entry.type == type_]
