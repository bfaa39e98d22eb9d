"""Subjects: whom and what a decision is about, gathered from intent, checkout, method and caller.

Addresses, devices, customers and mail boxes appear as keyed hashes: enough to count them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app import settings
from app.domain.actor import Actor
from app.domain.rules import fraud as rules
from app.domain.rules.velocity import Scope
from app.kit import addresses
from app.kit.crypto import keyed_hash
from app.models.checkout.session import CheckoutSession
from app.models.payments.method import PaymentMethod


@dataclass(frozen=True, slots=True)
class Buyer:
    """Who pays, as far as the checkout, or whoever asked for a score, has said."""

    customer_id: str | None = None
    email: str | None = None
    billing_country: str | None = None
    shipping_country: str | None = None

    @classmethod
    def of_session(
        cls, session: CheckoutSession, *, email: str | None = None, billing: Mapping[str, Any] | None = None
    ) -> Buyer:
        """The buyer of a checkout, with what the shopper has just typed."""
        return cls(
            session.customer.get("customer_id"),
            email or session.customer.get("email"),
            country_of(billing) or country_of(session.billing_address),
            country_of(session.shipping_address),
        )


@dataclass(frozen=True, slots=True)
class Subject:
    """A payment to be judged; `values` are what is counted, by scope. Amount in minor units."""

    tenant_id: str
    mode: str
    amount: int
    currency: str
    values: Mapping[Scope, str]
    facts: Mapping[str, Any]

    @property
    def owner(self) -> tuple[str, str]:
        """Whose counters are meant: merchant and mode."""
        return self.tenant_id, self.mode


def gather(
    tenant_id: str,
    mode: str,
    *,
    amount: int,
    currency: str,
    method: PaymentMethod | None,
    buyer: Buyer,
    context: Mapping[str, Any],
    actor: Actor | None = None,
    off_session: bool = False,
    lines: Sequence[Mapping[str, Any]] = (),
) -> Subject:
    """The subject; `context` is what a score on demand left with the intent (`context_of`)."""
    here = context_of(tenant_id, ip=shopper_address(actor))
    customer = buyer.customer_id or context.get("customer_id") or (method.customer_id if method else None)
    values: dict[Scope, str | None] = {
        Scope.CARD: method.fingerprint if method else None,
        Scope.CARD_PREFIX: method.prefix_hash if method else None,
        Scope.CUSTOMER: hashed(tenant_id, Scope.CUSTOMER, customer),
        Scope.EMAIL: hashed(tenant_id, Scope.EMAIL, rules.same_mailbox(buyer.email) if buyer.email else None),
        Scope.ADDRESS: here.get("address") or context.get("address"),
        Scope.DEVICE: context.get("device"),
    }
    facts = {
        "method_type": method.type if method else "unknown",
        "card_risk": method.gateway_risk if method else None,
        "card_brand": method.brand if method else None,
        "card_country": method.country if method else None,
        "billing_country": buyer.billing_country or context.get("billing_country"),
        "shipping_country": buyer.shipping_country or context.get("shipping_country"),
        "email_domain": rules.email_domain(buyer.email),
        "address": here.get("address_shown") or context.get("address_shown"),
        "off_session": off_session,
        "lines": lines,
    }
    known = {scope: value for scope, value in values.items() if value is not None}
    return Subject(tenant_id, mode, amount, currency, known, facts)


def context_of(
    tenant_id: str,
    *,
    ip: str | None = None,
    device: str | None = None,
    billing: Mapping[str, Any] | None = None,
    shipping: Mapping[str, Any] | None = None,
    customer_id: str | None = None,
) -> dict[str, Any]:
    """What may be kept with an intent of what a caller knows of the shopper."""
    public = addresses.counted(ip) if ip else None
    context = {
        "address": hashed(tenant_id, Scope.ADDRESS, public),
        "address_shown": addresses.shortened(ip) if ip else None,
        "device": hashed(tenant_id, Scope.DEVICE, device),
        "billing_country": country_of(billing),
        "shipping_country": country_of(shipping),
        "customer_id": customer_id,
    }
    return {name: value for name, value in context.items() if value is not None}


def shopper_address(actor: Actor | None) -> str | None:
    """Where the shopper is. A merchant's server calls from its own address, which says nothing."""
    return actor.address or None if actor is not None and actor.is_shopper else None


def country_of(address: Mapping[str, Any] | None) -> str | None:
    """The country code of an address, upper case."""
    country = (address or {}).get("country")
    return country.upper() if isinstance(country, str) and country else None


def hashed(tenant_id: str, scope: Scope, value: str | None) -> str | None:
    """A value as it is counted, different for each merchant."""
    if not value:
        return None
    return keyed_hash(f"{tenant_id}|{scope}|{value}", settings.current().signing_key)
