"""What tests of connectors ask for: a caller, and calls with everything filled in that a test does not mean."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from sqlalchemy import select

from app.connectors import base
from app.connectors.sandbox import book
from app.db import reading
from app.kit import clock
from app.kit.ids import new_id
from tests.stripe_standin import StandIn


@dataclass
class Caller:
    """A merchant that calls one connector."""

    connector: Any
    context: base.ConnectorContext
    standin: StandIn | None = None

    def card(self, number: str, cvc: str | None = "123") -> str:
        """The token of a card, by its number or by the name of a method of Stripe's test mode."""
        if self.standin is not None:
            return self.standin.account(self.context.credentials["secret_key"]).method(number)
        details = base.CardDetails(number, 12, clock.now().year + 2, cvc)
        return str(self.connector.tokenize(self.context, details).token)

    def stranger(self) -> Caller:
        """Another merchant, with an account of its own."""
        return replace(self, context=context("ten_b", credentials={"secret_key": "sk_test_of_ten_b"}))

    def authorize(self, token: str, key: str | None = None, **changes: Any) -> Any:
        """Ask for 1,500 minor units."""
        return self.connector.authorize(self.context, self._wanted(token, key, changes))

    def sell(self, token: str, key: str | None = None, **changes: Any) -> Any:
        """Ask for 1,500 minor units, to be taken at once."""
        return self.connector.sell(self.context, self._wanted(token, key, changes))

    def _wanted(self, token: str, key: str | None, changes: dict[str, Any]) -> base.AuthorizeRequest:
        values: dict[str, Any] = {
            "key": key or f"authorize_{new_id('at')}",
            "attempt_id": "at_test",
            "amount": 1500,
            "currency": "GBP",
            "token": token,
            "method_type": "card",
            "return_url": "http://shop.test/return/nonce",
            **changes,
        }
        return base.AuthorizeRequest(**values)

    def capture(
        self, reference: str, amount: int = 1500, key: str | None = None, currency: str = "GBP"
    ) -> Any:
        """Capture; every call has its own key unless one is given."""
        request = base.CaptureRequest(key or f"capture_{new_id('at')}", reference, amount, currency)
        return self.connector.capture(self.context, request)

    def void(self, reference: str) -> Any:
        """Release."""
        return self.connector.void(self.context, base.VoidRequest(f"void_{new_id('at')}", reference))

    def refund(self, reference: str, amount: int, key: str | None = None, currency: str = "GBP") -> Any:
        """Give back."""
        request = base.RefundRequest(key or f"refund_{new_id('rf')}", reference, amount, currency)
        return self.connector.refund(self.context, request)

    def find(self, key: str, reference: str | None = None) -> Any:
        """What became of a payment."""
        return self.connector.find(self.context, key, reference)

    def find_refund(self, key: str, payment: str | None = None) -> Any:
        """What became of a refund."""
        return self.connector.find_refund(self.context, key, payment)

    def captured(self, number: str) -> str:
        """The reference of a payment of 1,500 that is captured."""
        approved = self.authorize(self.card(number))
        assert isinstance(approved, base.Approved)
        assert isinstance(self.capture(approved.reference), base.Approved)
        return approved.reference


def context(
    tenant_id: str = "ten_a", mode: str = "test", credentials: dict[str, str] | None = None
) -> base.ConnectorContext:
    """A caller's context."""
    return base.ConnectorContext(tenant_id, mode, "http://shop.test", credentials or {})


def fresh_key(operation: str) -> str:
    """A key as the services make them."""
    return f"{operation}_{new_id('rf' if operation == 'refund' else 'ch')}"


def in_the_book() -> list[dict[str, Any]]:
    """Each payment in the sandbox's own book."""
    with reading() as db:
        return [dict(row) for row in db.execute(select(book.payments)).mappings()]


@pytest.fixture
def sandbox(database: str) -> Caller:
    """A merchant that calls the sandbox."""
    from app.connectors import registry

    return Caller(registry.get("sandbox"), context())


@pytest.fixture
def stripe(standin: StandIn) -> Caller:
    """A merchant that calls Stripe with keys of its own."""
    from app.connectors import registry

    keys = {"secret_key": "sk_test_of_ten_a", "publishable_key": "pk_test_of_ten_a"}
    return Caller(registry.get("stripe"), context(credentials=keys), standin)


def places(capability: type) -> list[tuple[str, str]]:
    """Where a conformance suite runs: (connector, kind of database).

    The sandbox keeps its book in our database and so runs on both kinds.
    """
    from app.connectors import registry

    able = [connector.name for connector in registry._ALL if isinstance(connector, capability)]
    kinds = {"sandbox": ("sqlite", "postgresql")}
    return [(name, kind) for name in able for kind in kinds.get(name, ("sqlite",))]


@pytest.fixture
def caller(request: pytest.FixtureRequest, place: tuple[str, str], database: str) -> Caller:
    """The fixture that is called as the connector is."""
    made: Caller = request.getfixturevalue(place[0])
    return made
