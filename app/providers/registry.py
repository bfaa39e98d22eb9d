"""Which provider serves a merchant; adding one is a folder and a line here."""

from __future__ import annotations

from collections.abc import Callable

from app.domain.actor import TenantProfile
from app.providers.base import Billing, Carts, Fraud, Inventory, Orders, Promotions, Shipping, Taxes
from app.providers.builtin.billing import BuiltinBilling
from app.providers.builtin.catalogue import (
    BuiltinCarts,
    BuiltinPromotions,
    BuiltinShipping,
    BuiltinTaxes,
)
from app.providers.builtin.fraud import BuiltinFraud
from app.providers.builtin.inventory import BuiltinInventory
from app.providers.builtin.orders import BuiltinOrders
from app.providers.remote.fraud import HttpFraud

_CARTS, _PROMOTIONS, _TAXES = BuiltinCarts(), BuiltinPromotions(), BuiltinTaxes()
_SHIPPING, _INVENTORY = BuiltinShipping(), BuiltinInventory()
_ORDERS, _BILLING, _FRAUD = BuiltinOrders(), BuiltinBilling(), BuiltinFraud()


def carts(tenant: TenantProfile) -> Carts:
    """Where this merchant's carts are."""
    return _CARTS


def promotions(tenant: TenantProfile) -> Promotions:
    """Who knows this merchant's discount codes."""
    return _PROMOTIONS


def taxes(tenant: TenantProfile) -> Taxes:
    """Who knows this merchant's tax rates."""
    return _TAXES


def shipping(tenant: TenantProfile) -> Shipping:
    """Who knows this merchant's ways of delivery."""
    return _SHIPPING


def inventory(tenant: TenantProfile) -> Inventory:
    """Who keeps this merchant's stock."""
    return _INVENTORY


def orders(tenant: TenantProfile) -> Orders:
    """Who takes this merchant's orders."""
    return _ORDERS


def billing(tenant: TenantProfile) -> Billing:
    """Who keeps this merchant's invoices."""
    return _BILLING


def own_billing() -> Billing:
    """The billing of this house: it issues what it promised, whoever bills for a merchant by then."""
    return _BILLING


def fraud(tenant: TenantProfile, secret: Callable[[], str | None]) -> Fraud:
    """Who has an opinion about this merchant's payments; `secret` is asked for where one has to sign."""
    chosen = tenant.settings.get("fraud") or {}
    if chosen.get("provider") == HttpFraud.name:
        return HttpFraud(tenant.id, chosen.get("url") or "", secret)
    return _FRAUD
