"""`client.payments.methods`: ways to pay that are kept in the vault. Card numbers never come this way:

a shopper's browser gives them to Till or to the gateway, and your server gets a token.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from payment_sdk import _operations as op
from payment_sdk.models.payments import PaymentMethod, Verification
from payment_sdk.pages import Page
from payment_sdk.resources.base import Resource, given

_METHOD = "/v1/payments/methods/{payment_method_id}"
_CREATE = op.post("PY-001", "/v1/payments/methods")
_ATTACH = op.post("PY-002", "/v1/payments/methods/attach")
_GET = op.get("PY-003", _METHOD)
_LIST = op.get("PY-004", "/v1/payments/methods")
_UPDATE = op.patch("PY-005", _METHOD)
_REVOKE = op.delete("PY-006", _METHOD)
_VERIFY = op.post("PY-007", "/v1/payments/methods/verify")

MethodType = Literal["card", "bank_account", "apple_pay", "google_pay", "paypal", "sepa_debit"]


class Methods(Resource):
    """Payment methods."""

    def create(
        self,
        *,
        token: str,
        type: MethodType | None = None,  # noqa: A002 - the API's word
        customer_id: str | None = None,
        consent: bool | None = None,
        save_method: bool | None = None,
        metadata: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> PaymentMethod:
        """Make a method of a token; without the customer's `consent` it serves one payment only."""
        body = given(
            type=type,
            token=token,
            customer_id=customer_id,
            consent=consent,
            save_method=save_method,
            metadata=metadata,
        )
        return self._one(_CREATE, PaymentMethod, body=body, key=idempotency_key)

    def attach(
        self,
        *,
        payment_method_id: str,
        customer_id: str | None = None,
        merchant_account_id: str | None = None,
        consent: bool | None = None,
        idempotency_key: str | None = None,
    ) -> PaymentMethod:
        """Keep a method for a customer, who has consented."""
        body = given(
            payment_method_id=payment_method_id,
            customer_id=customer_id,
            merchant_account_id=merchant_account_id,
            consent=consent,
        )
        return self._one(_ATTACH, PaymentMethod, body=body, key=idempotency_key)

    def get(self, payment_method_id: str) -> PaymentMethod:
        """A method: brand and last digits, never the number."""
        return self._one(_GET, PaymentMethod, _GET.at(payment_method_id=payment_method_id))

    def list(
        self, *, customer_id: str, limit: int | None = None, cursor: str | None = None
    ) -> Page[PaymentMethod]:
        """A customer's methods."""
        return self._page(
            _LIST, PaymentMethod, query=given(customer_id=customer_id, limit=limit, cursor=cursor)
        )

    def update(
        self,
        payment_method_id: str,
        *,
        nickname: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        is_default: bool | None = None,
        version: int | None = None,
        idempotency_key: str | None = None,
    ) -> PaymentMethod:
        """Change what is given."""
        body = given(nickname=nickname, metadata=metadata, is_default=is_default, version=version)
        path = _UPDATE.at(payment_method_id=payment_method_id)
        return self._one(_UPDATE, PaymentMethod, path, body=body, key=idempotency_key)

    def revoke(self, payment_method_id: str, *, idempotency_key: str | None = None) -> None:
        """End a method; it can be charged no more."""
        self._nothing(_REVOKE, _REVOKE.at(payment_method_id=payment_method_id), key=idempotency_key)

    def verify(
        self,
        *,
        payment_method_id: str,
        type: Literal["micro_deposit", "bank_verification", "3ds_enrollment"],  # noqa: A002
        amounts: Sequence[int] | None = None,
        idempotency_key: str | None = None,
    ) -> Verification:
        """Prove a method: by small deposits (then `amounts` confirm them), a bank's word, or 3-D Secure."""
        body = given(
            payment_method_id=payment_method_id,
            type=type,
            amounts=list(amounts) if amounts is not None else None,
        )
        return self._one(_VERIFY, Verification, body=body, key=idempotency_key)
