"""Sessions of a title and an amount, a product or a price: what the sessions surface makes (SE-001)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import select

from app.db import reading
from app.domain import money
from app.domain.actor import Actor
from app.domain.errors import InvalidRequest
from app.domain.rules import periods
from app.models.catalogue.product import Price, Product
from app.models.checkout.session import CheckoutSession
from app.providers import registry
from app.providers.base import MAX_QUANTITY, CartLine, CartSnapshot, Scope
from app.services.checkout import buyers, sessions, subscribing, subscriptions
from app.services.checkout.drafts import SessionDraft
from app.services.operations.consulting import consulting
from app.services.operations.settings import checkout_settings

#: Not extendable (OP-26).
LIFETIME_SECONDS = 3600
#: The SKU of what is in no catalogue; nothing tracks it.
CUSTOM = "custom"


@dataclass(frozen=True, slots=True)
class SimpleDraft:
    """What a server sends; `amount` per unit in minor units."""

    amount: int | None
    currency: str | None
    title: str | None
    quantity: int = 1
    description: str | None = None
    customer: dict[str, Any] = field(default_factory=dict)
    product_id: str | None = None
    price_id: str | None = None
    subscription_id: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    success_url: str | None = None
    cancel_url: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


@consulting
def create(actor: Actor, draft: SimpleDraft) -> CheckoutSession:
    """Make a hosted session that finalises by itself.

    Raises:
        InvalidRequest: with the texts of OP-62 and OP-66.
    """
    check_buyer(draft.customer)
    if draft.customer.get("email"):
        buyers.email(actor, draft.customer["email"], "customer_email")
    if draft.quantity <= 0:
        raise InvalidRequest("quantity must be greater than 0", field="quantity")
    if draft.quantity > MAX_QUANTITY:
        raise InvalidRequest(f"quantity must not be above {MAX_QUANTITY}", field="quantity")
    draft, sku, options = _from_catalogue(actor, draft)
    if draft.amount is None or draft.currency is None:
        missing = "amount" if draft.amount is None else "currency_code"
        raise InvalidRequest(f"{missing} is required", field=missing)
    if draft.amount <= 0:
        raise InvalidRequest("amount must be positive", field="amount")
    narrowed = checkout_settings(actor.tenant).currencies
    if not money.is_currency(draft.currency) or (narrowed and draft.currency not in narrowed):
        raise InvalidRequest("currency_code is not supported", field="currency_code")
    if sku != CUSTOM:
        _check_stock(actor, sku, draft.quantity)
    line = CartLine("line_1", sku, draft.title or "Payment", draft.quantity, draft.amount)
    return sessions.create(
        actor,
        SessionDraft(
            surface="sessions",
            cart=CartSnapshot(draft.currency, (line,)),
            lifetime_seconds=LIFETIME_SECONDS,
            title=draft.title,
            description=draft.description,
            customer=draft.customer,
            options={**draft.options, **options, "tax": "included"},
            method_types=("card",) if subscribing.RECURRING in options else (),
            success_url=draft.success_url,
            cancel_url=draft.cancel_url,
            metadata=draft.metadata,
            hosted=True,
            product_id=draft.product_id,
            price_id=draft.price_id,
            subscription_id=draft.subscription_id,
        ),
    )


def check_buyer(customer: Mapping[str, Any]) -> None:
    """Raises InvalidRequest where nobody is named who buys."""
    if not customer.get("customer_id") and not customer.get("email"):
        raise InvalidRequest("Either customer_id or customer_email is required")


def _from_catalogue(actor: Actor, draft: SimpleDraft) -> tuple[SimpleDraft, str, dict[str, Any]]:
    """Fill in amount, currency and title from product, price or subscription.

    With it the SKU that stock is kept under, and what the session's options say of later charges.
    """
    bought = draft.product_id or draft.price_id
    if draft.subscription_id and draft.amount is None and not bought:
        return _from_subscription(actor, draft, draft.subscription_id)
    if not bought:
        return draft, CUSTOM, {}
    statement = (
        select(Product, Price)
        .join(Price, Price.product_id == Product.id)
        .where(Product.tenant_id == actor.tenant_id, Product.mode == actor.mode, Product.active, Price.active)
        .order_by(Price.interval.is_not(None), Price.id)
    )
    if draft.product_id:
        statement = statement.where(Product.public_id == draft.product_id)
    if draft.price_id:
        statement = statement.where(Price.public_id == draft.price_id)
    with reading() as db:
        row = db.execute(statement.limit(1)).one_or_none()
    if row is None:
        if draft.amount is None:
            raise _not_found()
        return draft, CUSTOM, {}
    product, price = row
    if draft.amount is None and draft.currency not in (None, price.currency):
        raise InvalidRequest(f"The price is in {price.currency}", field="currency_code")
    filled = replace(
        draft,
        amount=draft.amount if draft.amount is not None else price.unit_amount,
        currency=draft.currency or price.currency,
        title=draft.title or product.name,
        description=draft.description or product.description or None,
    )
    plan = {"interval": price.interval, "interval_count": price.interval_count}
    return filled, product.sku, {subscribing.RECURRING: plan} if price.interval in periods.INTERVALS else {}


def _from_subscription(
    actor: Actor, draft: SimpleDraft, subscription_id: str
) -> tuple[SimpleDraft, str, dict[str, Any]]:
    """What its next period costs: paying the session renews it at once."""
    customer_id = draft.customer.get("customer_id")
    found = subscriptions.renewable(actor, subscription_id, customer_id)
    if found is None or draft.currency not in (None, found.currency):
        raise _not_found()
    known = {name: value for name, value in found.customer.items() if draft.customer.get(name) is None}
    filled = replace(
        draft,
        amount=found.unit_amount,
        currency=found.currency,
        quantity=found.quantity,
        title=draft.title or found.title,
        subscription_id=found.public_id,
        customer={**draft.customer, **known, "customer_id": found.customer_id or customer_id},
        options={**draft.options, "allow_quantity": False},
    )
    return filled, CUSTOM, {subscribing.RENEWS: found.id}


def _not_found() -> InvalidRequest:
    return InvalidRequest("Product, price or subscription not found")


def _check_stock(actor: Actor, sku: str, quantity: int) -> None:
    scope = Scope(actor.tenant, str(actor.mode))
    left = registry.inventory(actor.tenant).available(scope, [sku]).get(sku)
    if left is not None and quantity > left:
        raise InvalidRequest("quantity exceeds the available stock", field="quantity")
