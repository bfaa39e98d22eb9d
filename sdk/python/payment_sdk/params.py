"""What calls take in parts: lines, addresses, evidence; dictionaries with known keys."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import Final, Literal, NotRequired, TypedDict


class Unset(Enum):
    """The kind of `UNSET`."""

    UNSET = "unset"


#: What is not given, where None would take a thing away.
UNSET: Final = Unset.UNSET

CaptureMode = Literal["auto", "manual"]


class CartLine(TypedDict):
    """A line of a cart; `unit_price` in minor units."""

    sku: str
    name: str
    quantity: int
    unit_price: int
    line_id: NotRequired[str]


class CartSnapshot(TypedDict):
    """A cart as it is sold; without a currency it is the session's, else the merchant's."""

    lines: list[CartLine]
    currency: NotRequired[str]


class Owner(TypedDict):
    """Who buys."""

    type: Literal["user", "guest"]
    id: str


class SessionOptions(TypedDict, total=False):
    """How a session behaves."""

    capture_mode: CaptureMode
    require_billing_address: bool
    require_shipping_address: bool
    allow_coupon_code: bool


class Customer(TypedDict, total=False):
    """Who buys, as the merchant knows them."""

    email: str
    phone: str
    customer_id: str
    name: str
    save_for_later: bool


class Address(TypedDict):
    """Where somebody lives; `country` in two letters."""

    line1: str
    country: str
    name: NotRequired[str]
    company: NotRequired[str]
    line2: NotRequired[str]
    city: NotRequired[str]
    state: NotRequired[str]
    postal_code: NotRequired[str]
    phone: NotRequired[str]


class CardOptions(TypedDict, total=False):
    """How a card is charged."""

    capture_method: Literal["automatic", "manual"]
    request_three_d_secure: Literal["automatic", "any"]


class PaymentMethodOptions(TypedDict, total=False):
    """How methods are charged, by their type."""

    card: CardOptions


class IntentDraft(TypedDict):
    """One payment of many."""

    amount: int
    currency: str
    request_id: NotRequired[str]
    customer_id: NotRequired[str]
    payment_method_id: NotRequired[str]
    capture_mode: NotRequired[CaptureMode]
    description: NotRequired[str]
    metadata: NotRequired[dict[str, object]]
    payment_method_options: NotRequired[PaymentMethodOptions]
    merchant_account_id: NotRequired[str]


class RefundDraft(TypedDict):
    """One refund of many."""

    payment_intent_id: str
    charge_id: NotRequired[str]
    amount: NotRequired[int]
    reason: NotRequired[Literal["customer_request", "product_return", "fraud", "other"]]
    refund_method: NotRequired[Literal["original_payment_method", "store_credit"]]
    metadata: NotRequired[dict[str, object]]


class EvidenceItem(TypedDict):
    """A document: its kind, and where it is."""

    type: str
    url: NotRequired[str]
    upload_id: NotRequired[str]


class OrderItemDraft(TypedDict, total=False):
    """A line of an order, in major units; what the catalogue has under its `sku` needs no price."""

    sku: str
    name: str
    quantity: int
    unit_price: Decimal | float
