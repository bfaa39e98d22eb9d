"""Reservations: stock held for a session, until it is sold, released or lapses (CK-017 to CK-020).

Everything here but the sweep works inside the caller's transaction, on a locked session.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db import reading, transaction
from app.domain.actor import TenantProfile
from app.domain.errors import Conflict
from app.domain.lifecycles import checkout_sessions
from app.domain.lifecycles import reservations as lifecycle
from app.domain.rules.shipments import fits
from app.kit import clock
from app.kit.ids import new_id
from app.models.access.tenant import Tenant
from app.models.checkout.reservation import Reservation
from app.models.checkout.session import CheckoutSession
from app.models.checkout.shipment_plan import ShipmentPlan
from app.providers import registry
from app.providers.base import Scope
from app.providers.holding import BEST_FIT, Allocation, HeldLine, Lot
from app.services.checkout import keepers
from app.services.checkout.keepers import Keepers
from app.services.checkout.totals import lines_of
from app.services.operations import sweeping
from app.services.operations.settings import checkout_settings

_S, _T = lifecycle.Status, lifecycle.Trigger
_Checkout = checkout_sessions.Trigger


def active(db: Session, session: CheckoutSession) -> Reservation | None:
    """The session's live hold."""
    statement = select(Reservation).where(
        Reservation.checkout_id == session.id, Reservation.status == _S.ACTIVE
    )
    return db.scalars(statement).one_or_none()


def hold(
    db: Session,
    session: CheckoutSession,
    profile: TenantProfile,
    *,
    ttl_seconds: int,
    cause: str,
    require_full: bool = True,
    allocation: Allocation = BEST_FIT,
    all_codes: bool = True,
) -> Reservation:
    """Hold the session's goods and discounts, or lengthen the hold that it has; it becomes `reserved`.

    A partial hold is given up and asked for again. Without `all_codes` a discount that is used up by others
    is given without a use of it. Where a shipment plan was chosen the goods are taken from its places,
    whatever `allocation` says.

    Raises:
        Conflict: `inventory_shortfall`: nothing can be held, or not all while all is required;
            `promotion_invalid`: a discount in the totals has just been used up by others.
    """
    started = time.monotonic()
    until = clock.now() + timedelta(seconds=ttl_seconds)
    present = active(db, session)
    if present is not None and not present.partial and not keepers.has_lapsed(present):
        if present.expires_at < until:
            extend(present, profile, until, cause=cause)
        return present
    if present is not None:
        release(db, session, profile, cause="held again")
    allocation = _planned(db, session, profile, cause) or allocation
    keeper = keepers.to_be(db, session, profile, until, whole=require_full)
    held, partial = _hold_goods(keeper, session, allocation, require_full=require_full)
    codes = _codes(session)
    reservation = Reservation(
        id=new_id("resv"),
        tenant_id=session.tenant_id,
        mode=session.mode,
        checkout_id=session.id,
        allocation_strategy=allocation.strategy,
        partial=partial,
        lines=[part.as_dict() for part in held],
        coupons=_hold_coupons(keeper, codes) if all_codes else keeper.hold_codes_left(codes),
        held_by=keeper.held_by,
        expires_at=until,
        took_ms=(time.monotonic() - started) * 1000,
    )
    _keep(db, session, reservation, cause)
    return reservation


def _keep(db: Session, session: CheckoutSession, reservation: Reservation, cause: str) -> None:
    db.add(reservation)
    reservation.begin(cause=cause)
    session.reservation_id = reservation.id
    if session.status in (checkout_sessions.Status.CREATED, checkout_sessions.Status.COLLECTING):
        session.advance(_Checkout.RESERVED, cause=cause)


def hold_again(db: Session, session: CheckoutSession, profile: TenantProfile, *, cause: str) -> None:
    """Hold the goods anew after another plan was chosen, for as long as they were to be held.

    Raises:
        Conflict: `inventory_shortfall`, `promotion_invalid`, as `hold`.
    """
    present = active(db, session)
    if present is None:
        return
    left = int((present.expires_at - clock.now()).total_seconds())
    release(db, session, profile, cause=cause)
    hold(db, session, profile, ttl_seconds=max(left, 60), cause=cause, require_full=not present.partial)


def stock_for(db: Session, session: CheckoutSession, profile: TenantProfile) -> dict[str, dict[str, int]]:
    """Units by SKU and place that the session may have: what is free, and what it holds itself.

    Only of SKUs that are tracked; of none where the inventory does not tell places.
    """
    places = registry.places(profile)
    if places is None:
        return {}
    stock = places.places(Scope(profile, session.mode), [line.sku for line in lines_of(session)])
    reservation = active(db, session)
    for part in reservation.lines if reservation else []:
        if part["location"] in stock.get(part["sku"], {}):
            stock[part["sku"]][part["location"]] += part["reserved_qty"]
    return stock


def _planned(db: Session, session: CheckoutSession, profile: TenantProfile, cause: str) -> Allocation | None:
    """The places of the chosen plan, which is dropped where they can no longer serve it: goods come first."""
    if session.shipment_plan_id is None:
        return None
    lots = db.get_one(ShipmentPlan, session.shipment_plan_id).lots()
    if not fits(lots, stock_for(db, session, profile)):
        before = session.facts()
        session.shipment_plan_id = None
        session.note("checkout.shipment_plan_dropped", cause=cause, before=before)
        return None
    taken = tuple(Lot(sku, place, units) for (sku, place), units in lots.items())
    return Allocation("explicit_lots", taken) if taken else None


def _hold_goods(
    keeper: Keepers, session: CheckoutSession, allocation: Allocation, *, require_full: bool
) -> tuple[list[HeldLine], bool]:
    """What the inventory holds for the session, and whether that is only a part."""
    lines = lines_of(session)
    held = keeper.hold_goods(lines, allocation)
    got = sum(part.reserved_qty for part in held)
    partial = got < sum(line.quantity for line in lines)
    if got == 0 or (partial and require_full):
        raise Conflict(
            "Some of it is no longer in stock",
            code="inventory_shortfall",
            explain={"reason": "inventory_shortfall", "lines": [part.as_dict() for part in held]},
        )
    return held, partial


def _hold_coupons(keeper: Keepers, codes: list[str], had: Sequence[str] = ()) -> list[str]:
    held = keeper.hold_codes(codes, had=had)
    lost = sorted(set(codes) - set(held))
    if lost:
        raise Conflict(
            f"The code {lost[0]} has been used up",
            code="promotion_invalid",
            explain={"reason": "promotion_invalid", "promotion_code": lost[0]},
        )
    return held


def rehold_coupons(db: Session, session: CheckoutSession, profile: TenantProfile) -> None:
    """After other discounts were chosen: hold what is new of them, and let go of what is no longer used."""
    reservation = active(db, session)
    if reservation is None:
        return
    wanted = _codes(session)
    _hold_coupons(keepers.of(reservation, profile), wanted, reservation.coupons)
    reservation.coupons = wanted


def extend(reservation: Reservation, profile: TenantProfile, until: datetime, *, cause: str) -> None:
    """Let a live hold last until then."""
    reservation.advance(_T.EXTENDED, cause=cause, expires_at=until)
    keepers.of(reservation, profile).extend(reservation)


def commit(db: Session, session: CheckoutSession, profile: TenantProfile, *, cause: str) -> None:
    """Turn the hold into a sale.

    Raises:
        Conflict: `inventory_shortfall`: the hold is gone and cannot be had again.
    """
    reservation = active(db, session)
    if reservation is None or reservation.partial or keepers.has_lapsed(reservation):
        # The price was promised and may be paid already: a code used up meanwhile does not undo it.
        reservation = hold(db, session, profile, ttl_seconds=60, cause=cause, all_codes=False)
    keepers.of(reservation, profile).commit(reservation)
    reservation.advance(_T.CAPTURED, cause=cause)


def release(
    db: Session,
    session: CheckoutSession,
    profile: TenantProfile,
    *,
    cause: str,
    lapsed: bool = False,
) -> None:
    """Give the hold back, if there is one; releasing twice changes nothing."""
    reservation = active(db, session)
    if reservation is None:
        return
    keepers.of(reservation, profile).release(reservation)
    reservation.advance(_T.EXPIRED if lapsed else _T.RELEASED, cause=cause)
    session.reservation_id = None


def let_go(
    db: Session, session: CheckoutSession, profile: TenantProfile, *, cause: str, lapsed: bool = False
) -> None:
    """Give the hold back while the session goes on: it is collecting again."""
    release(db, session, profile, cause=cause, lapsed=lapsed)
    if session.status == checkout_sessions.Status.RESERVED:
        session.advance(_Checkout.HOLD_LAPSED, cause=cause)


def expire_due(limit: int = 100) -> int:
    """Release holds whose time is up, except where a payment is under way. Returns how many."""
    paying = CheckoutSession.status == checkout_sessions.Status.PAYMENT_PROCESSING
    statement = (
        select(Reservation.checkout_id)
        .join(CheckoutSession, CheckoutSession.id == Reservation.checkout_id)
        .where(Reservation.status == _S.ACTIVE, Reservation.expires_at <= clock.now())
        .where(~paying | Reservation.held_by.is_not(None))  # else they would stand before all others
        .order_by(Reservation.expires_at)
        .limit(limit)
    )
    with reading() as db:
        due = list(db.scalars(statement))
    return sweeping.each(due, _expire)


def _expire(checkout_id: str) -> bool:
    with transaction() as db:
        session = db.get_one(CheckoutSession, checkout_id, with_for_update=True)
        reservation = active(db, session)
        paying = session.status == checkout_sessions.Status.PAYMENT_PROCESSING
        local = reservation is not None and reservation.held_by is None
        if reservation is None or (paying and local) or reservation.expires_at > clock.now():
            return False
        profile = db.get_one(Tenant, session.tenant_id).profile(session.mode)
        if paying:  # a remote system lets go by itself unless it is told not to
            until = clock.now() + timedelta(seconds=checkout_settings(profile).hold_ttl_seconds)
            extend(reservation, profile, until, cause="payment under way")
            return False
        let_go(db, session, profile, cause="expiry", lapsed=True)
        return True


def _codes(session: CheckoutSession) -> list[str]:
    """The discounts that are in the session's totals."""
    return [promotion["code"] for promotion in session.applied_promotions]
