"""The systems that a checkout asks, one small protocol each, and the facts that travel.

Built-in providers live over `models/catalogue` and work inside the caller's transaction. Remote ones are a
merchant's own systems: they are asked with nothing open, and told by jobs (providers/remote/questions.py);
`remote` says which. Amounts are minor units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol, runtime_checkable

from app.domain.actor import TenantProfile
from app.domain.rules.fraud import Assessment, Facts, Rule

#: More lines than any cart has, and still one quick calculation.
MAX_LINES = 500
MAX_QUANTITY = 1_000_000


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose data is asked for: merchant and mode."""

    tenant: TenantProfile
    mode: str


@dataclass(frozen=True, slots=True)
class CartLine:
    """A line of a cart (OP-27)."""

    line_id: str
    sku: str
    name: str
    quantity: int
    unit_price: int

    def as_dict(self) -> dict[str, Any]:
        """The JSON form that snapshots keep."""
        return {
            "line_id": self.line_id,
            "sku": self.sku,
            "name": self.name,
            "quantity": self.quantity,
            "unit_price": self.unit_price,
        }


@dataclass(frozen=True, slots=True)
class CartSnapshot:
    """A frozen cart."""

    currency: str
    lines: tuple[CartLine, ...]

    def as_dict(self) -> dict[str, Any]:
        """The JSON form that sessions keep."""
        return {"currency": self.currency, "lines": [line.as_dict() for line in self.lines]}


@dataclass(frozen=True, slots=True)
class TaxRateQuote:
    """A rate that applies to discounted goods."""

    name: str
    percent: Decimal


@dataclass(frozen=True, slots=True)
class ShippingOption:
    """A way of delivery; days are counted from the order."""

    shipping_option_id: str
    label: str
    carrier: str
    service_code: str
    cost: int
    days_min: int
    days_max: int


class Provider(Protocol):
    """Every provider says whether a call leaves this process."""

    remote: bool


class Carts(Provider, Protocol):
    """Finds carts."""

    def get(self, scope: Scope, cart_id: str) -> CartSnapshot | None:
        """The cart, or None when there is no such cart."""
        ...


class Pricing(Provider, Protocol):
    """Knows what goods cost."""

    def price(self, scope: Scope, currency: str, lines: Sequence[CartLine]) -> list[CartLine]:
        """The same lines at the prices that hold now.

        Raises:
            Unprocessable: `no_price`: some of it is not sold.
        """
        ...


class Taxes(Provider, Protocol):
    """Knows tax rates."""

    def rate(
        self,
        scope: Scope,
        address: Mapping[str, Any] | None,
        *,
        currency: str = "",
        lines: Sequence[CartLine] = (),
    ) -> TaxRateQuote:
        """The rate for these goods sent to `address` (None: the merchant's default)."""
        ...


class Shipping(Provider, Protocol):
    """Knows ways of delivery."""

    def options(
        self,
        scope: Scope,
        currency: str,
        address: Mapping[str, Any] | None,
        *,
        lines: Sequence[CartLine] = (),
    ) -> list[ShippingOption]:
        """Ways to deliver these goods to `address`, cheapest first."""
        ...


@runtime_checkable
class Places(Protocol):
    """An inventory that tells where its goods lie, so that they can be sent from there in parcels."""

    def places(self, scope: Scope, skus: Sequence[str]) -> dict[str, dict[str, int]]:
        """Units that could be held now by SKU and place, for the SKUs that are tracked."""
        ...


@dataclass(frozen=True, slots=True)
class CreditNoteDraft:
    """What an invoice is credited with; `source` (`refund:rf_…`, `dispute:dp_…`) names its one cause."""

    source: str
    amount: int
    currency: str
    reason: str
    payment_intent_id: str
    order_id: str | None = None
    invoice_id: str | None = None


@dataclass(frozen=True, slots=True)
class OrderDraft:
    """A sale as the Order Service is told of it. `key` names it: asked again under it, nothing new is made.

    `hint` is what the merchant had to say to the service; `receipt_id` the receipt that will be issued;
    `shipments` the parcels of the plan that was chosen: places, goods and totals.
    """

    key: str
    checkout_id: str
    payment_intent_id: str | None
    currency: str
    lines: tuple[dict[str, Any], ...]
    totals: Mapping[str, Any]
    discount_codes: tuple[str, ...] = ()
    customer: Mapping[str, Any] = field(default_factory=dict)
    shipping_address: Mapping[str, Any] | None = None
    billing_address: Mapping[str, Any] | None = None
    selected_shipping: Mapping[str, Any] | None = None
    pickup_location: Mapping[str, Any] | None = None
    shipment_plan_id: str | None = None
    shipments: tuple[dict[str, Any], ...] = ()
    reference: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    hint: Mapping[str, Any] | None = None
    receipt_id: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The JSON form, which is kept before it is sent."""
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> OrderDraft:
        """The draft that was kept."""
        listed = ("lines", "discount_codes", "shipments")
        return cls(**{**kept, **{name: tuple(kept.get(name, ())) for name in listed}})


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if isinstance(value, Mapping) else value


@dataclass(frozen=True, slots=True)
class PlacedOrder:
    """An order that is there."""

    order_id: str


class OrderRefused(Exception):
    """The Order Service will never do this; the message says why in a few words."""


class OrdersUnavailable(Exception):
    """It is not known whether the Order Service has done it: ask again, with the same content."""


class Orders(Provider, Protocol):
    """Takes orders (the Order Service)."""

    def create(self, scope: Scope, draft: OrderDraft) -> PlacedOrder:
        """Place an order; for a `key` that has one already, that one.

        Raises:
            OrderRefused: it will not take this order.
            OrdersUnavailable: it is not known.
        """
        ...

    def cancel(self, scope: Scope, key: str, order_id: str | None) -> None:
        """Cancel the order that was placed under `key`, unless it has been sent off; again changes nothing.

        `order_id` is None where the answer to `create` was lost: then there may be no order, which is well.

        Raises:
            OrderRefused: it is shipped, or cannot be canceled any more.
            OrdersUnavailable: it is not known.
        """
        ...


@dataclass(frozen=True, slots=True)
class ReceiptDraft:
    """What a receipt says. `source` (`checkout:chk_…`) names its one cause, `receipt_id` the id promised.

    `amount` is what was paid, in minor units; `payment` says by what (`type`, `brand`, `last4`).
    """

    source: str
    receipt_id: str
    amount: int
    currency: str
    seller: Mapping[str, Any]
    buyer: Mapping[str, Any]
    lines: tuple[dict[str, Any], ...]
    totals: Mapping[str, Any]
    payment: Mapping[str, Any] | None
    paid_at: datetime
    order_id: str | None = None
    payment_intent_id: str | None = None
    reference: str | None = None


class BillingUnavailable(Exception):
    """It is not known whether the Billing Service has done it: ask again."""


class Billing(Provider, Protocol):
    """Keeps invoices and receipts, and credits them."""

    def issue_receipt(self, scope: Scope, draft: ReceiptDraft) -> str:
        """Issue a receipt and return its id; for a source that has a valid one already, that one's.

        Raises:
            BillingUnavailable: it is not known.
        """
        ...

    def void_receipt(self, scope: Scope, source: str) -> None:
        """Take the receipt of a source back. Voiding again, or where there is none, changes nothing.

        Raises:
            BillingUnavailable: it is not known.
        """
        ...

    def issue_credit_note(self, scope: Scope, draft: CreditNoteDraft) -> str:
        """Issue a credit note and return its id; for a source that has one already, that one's."""
        ...

    def void_credit_note(self, scope: Scope, source: str) -> None:
        """Take a credit note back, since its cause did not last. Voiding again changes nothing."""


@dataclass(frozen=True, slots=True)
class KycOpening:
    """What a provider says of a check that it has begun: its own reference, and its page for documents.

    Without a page the documents are put at our signed addresses.
    """

    reference: str | None = None
    url: str | None = None


class Kyc(Provider, Protocol):
    """Finds out who somebody is. It decides later, by a signed webhook, or a person decides in its place."""

    name: str

    def open(self, scope: Scope, kyc_id: str) -> KycOpening:
        """Begin a check; asked again about one that it knows it says the same."""
        ...


class FraudProviderFailed(Exception):
    """No usable opinion came; the message says why in a few words (never what was sent)."""


class Fraud(Provider, Protocol):
    """Has an opinion about a payment."""

    name: str

    def assess(self, facts: Facts, rules: Sequence[Rule]) -> Assessment:
        """A score and its reasons; a provider with rules of its own may leave `rules` aside.

        Raises:
            FraudProviderFailed: it could not be asked, or did not answer in time or in form.
        """
        ...
