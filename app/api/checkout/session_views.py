"""How a session looks in JSON on the checkout surface (contract/checkout.md 2.1)."""

from __future__ import annotations

from operator import itemgetter
from typing import Any, Literal

from app.domain.actor import Actor
from app.models.checkout.session import CheckoutSession
from app.models.payments.intent import PaymentIntent
from app.services.access import tokens
from app.services.checkout import dues
from app.services.payments import intents
from app.web.endpoint import Answer
from app.web.fraud_views import CheckoutAction, ReasonView, checkout_word
from app.web.schemas import Instant, View


class SessionIntent(View):
    """How the payment of a session stands."""

    id: str
    status: str
    amount: int
    currency: str
    next_action: dict[str, Any] | None
    last_error: dict[str, Any] | None


class SessionFraud(View):
    """The latest fraud decision about a session or its payment."""

    decision_id: str
    score: int
    action: CheckoutAction
    reasons: list[ReasonView]


class SessionKyc(View):
    """The latest identity check of a session's buyer."""

    kyc_id: str
    status: Literal["pending", "submitted", "approved", "rejected"]


class SessionReview(View):
    """The latest manual review of a session; a shopper sees its status alone."""

    review_id: str | None = None
    status: Literal["pending", "approved", "rejected"]
    source: str | None = None
    assignee_id: str | None = None
    note: str | None = None


class SessionView(View):
    """The whole state of a session (contract/checkout.md 2.1)."""

    checkout_id: str
    cart_id: str | None
    cart_snapshot: dict[str, Any]
    owner: dict[str, str]
    status: str
    client_token: str
    calculation_id: str | None
    totals: dict[str, Any] | None
    amount_due: int
    shipping_address: dict[str, Any] | None
    billing_address: dict[str, Any] | None
    selected_shipping: dict[str, Any] | None
    pickup_location: dict[str, Any] | None
    shipment_plan_id: str | None
    reservation_id: str | None
    payment_intent: SessionIntent | None
    order_id: str | None
    receipt_id: str | None
    cancel_reason: str | None
    failure_reason: str | None
    expires_at: Instant
    created_at: Instant
    updated_at: Instant
    version: int
    metadata: dict[str, Any]
    channel: str
    options: dict[str, Any]
    customer: dict[str, Any]
    contact: dict[str, Any]
    applied_promotions: list[Any]
    validation_issues: list[Any]
    fraud: SessionFraud | None
    kyc: SessionKyc | None
    review: SessionReview | None
    livemode: bool

    @classmethod
    def of(cls, row: CheckoutSession, intent: PaymentIntent | None, *, actor: Actor) -> SessionView:
        """The view of a row, for `actor`; a shopper learns neither the score nor who looks at it."""
        return cls.model_construct(
            checkout_id=row.id,
            cart_id=row.cart_id,
            cart_snapshot=row.cart_snapshot,
            owner={"type": row.owner_type, "id": row.owner_id},
            status=row.status,
            client_token=tokens.client_token(row, actor=actor),
            calculation_id=row.calculation_id,
            totals=row.totals,
            amount_due=dues.due(row),
            shipping_address=row.shipping_address,
            billing_address=row.billing_address,
            selected_shipping=row.selected_shipping,
            pickup_location=row.pickup_location,
            shipment_plan_id=row.shipment_plan_id,
            reservation_id=row.reservation_id,
            payment_intent=intent_of(intent),
            order_id=row.order_id,
            receipt_id=row.receipt_id,
            cancel_reason=row.cancel_reason,
            failure_reason=row.failure_reason,
            expires_at=row.expires_at,
            created_at=row.created_at,
            updated_at=row.updated_at,
            version=row.version,
            metadata=row.metadata_,
            channel=row.channel,
            options=row.options,
            customer=row.customer,
            contact=row.contact,
            applied_promotions=row.applied_promotions,
            validation_issues=row.validation_issues,
            fraud=None if actor.is_shopper else _fraud_of(row, intent),
            kyc=SessionKyc(**row.kyc) if row.kyc else None,
            review=_review_of(row, to_shopper=actor.is_shopper),
            livemode=row.mode == "live",
        )


def intent_of(intent: PaymentIntent | None) -> SessionIntent | None:
    """The short form of an intent; checkout says `redirect` for `redirect_to_url` (OP-22)."""
    if intent is None:
        return None
    action = intent.next_action
    if action and action["type"] == "redirect_to_url":
        action = {**action, "type": "redirect"}
    return SessionIntent.model_construct(
        id=intent.id,
        status=intent.status,
        amount=intent.amount,
        currency=intent.currency,
        next_action=action,
        last_error=intent.last_error,
    )


def _fraud_of(row: CheckoutSession, intent: PaymentIntent | None) -> SessionFraud | None:
    """Ids of decisions are in the order of time, so the later one of session and payment is told."""
    of_payment = (intent.risk if intent is not None else None) or {}
    known = [told for told in (row.fraud, of_payment) if told and told.get("decision_id")]
    if not known:
        return None
    latest = max(known, key=itemgetter("decision_id"))
    return SessionFraud(
        decision_id=latest["decision_id"],
        score=latest["score"],
        action=checkout_word(latest["action"]),
        reasons=[ReasonView(**reason) for reason in latest["reasons"]],
    )


def _review_of(row: CheckoutSession, *, to_shopper: bool) -> SessionReview | None:
    if row.review is None:
        return None
    return SessionReview(status=row.review["status"]) if to_shopper else SessionReview(**row.review)


def answer(actor: Actor, session: CheckoutSession) -> Answer:
    """A session, its payment and its `ETag`."""
    intent = intents.get(actor, session.payment_intent_id) if session.payment_intent_id else None
    return Answer(SessionView.of(session, intent, actor=actor), {"ETag": f'"{session.version}"'})
