"""What a session is made from, whichever surface asks for it, and the checks that all of them share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import select

from app.db import reading
from app.domain import money
from app.domain.actor import Actor, ActorKind
from app.domain.errors import InvalidRequest, NotFound, PermissionDenied, Unprocessable
from app.kit.http import AddressRefused, check_url
from app.models.catalogue.product import Price, Product
from app.providers import registry
from app.providers.base import MAX_LINES, MAX_QUANTITY, CartLine, CartSnapshot, Scope
from app.services.operations.settings import checkout_settings


@dataclass(frozen=True, slots=True)
class SessionDraft:
    """A purchase to be; either `cart_id`, or `cart` (without a currency: this one's, else the merchant's).

    Durations in seconds.
    """

    surface: str
    cart_id: str | None = None
    cart: CartSnapshot | None = None
    currency: str | None = None
    lifetime_seconds: int | None = None
    owner: tuple[str, str] | None = None
    channel: str = "web"
    metadata: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    customer: dict[str, Any] = field(default_factory=dict)
    promotion_codes: tuple[str, ...] = ()
    title: str | None = None
    description: str | None = None
    reference: str | None = None
    success_url: str | None = None
    cancel_url: str | None = None
    hosted: bool = False
    method_types: tuple[str, ...] = ()
    payment_link_id: str | None = None
    product_id: str | None = None
    price_id: str | None = None
    subscription_id: str | None = None
    copied_from: str | None = None


def resolve_cart(actor: Actor, draft: SessionDraft) -> CartSnapshot:
    """The frozen cart of a draft, checked.

    Raises:
        NotFound: `cart_not_found`.
        Unprocessable: `empty_cart`, `unsupported_currency`.
        InvalidRequest: neither cart nor snapshot, or lines that cannot be.
        PermissionDenied: a browser asks for prices that are not the catalogue's.
    """
    cart = draft.cart
    if cart is None:
        if not draft.cart_id:
            raise InvalidRequest("Send cart_id or cart_snapshot", field="cart_id")
        cart = registry.carts(actor.tenant).get(Scope(actor.tenant, str(actor.mode)), draft.cart_id)
        if cart is None:
            raise NotFound("Cart not found", code="cart_not_found")
    if not cart.currency:
        cart = CartSnapshot(draft.currency or actor.tenant.default_currency, cart.lines)
    _check_lines(cart.lines)
    _check_currency(actor, cart.currency, draft.currency)
    from_browser = draft.cart is not None and actor.kind == ActorKind.PUBLISHABLE_KEY
    if from_browser and not _is_priced_elsewhere(actor, draft.surface):
        _check_prices(actor, cart)
    return priced(actor, draft.surface, cart)


def priced(actor: Actor, surface: str, cart: CartSnapshot) -> CartSnapshot:
    """The cart at the prices of the merchant's own pricing system, where there is one.

    The other surfaces name an amount, which stands.

    Raises:
        Unprocessable: `no_price`, some of it is not sold; `tx_limit_exceeded`, it costs too much.
    """
    if not _is_priced_elsewhere(actor, surface):
        return cart
    scope = Scope(actor.tenant, str(actor.mode))
    lines = tuple(registry.pricing(actor.tenant).price(scope, cart.currency, cart.lines))
    _check_lines(lines)
    return CartSnapshot(cart.currency, lines)


def _is_priced_elsewhere(actor: Actor, surface: str) -> bool:
    return surface == "checkout" and registry.pricing(actor.tenant).remote


def check_return_url(actor: Actor, url: str | None, field_name: str) -> None:
    """Refuse a URL that a shopper must not be sent to (reliability.md 23).

    Raises:
        InvalidRequest: not http(s), user info, backslash, control characters; or in live mode not
            https, or a host that the merchant has not allowed.
    """
    if url is None:
        return
    try:
        check_url(url)
    except AddressRefused as refused:
        raise InvalidRequest(f"{field_name} is not a URL to return to", field=field_name) from refused
    parts = urlsplit(url)
    allowed = checkout_settings(actor.tenant).redirect_hosts
    if actor.mode == "live" and parts.scheme != "https":
        raise InvalidRequest(f"{field_name} must start with https in live mode", field=field_name)
    if actor.mode == "live" and allowed and parts.hostname not in allowed:
        raise InvalidRequest(f"{field_name} leads to a host that is not allowed", field=field_name)


def check_customer(actor: Actor, customer: dict[str, Any]) -> None:
    """Refuse a `customer_id` from a browser: saved methods and store credit hang on it.

    Raises:
        PermissionDenied: a publishable key names a customer.
    """
    if actor.kind == ActorKind.PUBLISHABLE_KEY and customer.get("customer_id"):
        raise PermissionDenied("Only the merchant's server may say which customer this is")


def _check_lines(lines: tuple[CartLine, ...]) -> None:
    if not lines:
        raise Unprocessable("The cart is empty", code="empty_cart", field="cart_snapshot.lines")
    if len(lines) > MAX_LINES:
        raise Unprocessable("The cart has too many lines", code="tx_limit_exceeded")
    if len({line.line_id for line in lines}) != len(lines):
        raise InvalidRequest("line_id must be unique in a cart", field="cart_snapshot.lines")
    for index, line in enumerate(lines):
        place = f"cart_snapshot.lines.{index}"
        if not 0 < line.quantity <= MAX_QUANTITY:
            raise InvalidRequest("quantity must be greater than 0", field=f"{place}.quantity")
        if not 0 <= line.unit_price <= money.MAX_AMOUNT:
            raise InvalidRequest("unit_price is out of range", field=f"{place}.unit_price")
    if sum(line.quantity * line.unit_price for line in lines) > money.MAX_AMOUNT:
        raise Unprocessable("The cart costs too much", code="tx_limit_exceeded")


def _check_prices(actor: Actor, cart: CartSnapshot) -> None:
    """A publishable key is in everybody's hands: with it goods cost what the merchant's catalogue says."""
    statement = (
        select(Product.sku, Price.unit_amount)
        .join(Price, Price.product_id == Product.id)
        .where(
            Product.tenant_id == actor.tenant_id,
            Product.mode == actor.mode,
            Product.sku.in_({line.sku for line in cart.lines}),
            Product.active,
            Price.active,
            Price.interval.is_(None),
            Price.currency == cart.currency,
        )
    )
    with reading() as db:
        asked = {(sku, amount) for sku, amount in db.execute(statement)}
    if any((line.sku, line.unit_price) not in asked for line in cart.lines):
        raise PermissionDenied(
            "A publishable key sets no prices: send a cart_id, or lines at the catalogue's prices"
        )


def _check_currency(actor: Actor, currency: str, wanted: str | None) -> None:
    if wanted is not None and wanted != currency:
        raise Unprocessable(f"The cart is in {currency}", code="unsupported_currency", field="currency")
    narrowed = checkout_settings(actor.tenant).currencies
    if not money.is_currency(currency) or (narrowed and currency not in narrowed):
        raise Unprocessable("This currency is not supported", code="unsupported_currency", field="currency")
