"""Hosted sessions in major units, as /checkout-sessions has them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from payment_sdk._models import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedSessionRow(Model):
    """A session as a list shows it; `amount` per unit, in major units."""

    checkout_session_id: str
    organization_id: str
    amount: Decimal
    currency_code: str
    status: str
    title: str | None
    description: str | None
    customer_id: str | None
    customer_email: str | None
    expires_at: datetime
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedSession(HostedSessionRow):
    """A session; `url` is the page to send the shopper to, None once it is not open."""

    customer_name: str | None
    customer_phone: str | None
    product_id: str | None
    price_id: str | None
    subscription_id: str | None
    allow_quantity: bool
    quantity: int
    success_url: str | None
    cancel_url: str | None
    allow_coupon_code: bool
    require_billing_address: bool
    payment_link_id: str | None
    metadata: dict[str, Any]
    environment: str
    created_by: str | None
    url: str | None
    is_spi: bool | None
    is_pos: bool | None
