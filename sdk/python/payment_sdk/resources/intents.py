"""`client.payments.intents`: one payment each, from its creation to its capture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from payment_sdk import _operations as op
from payment_sdk.models.payments import (
    Capture,
    Charge,
    JobAccepted,
    NextAction,
    PaymentIntent,
    Refund,
    Transaction,
)
from payment_sdk.pages import Page
from payment_sdk.params import CaptureMode, IntentDraft, PaymentMethodOptions
from payment_sdk.resources.base import Resource, given

_INTENT = "/v1/payments/intents/{intent_id}"
_CREATE = op.post("PY-008", "/v1/payments/intents")
_BULK = op.post("PY-017", "/v1/payments/intents/bulk")
_GET = op.get("PY-009", _INTENT)
_UPDATE = op.patch("PY-010", _INTENT)
_ATTACH = op.post("PY-011", _INTENT + "/attach-method")
_CONFIRM = op.post("PY-012", _INTENT + "/confirm")
_CAPTURE = op.post("PY-014", _INTENT + "/capture")
_CANCEL = op.post("PY-015", _INTENT + "/cancel")
_CHARGES = op.get("PY-016", _INTENT + "/charges")
_TRANSACTIONS = op.get("PY-022", _INTENT + "/transactions")
_REFUNDS = op.get("PY-026", _INTENT + "/refunds")
_NEXT_ACTION = op.get("PY-060", _INTENT + "/next-action")


class Intents(Resource):
    """Payments. A decline is an answer with `last_error`, not an exception."""

    def create(
        self,
        *,
        amount: int,
        currency: str,
        customer_id: str | None = None,
        payment_method_id: str | None = None,
        capture_mode: CaptureMode | None = None,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        payment_method_options: PaymentMethodOptions | None = None,
        merchant_account_id: str | None = None,
        request_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> PaymentIntent:
        """Make a payment of `amount` in minor units; nothing is charged before `confirm`."""
        body = given(
            request_id=request_id,
            amount=amount,
            currency=currency,
            customer_id=customer_id,
            payment_method_id=payment_method_id,
            capture_mode=capture_mode,
            description=description,
            metadata=metadata,
            payment_method_options=payment_method_options,
            merchant_account_id=merchant_account_id,
        )
        return self._one(_CREATE, PaymentIntent, body=body, key=idempotency_key or request_id)

    def create_many(
        self, intents: Sequence[IntentDraft], *, idempotency_key: str | None = None
    ) -> JobAccepted:
        """Make many in the background."""
        return self._one(_BULK, JobAccepted, body={"intents": list(intents)}, key=idempotency_key)

    def get(self, intent_id: str) -> PaymentIntent:
        """A payment as it is."""
        return self._one(_GET, PaymentIntent, _GET.at(intent_id=intent_id))

    def update(
        self,
        intent_id: str,
        *,
        amount: int | None = None,
        capture_mode: CaptureMode | None = None,
        payment_method_options: PaymentMethodOptions | None = None,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        version: int | None = None,
        idempotency_key: str | None = None,
    ) -> PaymentIntent:
        """Change what is given; with `version`, only if nobody else has changed it since."""
        body = given(
            amount=amount,
            capture_mode=capture_mode,
            payment_method_options=payment_method_options,
            description=description,
            metadata=metadata,
            version=version,
        )
        return self._one(
            _UPDATE, PaymentIntent, _UPDATE.at(intent_id=intent_id), body=body, key=idempotency_key
        )

    def attach_method(
        self, intent_id: str, *, payment_method_id: str, idempotency_key: str | None = None
    ) -> PaymentIntent:
        """Say what is charged: a method of the vault, or a token."""
        path, body = _ATTACH.at(intent_id=intent_id), {"payment_method_id": payment_method_id}
        return self._one(_ATTACH, PaymentIntent, path, body=body, key=idempotency_key)

    def confirm(
        self,
        intent_id: str,
        *,
        payment_method_id: str | None = None,
        return_url: str | None = None,
        off_session: bool | None = None,
        idempotency_key: str | None = None,
    ) -> PaymentIntent:
        """Charge it. `requires_action` means that `next_action` has to be done by the payer first."""
        body = given(payment_method_id=payment_method_id, return_url=return_url, off_session=off_session)
        path = _CONFIRM.at(intent_id=intent_id)
        return self._one(_CONFIRM, PaymentIntent, path, body=body, key=idempotency_key)

    def capture(
        self, intent_id: str, *, amount: int | None = None, idempotency_key: str | None = None
    ) -> Capture:
        """Take what is held: all, or a part, which lets go of the rest."""
        path = _CAPTURE.at(intent_id=intent_id)
        return self._one(_CAPTURE, Capture, path, body=given(amount=amount), key=idempotency_key)

    def cancel(
        self,
        intent_id: str,
        *,
        reason: Literal["user_cancel", "timeout", "fraud"] | None = None,
        idempotency_key: str | None = None,
    ) -> PaymentIntent:
        """End it, and let go of what is held."""
        path = _CANCEL.at(intent_id=intent_id)
        return self._one(_CANCEL, PaymentIntent, path, body=given(reason=reason), key=idempotency_key)

    def next_action(self, intent_id: str) -> NextAction | None:
        """What comes next for the payer, None where nothing does."""
        reply = self._caller.call(_NEXT_ACTION, _NEXT_ACTION.at(intent_id=intent_id))
        return None if reply.value is None else NextAction.of(reply.value, reply.info)

    def charges(self, intent_id: str, *, limit: int | None = None, cursor: str | None = None) -> Page[Charge]:
        """The attempts at it."""
        query = given(limit=limit, cursor=cursor)
        return self._page(_CHARGES, Charge, _CHARGES.at(intent_id=intent_id), query=query)

    def transactions(
        self, intent_id: str, *, limit: int | None = None, cursor: str | None = None
    ) -> Page[Transaction]:
        """Every authorization, capture, refund and reversal of it."""
        query = given(limit=limit, cursor=cursor)
        return self._page(_TRANSACTIONS, Transaction, _TRANSACTIONS.at(intent_id=intent_id), query=query)

    def refunds(self, intent_id: str, *, limit: int | None = None, cursor: str | None = None) -> Page[Refund]:
        """What went back of it."""
        query = given(limit=limit, cursor=cursor)
        return self._page(_REFUNDS, Refund, _REFUNDS.at(intent_id=intent_id), query=query)
