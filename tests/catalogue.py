"""Catalogue rows for tests: coupons, tax rates, delivery options, carts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from app.db import reading, transaction
from app.kit.ids import new_id
from app.models.catalogue.cart import Cart
from app.models.catalogue.promotion import Coupon
from app.models.catalogue.shipping import ShippingRate
from app.models.catalogue.stock import StockItem
from app.models.catalogue.stored_value import GiftCard, StoreCredit
from app.models.catalogue.tax import TaxRate
from tests.shops import Shop

#: 2 × 15.00 and 1 × 19.95: the contract's sub_total of 49.95.
LINES = [
    {"line_id": "line_1", "sku": "MUG", "name": "Mug", "quantity": 2, "unit_price": 1500},
    {"line_id": "line_2", "sku": "TEA", "name": "Tea", "quantity": 1, "unit_price": 1995},
]


def _add(shop: Shop, model: Any, prefix: str, **values: Any) -> None:
    with transaction() as db:
        db.add(model(id=new_id(prefix), tenant_id=shop.actor.tenant_id, mode="test", **values))


def coupon(shop: Shop, code: str = "SAVE10", percent: int = 10, **values: Any) -> None:
    """A discount code."""
    _add(shop, Coupon, "cpn", code=code, percent=Decimal(percent), **values)


def uses(shop: Shop, code: str = "SAVE10") -> tuple[int, int]:
    """(held, used) of a code."""
    with reading() as db:
        found = db.query(Coupon).filter_by(tenant_id=shop.actor.tenant_id, code=code).one()
        return found.held, found.used


def tax(shop: Shop, percent: str, country: str = "", region: str = "", name: str = "VAT") -> None:
    """A tax rate."""
    _add(shop, TaxRate, "tax", name=name, percent=Decimal(percent), country=country, region=region)


def shipping(shop: Shop, code: str, cost: int, countries: list[str] | None = None, **values: Any) -> None:
    """A delivery option in GBP."""
    names = {"label": "Next day", "carrier": "DHL", "service_code": "express", "currency": "GBP"}
    _add(shop, ShippingRate, "shp", code=code, cost=cost, countries=countries or [], **{**names, **values})


def cart(shop: Shop, cart_id: str = "cart_123", currency: str = "GBP", lines: Any = None) -> None:
    """A stored cart."""
    _add(shop, Cart, "crt", cart_id=cart_id, currency=currency, lines=LINES if lines is None else lines)


def place(shop: Shop, sku: str, location: str, on_hand: int) -> None:
    """Stock of a SKU at one place."""
    _add(shop, StockItem, "stk", sku=sku, location=location, on_hand=on_hand)


def places(shop: Shop, sku: str) -> dict[str, tuple[int, int, int]]:
    """Place → (on hand, held, sold)."""
    with reading() as db:
        rows = db.query(StockItem).filter_by(tenant_id=shop.actor.tenant_id, sku=sku)
        return {row.location: (row.on_hand, row.held, row.sold) for row in rows}


def gift_card(shop: Shop, code: str = "GIFT-1234", balance: int = 1000, **values: Any) -> None:
    """A gift card."""
    _add(shop, GiftCard, "gft", **{"code": code, "currency": "GBP", "balance": balance, **values})


def credit(shop: Shop, customer_id: str = "cust_1", balance: int = 1000, **values: Any) -> None:
    """What a customer has with the merchant."""
    named = {"customer_id": customer_id, "currency": "GBP", "balance": balance, **values}
    _add(shop, StoreCredit, "scr", **named)


def on_card(shop: Shop, code: str = "GIFT-1234") -> tuple[int, int]:
    """(balance, held) of a gift card."""
    with reading() as db:
        found = db.query(GiftCard).filter_by(tenant_id=shop.actor.tenant_id, code=code).one()
        return found.balance, found.held


def of_customer(shop: Shop, customer_id: str = "cust_1") -> tuple[int, int]:
    """(balance, held) of a customer's credit."""
    with reading() as db:
        found = db.query(StoreCredit).filter_by(tenant_id=shop.actor.tenant_id, customer_id=customer_id)
        return found.one().balance, found.one().held
