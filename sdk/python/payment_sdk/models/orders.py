"""Orders, in major units."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from payment_sdk._models import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCalculation(Model):
    """What a cart would cost; `discount_code` is None where none was good."""

    subtotal: Decimal
    discount_code: str | None
    discount_amount: Decimal
    discounted_subtotal: Decimal
    tax: Decimal
    total: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Order(Model):
    """An order: `pending`, `paid`, `shipped`, `delivered` or `cancelled`."""

    id: int
    user_id: int | None
    status: str
    subtotal: Decimal
    tax: Decimal
    discount_amount: Decimal
    total: Decimal
    discount_code: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderItem(Model):
    """A line of an order."""

    sku: str
    name: str
    quantity: int
    unit_price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderDetail(Order):
    """An order with its lines; a pending one is cancelled when it is not paid until `expires_at`."""

    currency: str
    shipping: Decimal
    items: list[OrderItem]
    payment_intent_id: str | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPayment(Model):
    """An order that was paid."""

    message: str
    order: Order
