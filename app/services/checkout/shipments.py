"""Split shipments: plans after where the goods lie, and the choice of one (CK-057, CK-058).

A plan says which units come from where. Its id is a hash of that, so the same suggestion is the same plan;
its totals are those of the session at the time of asking. What is held follows the chosen plan; one that its
places can no longer serve is dropped before it would stop a sale (reservations.py, docs/adr/0023).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from app.db import transaction
from app.domain.actor import Actor
from app.domain.errors import Conflict, InvalidState, NotFound
from app.domain.lifecycles import checkout_sessions as lifecycle
from app.domain.rules import shipments as rules
from app.domain.rules.shipments import Wanted
from app.kit import clock
from app.kit.canonical import fingerprint
from app.models.checkout.session import CheckoutSession
from app.models.checkout.shipment_plan import ShipmentPlan
from app.providers.base import ShippingOption
from app.services.checkout import parcels, reservations, runs, sessions, shipping, totals
from app.services.operations.consulting import consulting

_S = lifecycle.Status

#: The ways of splitting that are suggested, the best first.
_KINDS = {"fewest_shipments": rules.fewest, "whole_lines": rules.whole_lines}


@dataclass(frozen=True, slots=True)
class Estimate:
    """When a parcel arrives by the delivery that is chosen, or by the cheapest one while none is."""

    shipping_option_id: str
    label: str
    earliest_delivery_date: date
    latest_delivery_date: date


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A plan with its parcels as they are told, and their estimate (None: they are collected, or unknown)."""

    plan: ShipmentPlan
    shipments: list[dict[str, Any]]
    estimate: Estimate | None
    is_selected: bool


@consulting
def suggest(actor: Actor, checkout_id: str) -> list[Suggestion]:
    """Ways to send the session's goods in parcels, from the fewest up; the same ones are told once.

    Raises:
        NotFound: no such session.
        InvalidState: it is over.
        Conflict: `inventory_shortfall`: all places together have too little.
    """
    with transaction(actor) as db:
        session = sessions.find(db, actor, checkout_id, lock=True)
        _refuse_decided(db, session)
        if session.totals_stale and session.status in lifecycle.OPEN:
            totals.calculate(db, session, actor.tenant)
        lines, stock = _lines(session), reservations.stock_for(db, session, actor.tenant)
        short = rules.shortfall(lines, stock)
        if short:
            raise Conflict(
                "Some of it is no longer in stock",
                code="inventory_shortfall",
                explain={"reason": "inventory_shortfall", "lines": short},
            )
        plans = [_stored(db, session, kind, split(lines, stock)) for kind, split in _KINDS.items()]
        estimate = _estimate(actor, session)
        return [
            Suggestion(plan, parcels.priced(db, session, plan), estimate, plan.id == session.shipment_plan_id)
            for plan in {plan.id: plan for plan in plans}.values()
        ]


@consulting
def select_plan(actor: Actor, checkout_id: str, plan_id: str) -> CheckoutSession:
    """Choose how the goods are sent; what is held moves to the places of the plan.

    Raises:
        NotFound: no such session, or no such plan of it.
        InvalidState: the session is over.
        Conflict: `shipment_plan_outdated`: the basket is another now, or a place has sold out.
    """
    with transaction(actor) as db:
        session = sessions.find(db, actor, checkout_id, lock=True)
        _refuse_decided(db, session)
        plan = db.scalars(_mine(session).where(ShipmentPlan.id == plan_id)).one_or_none()
        if plan is None:
            raise NotFound("There is no such shipment plan", code="shipment_plan_not_found", field="plan_id")
        stock = reservations.stock_for(db, session, actor.tenant)
        if _goods(plan.shipments) != _goods([session.cart_snapshot]) or not rules.fits(plan.lots(), stock):
            raise Conflict("This plan is not possible any more", code="shipment_plan_outdated")
        if session.shipment_plan_id == plan.id:
            return session
        before, cause = session.facts(), str(actor.kind)
        session.shipment_plan_id = plan.id
        if session.status in lifecycle.OPEN:
            sessions.touch(session, cause=cause)
        reservations.hold_again(db, session, actor.tenant, cause="shipment plan")
        db.flush()
        session.note("checkout.shipment_plan_selected", cause=cause, before=before)
        return session


def _refuse_decided(db: Session, session: CheckoutSession) -> None:
    """Raises InvalidState where the sale is made or being made, or will not be."""
    if runs.running(db, session) is not None:
        raise InvalidState("The checkout is being finalised")
    if session.status in lifecycle.OPEN:
        sessions.refuse_closed(session)
    elif session.status != _S.PAYMENT_PROCESSING:
        raise InvalidState(f"A checkout that is {session.status} cannot be split any more")


def _stored(db: Session, session: CheckoutSession, kind: str, split: list[dict[str, Any]]) -> ShipmentPlan:
    plan_id = f"plan_{fingerprint([session.id, split])[:32]}"
    known = db.get(ShipmentPlan, plan_id)
    if known is not None:
        return known
    plan = ShipmentPlan(
        id=plan_id,
        tenant_id=session.tenant_id,
        mode=session.mode,
        checkout_id=session.id,
        kind=kind,
        shipments=split,
    )
    db.add(plan)
    db.flush()
    return plan


def _mine(session: CheckoutSession) -> Select[ShipmentPlan]:
    return select(ShipmentPlan).where(
        ShipmentPlan.tenant_id == session.tenant_id,
        ShipmentPlan.mode == session.mode,
        ShipmentPlan.checkout_id == session.id,
    )


def _lines(session: CheckoutSession) -> list[Wanted]:
    return [Wanted(line.line_id, line.sku, line.quantity) for line in totals.lines_of(session)]


def _goods(shipments: list[dict[str, Any]]) -> dict[str, int]:
    """Units by line, over all parcels."""
    units: dict[str, int] = {}
    for shipment in shipments:
        for line in shipment["lines"]:
            units[line["line_id"]] = units.get(line["line_id"], 0) + line["quantity"]
    return units


def _estimate(actor: Actor, session: CheckoutSession) -> Estimate | None:
    if session.pickup_location is not None:
        return None
    ways = shipping.offered(actor.tenant, session)
    chosen = (session.selected_shipping or {}).get("id")
    option = next((way for way in ways if chosen in (None, way.shipping_option_id)), None)
    return None if option is None else _dated(option)


def _dated(option: ShippingOption) -> Estimate:
    today = clock.now()
    return Estimate(
        option.shipping_option_id,
        option.label,
        (today + timedelta(days=option.days_min)).date(),
        (today + timedelta(days=option.days_max)).date(),
    )
