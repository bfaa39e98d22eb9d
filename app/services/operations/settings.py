"""A merchant's choices, typed, with the defaults of the contract (OP-43)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from app.domain.actor import TenantProfile


@dataclass(frozen=True, slots=True)
class CheckoutSettings:
    """Checkout, payment and page choices of one merchant; durations in seconds."""

    default_capture_mode: str = "auto"
    max_payment_attempts: int = 5
    hold_ttl_seconds: int = 900
    session_ttl_seconds: int = 3600
    link_ttl_seconds: int = 1800
    max_amount: int | None = None
    min_amount: int = 1
    currencies: tuple[str, ...] = ()
    allowed_methods: tuple[str, ...] = ("card", "paypal", "ideal", "bancontact", "klarna", "promptpay")
    redirect_hosts: tuple[str, ...] = ()
    fresh_copies: bool = True
    brand_accent: str = ""
    support_email: str = ""
    terms_url: str = ""
    allowed_apms: Mapping[str, Any] = field(default_factory=dict)


_TUPLES = {"currencies", "allowed_methods", "redirect_hosts"}
_NAMES = {f.name for f in fields(CheckoutSettings)}


def checkout_settings(profile: TenantProfile) -> CheckoutSettings:
    """The merchant's settings; what is not set has its default."""
    given: dict[str, Any] = {
        name: tuple(value) if name in _TUPLES else value
        for name, value in profile.settings.items()
        if name in _NAMES
    }
    return CheckoutSettings(**given)
