"""Stripe's objects in our words: statuses, declines, next actions, what the acquirer reported."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from app.connectors.base import (
    AcquirerFacts,
    ActionType,
    Approved,
    Declined,
    GatewayPayment,
    GatewayStatus,
    NextAction,
    Pending,
)
from app.connectors.stripe.amounts import from_stripe

Json = Mapping[str, Any]

#: How long a shopper has for 3-D Secure; Stripe itself would wait for ever.
ACTION_MINUTES = 15
#: How long an authorisation holds where Stripe does not say.
AUTHORIZATION_DAYS = 7

#: Why we cancel a PaymentIntent: the merchant asked, or nobody will pay it any more.
RELEASED, GIVEN_UP = "requested_by_customer", "abandoned"

_DECLINES = {
    "authentication_required": "authentication_required",
    "card_velocity_exceeded": "card_velocity_exceeded",
    "elevated_risk_level": "fraudulent",
    "expired_card": "expired_card",
    "fraudulent": "fraudulent",
    "highest_risk_level": "fraudulent",
    "incorrect_cvc": "incorrect_cvc",
    "incorrect_number": "incorrect_number",
    "incorrect_zip": "incorrect_zip",
    "insufficient_funds": "insufficient_funds",
    "invalid_cvc": "incorrect_cvc",
    "invalid_expiry_month": "expired_card",
    "invalid_expiry_year": "expired_card",
    "invalid_number": "incorrect_number",
    "issuer_not_available": "processing_error",
    "lost_card": "lost_card",
    "merchant_blacklist": "fraudulent",
    "payment_intent_authentication_failure": "authentication_failed",
    "processing_error": "processing_error",
    "reenter_transaction": "processing_error",
    "stolen_card": "stolen_card",
    "try_again_later": "processing_error",
    "withdrawal_count_limit_exceeded": "card_velocity_exceeded",
}

_STATUSES = {
    "requires_payment_method": GatewayStatus.DECLINED,
    "requires_confirmation": GatewayStatus.PENDING,
    "requires_action": GatewayStatus.ACTION_REQUIRED,
    "processing": GatewayStatus.PENDING,
    "requires_capture": GatewayStatus.AUTHORIZED,
    "succeeded": GatewayStatus.CAPTURED,
}


def decline_code(error: Json) -> str:
    """Our code for an error object: the issuer's reason where there is one, else Stripe's."""
    for name in (error.get("decline_code"), error.get("code")):
        if name in _DECLINES:
            return _DECLINES[name]
    return "generic_decline"


def payment(intent: Json, publishable_key: str | None = None) -> GatewayPayment:
    """A PaymentIntent as it stands; amount and currency as Stripe names them, whatever we asked for."""
    status, currency = _status(intent), intent["currency"].upper()
    charge = _charge(intent)
    waiting = status == GatewayStatus.ACTION_REQUIRED
    held = intent.get("amount_capturable") if status == GatewayStatus.AUTHORIZED else None
    return GatewayPayment(
        reference=intent["id"],
        status=status,
        amount=from_stripe(held or intent["amount"], currency),
        currency=currency,
        captured=_captured(intent, charge) if status == GatewayStatus.CAPTURED else 0,
        refunded=_refunded(charge, currency) if status == GatewayStatus.CAPTURED else 0,
        decline_code=_why(intent, status),
        action=action(intent, publishable_key) if waiting else None,
        facts=facts(charge),
        expires_at=_holds_until(intent, charge) if status == GatewayStatus.AUTHORIZED else None,
    )


def action(intent: Json, publishable_key: str | None) -> NextAction:
    """What the shopper has to do: go to a page, or let Stripe's script do it with the client secret."""
    given = intent.get("next_action") or {}
    until = created(intent) + timedelta(minutes=ACTION_MINUTES)
    if given.get("type") == "redirect_to_url":
        return NextAction(
            ActionType.THREE_DS_CHALLENGE, url=given["redirect_to_url"]["url"], expires_at=until
        )
    if given.get("type") == "use_stripe_sdk":
        challenge = {
            "type": "use_stripe_sdk",
            "client_secret": intent["client_secret"],
            "publishable_key": publishable_key,
        }
        return NextAction(ActionType.THREE_DS_CHALLENGE, challenge=challenge, expires_at=until)
    return NextAction(ActionType.AWAITING_WEBHOOK, expires_at=until)


def session(found: Json, publishable_key: str | None = None) -> GatewayPayment:
    """A Checkout Session as it stands: its PaymentIntent once the shopper is through, else itself."""
    intent = found.get("payment_intent")
    if found["status"] == "complete" and isinstance(intent, Mapping):
        return payment(intent, publishable_key)
    currency, open_ = found["currency"].upper(), found["status"] == "open"
    until = instant(found["expires_at"])
    waiting = NextAction(ActionType.REDIRECT_TO_URL, url=found.get("url"), expires_at=until)
    lapsed = found["status"] == "expired"
    status = GatewayStatus.ACTION_REQUIRED if open_ else GatewayStatus.PENDING
    return GatewayPayment(
        reference=found["id"],
        status=GatewayStatus.EXPIRED if lapsed else status,
        amount=from_stripe(found["amount_total"], currency),
        currency=currency,
        decline_code="authentication_abandoned" if lapsed else None,
        action=waiting if open_ else None,
    )


def facts(charge: Json) -> AcquirerFacts:
    """Checks, 3-D Secure and Radar's score, as far as Stripe tells."""
    outcome = charge.get("outcome") or {}
    card = (charge.get("payment_method_details") or {}).get("card") or {}
    checks, secure = card.get("checks") or {}, card.get("three_d_secure") or {}
    return AcquirerFacts(
        response_code=outcome.get("network_decline_code"),
        avs_result=checks.get("address_postal_code_check") or checks.get("address_line1_check"),
        cvv_result=checks.get("cvc_check"),
        three_ds_result=secure.get("result"),
        risk_score=outcome.get("risk_score"),
    )


def refund(found: Json) -> Approved | Declined | Pending:
    """A refund as it stands."""
    if found["status"] == "succeeded":
        currency = found["currency"].upper()
        return Approved(found["id"], from_stripe(found["amount"], currency), currency)
    if found["status"] in ("failed", "canceled"):
        return Declined(found.get("failure_reason") or f"refund_{found['status']}", found["id"])
    return Pending(found["id"])


def created(found: Json) -> datetime:
    """When Stripe made an object."""
    return instant(found["created"])


def instant(seconds: int) -> datetime:
    """Stripe's instants are seconds of Unix time."""
    return datetime.fromtimestamp(seconds, UTC)


def _status(intent: Json) -> GatewayStatus:
    if intent["status"] != "canceled":
        return _STATUSES[intent["status"]]
    if intent.get("cancellation_reason") == RELEASED:
        return GatewayStatus.VOIDED
    if intent.get("last_payment_error"):
        return GatewayStatus.DECLINED
    lapsed = intent.get("cancellation_reason") == GIVEN_UP
    return GatewayStatus.EXPIRED if lapsed else GatewayStatus.VOIDED


def _why(intent: Json, status: GatewayStatus) -> str | None:
    if status == GatewayStatus.EXPIRED:
        return "authentication_abandoned"
    if status != GatewayStatus.DECLINED:
        return None
    error = intent.get("last_payment_error")
    return decline_code(error) if error else "processing_error"


def _captured(intent: Json, charge: Json) -> int:
    """`amount_received`; where it is missing, what of the charge was taken."""
    received = intent.get("amount_received")
    return from_stripe(
        received if received is not None else charge.get("amount_captured", intent["amount"]),
        intent["currency"],
    )


def _refunded(charge: Json, currency: str) -> int:
    """What went back of what was captured: Stripe counts the part that a partial capture released with it."""
    back, taken = charge.get("amount_refunded") or 0, charge.get("amount_captured")
    released = charge["amount"] - taken if taken is not None else 0
    return from_stripe(max(back - released, 0), currency)


def _charge(intent: Json) -> Json:
    charge = intent.get("latest_charge")
    return charge if isinstance(charge, Mapping) else {}


def _holds_until(intent: Json, charge: Json) -> datetime:
    card = (charge.get("payment_method_details") or {}).get("card") or {}
    if card.get("capture_before"):
        return instant(card["capture_before"])
    return created(intent) + timedelta(days=AUTHORIZATION_DAYS)
