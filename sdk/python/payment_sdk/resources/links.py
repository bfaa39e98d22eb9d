"""`client.links`: payment links, which anybody may pay."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from payment_sdk import _operations as op
from payment_sdk._operations import Auth
from payment_sdk.models.links import LinkPayment, PaymentLink
from payment_sdk.resources.base import Resource, given

_CREATE = op.post("OP-51", "/api/v1/links")
_GET = op.get("MR-004", "/api/v1/links/{slug}", auth=Auth.NONE, per_minute=10)
_PAY = op.post("MR-005", "/api/v1/links/{slug}/checkout", auth=Auth.NONE, keyed=False, per_minute=3)


class Links(Resource):
    """Payment links."""

    def create(
        self,
        *,
        currency: str,
        reference: str,
        amount: int | None = None,
        slug: str | None = None,
        title: str | None = None,
        expires_at: datetime | None = None,
        usage_limit: int | None = None,
        idempotency_key: str | None = None,
    ) -> PaymentLink:
        """Make a link; without an `amount` (minor units) the payer chooses, without a `slug` one is made."""
        body = given(
            slug=slug,
            amount=amount,
            currency=currency,
            reference=reference,
            title=title,
            expires_at=expires_at,
            usageLimit=usage_limit,
        )
        return self._one(_CREATE, PaymentLink, body=body, key=idempotency_key)

    def get(self, slug: str) -> PaymentLink:
        """How a link stands."""
        return self._one(_GET, PaymentLink, _GET.at(slug=slug))

    def pay(self, slug: str, *, method_types: Sequence[str] | None = None) -> LinkPayment:
        """Start a payment over a link; it takes no key, and is repeated only if it cannot have arrived."""
        body = given(methodTypes=list(method_types) if method_types is not None else None)
        return self._one(_PAY, LinkPayment, _PAY.at(slug=slug), body=body)
