"""How charges, authorisations, captures and transactions look in JSON (contract/payments.md 2.5)."""

from __future__ import annotations

from datetime import date
from typing import Any

from pydantic import ConfigDict, Field

from app.domain.lifecycles.attempts import Status
from app.models.payments.attempt import Attempt
from app.services.payments.charges import Transaction
from app.web.schemas import Instant, View

_S = Status

_CHARGE_WORDS = {
    _S.CREATED: "pending",
    _S.SUBMITTED: "pending",
    _S.UNKNOWN: "pending",
    _S.ACTION_REQUIRED: "requires_action",
    _S.AUTHORIZED: "authorized",
    _S.CAPTURE_SUBMITTED: "authorized",
    _S.CAPTURE_UNKNOWN: "authorized",
    _S.VOID_SUBMITTED: "authorized",
    _S.VOID_UNKNOWN: "authorized",
    _S.CAPTURED: "captured",
    _S.DECLINED: "failed",
    _S.NOT_FOUND: "failed",
    _S.VOIDED: "voided",
    _S.AUTH_EXPIRED: "expired",
}
#: OP-42.
_AUTHORIZATION_WORDS = {_S.CAPTURED: "captured", _S.VOIDED: "voided", _S.AUTH_EXPIRED: "expired"}
_CAPTURE_WORDS = {
    _S.CAPTURED: "succeeded",
    _S.CAPTURE_SUBMITTED: "pending",
    _S.CAPTURE_UNKNOWN: "pending",
}


class Reported(View):
    """What the acquirer reported beside the outcome."""

    model_config = ConfigDict(from_attributes=True, serialize_by_alias=True)

    gateway_reference: str | None
    acquirer: str | None
    response_code: str | None
    avs_result: str | None
    cvv_result: str | None
    three_ds_result: str | None = Field(serialization_alias="3ds_result")
    risk_score: int | None
    settlement_date: date | None


class AuthorizationView(View):
    """An authorisation: what is held, until when."""

    id: str
    intent_id: str
    payment_intent_id: str
    charge_id: str
    status: str
    amount: int
    amount_captured: int
    currency: str
    gateway_reference: str | None
    expires_at: Instant | None
    created_at: Instant

    @classmethod
    def of(cls, row: Attempt) -> AuthorizationView:
        """The view of an attempt that was approved."""
        return cls.model_construct(
            id=row.authorization_id,
            intent_id=row.intent_id,
            payment_intent_id=row.intent_id,
            charge_id=row.id,
            status=_AUTHORIZATION_WORDS.get(Status(row.status), "active"),
            amount=row.amount,
            amount_captured=row.amount_captured,
            currency=row.currency,
            gateway_reference=row.gateway_reference,
            expires_at=row.auth_expires_at,
            created_at=row.authorized_at or row.created_at,
        )


class CaptureView(View):
    """A capture record; `amount` is what was taken, or asked for."""

    id: str
    charge_id: str
    authorization_id: str
    intent_id: str
    payment_intent_id: str
    status: str
    amount: int
    currency: str
    gateway_reference: str | None
    failure_reason: str | None
    captured_at: Instant | None

    @classmethod
    def of(cls, row: Attempt) -> CaptureView:
        """The view of an attempt whose money was asked for."""
        status = _CAPTURE_WORDS.get(Status(row.status), "failed")
        return cls.model_construct(
            id=row.id.replace("ch_", "cap_", 1),
            charge_id=row.id,
            authorization_id=row.authorization_id,
            intent_id=row.intent_id,
            payment_intent_id=row.intent_id,
            status=status,
            amount=row.amount_captured or row.amount_to_capture or row.amount,
            currency=row.currency,
            gateway_reference=row.gateway_reference,
            failure_reason=(row.decline_code or "capture_refused") if status == "failed" else None,
            captured_at=row.captured_at,
        )


class ChargeView(Reported):
    """A charge: one try at a gateway, with its authorisation and its capture.

    `connector` is the gateway's type, `connector_id` the merchant's account there; null where it needs none.
    """

    id: str
    charge_id: str
    intent_id: str
    payment_intent_id: str
    checkout_id: str | None
    status: str
    amount: int
    amount_captured: int
    currency: str
    payment_method_id: str
    connector: str
    connector_id: str | None
    gateway_id: str | None
    network_response_code: str | None
    reconciliation_reference: str
    decline_code: str | None
    authorization: AuthorizationView | None
    capture: CaptureView | None
    created_at: Instant

    @classmethod
    def of(cls, row: Attempt) -> ChargeView:
        """The view of an attempt."""
        return cls.model_construct(
            **_reported(row),
            settlement_date=row.settlement_date,
            gateway_reference=row.gateway_reference,
            id=row.id,
            charge_id=row.id,
            intent_id=row.intent_id,
            payment_intent_id=row.intent_id,
            checkout_id=row.checkout_id,
            status=_CHARGE_WORDS[Status(row.status)],
            amount=row.amount,
            amount_captured=row.amount_captured,
            currency=row.currency,
            payment_method_id=row.payment_method_id,
            connector=row.connector,
            connector_id=row.connector_id,
            gateway_id=row.gateway_reference,
            network_response_code=row.response_code,
            reconciliation_reference=row.gateway_key("authorize"),
            decline_code=row.decline_code,
            authorization=AuthorizationView.of(row) if row.authorized_at else None,
            capture=CaptureView.of(row) if Status(row.status) in _CAPTURE_WORDS else None,
            created_at=row.created_at,
        )


class TransactionView(Reported):
    """One event in money of a payment."""

    id: str
    type: str
    status: str
    amount: int
    currency: str
    charge_id: str
    refund_id: str | None
    payment_intent_id: str
    created_at: Instant

    @classmethod
    def of(cls, item: Transaction) -> TransactionView:
        """The view of a transaction."""
        return cls.model_construct(
            **_reported(item.charge),
            settlement_date=item.settlement_date,
            gateway_reference=item.gateway_reference,
            id=item.id,
            type=item.type,
            status=item.status,
            amount=item.amount,
            currency=item.charge.currency,
            charge_id=item.charge.id,
            refund_id=item.refund.id if item.refund else None,
            payment_intent_id=item.charge.intent_id,
            created_at=item.at,
        )


def _reported(row: Attempt) -> dict[str, Any]:
    return {
        "acquirer": row.acquirer or row.connector,
        "response_code": row.response_code,
        "avs_result": row.avs_result,
        "cvv_result": row.cvv_result,
        "three_ds_result": row.three_ds_result,
        "risk_score": row.risk_score,
    }
