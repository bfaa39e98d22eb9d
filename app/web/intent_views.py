"""How an intent looks in JSON, on whichever surface (contract/payments.md 2.1)."""

from __future__ import annotations

from typing import Any

from flask import g

from app.domain.actor import Actor
from app.models.payments.intent import PaymentIntent
from app.web.schemas import Instant, View


class IntentView(View):
    """A payment intent."""

    id: str
    payment_intent_id: str
    checkout_id: str | None
    status: str
    amount: int
    currency: str
    customer_id: str | None
    payment_method_id: str | None
    capture_mode: str
    description: str | None
    metadata: dict[str, Any]
    payment_methods: list[str]
    payment_method_options: dict[str, Any]
    merchant_account_id: str | None
    request_id: str | None
    next_action: dict[str, Any] | None
    last_error: dict[str, Any] | None
    risk: dict[str, Any] | None
    amount_authorized: int
    amount_captured: int
    amount_refunded: int
    version: int
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, row: PaymentIntent, *, redirect_word: str = "redirect_to_url") -> IntentView:
        """The view of a row; checkout says `redirect` for `redirect_to_url` (OP-22)."""
        action = row.next_action
        if action and action["type"] == "redirect_to_url":
            action = {**action, "type": redirect_word}
        return cls.model_construct(
            id=row.id,
            payment_intent_id=row.id,
            checkout_id=row.checkout_id,
            status=row.status,
            amount=row.amount,
            currency=row.currency,
            customer_id=row.customer_id,
            payment_method_id=row.payment_method_id,
            capture_mode=row.capture_mode,
            description=row.description,
            metadata=row.metadata_,
            payment_methods=row.method_types,
            payment_method_options=row.payment_method_options,
            merchant_account_id=row.merchant_account_id,
            request_id=row.request_id,
            next_action=action,
            last_error=row.last_error,
            risk=_risk(row),
            amount_authorized=row.amount_authorized,
            amount_captured=row.amount_captured,
            amount_refunded=row.amount_refunded,
            version=row.version,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


def _risk(row: PaymentIntent) -> dict[str, Any] | None:
    """The latest score and why, for the merchant; a shopper's browser would learn what to avoid."""
    actor: Actor | None = g.get("actor")
    if row.risk is None or actor is None or actor.is_shopper:
        return None
    return {name: row.risk.get(name) for name in ("decision_id", "score", "action", "reasons")}
