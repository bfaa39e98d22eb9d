"""Discount codes: what each is worth, when, and how often; uses are counted by the checkout (OP-77)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy.exc import IntegrityError

from app.db import reading, transaction
from app.domain.actor import Actor
from app.domain.errors import Conflict, InvalidRequest
from app.kit import clock
from app.kit.ids import new_id
from app.kit.pagination import DEFAULT_LIMIT, Page
from app.models.catalogue.promotion import Coupon
from app.services.checkout.catalogue import rows
from app.services.operations.paging import newest_first

_CODE = re.compile(r"[A-Z0-9][A-Z0-9_-]{1,63}")
#: What the column of the percentages holds.
_STEP = Decimal("0.001")


@dataclass(frozen=True, slots=True)
class CouponTerms:
    """A percentage off the goods, between two instants and so many times, where these are given."""

    percent: Decimal
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    usage_limit: int | None = None


def create(actor: Actor, code: str, terms: CouponTerms) -> Coupon:
    """Make a code; it is kept in capitals, and taken in either case.

    Raises:
        InvalidRequest: naming the field that cannot be.
        Conflict: there is such a code.
    """
    canonical = code.strip().upper()
    if _CODE.fullmatch(canonical) is None:
        raise InvalidRequest("Use 2 to 64 letters, digits, hyphens and underscores", field="code")
    _check(terms)
    coupon = Coupon(id=new_id("cpn"), code=canonical, **_columns(terms), **rows.owned(actor))
    try:
        with transaction(actor) as db:
            rows.add(db, coupon, "coupon.created", facts)
    except IntegrityError as error:
        raise Conflict("There is a coupon with this code", code="coupon_exists", field="code") from error
    return coupon


def update(actor: Actor, coupon_id: str, terms: CouponTerms) -> Coupon:
    """Give a code other terms; orders that have it keep their price.

    Raises:
        NotFound: see `get`.
        InvalidRequest: naming the field that cannot be; the limit is not below what is used and held.
    """
    _check(terms)
    with transaction(actor) as db:
        coupon = rows.find(db, actor, Coupon, coupon_id, lock=True)
        if terms.usage_limit is not None and terms.usage_limit < coupon.used + coupon.held:
            raise InvalidRequest("The limit is below what is used already", field="usage_limit")
        return rows.change(db, coupon, _columns(terms), "coupon.updated", facts)


def set_active(actor: Actor, coupon_id: str, active: bool) -> Coupon:
    """Take a code, or refuse it from now on.

    Raises:
        NotFound: see `get`.
    """
    return rows.switch(actor, Coupon, coupon_id, active, "coupon", facts)


def get(actor: Actor, coupon_id: str) -> Coupon:
    """One coupon of this merchant and mode.

    Raises:
        NotFound: there is none, or it is another merchant's.
    """
    with reading() as db:
        return rows.find(db, actor, Coupon, coupon_id)


def list_page(actor: Actor, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None) -> Page[Coupon]:
    """Coupons, newest first."""
    return newest_first(rows.mine(Coupon, actor), Coupon.id, limit=limit, cursor=cursor)


def state(coupon: Coupon) -> str:
    """`active`, or why it is not taken: `inactive`, `not_started`, `expired`, `used_up`."""
    now = clock.now()
    if not coupon.active:
        return "inactive"
    if coupon.ends_at is not None and coupon.ends_at <= now:
        return "expired"
    if coupon.starts_at is not None and now < coupon.starts_at:
        return "not_started"
    full = coupon.usage_limit is not None and coupon.used + coupon.held >= coupon.usage_limit
    return "used_up" if full else "active"


def facts(coupon: Coupon) -> dict[str, Any]:
    """What the journal keeps of a coupon."""
    starts, ends = coupon.starts_at, coupon.ends_at
    return {
        "id": coupon.id,
        "code": coupon.code,
        "percent": f"{Decimal(coupon.percent).normalize():f}",
        "starts_at": clock.to_rfc3339(starts) if starts is not None else None,
        "ends_at": clock.to_rfc3339(ends) if ends is not None else None,
        "usage_limit": coupon.usage_limit,
        "active": coupon.active,
    }


def _columns(terms: CouponTerms) -> dict[str, Any]:
    return {
        "percent": terms.percent,
        "starts_at": terms.starts_at,
        "ends_at": terms.ends_at,
        "usage_limit": terms.usage_limit,
    }


def _check(terms: CouponTerms) -> None:
    if not 0 < terms.percent <= 100 or terms.percent % _STEP:
        raise InvalidRequest("Enter a percentage above 0 and up to 100, like 12.5", field="percent")
    if terms.starts_at and terms.ends_at and terms.ends_at <= terms.starts_at:
        raise InvalidRequest("It ends before it begins", field="ends_at")
    if terms.usage_limit is not None and not 1 <= terms.usage_limit <= 2**31 - 1:
        raise InvalidRequest("A limit is at least 1", field="usage_limit")
