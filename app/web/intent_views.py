"""How an intent looks in JSON, on whichever surface (contract/payments.md 2.1)."""

from __future__ import annotations

from typing import Any

from flask import g

from app.domain.actor import Actor, ActorKind
from app.models.payments.intent import PaymentIntent
from app.services.access import tokens
from app.web.endpoint import Answer
from app.web.schemas import Instant, View
from app.web.surface import SERVER

#: What a client does with each type of next action.
_INSTRUCTIONS = {
    "redirect_to_url": "Send the shopper to url; they come back to your return_url.",
    "3ds_challenge": "Send the shopper to url, as a page of its own, not in a frame; without a url hand "
    "challenge to the gateway's script. Afterwards complete 3-D Secure.",
    "qr_code": "Show qr_payload as a QR code, then poll until the payment has moved on.",
    "awaiting_webhook": "Nothing to do but to wait: poll, or listen for payment.succeeded; "
    "where there are details, show them to the shopper.",
}


class NextActionView(View):
    """What the client has to do next (OP-22)."""

    type: str
    url: str | None
    qr_payload: str | None
    challenge: dict[str, Any] | None
    details: dict[str, Any] | None
    expires_at: str | None
    instructions: str

    @classmethod
    def of(cls, action: dict[str, Any], *, redirect_word: str = "redirect_to_url") -> NextActionView:
        """The view of a stored action; checkout says `redirect` for `redirect_to_url`."""
        kind = action["type"]
        return cls(
            type=redirect_word if kind == "redirect_to_url" else kind,
            instructions=_INSTRUCTIONS[kind],
            **{
                name: action.get(name) for name in ("url", "qr_payload", "challenge", "details", "expires_at")
            },
        )


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
    next_action: NextActionView | None
    last_error: dict[str, Any] | None
    cancel_reason: str | None
    risk: dict[str, Any] | None
    amount_authorized: int
    amount_captured: int
    amount_refunded: int
    client_secret: str | None
    version: int
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(
        cls, row: PaymentIntent, *, redirect_word: str = "redirect_to_url", client_secret: str | None = None
    ) -> IntentView:
        """The view of a row; checkout says `redirect` for `redirect_to_url` (OP-22)."""
        action = row.next_action
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
            next_action=NextActionView.of(action, redirect_word=redirect_word) if action else None,
            last_error=row.last_error,
            cancel_reason=row.cancel_reason,
            risk=_risk(row),
            amount_authorized=row.amount_authorized,
            amount_captured=row.amount_captured,
            amount_refunded=row.amount_refunded,
            client_secret=client_secret,
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


def answer(
    actor: Actor, row: PaymentIntent, *, driving: bool = False, redirect_word: str = "redirect_to_url"
) -> Answer:
    """An intent and its `ETag`, as this caller may see it.

    Whoever drives the payment from a server gets a client secret to hand on; the browser that pays with it
    does not see what the merchant keeps for itself.
    """
    over = row.lifecycle.is_terminal(row.status)
    secret = tokens.client_secret(row) if driving and not over and actor.kind in SERVER else None
    view = IntentView.of(row, redirect_word=redirect_word, client_secret=secret)
    if actor.kind == ActorKind.CLIENT_SECRET:
        view.metadata, view.merchant_account_id, view.request_id = {}, None, None
    return Answer(view, {"ETag": f'"{row.version}"'})
