"""A shop for tests: a merchant with stock, an actor with a secret key, the app over it, and card payments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import settings
from app.connectors.base import CardDetails
from app.db import reading, transaction
from app.domain.actor import Actor, system_actor
from app.kit import clock
from app.kit.ids import new_id, new_uuid
from app.models.catalogue.product import Price, Product
from app.models.catalogue.stock import StockItem
from app.models.checkout.session import CheckoutSession
from app.models.payments.attempt import Attempt
from app.models.payments.intent import PaymentIntent
from app.providers.base import CartLine, CartSnapshot
from app.services.access import keys, tenants
from app.services.checkout import payment, sessions
from app.services.checkout.drafts import SessionDraft
from app.services.operations import invariants
from app.services.payments import attempts, intents
from app.web import logs

#: Test cards by what they do.
GOOD, NO_FUNDS, CHALLENGED = "4242424242424242", "4000000000009995", "4000000000003220"
TIMES_OUT_AFTER, TIMES_OUT_BEFORE = "4000009990000021", "4000009990000013"
WRONG_AMOUNT = "4000009990000070"


@dataclass
class Shop:
    """A merchant and the secret key of its server."""

    actor: Actor
    secret: str

    @property
    def bearer(self) -> dict[str, str]:
        """Headers of the checkout and payments surfaces."""
        return {"Authorization": f"Bearer {self.secret}"}

    @property
    def operator(self) -> Actor:
        """Whoever runs Till: may do everything, and is no key."""
        return system_actor(self.actor.tenant, self.actor.mode)

    def stock(self, sku: str, on_hand: int) -> None:
        """Track a SKU."""
        with transaction() as db:
            db.add(
                StockItem(
                    id=new_id("stk"), tenant_id=self.actor.tenant_id, mode="test", sku=sku, on_hand=on_hand
                )
            )

    def offer(
        self, sku: str, unit_amount: int, currency: str = "GBP", interval: str | None = None
    ) -> tuple[str, str]:
        """Put a product into the catalogue; the public ids of it and of its price."""
        owned = {"tenant_id": self.actor.tenant_id, "mode": "test"}
        with transaction() as db:
            product = Product(
                id=new_id("prd"), public_id=new_uuid(), sku=sku, name=f"A {sku.lower()}", **owned
            )
            db.add(product)
            db.flush()
            price = Price(
                id=new_id("prc"),
                public_id=new_uuid(),
                product_id=product.id,
                unit_amount=unit_amount,
                currency=currency,
                interval=interval,
                **owned,
            )
            db.add(price)
        return product.public_id, price.public_id

    def left(self, sku: str) -> tuple[int, int, int]:
        """(on hand, held, sold)."""
        with reading() as db:
            item = db.query(StockItem).filter_by(tenant_id=self.actor.tenant_id, sku=sku).one()
            return item.on_hand, item.held, item.sold

    def session(
        self, sku: str = "MUG", quantity: int = 1, price: int = 1500, **draft: Any
    ) -> CheckoutSession:
        """A hosted session for one line."""
        line = CartLine("line_1", sku, "Mug", quantity, price)
        values: dict[str, Any] = {"surface": "checkout", "hosted": True, **draft}
        return sessions.create(self.actor, SessionDraft(cart=CartSnapshot("GBP", (line,)), **values))

    def pay(self, session: CheckoutSession, number: str = GOOD, nonce: str = "nonce-1") -> CheckoutSession:
        """Pay with a card."""
        return payment.pay_by_card(self.actor, session.id, card(number), payment.Order(nonce))

    def read(self, session: CheckoutSession) -> CheckoutSession:
        """The session as it is now."""
        return sessions.get(self.actor, session.id)

    def intent(self, session: CheckoutSession) -> PaymentIntent:
        """The session's payment as it is now."""
        found = self.read(session).payment_intent_id
        assert found is not None
        return intents.get(self.actor, found)

    def attempts(self, session: CheckoutSession) -> list[Attempt]:
        """The attempts of the session's payment."""
        return attempts.of_intent(self.actor, self.intent(session).id)


def card(number: str) -> CardDetails:
    """A card with a date in the future."""
    return CardDetails(number, 12, clock.now().year + 3, "123")


def make(name: str = "Test shop") -> Shop:
    """A merchant with 100 mugs."""
    tenant = tenants.create(name, tenants.slug_of(name), "GBP")
    actor = system_actor(tenant.profile("test"), "test", "tests")
    _, secret = keys.create(actor, "tests")
    shop = Shop(keys.authenticate(secret), secret)
    shop.stock("MUG", 100)
    return shop


@pytest.fixture
def shop(database: str) -> Shop:
    """A shop in a fresh database."""
    return make()


@pytest.fixture
def app(database: str) -> Flask:
    """The web application over the database of this test."""
    return application()


def application() -> Flask:
    """The web application over the database in use, with nothing in its configuration but its own.

    It is made once a process: six hundred routes and the templates take ten times as long as a test. Who
    adds to it makes one of their own.
    """
    settings.use(
        settings.current().model_copy(
            update={"api_reads_per_second": 0, "api_writes_per_second": 0, "log_level": "CRITICAL"}
        )
    )
    made, config = _made()
    made.config.clear()
    made.config.update(config)
    logs.configure(settings.current().log_level)
    return made


@cache
def _made() -> tuple[Flask, dict[str, Any]]:
    """The application of this process, and its configuration when it was new."""
    from app.factory import create_app

    made = create_app(settings.current())
    return made, dict(made.config)


@pytest.fixture
def client(app: Flask, shop: Shop) -> FlaskClient:
    """A client of the app; `shop` is in its database."""
    return app.test_client()


@pytest.fixture
def holds(database: str) -> Iterator[None]:
    """After the test every invariant must hold."""
    yield
    assert invariants.check() == []


def later(seconds: float) -> Any:
    """The clock, so much later, stopped there."""
    return clock.frozen(clock.now() + timedelta(seconds=seconds))


def moment(text: str) -> datetime:
    """An instant from its ISO form."""
    return datetime.fromisoformat(text)
