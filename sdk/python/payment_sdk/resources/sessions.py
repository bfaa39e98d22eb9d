"""`client.sessions`: hosted sessions in major units (/checkout-sessions)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

from payment_sdk import _operations as op
from payment_sdk._operations import Auth
from payment_sdk.errors import InvalidResponseError
from payment_sdk.models.sessions import HostedSession, HostedSessionRow
from payment_sdk.pages import OffsetPage
from payment_sdk.resources.base import Resource, given, major

_CREATE = op.post("SE-001", "/checkout-sessions", auth=Auth.X_API_KEY)
_LIST = op.get("SE-002", "/checkout-sessions", auth=Auth.X_API_KEY)
_GET = op.get("SE-003", "/checkout-sessions/{session_id}", auth=Auth.X_API_KEY)


class HostedSessions(Resource):
    """Sessions with a page of their own. They last an hour, and cannot be changed: make another instead."""

    def create(
        self,
        *,
        amount: Decimal | float | None = None,
        currency_code: str | None = None,
        title: str | None = None,
        description: str | None = None,
        customer_id: str | None = None,
        customer_email: str | None = None,
        customer_name: str | None = None,
        customer_phone: str | None = None,
        product_id: str | None = None,
        price_id: str | None = None,
        subscription_id: str | None = None,
        allow_quantity: bool | None = None,
        quantity: int | None = None,
        success_url: str | None = None,
        cancel_url: str | None = None,
        allow_coupon_code: bool | None = None,
        require_billing_address: bool | None = None,
        metadata: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> HostedSession:
        """Make a session; `amount` per unit, in major units: Decimal("12.50"), or 10000 for 10,000 XOF.

        The buyer is named by `customer_id` or `customer_email`; the amount may come from a product, a
        price or a subscription instead.
        """
        body = given(
            amount=major(amount),
            currency_code=currency_code,
            title=title,
            description=description,
            customer_id=customer_id,
            customer_email=customer_email,
            customer_name=customer_name,
            customer_phone=customer_phone,
            product_id=product_id,
            price_id=price_id,
            subscription_id=subscription_id,
            allow_quantity=allow_quantity,
            quantity=quantity,
            success_url=success_url,
            cancel_url=cancel_url,
            allow_coupon_code=allow_coupon_code,
            require_billing_address=require_billing_address,
            metadata=metadata,
        )
        return self._one(_CREATE, HostedSession, body=body, key=idempotency_key)

    def get(self, session_id: str) -> HostedSession:
        """A session, whole."""
        return self._one(_GET, HostedSession, _GET.at(session_id=session_id))

    def list(
        self,
        *,
        status: Literal["open", "complete", "expired"] | None = None,
        limit: int = 20,
        offset: int = 0,
    ) -> OffsetPage:
        """Sessions, newest first; iterate over the page for all that follow."""
        reply = self._caller.call(_LIST, _LIST.path, query=given(status=status, limit=limit, offset=offset))
        if not isinstance(reply.value, list):
            raise InvalidResponseError("Not a list of sessions")
        rows = [HostedSessionRow.of(row, reply.info) for row in reply.value]
        return OffsetPage(rows, limit, offset, lambda at: self.list(status=status, limit=limit, offset=at))
