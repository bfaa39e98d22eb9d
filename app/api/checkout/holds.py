"""CK-059, CK-060: what is held for a session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from app.api.checkout.surface import surface
from app.domain.actor import Actor
from app.services.checkout import holds
from app.web.schemas import Body, Instant, Integer, View
from app.web.surface import BROWSER


class Extend(Body):
    """Which holds, and by how much; without ids all of them."""

    hold_ids: list[Annotated[str, Field(min_length=1, max_length=128)]] | None = Field(
        None, min_length=1, max_length=100
    )
    extend_by_seconds: Integer = Field(900, ge=1, le=holds.MAX_AGE_SECONDS)


class HoldView(View):
    """Goods, or a use of a promotion code; what hangs on one reservation ends together."""

    hold_id: str
    type: Literal["promotion", "inventory"]
    reservation_id: str
    promotion_code: str | None
    expires_at: Instant


class HoldsView(View):
    """Everything that is held now."""

    data: list[HoldView]

    @classmethod
    def of(cls, held: Sequence[holds.Hold]) -> HoldsView:
        """The view of holds."""
        return cls(data=[HoldView.model_validate(hold) for hold in held])


@surface.get(
    "/sessions/{checkout_id}/holds",
    "CK-059",
    returns=HoldsView,
    auth=BROWSER,
    permission="checkout:read",
)
def read(actor: Actor, checkout_id: str) -> HoldsView:
    """List active holds: promotion codes and inventory."""
    return HoldsView.of(holds.of_session(actor, checkout_id))


@surface.post(
    "/sessions/{checkout_id}/holds/extend",
    "CK-060",
    body=Extend,
    returns=HoldsView,
    auth=BROWSER,
    permission="checkout:write",
)
def extend(actor: Actor, checkout_id: str, body: Extend) -> HoldsView:
    """Request an extension of holds."""
    held = holds.extend_session(actor, checkout_id, hold_ids=body.hold_ids, by_seconds=body.extend_by_seconds)
    return HoldsView.of(held)
