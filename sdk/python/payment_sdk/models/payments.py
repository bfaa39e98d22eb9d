"""Payments: intents and what happens to them, methods, refunds, jobs. Amounts are in minor units."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from payment_sdk._models import Model, named


@dataclass(frozen=True, slots=True, kw_only=True)
class NextAction(Model):
    """What the payer's browser has to do now, with instructions."""

    type: str
    url: str | None
    qr_payload: str | None
    challenge: dict[str, Any] | None
    details: dict[str, Any] | None
    expires_at: datetime | None
    instructions: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentIntent(Model):
    """A payment. A decline is its `last_error`, not raised; `client_secret` is for the payer's browser."""

    id: str
    payment_intent_id: str
    checkout_id: str | None
    status: str
    amount: int
    currency: str
    customer_id: str | None
    payment_method_id: str | None
    capture_mode: str
    description: str | None
    metadata: dict[str, Any]
    payment_methods: list[str]
    payment_method_options: dict[str, Any]
    merchant_account_id: str | None
    request_id: str | None
    next_action: NextAction | None
    last_error: dict[str, Any] | None
    cancel_reason: str | None
    risk: dict[str, Any] | None
    amount_authorized: int
    amount_captured: int
    amount_refunded: int
    client_secret: str | None = field(repr=False)
    version: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture(Model):
    """Money that was taken, or is being taken."""

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
    captured_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization(Model):
    """Money that a bank holds for the merchant."""

    id: str
    intent_id: str
    payment_intent_id: str
    charge_id: str
    status: str
    amount: int
    amount_captured: int
    currency: str
    gateway_reference: str | None
    expires_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge(Model):
    """One attempt at a payment, as the gateway and the card network saw it."""

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
    gateway_reference: str | None
    acquirer: str | None
    response_code: str | None
    network_response_code: str | None
    decline_code: str | None
    avs_result: str | None
    cvv_result: str | None
    three_ds_result: str | None = named("3ds_result")
    risk_score: int | None
    settlement_date: date | None
    reconciliation_reference: str
    authorization: Authorization | None
    capture: Capture | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction(Model):
    """One event in the life of a payment: authorization, capture, refund, reversal."""

    id: str
    type: str
    status: str
    amount: int
    currency: str
    charge_id: str
    refund_id: str | None
    payment_intent_id: str
    gateway_reference: str | None
    acquirer: str | None
    response_code: str | None
    avs_result: str | None
    cvv_result: str | None
    three_ds_result: str | None = named("3ds_result")
    risk_score: int | None
    settlement_date: date | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund(Model):
    """Money that goes back. One that failed says why, and in `actions` what a person may do."""

    id: str
    refund_id: str
    status: str
    amount: int
    currency: str
    payment_intent_id: str
    charge_id: str
    gateway_reference: str | None
    reason: str
    reason_text: str | None
    refund_method: str
    failure_reason: str | None
    actions: list[Any]
    credit_note_id: str | None
    group_id: str | None
    metadata: dict[str, Any]
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentMethod(Model):
    """A way to pay, in the vault: brand and last digits, never the number."""

    id: str
    payment_method_id: str
    type: str
    status: str
    brand: str | None
    last4: str | None
    exp_month: int | None
    exp_year: int | None
    customer_id: str | None
    merchant_account_id: str | None
    vault_provider: str
    consent: bool
    consented_at: datetime | None
    reusable: bool
    is_default: bool
    metadata: dict[str, Any]
    verified_at: datetime | None
    revoked_at: datetime | None
    livemode: bool
    version: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification(Model):
    """How the proof of a payment method stands."""

    id: str
    verification_id: str
    payment_method_id: str
    type: str
    status: str
    reason: str | None
    tries_left: int | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class JobAccepted(Model):
    """Work that goes on in the background; `client.payments.jobs.get(job_id)` tells how far it is."""

    job_id: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(Model):
    """How work in the background stands, and what came of it."""

    id: str
    job_id: str
    type: str
    status: str
    result: dict[str, Any] | None
    errors: list[dict[str, Any]]
    created_at: datetime
    finished_at: datetime | None
