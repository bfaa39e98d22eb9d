"""Coupons: list, make, change, switch on and off."""

from __future__ import annotations

from app.dashboard.catalogue import READ, Part
from app.dashboard.shell import actor
from app.dashboard.typed import moment, percent, shown_moment, shown_percent, whole, words
from app.models.catalogue.promotion import Coupon
from app.services.checkout.catalogue import coupons
from app.services.checkout.catalogue.coupons import CouponTerms


def _terms() -> CouponTerms:
    return CouponTerms(percent("percent"), moment("starts_at"), moment("ends_at"), whole("usage_limit"))


def _create() -> tuple[str, str]:
    made = coupons.create(actor(), words("code"), _terms())
    return made.id, f"{made.code} can be used from now on"


def _update(row: Coupon) -> None:
    coupons.update(actor(), row.id, _terms())


def _held(row: Coupon) -> dict[str, str]:
    return {
        "percent": shown_percent(row.percent),
        "starts_at": shown_moment(row.starts_at),
        "ends_at": shown_moment(row.ends_at),
        "usage_limit": "" if row.usage_limit is None else str(row.usage_limit),
    }


blueprint = Part(
    "coupons",
    "coupons",
    "coupon_id",
    service=coupons,
    provider="promotions",
    create=_create,
    update=_update,
    held=_held,
    shown_to=READ,
).blueprint
