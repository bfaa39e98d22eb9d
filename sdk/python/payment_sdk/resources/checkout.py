"""`client.checkout`: sessions of an amount and a reference; `client.checkout.carts`: sessions of a cart."""

from __future__ import annotations

from collections.abc import Sequence

from payment_sdk import _operations as op
from payment_sdk._caller import Caller
from payment_sdk.models.checkout import CheckoutSession, CheckoutSessionStatus
from payment_sdk.resources.base import Resource, given
from payment_sdk.resources.carts import Carts

_CREATE = op.post("MR-001", "/api/v1/checkout/sessions", per_minute=10)
_GET = op.get("MR-002", "/api/v1/checkout/sessions/{session_id}", per_minute=30)


class Checkout(Resource):
    """Sessions of an amount and a reference of your own; Till finalises them by itself."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(caller)
        #: Sessions of a cart, with totals, delivery and a finalisation of their own.
        self.carts = Carts(caller)

    def create(
        self,
        *,
        amount: int,
        currency: str,
        reference: str,
        method_types: Sequence[str] | None = None,
        success_url: str | None = None,
        cancel_url: str | None = None,
        idempotency_key: str | None = None,
    ) -> CheckoutSession:
        """Make a session; `amount` in minor units (10000 USD is $100.00). It lives for 30 minutes.

        An idempotency key is made for each call and kept over its retries. Give your own, for example the
        order's id, and a crash of your server between two calls makes no second session either.
        """
        body = given(
            amount=amount,
            currency=currency,
            reference=reference,
            methodTypes=list(method_types) if method_types is not None else None,
            successUrl=success_url,
            cancelUrl=cancel_url,
        )
        return self._one(_CREATE, CheckoutSession, body=body, key=idempotency_key)

    def get(self, session_id: str) -> CheckoutSessionStatus:
        """How a session stands."""
        return self._one(_GET, CheckoutSessionStatus, _GET.at(session_id=session_id))
