"""Built-in carts, prices, promotions, taxes and delivery options, over the catalogue tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, bindparam, or_, select, update

from app.db import Lookup, reading, transaction
from app.kit import clock
from app.models.catalogue.cart import Cart
from app.models.catalogue.promotion import Coupon
from app.models.catalogue.shipping import ShippingRate
from app.models.catalogue.tax import TaxRate
from app.providers.base import CartLine, CartSnapshot, Scope, ShippingOption, TaxRateQuote
from app.providers.holding import Hold, Promotion, PromotionAnswer

#: Where a merchant has set no rate of its own (OP-70).
DEFAULT_TAX = TaxRateQuote("Tax", Decimal(8))


# Every new session looks a cart and a rate up: both statements are built once, and read no objects.
_CART = Lookup(
    select(Cart.currency, Cart.lines).where(
        Cart.tenant_id == bindparam("tenant_id"),
        Cart.mode == bindparam("mode"),
        Cart.cart_id == bindparam("cart_id"),
    )
)
_TAX_RATE = Lookup(
    select(TaxRate.name, TaxRate.percent)
    .where(
        TaxRate.tenant_id == bindparam("tenant_id"),
        TaxRate.mode == bindparam("mode"),
        or_(TaxRate.country == "", TaxRate.country == bindparam("country")),
        or_(TaxRate.region == "", TaxRate.region == bindparam("region")),
    )
    .order_by(TaxRate.country.desc(), TaxRate.region.desc())
    .limit(1)
)


def _of(scope: Scope) -> dict[str, str]:
    return {"tenant_id": scope.tenant.id, "mode": scope.mode}


class BuiltinCarts:
    """Carts that the merchant stored with us."""

    remote = False

    def get(self, scope: Scope, cart_id: str) -> CartSnapshot | None:
        """See `Carts.get`."""
        row = _CART.one({**_of(scope), "cart_id": cart_id})
        if row is None:
            return None
        return CartSnapshot(row.currency, tuple(CartLine(**line) for line in row.lines))


class BuiltinPricing:
    """Goods cost what their cart says."""

    remote = False

    def price(self, scope: Scope, currency: str, lines: Sequence[CartLine]) -> list[CartLine]:
        """See `Pricing.price`."""
        return list(lines)


class BuiltinPromotions:
    """Coupons of the catalogue."""

    remote = False

    def resolve(self, scope: Scope, codes: Sequence[str], *, held: Sequence[str] = ()) -> PromotionAnswer:
        """See `Promotions.resolve`."""
        wanted = list(dict.fromkeys(code.strip().upper() for code in codes if code.strip()))
        if not wanted:
            return PromotionAnswer()
        # Uses are counted by plain UPDATEs, so a coupon that was read before is read again.
        statement = select(Coupon).where(*_coupons(scope, wanted)).execution_options(populate_existing=True)
        with reading() as db:
            found = {coupon.code: coupon for coupon in db.scalars(statement)}
        applied, refused = [], {}
        for code in wanted:
            problem = _coupon_problem(found.get(code), mine=code in held)
            if problem:
                refused[code] = problem
            else:
                applied.append(Promotion(code, found[code].percent))
        return PromotionAnswer(tuple(applied), refused)

    def hold(self, scope: Scope, codes: Sequence[str], hold: Hold | None = None) -> list[str]:
        """See `Promotions.hold`. One statement; rows are locked in the order of their codes."""
        if not codes:
            return []
        left = or_(Coupon.usage_limit.is_(None), Coupon.used + Coupon.held < Coupon.usage_limit)
        wanted = (*_coupons(scope, codes), Coupon.active, left)
        locked = select(Coupon.id).where(*wanted).order_by(Coupon.code).with_for_update()
        statement = (
            update(Coupon)
            .where(Coupon.id.in_(locked), left)
            .values(held=Coupon.held + 1)
            .returning(Coupon.code)
            .execution_options(synchronize_session=False)
        )
        with transaction() as db:
            return list(db.scalars(statement))

    def release(self, scope: Scope, codes: Sequence[str], hold: Hold | None = None) -> None:
        """See `Promotions.release`."""
        self._count(scope, codes, held=-1)

    def commit(self, scope: Scope, codes: Sequence[str], hold: Hold | None = None) -> None:
        """See `Promotions.commit`."""
        self._count(scope, codes, held=-1, used=+1)

    def restore(self, scope: Scope, codes: Sequence[str], hold: Hold | None = None) -> None:
        """See `Promotions.restore`."""
        self._count(scope, codes, used=-1)

    def extend(self, scope: Scope, codes: Sequence[str], hold: Hold) -> None:
        """See `Promotions.extend`: what is held here is held until it is let go."""

    @staticmethod
    def _count(scope: Scope, codes: Sequence[str], *, held: int = 0, used: int = 0) -> None:
        if not codes:
            return
        locked = select(Coupon.id).where(*_coupons(scope, codes)).order_by(Coupon.code).with_for_update()
        statement = (
            update(Coupon)
            .where(Coupon.id.in_(locked))
            .values(held=Coupon.held + held, used=Coupon.used + used)
            .execution_options(synchronize_session=False)
        )
        with transaction() as db:
            db.execute(statement)


def _coupons(scope: Scope, codes: Sequence[str]) -> tuple[ColumnElement[bool], ...]:
    return (Coupon.tenant_id == scope.tenant.id, Coupon.mode == scope.mode, Coupon.code.in_(codes))


def _coupon_problem(coupon: Coupon | None, *, mine: bool) -> str | None:
    now = clock.now()
    if coupon is None or not coupon.active:
        return "unknown_code"
    if coupon.starts_at and now < coupon.starts_at:
        return "not_started"
    if coupon.ends_at and now >= coupon.ends_at:
        return "expired_code"
    if not mine and coupon.usage_limit is not None and coupon.used + coupon.held >= coupon.usage_limit:
        return "used_up"
    return None


class BuiltinTaxes:
    """Rates by region, then country, then the merchant's default."""

    remote = False

    def rate(
        self,
        scope: Scope,
        address: Mapping[str, Any] | None,
        *,
        currency: str = "",
        lines: Sequence[CartLine] = (),
    ) -> TaxRateQuote:
        """See `Taxes.rate`."""
        place = {
            "country": (address or {}).get("country") or "",
            "region": (address or {}).get("state") or "",
        }
        best = _TAX_RATE.one({**_of(scope), **place})
        return TaxRateQuote(best.name, best.percent) if best is not None else DEFAULT_TAX


class BuiltinShipping:
    """The merchant's delivery options."""

    remote = False

    def options(
        self,
        scope: Scope,
        currency: str,
        address: Mapping[str, Any] | None,
        *,
        lines: Sequence[CartLine] = (),
    ) -> list[ShippingOption]:
        """See `Shipping.options`."""
        country = (address or {}).get("country")
        statement = (
            select(ShippingRate)
            .where(
                ShippingRate.tenant_id == scope.tenant.id,
                ShippingRate.mode == scope.mode,
                ShippingRate.currency == currency,
                ShippingRate.active,
            )
            .order_by(ShippingRate.cost, ShippingRate.code)
        )
        with reading() as db:
            rows = list(db.scalars(statement))
        return [
            ShippingOption(
                row.code,
                row.label,
                row.carrier,
                row.service_code,
                row.cost,
                row.days_min,
                row.days_max,
            )
            for row in rows
            if not row.countries or country is None or country in row.countries
        ]
