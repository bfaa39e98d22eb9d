"""`client.payments.refunds`: money that goes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from payment_sdk import _operations as op
from payment_sdk.models.payments import JobAccepted, Refund
from payment_sdk.params import RefundDraft
from payment_sdk.resources.base import Resource, given

_CREATE = op.post("PY-023", "/v1/payments/refunds")
_BULK = op.post("PY-027", "/v1/payments/refunds/bulk")
_GET = op.get("PY-024", "/v1/payments/refunds/{refund_id}")
_CANCEL = op.post("PY-025", "/v1/payments/refunds/{refund_id}/cancel")


class Refunds(Resource):
    """Refunds; those of one payment are listed by `client.payments.intents.refunds`."""

    def create(
        self,
        *,
        payment_intent_id: str,
        charge_id: str | None = None,
        amount: int | None = None,
        reason: Literal["customer_request", "product_return", "fraud", "other"] | None = None,
        refund_method: Literal["original_payment_method", "store_credit"] | None = None,
        metadata: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Refund:
        """Give back `amount` in minor units, or all that is left; never more than was taken."""
        body = given(
            payment_intent_id=payment_intent_id,
            charge_id=charge_id,
            amount=amount,
            reason=reason,
            refund_method=refund_method,
            metadata=metadata,
        )
        return self._one(_CREATE, Refund, body=body, key=idempotency_key)

    def create_many(
        self, refunds: Sequence[RefundDraft], *, idempotency_key: str | None = None
    ) -> JobAccepted:
        """Make many in the background."""
        return self._one(_BULK, JobAccepted, body={"refunds": list(refunds)}, key=idempotency_key)

    def get(self, refund_id: str) -> Refund:
        """A refund as it is."""
        return self._one(_GET, Refund, _GET.at(refund_id=refund_id))

    def cancel(self, refund_id: str, *, idempotency_key: str | None = None) -> Refund:
        """Try to stop one that was not sent yet."""
        return self._one(_CANCEL, Refund, _CANCEL.at(refund_id=refund_id), key=idempotency_key)
