"""Which provider serves a merchant; adding one is a folder and a line here."""

from __future__ import annotations

from collections.abc import Callable

from app.domain.actor import TenantProfile
from app.domain.rules import providers
from app.domain.rules.providers import url_of
from app.providers.base import Billing, Carts, Fraud, Kyc, Orders, Places, Pricing, Shipping, Taxes
from app.providers.builtin.billing import BuiltinBilling
from app.providers.builtin.catalogue import (
    BuiltinCarts,
    BuiltinPricing,
    BuiltinPromotions,
    BuiltinShipping,
    BuiltinTaxes,
)
from app.providers.builtin.fraud import BuiltinFraud
from app.providers.builtin.inventory import BuiltinInventory
from app.providers.builtin.kyc import BuiltinKyc
from app.providers.builtin.orders import BuiltinOrders
from app.providers.holding import Inventory, Promotions
from app.providers.remote.billing import HttpBilling
from app.providers.remote.fraud import HttpFraud
from app.providers.remote.goods import HttpCarts, HttpPricing
from app.providers.remote.inventory import HttpInventory
from app.providers.remote.kyc import HttpKyc
from app.providers.remote.orders import HttpOrders
from app.providers.remote.places import HttpShipping, HttpTaxes
from app.providers.remote.promotions import HttpPromotions

_CARTS, _PRICING, _PROMOTIONS = BuiltinCarts(), BuiltinPricing(), BuiltinPromotions()
_TAXES, _SHIPPING, _INVENTORY = BuiltinTaxes(), BuiltinShipping(), BuiltinInventory()
_ORDERS, _BILLING, _FRAUD = BuiltinOrders(), BuiltinBilling(), BuiltinFraud()
_KYC = BuiltinKyc()


def carts(tenant: TenantProfile) -> Carts:
    """Where this merchant's carts are."""
    url = url_of(tenant.settings, providers.CARTS)
    return HttpCarts(url) if url else _CARTS


def pricing(tenant: TenantProfile) -> Pricing:
    """Who knows what this merchant's goods cost."""
    url = url_of(tenant.settings, providers.PRICING)
    return HttpPricing(url) if url else _PRICING


def promotions(tenant: TenantProfile) -> Promotions:
    """Who knows this merchant's discount codes."""
    return promotions_at(url_of(tenant.settings, providers.PROMOTIONS))


def promotions_at(url: str | None) -> Promotions:
    """The codes behind that address; None: the built-in ones."""
    return HttpPromotions(url) if url else _PROMOTIONS


def taxes(tenant: TenantProfile) -> Taxes:
    """Who knows this merchant's tax rates."""
    url = url_of(tenant.settings, providers.TAX)
    return HttpTaxes(url) if url else _TAXES


def shipping(tenant: TenantProfile) -> Shipping:
    """Who knows this merchant's ways of delivery."""
    url = url_of(tenant.settings, providers.SHIPPING)
    return HttpShipping(url) if url else _SHIPPING


def inventory(tenant: TenantProfile) -> Inventory:
    """Who keeps this merchant's stock."""
    return inventory_at(url_of(tenant.settings, providers.INVENTORY))


def inventory_at(url: str | None) -> Inventory:
    """The stock behind that address; None: the built-in one."""
    return HttpInventory(url) if url else _INVENTORY


def orders(tenant: TenantProfile) -> Orders:
    """Who takes this merchant's orders."""
    url = url_of(tenant.settings, providers.ORDERS)
    return HttpOrders(url) if url else _ORDERS


def own_orders() -> Orders:
    """The orders of this house, whoever takes a merchant's orders by now."""
    return _ORDERS


def places(tenant: TenantProfile) -> Places | None:
    """Who tells where this merchant's stock lies; None where its inventory does not."""
    found = inventory(tenant)
    return found if isinstance(found, Places) else None


def billing(tenant: TenantProfile) -> Billing:
    """Who keeps this merchant's invoices."""
    url = url_of(tenant.settings, providers.BILLING)
    return HttpBilling(url) if url else _BILLING


def own_billing() -> Billing:
    """The billing of this house: it issues what it promised, whoever bills for a merchant by then."""
    return _BILLING


def kyc(tenant: TenantProfile) -> Kyc:
    """Who finds out who this merchant's buyers are."""
    url = url_of(tenant.settings, providers.KYC)
    return HttpKyc(url) if url else _KYC


def fraud(tenant: TenantProfile, secret: Callable[[], str | None]) -> Fraud:
    """Who has an opinion about this merchant's payments; `secret` is asked for where one has to sign."""
    chosen = tenant.settings.get("fraud") or {}
    if chosen.get("provider") == HttpFraud.name:
        return HttpFraud(tenant.id, chosen.get("url") or "", secret)
    return _FRAUD
