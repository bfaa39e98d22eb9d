"""Reservations: stock held for a session, until it is sold, released or lapses (CK-017 to CK-020).

Everything here but the sweep works inside the caller's transaction, on a locked session.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db import reading, transaction
from app.domain.actor import TenantProfile
from app.domain.errors import Conflict
from app.domain.lifecycles import checkout_sessions
from app.domain.lifecycles import reservations as lifecycle
from app.kit import clock
from app.kit.ids import new_id
from app.models.access.tenant import Tenant
from app.models.checkout.reservation import Reservation
from app.models.checkout.session import CheckoutSession
from app.providers import registry
from app.providers.base import HeldLine, Scope
from app.services.checkout.totals import lines_of

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
) -> Reservation:
    """Hold the session's goods, or lengthen the hold that it has; the session becomes `reserved`.

    Raises:
        Conflict: `inventory_shortfall`: nothing can be held, or not all while all is required.
    """
    until = clock.now() + timedelta(seconds=ttl_seconds)
    present = active(db, session)
    if present is not None and not (require_full and present.partial):
        if present.expires_at < until:
            present.advance(_T.EXTENDED, cause=cause, expires_at=until)
        return present
    if present is not None:
        release(db, session, profile, cause="held again in full")
    scope = Scope(profile, session.mode)
    lines = lines_of(session)
    held = registry.inventory(profile).hold(scope, lines)
    got = sum(part.reserved_qty for part in held)
    partial = got < sum(line.quantity for line in lines)
    if got == 0 or (partial and require_full):
        raise Conflict(
            "Some of it is no longer in stock",
            code="inventory_shortfall",
            explain={"reason": "inventory_shortfall", "lines": [part.as_dict() for part in held]},
        )
    reservation = Reservation(
        id=new_id("resv"),
        tenant_id=session.tenant_id,
        mode=session.mode,
        checkout_id=session.id,
        partial=partial,
        lines=[part.as_dict() for part in held],
        expires_at=until,
    )
    db.add(reservation)
    reservation.begin(cause=cause)
    session.reservation_id = reservation.id
    if session.status in (checkout_sessions.Status.CREATED, checkout_sessions.Status.COLLECTING):
        session.advance(_Checkout.RESERVED, cause=cause)
    return reservation


def commit(db: Session, session: CheckoutSession, profile: TenantProfile, *, cause: str) -> None:
    """Turn the hold into a sale.

    Raises:
        Conflict: `inventory_shortfall`: the hold is gone and cannot be had again.
    """
    reservation = active(db, session)
    if reservation is None:
        reservation = hold(db, session, profile, ttl_seconds=60, cause=cause)
    registry.inventory(profile).commit(Scope(profile, session.mode), _parts(reservation))
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
    registry.inventory(profile).release(Scope(profile, session.mode), _parts(reservation))
    reservation.advance(_T.EXPIRED if lapsed else _T.RELEASED, cause=cause)
    session.reservation_id = None


def expire_due(limit: int = 100) -> int:
    """Release holds whose time is up, except where a payment is under way. Returns how many."""
    statement = (
        select(Reservation.checkout_id)
        .where(Reservation.status == _S.ACTIVE, Reservation.expires_at <= clock.now())
        .order_by(Reservation.expires_at)
        .limit(limit)
    )
    with reading() as db:
        due = list(db.scalars(statement))
    return sum(_expire(checkout_id) for checkout_id in due)


def _expire(checkout_id: str) -> bool:
    with transaction() as db:
        session = db.get_one(CheckoutSession, checkout_id, with_for_update=True)
        reservation = active(db, session)
        paying = session.status == checkout_sessions.Status.PAYMENT_PROCESSING
        if reservation is None or paying or reservation.expires_at > clock.now():
            return False
        profile = db.get_one(Tenant, session.tenant_id).profile()
        release(db, session, profile, cause="expiry", lapsed=True)
        if session.status == checkout_sessions.Status.RESERVED:
            session.advance(_Checkout.HOLD_LAPSED, cause="expiry")
        return True


def _parts(reservation: Reservation) -> list[HeldLine]:
    return [HeldLine(**line) for line in reservation.lines]
