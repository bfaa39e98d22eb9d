"""CK-017 to CK-020: holds on stock."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from app.api.checkout.surface import surface
from app.domain.actor import Actor
from app.domain.errors import InvalidRequest
from app.models.checkout.reservation import Reservation
from app.providers.holding import Allocation, Lot
from app.services.checkout import holds
from app.web.schemas import Body, Instant, Integer, Nothing, View
from app.web.surface import BROWSER

_DAY = 24 * 3600


class LotAsk(Body):
    """So many units from one place."""

    sku: str = Field(min_length=1, max_length=64)
    location: str = Field(min_length=1, max_length=40)
    quantity: Integer = Field(ge=1, le=1_000_000)


class Reserve(Body):
    """How long to hold, and from where to take."""

    expires_in_seconds: Integer | None = Field(None, ge=1, le=_DAY)
    allocation_strategy: Literal["best_fit", "fifo", "explicit_lots"] = "best_fit"
    lots: list[LotAsk] = Field(default_factory=list, max_length=500)

    def allocation(self) -> Allocation:
        """The allocation that the service takes.

        Raises:
            InvalidRequest: lots without their strategy, or the other way round.
        """
        if bool(self.lots) != (self.allocation_strategy == "explicit_lots"):
            raise InvalidRequest("lots and allocation_strategy explicit_lots go together", field="lots")
        lots = tuple(Lot(lot.sku, lot.location, lot.quantity) for lot in self.lots)
        return Allocation(self.allocation_strategy, lots)


class Extend(Body):
    """By how much."""

    extend_by_seconds: Integer = Field(900, ge=1, le=_DAY)


class HeldLineView(View):
    """What of a line is held."""

    line_id: str
    sku: str
    requested_qty: int
    reserved_qty: int


class ReservationView(View):
    """A hold; `partial` tells that the buyer cannot have all of it."""

    reservation_id: str
    checkout_id: str
    status: str
    partial: bool
    allocation_strategy: str
    lines: list[HeldLineView]
    expires_at: Instant
    version: int

    @classmethod
    def of(cls, row: Reservation) -> ReservationView:
        """The view of a row; parts of a line from several places are shown as one."""
        lines: dict[str, dict[str, Any]] = {}
        for part in row.lines:
            line = lines.setdefault(
                part["line_id"],
                {
                    "line_id": part["line_id"],
                    "sku": part["sku"],
                    "requested_qty": part["requested_qty"],
                    "reserved_qty": 0,
                },
            )
            line["reserved_qty"] += part["reserved_qty"]
        return cls(
            reservation_id=row.id,
            checkout_id=row.checkout_id,
            status=holds.word(row),
            partial=row.partial,
            allocation_strategy=row.allocation_strategy,
            lines=[HeldLineView(**line) for line in lines.values()],
            expires_at=row.expires_at,
            version=row.version,
        )


@surface.post(
    "/sessions/{checkout_id}/reserve",
    "CK-017",
    body=Reserve,
    returns=ReservationView,
    status=201,
    auth=BROWSER,
    permission="checkout:write",
)
def reserve(actor: Actor, checkout_id: str, body: Reserve) -> ReservationView:
    """Request an inventory reservation; may be partial."""
    made = holds.reserve(
        actor, checkout_id, ttl_seconds=body.expires_in_seconds, allocation=body.allocation()
    )
    return ReservationView.of(made)


@surface.get(
    "/reservations/{reservation_id}",
    "CK-018",
    returns=ReservationView,
    auth=BROWSER,
    permission="checkout:read",
)
def get(actor: Actor, reservation_id: str) -> ReservationView:
    """Read a reservation's status and expiry."""
    return ReservationView.of(holds.get(actor, reservation_id))


@surface.post(
    "/reservations/{reservation_id}/extend",
    "CK-019",
    body=Extend,
    returns=ReservationView,
    auth=BROWSER,
    permission="checkout:write",
)
def extend(actor: Actor, reservation_id: str, body: Extend) -> ReservationView:
    """Extend the life of a hold."""
    return ReservationView.of(holds.extend(actor, reservation_id, body.extend_by_seconds))


@surface.post(
    "/reservations/{reservation_id}/release",
    "CK-020",
    body=Nothing,
    returns=ReservationView,
    permission="checkout:write",
)
def release(actor: Actor, reservation_id: str, body: Nothing) -> ReservationView:
    """Release a reservation."""
    return ReservationView.of(holds.release(actor, reservation_id))
