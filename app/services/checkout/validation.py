"""Does a session still hold? `refresh` stores the outcome (CK-005), `blockers` only looks (CK-016)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from app.db import reading
from app.domain.actor import Actor
from app.domain.errors import Unprocessable
from app.domain.rules import payment_methods
from app.domain.rules.fraud import Action
from app.models.checkout.session import CheckoutSession
from app.models.payments.intent import PaymentIntent
from app.models.payments.method import PaymentMethod
from app.providers import registry
from app.providers.base import CartSnapshot, Scope
from app.services.checkout import drafts, reservations, scoring, sessions, shipping, totals
from app.services.checkout.editing import edit
from app.services.operations.consulting import consulting
from app.services.operations.settings import checkout_settings
from app.services.risk.screening import FRAUD_BLOCK


@dataclass(frozen=True, slots=True)
class Finding:
    """What a look at one part of a session brought: `code` is None where it holds."""

    check: str
    code: str | None = None
    explain: dict[str, Any] | None = None

    @property
    def ok(self) -> bool:
        """Whether the part still holds."""
        return self.code is None


def refresh(actor: Actor, checkout_id: str) -> tuple[CheckoutSession, list[Finding]]:
    """Look at prices, delivery, discounts, tax and fraud again, and store totals and issues on the session.

    A delivery whose price has changed is taken at the new one; one that is gone is dropped. The score is of
    the new totals, and is a decision of its own.

    Raises:
        InvalidState: the session is over, or being paid.
    """
    found = _refresh(actor, checkout_id)
    decision = scoring.score(actor, checkout_id)
    found.append(_fraud(decision.action))
    if not found[-1].ok:
        with edit(actor, checkout_id) as (_, session):
            session.validation_issues = [*session.validation_issues, _issue(found[-1])]
    return sessions.get(actor, checkout_id), found


@consulting
def _refresh(actor: Actor, checkout_id: str) -> list[Finding]:
    with edit(actor, checkout_id) as (db, session):
        before = session.totals or {}
        found = [_prices(actor, session), _delivery(actor, session)]
        outputs = totals.calculate(db, session, actor.tenant)
        reservations.rehold_coupons(db, session, actor.tenant)
        found += [_tax(before, outputs["totals"]), *_promotions(outputs["issues"])]
        session.validation_issues = [_issue(finding) for finding in found if not finding.ok]
        return found


@consulting
def blockers(actor: Actor, checkout_id: str) -> list[Finding]:
    """Everything that stands in the way of paying now; changes nothing."""
    with reading() as db:
        session = sessions.find(db, actor, checkout_id)
        _, outputs = totals.preview(db, session, actor.tenant)
        looked = [
            _stock(db, actor, session),
            _tax(session.totals or {}, outputs["totals"]),
            *_promotions(outputs["issues"]),
            _method(db, actor, session),
            _billing(session),
            _address(session),
        ]
    return [finding for finding in looked if not finding.ok]


def _issue(finding: Finding) -> dict[str, Any]:
    return {"code": finding.code, "explain": finding.explain}


def _fraud(action: str) -> Finding:
    """Whether the checkout may be paid as far as its score goes; a shopper reads no more of it than that."""
    if action != Action.DENY:
        return Finding("fraud")
    return Finding("fraud", FRAUD_BLOCK, {"reason": FRAUD_BLOCK})


def _prices(actor: Actor, session: CheckoutSession) -> Finding:
    """Whether the goods still cost what the snapshot says: by the pricing system, else by the cart."""
    lines = totals.lines_of(session)
    if session.cart_id is None or registry.pricing(actor.tenant).remote:
        cart = CartSnapshot(session.currency, tuple(lines))
        try:
            asked = _by_line(drafts.priced(actor, session.surface, cart))
        except Unprocessable as unsold:
            return Finding("pricing", unsold.code, unsold.explain)
    else:
        asked = _by_line(registry.carts(actor.tenant).get(Scope(actor.tenant, session.mode), session.cart_id))
    moved = [
        {"line_id": line.line_id, "snapshot": line.unit_price, "cart": asked[line.line_id]}
        for line in lines
        if asked.get(line.line_id, line.unit_price) != line.unit_price
    ]
    if not moved:
        return Finding("pricing")
    return Finding("pricing", "price_changed", {"reason": "price_changed", "lines": moved})


def _by_line(cart: CartSnapshot | None) -> dict[str, int]:
    return {line.line_id: line.unit_price for line in cart.lines} if cart else {}


def _delivery(actor: Actor, session: CheckoutSession) -> Finding:
    chosen = session.selected_shipping
    if chosen is None:
        return Finding("shipping")
    ways = shipping.offered(actor.tenant, session)
    option = next((o for o in ways if o.shipping_option_id == chosen["id"]), None)
    if option is None:
        session.selected_shipping = None
        code = "shipping_option_unavailable"
        return Finding("shipping", code, {"reason": code, "shipping_option_id": chosen["id"]})
    session.selected_shipping = shipping.as_selected(option)
    if option.cost == chosen["cost"]:
        return Finding("shipping")
    code = "shipping_price_changed"
    return Finding("shipping", code, {"reason": code, "before": chosen["cost"], "now": option.cost})


def _tax(before: dict[str, Any], now: dict[str, Any]) -> Finding:
    if before.get("tax_total") == now["tax_total"]:
        return Finding("tax")
    explain = {"reason": "tax_mismatch", "before": before.get("tax_total"), "now": now["tax_total"]}
    return Finding("tax", "tax_mismatch", explain)


def _promotions(issues: list[dict[str, Any]]) -> list[Finding]:
    if not issues:
        return [Finding("promotions")]
    return [Finding("promotions", issue["code"], issue["explain"]) for issue in issues]


def _stock(db: Session, actor: Actor, session: CheckoutSession) -> Finding:
    """Whether stock and the session's own hold cover every SKU."""
    wanted: dict[str, int] = {}
    for line in totals.lines_of(session):
        wanted[line.sku] = wanted.get(line.sku, 0) + line.quantity
    left = registry.inventory(actor.tenant).available(Scope(actor.tenant, session.mode), list(wanted))
    reservation = reservations.active(db, session)
    for part in reservation.lines if reservation else []:
        if part["sku"] in left:
            left[part["sku"]] += part["reserved_qty"]
    short = [
        {"sku": sku, "requested_qty": quantity, "available_qty": left[sku]}
        for sku, quantity in wanted.items()
        if quantity > left.get(sku, quantity)
    ]
    if not short:
        return Finding("inventory")
    code = "inventory_shortfall"
    return Finding("inventory", code, {"reason": code, "lines": short})


def _method(db: Session, actor: Actor, session: CheckoutSession) -> Finding:
    """Whether the merchant takes a method that the session names, or the one attached to its payment."""
    settings = checkout_settings(actor.tenant)
    country = (session.billing_address or session.shipping_address or {}).get("country")
    allowed = set(payment_methods.in_country(settings.allowed_methods, country, settings.allowed_apms))
    named = list(session.method_types)
    if session.payment_intent_id:
        intent = db.get_one(PaymentIntent, session.payment_intent_id)
        method = db.get(PaymentMethod, intent.payment_method_id) if intent.payment_method_id else None
        named = [method.type] if method else named
    if not named or allowed.intersection(named):
        return Finding("payment_method")
    code = "payment_method_not_supported"
    return Finding("payment_method", code, {"reason": code, "payment_methods": named})


def _billing(session: CheckoutSession) -> Finding:
    if not session.options.get("require_billing_address") or session.billing_address:
        return Finding("billing_address")
    code = "missing_billing_address"
    return Finding("billing_address", code, {"reason": code})


def _address(session: CheckoutSession) -> Finding:
    required = session.options.get("require_shipping_address") and session.pickup_location is None
    if not required or session.shipping_address:
        return Finding("shipping_address")
    code = "missing_shipping_address"
    return Finding("shipping_address", code, {"reason": code})
