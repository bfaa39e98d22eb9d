"""Status → template: every URL of a session shows the session's current step (ux.md)."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.lifecycles import checkout_sessions as lifecycle
from app.domain.lifecycles import intents
from app.models.checkout.session import CheckoutSession
from app.models.payments.intent import PaymentIntent
from app.services.checkout.hosted import has_lapsed

_S, _I = lifecycle.Status, intents.Status


@dataclass(frozen=True, slots=True)
class Step:
    """A template and the HTTP status that it is answered with."""

    template: str
    status: int = 200

    @property
    def name(self) -> str:
        """What its page and the scripts on it call it."""
        return self.template.removeprefix("checkout/").removesuffix(".html")


PAY = Step("checkout/pay.html")
WAITING = Step("checkout/waiting.html")
ACTION = Step("checkout/action.html")
UNKNOWN = Step("checkout/unknown.html")
RECEIPT = Step("checkout/receipt.html")
CANCELED = Step("checkout/canceled.html")
FAILED = Step("checkout/failed.html")
EXPIRED = Step("checkout/expired.html", 410)


def of(session: CheckoutSession, intent: PaymentIntent | None) -> Step:
    """The step that a session is at."""
    match session.status:
        case _S.COMPLETED:
            return RECEIPT
        case _S.FAILED:
            return FAILED
        case _S.CANCELED:
            return EXPIRED if session.cancel_reason == "expired" else CANCELED
        case _S.PAYMENT_PROCESSING:
            return _while_paying(intent)
        case _:
            return EXPIRED if has_lapsed(session) else PAY


def _while_paying(intent: PaymentIntent | None) -> Step:
    action = (intent.next_action if intent is not None else None) or {}
    waits = action.get("type") == "awaiting_webhook"
    if waits and action.get("details"):
        return ACTION
    if waits or (intent is not None and intent.needs_review):
        return UNKNOWN
    if intent is not None and intent.status == _I.REQUIRES_ACTION:
        return ACTION
    return WAITING
