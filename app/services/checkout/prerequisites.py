"""What has to be so before a checkout is finalised, and the refusals that name what is not (CK-035)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy.orm import Session

from app.domain.actor import TenantProfile
from app.domain.errors import Conflict, Unprocessable
from app.domain.lifecycles import intents as intent_lifecycle
from app.models.checkout.session import CheckoutSession
from app.models.payments.intent import PaymentIntent
from app.providers.base import ShippingOption
from app.services.checkout import shipping

_S = intent_lifecycle.Status

#: The gateway has promised the money, or given it.
PROMISED = frozenset({_S.REQUIRES_CAPTURE, _S.SUCCEEDED})


class FinalizationFailed(Unprocessable):
    """The checkout cannot be finalised; `failure_reasons` says what a person has to sort out."""

    default_code = "finalization_failed"
    default_message = "The checkout cannot be finalised yet"

    def __init__(
        self, reasons: list[dict[str, Any]], message: str | None = None, *, code: str | None = None
    ) -> None:
        first = reasons[0]
        explain = first["explain"] if code else {"reason": self.default_code, "reasons": _codes(reasons)}
        super().__init__(message or first["message"], code=code, explain=explain)
        self.reasons = reasons
        self.extra = {"status": "failed", "failure_reasons": reasons}


class FinalizationInProgress(Conflict):
    """Another call is at it, or a gateway or service has yet to say what became of it."""

    default_code = "finalization_in_progress"
    default_message = "The checkout is being finalised; it goes on by itself"
    #: Seconds after which asking again makes sense.
    retry_after = 2


def reason(code: str, class_: str, message: str, **explain: Any) -> dict[str, Any]:
    """One reason: its code, its class (`payment_declined inventory fraud validation`), words, and facts."""
    return {"code": code, "reason": class_, "message": message, "explain": {"reason": code, **explain}}


def of_conflict(refused: Conflict) -> FinalizationFailed:
    """A hold that could not be had, as a refusal to finalise."""
    class_ = "inventory" if refused.code == "inventory_shortfall" else "validation"
    facts = {name: value for name, value in (refused.explain or {}).items() if name != "reason"}
    return FinalizationFailed([reason(refused.code, class_, refused.message, **facts)], code=refused.code)


def check(
    db: Session, session: CheckoutSession, profile: TenantProfile, intent: PaymentIntent | None, due: int
) -> None:
    """Refuse a session that is not ready; its totals have just been computed, and `due` is left to pay.

    Raises:
        FinalizationFailed: `totals_changed`, when something else was paid or authorised than is due now; else
            with everything that is missing.
    """
    promised = intent is not None and intent.status in PROMISED
    if promised and intent is not None and intent.amount != due:
        facts = {"authorized": intent.amount, "now": due, "totals": session.totals}
        words = "The total has changed since the payment was authorised"
        raise FinalizationFailed(
            [reason("totals_changed", "validation", words, **facts)], code="totals_changed"
        )
    missing = [*_payment(intent, due), *_missing(session, profile)]
    if missing:
        raise FinalizationFailed(missing)


def refuse_incomplete(session: CheckoutSession, profile: TenantProfile) -> None:
    """Refuse to pay a session that would be finished by its payment, while something else is missing.

    Raises:
        Unprocessable: `missing_billing_address`, `missing_shipping_address`, `missing_shipping_choice`.
    """
    missing = _missing(session, profile) if session.finalises_itself else []
    if missing:
        first = missing[0]
        raise Unprocessable(first["message"], code=first["code"], explain=first["explain"])


def _missing(session: CheckoutSession, profile: TenantProfile) -> list[dict[str, Any]]:
    ways = missing_delivery(session, lambda: shipping.offered(profile, session))
    return [*_billing_address(session), *ways]


def _codes(reasons: list[dict[str, Any]]) -> list[str]:
    return [item["code"] for item in reasons]


def _payment(intent: PaymentIntent | None, due: int) -> list[dict[str, Any]]:
    if intent is None:
        return [reason("payment_required", "validation", "Nothing has been paid yet", due=due)] if due else []
    found = _payment_problem(intent, due)
    if found is None:
        return []
    code, class_, words = found
    return [reason(code, class_, words, payment_intent_id=intent.id, payment_status=intent.status, due=due)]


def _payment_problem(intent: PaymentIntent, due: int) -> tuple[str, str, str] | None:
    match intent.status:
        case _S.SUCCEEDED | _S.REQUIRES_CAPTURE if intent.cancel_requested:
            return "payment_canceled", "validation", "The payment is being canceled"
        case _S.SUCCEEDED if intent.amount_refunding or intent.amount_disputed:
            return "payment_refunded", "validation", "The payment has been refunded or disputed"
        case _S.SUCCEEDED | _S.REQUIRES_CAPTURE:
            return None
        case _S.REQUIRES_ACTION:
            return "payment_action_required", "validation", "The shopper has to authenticate the payment"
        case _S.PROCESSING | _S.AUTHORIZED:
            return "payment_pending", "validation", "The payment is not confirmed yet"
        case _ if due == 0:
            return None
        case _S.CANCELED:
            return "payment_canceled", "validation", "The payment was canceled"
        case _ if intent.last_error is not None:
            return "payment_declined", "payment_declined", "The payment was declined"
        case _:
            return "payment_required", "validation", "Nothing has been paid yet"


def _billing_address(session: CheckoutSession) -> list[dict[str, Any]]:
    if not session.options.get("require_billing_address") or session.billing_address:
        return []
    return [reason("missing_billing_address", "validation", "A billing address is required")]


def missing_delivery(
    session: CheckoutSession, offered: Callable[[], list[ShippingOption]]
) -> list[dict[str, Any]]:
    """What is missing of the delivery, given how to find out what is offered.

    Goods are collected, or delivered where there is an address to send them to and a way to choose.
    """
    if session.pickup_location is not None:
        return []
    required = bool(session.options.get("require_shipping_address"))
    if session.shipping_address is None:
        words = "An address to deliver to is required"
        return [reason("missing_shipping_address", "validation", words)] if required else []
    if session.selected_shipping is not None:
        return []
    if required or offered():
        return [reason("missing_shipping_choice", "validation", "No delivery has been chosen")]
    return []
