"""Reservations and holds as a server or a page asks for them (CK-017 to CK-020, CK-059, CK-060)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

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


@dataclass(frozen=True, slots=True)
class Hold:
    """Something that is kept for a session: its goods (`inventory`), or a use of a code (`promotion`).

    Both hang on one reservation and end with it.
    """

    hold_id: str
    type: str
    reservation_id: str
    expires_at: datetime
    promotion_code: str | None = None


@consulting
def reserve(
    actor: Actor, checkout_id: str, *, ttl_seconds: int | None = None, allocation: Allocation = BEST_FIT
) -> Reservation:
    """Hold what can be held of a session's goods, maybe only a part (CK-017).

    Raises:
        Conflict: `inventory_shortfall`: nothing can be held; `shipment_plan_selected`: a plan says it.
        InvalidState: the session is over, or being paid.
    """
    with transaction(actor) as db:
        session = sessions.find(db, actor, checkout_id, lock=True)
        sessions.refuse_closed(session)
        if allocation.lots and session.shipment_plan_id is not None:
            raise Conflict("A shipment plan says where the goods come from", code="shipment_plan_selected")
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
        InvalidState: it is no longer held, or its session is canceled.
        Conflict: `hold_limit`: it has been lengthened as far as it may be.
    """
    with transaction(actor) as db:
        session, reservation = _locked(db, actor, reservation_id)
        _refuse_over(session)
        if not _is_live(reservation):
            raise InvalidState(f"A reservation that is {_ended(reservation)} cannot be extended")
        _lengthen(reservation, actor, by_seconds)
        return reservation


def of_session(actor: Actor, checkout_id: str) -> list[Hold]:
    """What is held for a session now (CK-059); empty where nothing is, or no longer.

    Raises:
        NotFound: there is no such session, or it is another merchant's.
    """
    sessions.get(actor, checkout_id)
    with reading() as db:
        statement = select(Reservation).where(
            Reservation.checkout_id == checkout_id, Reservation.status == _S.ACTIVE
        )
        return _holds_of(db.scalars(statement).one_or_none())


def extend_session(
    actor: Actor, checkout_id: str, *, hold_ids: Sequence[str] | None, by_seconds: int
) -> list[Hold]:
    """Lengthen what is held for a session, up to 24 hours in all (CK-060).

    Goods and codes share one reservation, so lengthening one of them lengthens the others too.

    Raises:
        NotFound: `hold_not_found`: one of `hold_ids` is not held for this session now.
        InvalidState: nothing is held, and no ids were named; or the session is canceled.
        Conflict: `hold_limit`: it has been lengthened as far as it may be.
    """
    with transaction(actor) as db:
        session = sessions.find(db, actor, checkout_id, lock=True)
        _refuse_over(session)
        reservation = reservations.active(db, session)
        held = _holds_of(reservation)
        unknown = sorted(set(hold_ids or ()) - {hold.hold_id for hold in held})
        if unknown:
            raise NotFound(
                "This is not held for this checkout",
                code="hold_not_found",
                field="hold_ids",
                explain={"reason": "hold_not_found", "hold_ids": unknown},
            )
        if reservation is None or not held:
            raise InvalidState("Nothing is held for this checkout")
        _lengthen(reservation, actor, by_seconds)
        return _holds_of(reservation)


def _refuse_over(session: CheckoutSession) -> None:
    """Raises InvalidState where a checkout is canceled: what it holds ends by itself."""
    if session.status == checkout_sessions.Status.CANCELED:
        raise InvalidState("A checkout that is canceled holds nothing for longer")


def _holds_of(reservation: Reservation | None) -> list[Hold]:
    if reservation is None or not _is_live(reservation):
        return []
    found, until = reservation.id, reservation.expires_at
    goods = [Hold(found, "inventory", found, until)] if _has_goods(reservation) else []
    codes = [Hold(f"{found}:{code}", "promotion", found, until, code) for code in reservation.coupons]
    return goods + codes


def _has_goods(reservation: Reservation) -> bool:
    return any(part["reserved_qty"] for part in reservation.lines)


def _is_live(reservation: Reservation) -> bool:
    return reservation.status == _S.ACTIVE and reservation.expires_at > clock.now()


def _lengthen(reservation: Reservation, actor: Actor, by_seconds: int) -> None:
    """Raises Conflict where it has reached 24 hours."""
    limit = reservation.created_at + timedelta(seconds=MAX_AGE_SECONDS)
    until = min(reservation.expires_at + timedelta(seconds=by_seconds), limit)
    if until <= reservation.expires_at:
        raise Conflict("A reservation lasts at most 24 hours", code="hold_limit")
    reservation.extended_until_at = until
    reservations.extend(reservation, actor.tenant, until, cause=str(actor.kind))


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
    if not _is_live(reservation):
        return _ended(reservation)
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
