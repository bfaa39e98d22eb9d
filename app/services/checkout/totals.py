"""Totals: one authoritative computation at a time, stored with its inputs (CK-014, CK-015).

The session keeps the last one for display; `quote()` is what the shopper confirms by paying.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from app.db import Command, reading
from app.domain.actor import Actor, TenantProfile
from app.domain.errors import NotFound
from app.domain.lifecycles import reservations
from app.domain.rules import pricing
from app.kit import clock
from app.kit.canonical import fingerprint
from app.kit.ids import new_id
from app.models.checkout.calculation import Calculation
from app.models.checkout.reservation import Reservation
from app.models.checkout.session import CheckoutSession
from app.providers import registry
from app.providers.base import CartLine, Scope, TaxRateQuote

#: Links and plain amounts charge what they say; their price includes whatever tax there is (OP-60).
INCLUSIVE = TaxRateQuote("Included", Decimal(0))


def is_taxed(options: dict[str, Any]) -> bool:
    """Whether tax comes on top of a session's prices."""
    return options.get("tax") != "included"


def lines_of(session: CheckoutSession) -> list[CartLine]:
    """The frozen lines of a session."""
    return [CartLine(**line) for line in session.cart_snapshot["lines"]]


def compute(
    profile: TenantProfile,
    mode: str,
    currency: str,
    lines: list[CartLine],
    *,
    codes: list[str],
    address: dict[str, Any] | None,
    shipping: dict[str, Any] | None,
    taxed: bool = True,
    held: Sequence[str] = (),
    given: Sequence[dict[str, Any]] = (),
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Ask the providers and do the arithmetic: (inputs, outputs), both as they are stored.

    `held` are codes of which the session holds a use: they are good although none may be left. `given` are
    discounts of support (services/checkout/resolutions.py); they come off after the promotions.
    """
    scope = Scope(profile, mode)
    promotions = registry.promotions(profile).resolve(scope, codes, held=held)
    rate = INCLUSIVE
    if taxed:
        rate = registry.taxes(profile).rate(scope, address, currency=currency, lines=lines)
    cost = int((shipping or {}).get("cost", 0))
    outputs = pricing.compute(
        currency,
        [pricing.PricedLine(line.line_id, line.quantity, line.unit_price) for line in lines],
        [*(pricing.Discount(p.code, p.percent) for p in promotions.applied), *map(_given, given)],
        rate.name,
        Decimal(_plain(rate.percent)),
        cost,
    )
    outputs["promotions"] = [{"code": p.code, "percent": _plain(p.percent)} for p in promotions.applied]
    outputs["issues"] = [
        {"code": "promotion_invalid", "explain": {"reason": reason, "promotion_code": code}}
        for code, reason in promotions.refused.items()
    ]
    inputs = {
        "currency": currency,
        "lines": [line.as_dict() for line in lines],
        "promotion_codes": codes,
        "address": address,
        "shipping": shipping,
        "tax": {"name": rate.name, "percent": _plain(rate.percent)},
        "promotions": outputs["promotions"],
    }
    if given:
        inputs["support_discounts"] = list(given)
    return inputs, outputs


def _given(discount: dict[str, Any]) -> pricing.Discount:
    """A discount of support, as the session keeps it, for the arithmetic."""
    percent, amount = Decimal(discount.get("percent", 0)), int(discount.get("amount", 0))
    return pricing.Discount(discount["id"], percent, amount, "support_discount")


def _plain(percent: Decimal) -> str:
    """`10.000` and `1E+1` as `10`."""
    return format(percent.normalize(), "f")


#: Made once: building a statement costs more than running it.
_INSERT = Command(lambda _: insert(Calculation.__table__))  # type: ignore[arg-type]


def prepare(
    session: CheckoutSession, inputs: dict[str, Any], outputs: dict[str, Any]
) -> Callable[[Session], None]:
    """Put a computation's totals on the session; calling what this returns keeps the computation."""
    session.calculation_id = new_id("calc")
    session.calculated_at = clock.now()
    session.totals = outputs["totals"]
    session.totals_stale = False
    session.applied_promotions = outputs["promotions"]
    session.validation_issues = outputs["issues"]
    row = {
        "id": session.calculation_id,
        "tenant_id": session.tenant_id,
        "mode": session.mode,
        "checkout_id": session.id,
        "inputs": inputs,
        "outputs": outputs,
        "calculated_at": session.calculated_at,
    }
    return lambda db: _INSERT.later(db, row)


def calculate(db: Session, session: CheckoutSession, profile: TenantProfile) -> dict[str, Any]:
    """Compute a session's totals afresh, in the caller's transaction; the stored outputs."""
    inputs, outputs = preview(db, session, profile)
    prepare(session, inputs, outputs)(db)
    return outputs


def preview(
    db: Session, session: CheckoutSession, profile: TenantProfile
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What `calculate` would store, without storing it."""
    codes = list(session.promotion_codes)
    return compute(
        profile,
        session.mode,
        session.currency,
        lines_of(session),
        codes=codes,
        address=session.shipping_address or session.billing_address,
        shipping=session.selected_shipping,
        taxed=is_taxed(session.options),
        held=_held_codes(db, session) if codes else (),
        given=session.support_discounts or (),
    )


def _held_codes(db: Session, session: CheckoutSession) -> list[str]:
    """Codes of which the session's live hold has a use."""
    if session.reservation_id is None:
        return []
    statement = select(Reservation.coupons).where(
        Reservation.id == session.reservation_id, Reservation.status == reservations.Status.ACTIVE
    )
    return db.scalar(statement) or []


def quote(session: CheckoutSession) -> str:
    """A hash of what the shopper sees: lines, totals and what is covered. Another one means other totals."""
    seen = [session.cart_snapshot, session.totals]
    return fingerprint([*seen, session.wallet_applied] if session.wallet_applied else seen)[:32]


def undiscounted(session: CheckoutSession) -> int:
    """What the goods of a session cost without discounts, minor units: what a renewal charges."""
    return sum(line.quantity * line.unit_price for line in lines_of(session))


def get(actor: Actor, calculation_id: str) -> Calculation:
    """A stored calculation of this merchant.

    Raises:
        NotFound: `not_calculated`.
    """
    statement = select(Calculation).where(
        Calculation.id == calculation_id,
        Calculation.tenant_id == actor.tenant_id,
        Calculation.mode == actor.mode,
    )
    with reading() as db:
        found = db.scalars(statement).one_or_none()
    if found is None:
        raise NotFound("Nothing has been calculated yet", code="not_calculated")
    return found
