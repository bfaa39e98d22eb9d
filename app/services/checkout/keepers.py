"""Keepers: who holds the goods and the discount codes of a reservation.

The built-in stock and codes, or systems of the merchant's own. Of remote ones the reservation remembers
where and under which name (`held_by`), so that what was held at one system is sold or let go at the same one,
whatever the merchant has chosen since.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.actor import TenantProfile
from app.domain.lifecycles import reservations as lifecycle
from app.domain.rules import providers
from app.domain.rules.providers import url_of
from app.kit import clock
from app.models.checkout.reservation import Reservation
from app.models.checkout.session import CheckoutSession
from app.providers import registry
from app.providers.base import CartLine, Scope
from app.providers.holding import Allocation, HeldLine, Hold

_GIVEN_UP = (lifecycle.Status.RELEASED, lifecycle.Status.EXPIRED)
_REMOTE = (providers.INVENTORY, providers.PROMOTIONS)


class Keepers:
    """The stock and the codes of one reservation, made or to be made."""

    def __init__(
        self, profile: TenantProfile, mode: str, held_by: dict[str, Any] | None, hold: Hold | None
    ) -> None:
        places = held_by or {}
        self.held_by = held_by
        self._hold = hold
        self._scope = Scope(profile, mode)
        self._stock = registry.inventory_at(places.get(providers.INVENTORY))
        self._codes = registry.promotions_at(places.get(providers.PROMOTIONS))

    def hold_goods(self, lines: Sequence[CartLine], allocation: Allocation) -> list[HeldLine]:
        """See `Inventory.hold`."""
        return self._stock.hold(self._scope, lines, allocation, self._hold)

    def hold_codes(self, codes: list[str], *, had: Sequence[str] = ()) -> list[str]:
        """Hold these codes in place of those that were `had`; those of them that are held now.

        The built-in codes are held and let go one by one, a remote system's as one.
        """
        if self._codes.remote:
            return self._codes.hold(self._scope, codes, self._hold) if codes or had else []
        self._codes.release(self._scope, sorted(set(had) - set(codes)))
        fresh = self._codes.hold(self._scope, [code for code in codes if code not in had])
        return [code for code in codes if code in fresh or code in had]

    def hold_codes_left(self, codes: list[str]) -> list[str]:
        """Those of these codes that can still be held, for a sale that is made whatever has become of them.

        A remote system is told of their uses with the sale, also where it holds none.
        """
        return codes if self._codes.remote else self._codes.hold(self._scope, codes)

    def release(self, reservation: Reservation) -> None:
        """Give back what the reservation holds."""
        self._stock.release(self._scope, _parts(reservation), self._hold)
        self._codes.release(self._scope, reservation.coupons, self._hold)

    def commit(self, reservation: Reservation) -> None:
        """Sell what the reservation holds."""
        self._stock.commit(self._scope, _parts(reservation), self._hold)
        self._codes.commit(self._scope, reservation.coupons, self._hold)

    def restock(self, reservation: Reservation) -> None:
        """Take back what the reservation sold."""
        self._stock.restock(self._scope, _parts(reservation), self._hold)
        self._codes.restore(self._scope, reservation.coupons, self._hold)

    def extend(self, reservation: Reservation) -> None:
        """Tell remote systems until when the reservation lasts now."""
        if self._hold is not None:
            self._stock.extend(self._scope, _parts(reservation), self._hold)
            self._codes.extend(self._scope, reservation.coupons, self._hold)


def to_be(
    db: Session, session: CheckoutSession, profile: TenantProfile, until: datetime, *, whole: bool
) -> Keepers:
    """Who is to hold the session's next reservation.

    Its name counts the session's reservations, so that a use case which runs again, or again after a crash,
    asks for the same hold, and one after a release for another. That release may not have been told yet.
    """
    urls = {name: url for name in _REMOTE if (url := url_of(profile.settings, name))}
    if not urls:
        return Keepers(profile, session.mode, None, None)
    earlier = (
        select(Reservation.held_by, Reservation.status)
        .where(Reservation.checkout_id == session.id)
        .order_by(Reservation.id)
    )
    rows = db.execute(earlier).all()
    given_up = [row.held_by["key"] for row in rows[-1:] if row.held_by and row.status in _GIVEN_UP]
    key = f"{session.id}.{len(rows)}"
    hold = Hold(key, until, given_up[0] if given_up else None, whole)
    return Keepers(profile, session.mode, {"key": key, **urls}, hold)


def of(reservation: Reservation, profile: TenantProfile) -> Keepers:
    """Who holds a reservation."""
    held_by = reservation.held_by
    hold = Hold(held_by["key"], reservation.expires_at) if held_by else None
    return Keepers(profile, reservation.mode, held_by, hold)


def has_lapsed(reservation: Reservation) -> bool:
    """Whether a remote system may have let go of it: it has to be held again before it can be sold."""
    return reservation.held_by is not None and reservation.expires_at <= clock.now()


def _parts(reservation: Reservation) -> list[HeldLine]:
    return [HeldLine(**line) for line in reservation.lines]
