"""Receipts: issued with the sale where that costs nobody time, else by the worker soon after.

A hosted sale promises a receipt by its id; the sweep issues it, or whoever opens it first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app import settings
from app.db import reading, transaction
from app.domain.actor import TenantProfile
from app.domain.errors import NotFound
from app.domain.lifecycles import checkout_sessions
from app.domain.lifecycles import orders as order_lifecycle
from app.kit import clock
from app.models.access.tenant import Tenant
from app.models.catalogue.receipt import Receipt
from app.models.checkout.finalization import Finalization
from app.models.checkout.order import Order
from app.models.checkout.session import CheckoutSession
from app.models.payments.intent import PaymentIntent
from app.models.payments.method import PaymentMethod
from app.providers import registry
from app.providers.base import ReceiptDraft, Scope
from app.services.operations import sweeping
from app.services.operations.settings import checkout_settings


@dataclass(frozen=True, slots=True)
class Shown:
    """A receipt with what has changed since it was issued."""

    receipt: Receipt
    profile: TenantProfile
    refunded: int


def source(checkout_id: str) -> str:
    """The cause under which the billing knows the receipt of a checkout."""
    return f"checkout:{checkout_id}"


def draft(
    db: Session, session: CheckoutSession, profile: TenantProfile, *, order_id: str | None, receipt_id: str
) -> ReceiptDraft:
    """What the receipt of a session says, in the caller's transaction."""
    intent = db.get(PaymentIntent, session.payment_intent_id) if session.payment_intent_id else None
    method = db.get(PaymentMethod, intent.payment_method_id) if intent and intent.payment_method_id else None
    paid = intent.amount_captured if intent is not None else 0
    return ReceiptDraft(
        source=source(session.id),
        receipt_id=receipt_id,
        amount=paid,
        currency=session.currency,
        seller={"name": profile.name, "support_email": checkout_settings(profile).support_email or None},
        buyer={name: {**session.contact, **session.customer}.get(name) for name in ("name", "email")}
        | {"billing_address": session.billing_address},
        lines=tuple(session.cart_snapshot["lines"]),
        totals=session.totals or {},
        payment={"type": method.type, "brand": method.brand, "last4": method.last4} if method else None,
        paid_at=(intent.succeeded_at if intent else None) or session.completed_at or clock.now(),
        order_id=order_id,
        payment_intent_id=session.payment_intent_id,
        reference=session.reference,
    )


def issue_due(limit: int = 100) -> int:
    """Issue the receipts that sales have promised. Returns how many."""
    due = Order.receipt_id.is_not(None) & Order.receipt_issued_at.is_(None)
    standing = due & (Order.status != order_lifecycle.Status.CANCELLED) & Order.checkout_id.is_not(None)
    statement = select(Order.checkout_id).where(standing).order_by(Order.number).limit(limit)
    with reading() as db:
        waiting = list(db.scalars(statement))
    return sweeping.each((checkout_id for checkout_id in waiting if checkout_id is not None), _issue)


def of_checkout(session: CheckoutSession) -> Receipt:
    """The receipt of a completed session; the first who asks for a promised one has it issued.

    Raises:
        NotFound: there is none, or another system keeps it.
    """
    found = _find(session)
    if found is None and session.status == checkout_sessions.Status.COMPLETED:
        _issue(session.id)
        found = _find(session)  # whoever was quicker
    if found is None:
        raise NotFound("There is no receipt", code="receipt_not_found")
    return found


def number_of(session: CheckoutSession) -> str | None:
    """What its buyer knows a session's receipt by, or None while it is only promised.

    Of a merchant's own system that is the id that the system gave it.
    """
    found = _find(session)
    if found is not None:
        return found.public_number
    promised = (session.receipt_id or "").startswith("rcpt_")
    return None if promised else session.receipt_id


def _find(session: CheckoutSession) -> Receipt | None:
    statement = select(Receipt).where(
        Receipt.tenant_id == session.tenant_id,
        Receipt.mode == session.mode,
        Receipt.source == source(session.id),
    )
    with reading() as db:
        return db.scalars(statement.order_by(Receipt.number.desc()).limit(1)).one_or_none()


def is_here(run: Finalization) -> bool:
    """Whether a valid receipt of the run's checkout is kept in this house."""
    valid = select(Receipt.id).where(
        Receipt.tenant_id == run.tenant_id,
        Receipt.mode == run.mode,
        Receipt.source == source(run.checkout_id),
        Receipt.voided_at.is_(None),
    )
    with reading() as db:
        return db.scalar(valid.limit(1)) is not None


def by_token(token: str) -> Shown:
    """The receipt of an address that only its buyer was given.

    Raises:
        NotFound: the address is nobody's.
    """
    statement = (
        select(Receipt, Tenant, PaymentIntent.amount_refunded)
        .join(Tenant, Tenant.id == Receipt.tenant_id)
        .outerjoin(PaymentIntent, PaymentIntent.id == Receipt.payment_intent_id)
        .where(Receipt.token == token)
    )
    with reading() as db:
        row = db.execute(statement).one_or_none()
    if row is None:
        raise NotFound("There is no such receipt", code="receipt_not_found")
    return Shown(row[0], row[1].profile(row[0].mode), row[2] or 0)


def url_of(receipt: Receipt) -> str:
    """Where a receipt is read."""
    return f"{settings.current().base_url}/receipts/{receipt.token}"


def note_issued(db: Session, session: CheckoutSession) -> None:
    """The order's receipt is there; nobody has to issue it any more."""
    db.execute(
        update(Order)
        .where(Order.checkout_id == session.id, Order.receipt_issued_at.is_(None))
        .values(receipt_issued_at=clock.now())
        .execution_options(synchronize_session=False)
    )


def _issue(checkout_id: str) -> bool:
    """Issue what an order promises, unless it was canceled meanwhile."""
    promised: Any = (
        select(Order)
        .where(Order.checkout_id == checkout_id, Order.receipt_issued_at.is_(None))
        .where(Order.status != order_lifecycle.Status.CANCELLED, Order.receipt_id.is_not(None))
        .with_for_update()
    )
    with transaction() as db:
        order = db.scalars(promised).one_or_none()
        if order is None:
            return False
        session = db.get_one(CheckoutSession, checkout_id)
        profile = db.get_one(Tenant, session.tenant_id).profile(session.mode)
        scope = Scope(profile, session.mode)
        said = draft(db, session, profile, order_id=order.public_number, receipt_id=order.receipt_id or "")
        registry.own_billing().issue_receipt(scope, said)
        note_issued(db, session)
        return True
