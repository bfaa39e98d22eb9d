"""The demonstration merchant: everything that running.md promises, made once and rolled on demand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db import reading, transaction
from app.domain.actor import system_actor
from app.kit.ids import new_id, new_uuid, random_token
from app.models.access.tenant import Tenant
from app.models.catalogue.cart import Cart
from app.models.catalogue.product import Price, Product
from app.models.catalogue.promotion import Coupon
from app.models.catalogue.shipping import ShippingRate
from app.models.catalogue.stock import StockItem
from app.models.catalogue.stored_value import GiftCard, StoreCredit
from app.models.catalogue.tax import TaxRate
from app.models.checkout.payment_link import PaymentLink
from app.services.access import keys, tenants, totp, users
from app.services.operations import inbound_secrets

MODE = "test"
DEFAULT_NAME = "Demo Store"

_USERS = (
    ("user", "owner", "Olivia Owner", "payments_admin"),
    ("mfa_user", "secure", "Sam Secure", "admin"),
    ("viewer", "viewer", "Vera Viewer", "read_only"),
)


def make(name: str = DEFAULT_NAME) -> dict[str, Any]:
    """Make the merchant, or roll the passwords and keys of the one that is there; what to print."""
    slug = slug_for(name)
    tenant = tenants.by_slug(slug)
    if tenant is None:
        tenant = tenants.create(name, slug, "GBP")
        _fill(tenant)
    return {
        "tenant_id": tenant.id,
        "tenant_name": tenant.name,
        **{key: _person(tenant, key, local, who, role) for key, local, who, role in _USERS},
        "keys": _roll_keys(tenant),
        "inbound_secrets": {kind: inbound_secrets.find(tenant.id, kind) for kind in tenants.INBOUND},
        **_catalogue_ids(tenant),
        "cart_id": "cart_123",
        "coupon": "SAVE10",
        "gift_card": "GIFT123",
        "store_credit_customer": "cust_123",
        "link_slug": link_slug(tenant),
        "customer_id": "cust_123",
        "merchant_account_id": "ma_1",
    }


def slug_for(name: str) -> str:
    """The demo's own slug is nobody else's, whatever they are called."""
    if name == DEFAULT_NAME:
        return "demo"
    slug = tenants.slug_of(name)[:40].strip("-")
    return f"{slug}-shop" if slug == "demo" else slug


def link_slug(tenant: Tenant) -> str:
    """Slugs are unique over all merchants, so only the first demo has the short one."""
    return "summer-promo" if tenant.slug == "demo" else f"summer-promo-{tenant.slug}"[:64]


def _person(tenant: Tenant, key: str, local: str, name: str, role: str) -> dict[str, Any]:
    domain = "demo.test" if tenant.slug == "demo" else f"{tenant.slug}.test"
    email, password = f"{local}@{domain}", random_token(12)
    user = users.by_email(email)
    if user is None:
        user = users.create(tenant.id, email, name, role, password)
    else:
        users.set_password(user.id, password)
    secret = _second_factor(user.id) if key == "mfa_user" else None
    return {"email": email, "password": password, "totp_secret": secret}


def _second_factor(user_id: str) -> str:
    if users.get(user_id)[0].totp_enabled:
        totp.disable(user_id)
    secret, _ = totp.begin(user_id)
    totp.enable_without_code(user_id)
    return secret


def _roll_keys(tenant: Tenant) -> dict[str, str]:
    actor = system_actor(tenant.profile(MODE), MODE)
    for key in keys.list_all(actor):
        if key.name.startswith("Demo ") and key.revoked_at is None:
            keys.revoke(actor, key.id)
    _, secret = keys.create(actor, "Demo server", kind="sk")
    _, publishable = keys.create(actor, "Demo storefront", kind="pk")
    return {"secret": secret, "publishable": publishable}


def _catalogue_ids(tenant: Tenant) -> dict[str, str]:
    statement = (
        select(Product.public_id, Price.public_id, Price.interval)
        .join(Price, Price.product_id == Product.id)
        .where(Product.tenant_id == tenant.id, Product.sku == "MUG-01")
    )
    with reading() as db:
        rows = db.execute(statement).all()
    once = next(row for row in rows if row[2] is None)
    monthly = next(row for row in rows if row[2] is not None)
    return {"product_id": once[0], "price_id": once[1], "recurring_price_id": monthly[1]}


def _fill(tenant: Tenant) -> None:
    """The catalogue: a shop of three things, with tax, delivery, a coupon and stored value."""
    owned = {"tenant_id": tenant.id, "mode": MODE}
    with transaction() as db:
        _add_products(db, owned)
        db.add(Cart(id=new_id("crt"), cart_id="cart_123", currency="GBP", lines=_cart_lines(), **owned))
        db.add(Coupon(id=new_id("cpn"), code="SAVE10", percent=Decimal(10), **owned))
        db.add(TaxRate(id=new_id("tax"), name="VAT", percent=Decimal(8), **owned))
        for code, label, carrier, service, currency, cost, low, high in _SHIPPING:
            db.add(
                ShippingRate(
                    id=new_id("shp"),
                    code=code,
                    label=label,
                    carrier=carrier,
                    service_code=service,
                    currency=currency,
                    cost=cost,
                    days_min=low,
                    days_max=high,
                    countries=[],
                    **owned,
                )
            )
        db.add(GiftCard(id=new_id("gft"), code="GIFT123", currency="GBP", balance=2000, **owned))
        db.add(StoreCredit(id=new_id("scr"), customer_id="cust_123", currency="GBP", balance=5000, **owned))
        db.add(
            PaymentLink(
                id=new_id("lnk"),
                public_id=new_uuid(),
                slug=link_slug(tenant),
                title="Summer promo",
                description="Everything for a day at the lake.",
                amount=9900,
                currency="USD",
                reference="promo_ref",
                method_types=["card", "paypal", "promptpay"],
                **owned,
            )
        )


_SHIPPING = (
    ("ship_1", "Next day", "DHL", "express", "GBP", 399, 1, 1),
    ("ship_2", "Standard", "Royal Mail", "tracked48", "GBP", 199, 2, 4),
    ("ship_1", "Next day", "DHL", "express", "USD", 599, 1, 1),
)

_PRODUCTS = (
    ("MUG-01", "Stoneware mug", "Hand-thrown, 350 ml.", 1500, 10_000),
    ("TEA-02", "Breakfast tea", "Loose leaf, 250 g.", 1995, 10_000),
    ("POT-03", "Cast-iron teapot", "The last ones of the series.", 4900, 3),
)


def _cart_lines() -> list[dict[str, Any]]:
    return [
        {"line_id": "line_1", "sku": "MUG-01", "name": "Stoneware mug", "quantity": 2, "unit_price": 1500},
        {"line_id": "line_2", "sku": "TEA-02", "name": "Breakfast tea", "quantity": 1, "unit_price": 1995},
    ]


def _add_products(db: Session, owned: dict[str, str]) -> None:
    for sku, name, description, amount, stock in _PRODUCTS:
        product = Product(
            id=new_id("prd"), public_id=new_uuid(), sku=sku, name=name, description=description, **owned
        )
        db.add(product)
        db.add(StockItem(id=new_id("stk"), sku=sku, on_hand=stock, **owned))
        db.flush()
        db.add(
            Price(
                id=new_id("prc"),
                public_id=new_uuid(),
                product_id=product.id,
                unit_amount=amount,
                currency="GBP",
                **owned,
            )
        )
        if sku == "MUG-01":
            db.add(
                Price(
                    id=new_id("prc"),
                    public_id=new_uuid(),
                    product_id=product.id,
                    unit_amount=900,
                    currency="GBP",
                    interval="month",
                    **owned,
                )
            )
