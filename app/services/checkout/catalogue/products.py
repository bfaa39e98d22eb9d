"""Products and their prices, once or each interval.

What was sold keeps the price that it was sold at, so a price is never another amount: it is switched off,
and a new one is made. A SKU is one product's: stock and orders go by it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db import reading, transaction
from app.domain import money
from app.domain.actor import Actor
from app.domain.errors import Conflict, InvalidRequest
from app.domain.rules import periods
from app.kit.ids import new_id, new_uuid
from app.kit.pagination import DEFAULT_LIMIT, Page
from app.models.access.tenant import Tenant
from app.models.catalogue.product import Price, Product
from app.services.checkout.catalogue import rows
from app.services.operations.paging import newest_first

#: How many intervals one period of a recurring price may have.
MAX_INTERVALS = 365


@dataclass(frozen=True, slots=True)
class ProductDraft:
    """What a product is called, and what it is known by."""

    sku: str
    name: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class PriceDraft:
    """What a unit costs, minor units: once, or every `interval_count` intervals."""

    unit_amount: int
    currency: str
    interval: str | None = None
    interval_count: int = 1


def create(actor: Actor, draft: ProductDraft) -> Product:
    """Put a product into the catalogue.

    Raises:
        InvalidRequest: naming the field that cannot be.
        Conflict: another product has the SKU.
    """
    product = Product(id=new_id("prd"), public_id=new_uuid(), **_checked(draft), **rows.owned(actor))
    with transaction(actor) as db:
        _refuse_taken(db, actor, product.sku, product.id)
        rows.add(db, product, "product.created", _facts)
    return product


def update(actor: Actor, product_id: str, draft: ProductDraft) -> Product:
    """Change a product; what was sold keeps the name that it was sold under.

    Raises:
        NotFound, InvalidRequest, Conflict: see `get` and `create`.
    """
    changes = _checked(draft)
    with transaction(actor) as db:
        product = rows.find(db, actor, Product, product_id, lock=True)
        _refuse_taken(db, actor, changes["sku"], product.id)
        return rows.change(db, product, changes, "product.updated", _facts)


def set_active(actor: Actor, product_id: str, active: bool) -> Product:
    """Offer a product, or take it off sale; checkouts that have begun go on.

    Raises:
        NotFound: see `get`.
    """
    return rows.switch(actor, Product, product_id, active, "product", _facts)


def get(actor: Actor, product_id: str) -> Product:
    """One product of this merchant and mode.

    Raises:
        NotFound: there is none, or it is another merchant's.
    """
    with reading() as db:
        return rows.find(db, actor, Product, product_id)


def list_page(
    actor: Actor, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None, active: bool | None = None
) -> Page[Product]:
    """Products, newest first; all of them, or those that are on sale or off it."""
    statement = rows.mine(Product, actor)
    if active is not None:
        statement = statement.where(Product.active == active)
    return newest_first(statement, Product.id, limit=limit, cursor=cursor)


def prices_of(actor: Actor, product_ids: Iterable[str]) -> dict[str, list[Price]]:
    """Product id → its prices, those that are offered before the others, newest first."""
    wanted = list(product_ids)
    found: dict[str, list[Price]] = {product_id: [] for product_id in wanted}
    statement = rows.mine(Price, actor).where(Price.product_id.in_(wanted))
    with reading() as db:
        for price in db.scalars(statement.order_by(Price.active.desc(), Price.id.desc())):
            found[price.product_id].append(price)
    return found


def add_price(actor: Actor, product_id: str, draft: PriceDraft) -> Price:
    """Offer a product at a price.

    Raises:
        NotFound: no such product.
        InvalidRequest: naming the field that cannot be.
    """
    _check_price(actor, draft)
    with transaction(actor) as db:
        product = rows.find(db, actor, Product, product_id)
        price = Price(
            id=new_id("prc"),
            public_id=new_uuid(),
            product_id=product.id,
            unit_amount=draft.unit_amount,
            currency=draft.currency,
            interval=draft.interval,
            interval_count=draft.interval_count,
            **rows.owned(actor),
        )
        rows.add(db, price, "price.created", _price_facts)
        return price


def set_price_active(actor: Actor, price_id: str, active: bool) -> Price:
    """Offer a price, or stop; subscriptions that were begun at it go on at it.

    Raises:
        NotFound: there is none, or it is another merchant's.
    """
    return rows.switch(actor, Price, price_id, active, "price", _price_facts)


def _checked(draft: ProductDraft) -> dict[str, Any]:
    sku = rows.check_words(draft.sku, "sku", "a SKU", 64)
    if len(sku.split()) > 1:
        raise InvalidRequest("A SKU has no spaces", field="sku")
    if len(draft.description) > 2000:
        raise InvalidRequest("Use at most 2000 characters", field="description")
    name = rows.check_words(draft.name, "name", "a name", 200)
    return {"sku": sku, "name": name, "description": draft.description.strip()}


def _refuse_taken(db: Session, actor: Actor, sku: str, product_id: str) -> None:
    """One SKU, one product: of two who want it at once the second sees the first."""
    db.execute(select(Tenant.id).where(Tenant.id == actor.tenant_id).with_for_update(key_share=True))
    taken = rows.mine(Product, actor).where(Product.sku == sku, Product.id != product_id)
    if db.scalars(taken.limit(1)).first() is not None:
        raise Conflict("Another product has this SKU", code="sku_taken", field="sku")


def _check_price(actor: Actor, draft: PriceDraft) -> None:
    rows.check_currency(actor, draft.currency)
    if not 0 < draft.unit_amount <= money.MAX_AMOUNT:
        raise InvalidRequest("Enter an amount above nothing", code="invalid_amount", field="amount")
    if draft.interval is not None and draft.interval not in periods.INTERVALS:
        raise InvalidRequest("Choose day, week, month or year", field="interval")
    if not 1 <= draft.interval_count <= (MAX_INTERVALS if draft.interval else 1):
        raise InvalidRequest(f"Choose 1 to {MAX_INTERVALS}", field="interval_count")


def _facts(product: Product) -> dict[str, Any]:
    return {
        "id": product.id,
        "product_id": product.public_id,
        "sku": product.sku,
        "name": product.name,
        "description": product.description,
        "active": product.active,
    }


def _price_facts(price: Price) -> dict[str, Any]:
    return {
        "id": price.id,
        "price_id": price.public_id,
        "product_id": price.product_id,
        "unit_amount": price.unit_amount,
        "currency": price.currency,
        "interval": price.interval,
        "interval_count": price.interval_count,
        "active": price.active,
    }
