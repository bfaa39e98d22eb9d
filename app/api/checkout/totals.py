"""CK-014, CK-015: totals."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from app.api.checkout.surface import surface
from app.domain.actor import Actor
from app.domain.errors import NotFound
from app.services.checkout import calculations, sessions
from app.web.schemas import Body, Instant, Integer, Query, View
from app.web.surface import BROWSER


class Calculate(Body):
    """How to compute: `force` ignores a fresh cached result."""

    force: bool = False
    timeout_ms: Integer = Field(5000, ge=1, le=30_000)


class Fresh(Query):
    """`fresh=true` forces an authoritative computation (OP-30)."""

    fresh: bool = False


class CalculationView(View):
    """A computation as it is stored."""

    calculation_id: str
    calculated_at: Instant
    lines: list[Any]
    shipping: int
    fees: list[Any]
    totals: dict[str, Any]


class TotalsView(View):
    """The last totals, and whether something has changed since."""

    calculation_id: str
    calculated_at: Instant
    totals: dict[str, Any]
    stale: bool


@surface.post(
    "/sessions/{checkout_id}/calculate",
    "CK-014",
    body=Calculate,
    query=Fresh,
    returns=CalculationView,
    auth=BROWSER,
    permission="checkout:write",
)
def calculate(actor: Actor, checkout_id: str, body: Calculate, query: Fresh) -> CalculationView:
    """Authoritative recomputation of all amounts as one atomic snapshot."""
    forced = body.force or query.fresh
    done = calculations.calculate(actor, checkout_id, force=forced, timeout_ms=body.timeout_ms)
    return CalculationView.model_validate(done)


@surface.get(
    "/sessions/{checkout_id}/totals",
    "CK-015",
    query=Fresh,
    returns=TotalsView,
    auth=BROWSER,
    permission="checkout:read",
)
def read(actor: Actor, checkout_id: str, query: Fresh) -> TotalsView:
    """Last computed totals with their calculation_id."""
    if query.fresh:
        session = calculations.current(actor, checkout_id, fresh=True)
    else:
        session = sessions.get(actor, checkout_id)
    if session.calculation_id is None:
        raise NotFound("Nothing has been calculated yet", code="not_calculated")
    assert session.calculated_at is not None
    assert session.totals is not None
    return TotalsView(
        calculation_id=session.calculation_id,
        calculated_at=session.calculated_at,
        totals=session.totals,
        stale=session.totals_stale,
    )
