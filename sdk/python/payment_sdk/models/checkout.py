"""Checkout sessions: of an amount and a reference, and of a cart. Amounts are in minor units."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from payment_sdk._models import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckoutSession(Model):
    """A session that waits for its payer: send them to `redirect_url`."""

    id: str
    redirect_url: str
    qr_image_url: str | None
    status: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckoutSessionStatus(CheckoutSession):
    """How a session stands: `pending`, `completed`, `expired`, `failed` or `canceled`."""

    amount: int
    currency: str
    reference: str | None
    created_at: datetime
    remaining_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals(Model):
    """What a cart comes to."""

    currency: str
    sub_total: int
    discount_total: int
    tax_total: int
    shipping_total: int
    fee_total: int
    grand_total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionIntent(Model):
    """The payment of a session, in short."""

    id: str
    status: str
    amount: int
    currency: str
    next_action: dict[str, Any] | None
    last_error: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CartSession(Model):
    """A session of a cart, whole. `client_token` opens it to the shopper's browser, and nothing else."""

    checkout_id: str
    cart_id: str | None
    cart_snapshot: dict[str, Any]
    owner: dict[str, Any]
    status: str
    client_token: str = field(repr=False)
    calculation_id: str | None
    totals: Totals | None
    amount_due: int
    shipping_address: dict[str, Any] | None
    billing_address: dict[str, Any] | None
    selected_shipping: dict[str, Any] | None
    pickup_location: dict[str, Any] | None
    shipment_plan_id: str | None
    reservation_id: str | None
    payment_intent: SessionIntent | None
    order_id: str | None
    receipt_id: str | None
    cancel_reason: str | None
    failure_reason: str | None
    expires_at: datetime
    created_at: datetime
    updated_at: datetime
    version: int
    metadata: dict[str, Any]
    channel: str
    options: dict[str, Any]
    customer: dict[str, Any]
    contact: dict[str, Any]
    applied_promotions: list[Any]
    validation_issues: list[Any]
    fraud: dict[str, Any] | None
    kyc: dict[str, Any] | None
    review: dict[str, Any] | None
    livemode: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedUrl(Model):
    """The page of a session, for as long as it lives."""

    hosted_id: str
    url: str
    expires_at: datetime
    ttl_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedToken(Model):
    """What opens a session in a frame of the merchant's own page, for fifteen minutes."""

    token: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippingOption(Model):
    """One way of delivery."""

    shipping_option_id: str
    label: str
    carrier: str
    service_code: str
    cost: int
    currency: str
    estimated_delivery_date: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Calculation(Model):
    """A stored calculation, line by line."""

    calculation_id: str
    calculated_at: datetime
    lines: list[Any]
    shipping: int
    fees: list[Any]
    totals: Totals


@dataclass(frozen=True, slots=True, kw_only=True)
class TotalsState(Model):
    """The last calculation's totals, and whether the session has changed since."""

    calculation_id: str
    calculated_at: datetime
    totals: Totals
    stale: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation(Model):
    """Whether a session could be sold as it is, and what stands in the way."""

    valid: bool
    blockers: list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalized(Model):
    """A session that was sold."""

    checkout_id: str
    status: str
    order_id: str | None
    receipt_id: str | None
    receipt_url: str | None
    payment_intent_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackStep(Model):
    """One thing that was undone, or not."""

    step: str
    status: str
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback(Model):
    """How undoing a sale stands."""

    checkout_id: str
    finalization_id: str
    status: str
    session_status: str
    steps: list[RollbackStep]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEntry(Model):
    """One thing that happened to a session."""

    id: str
    at: datetime
    type: str
    entity: str
    entity_id: str
    from_status: str | None
    to_status: str | None
    cause: str | None
    actor_kind: str | None
    actor_id: str | None
    on_behalf_of: str | None
    payment_intent_id: str | None
    correlation_id: str | None
    details: dict[str, Any]
