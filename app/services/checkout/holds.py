"""Reservations as a server or a page asks for them (CK-017 to CK-020), over `reservations`."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db import reading, transaction
from app.domain.actor import Actor
from app.domain.errors import Conflict, InvalidState, NotFound
from app.domain.lifecycles import checkout_sessions
from app.domain.lifecycles import reservations as lifecycle
from app.kit import clock
from app.models.checkout.reservation import Reservation
from app.models.checkout.session import CheckoutSession
from app.providers.holding import BEST_FIT, Allocation
from app.services.checkout import reservations, sessions, totals
from app.services.operations.consulting import consulting
from app.services.operations.settings import checkout_settings

_S, _T = lifecycle.Status, lifecycle.Trigger

#: A hold may be lengthened up to this age (OP-32).
MAX_AGE_SECONDS = 24 * 3600


@consulting
def reserve(
    actor: Actor, checkout_id: str, *, ttl_seconds: int | None = None, allocation: Allocation = BEST_FIT
) -> Reservation:
    """Hold what can be held of a session's goods, maybe only a part (CK-017).

    Raises:
        Conflict: `inventory_shortfall`: nothing can be held.
        InvalidState: the session is over, or being paid.
    """
    with transaction(actor) as db:
        session = sessions.find(db, actor, checkout_id, lock=True)
        sessions.refuse_closed(session)
        if session.totals_stale:
            totals.calculate(db, session, actor.tenant)
        return reservations.hold(
            db,
            session,
            actor.tenant,
            ttl_seconds=ttl_seconds or checkout_settings(actor.tenant).hold_ttl_seconds,
            cause=str(actor.kind),
            require_full=False,
            allocation=allocation,
        )


def get(actor: Actor, reservation_id: str) -> Reservation:
    """One reservation; a browser's credential sees its own session's only.

    Raises:
        NotFound: there is none, or it is somebody else's.
    """
    with reading() as db:
        return _find(db, actor, reservation_id)


def extend(actor: Actor, reservation_id: str, by_seconds: int) -> Reservation:
    """Lengthen a hold, up to 24 hours in all (CK-019).

    Raises:
        InvalidState: it is no longer held.
        Conflict: `hold_limit`: it has been lengthened as far as it may be.
    """
    with transaction(actor) as db:
        _, reservation = _locked(db, actor, reservation_id)
        if reservation.status != _S.ACTIVE or reservation.expires_at <= clock.now():
            raise InvalidState(f"A reservation that is {_ended(reservation)} cannot be extended")
        limit = reservation.created_at + timedelta(seconds=MAX_AGE_SECONDS)
        until = min(reservation.expires_at + timedelta(seconds=by_seconds), limit)
        if until <= reservation.expires_at:
            raise Conflict("A reservation lasts at most 24 hours", code="hold_limit")
        reservation.extended_until_at = until
        reservations.extend(reservation, actor.tenant, until, cause=str(actor.kind))
        return reservation


def release(actor: Actor, reservation_id: str) -> Reservation:
    """Give a hold back; doing it again changes nothing (CK-020).

    Raises:
        InvalidState: it is sold, or its session is being paid.
    """
    with transaction(actor) as db:
        session, reservation = _locked(db, actor, reservation_id)
        if reservation.status in (_S.RELEASED, _S.EXPIRED):
            return reservation
        if reservation.status != _S.ACTIVE:
            raise InvalidState(f"A reservation that is {reservation.status} cannot be released")
        if session.status == checkout_sessions.Status.PAYMENT_PROCESSING:
            raise InvalidState("A payment is under way", code="payment_in_progress")
        reservations.let_go(db, session, actor.tenant, cause=str(actor.kind))
        return reservation


def word(reservation: Reservation) -> str:
    """The status as the contract says it: `active partial extended released expired captured` (OP-42)."""
    if reservation.status == _S.RETURNED:
        return str(_S.CAPTURED)
    if reservation.status != _S.ACTIVE:
        return reservation.status
    if reservation.expires_at <= clock.now():
        return str(_S.EXPIRED)
    if reservation.partial:
        return "partial"
    return "extended" if reservation.extended_until_at else str(_S.ACTIVE)


def _ended(reservation: Reservation) -> str:
    return str(_S.EXPIRED) if reservation.status == _S.ACTIVE else reservation.status


def _locked(db: Session, actor: Actor, reservation_id: str) -> tuple[CheckoutSession, Reservation]:
    """Session, then reservation, locked in the house's order."""
    found = _find(db, actor, reservation_id)
    session = sessions.find(db, actor, found.checkout_id, lock=True)
    db.refresh(found, with_for_update=True)
    return session, found


def _find(db: Session, actor: Actor, reservation_id: str) -> Reservation:
    statement = select(Reservation).where(
        Reservation.id == reservation_id,
        Reservation.tenant_id == actor.tenant_id,
        Reservation.mode == actor.mode,
    )
    if actor.session_id is not None:
        statement = statement.where(Reservation.checkout_id == actor.session_id)
    found = db.scalars(statement).one_or_none()
    if found is None:
        raise NotFound("Reservation not found", code="reservation_not_found")
    return found
