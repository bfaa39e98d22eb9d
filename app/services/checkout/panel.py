"""The sandbox panel of the hosted page: what may happen to a payment, made to happen by a click (sandbox.md).

Each action takes the shopper's own way: a test card is typed, or the simulated bank decides. Nothing here
exists in live mode, nor in production.
"""

from __future__ import annotations

from app import settings
from app.connectors.sandbox import simulations as bank
from app.connectors.sandbox.cards import BY_NUMBER, CARDS, Behaviour, TestCard
from app.domain.actor import Actor, Mode
from app.domain.errors import InvalidRequest, NotFound
from app.domain.lifecycles.checkout_sessions import Status
from app.services.checkout import payment, sessions, simulations
from app.services.checkout.payment import Order
from app.services.payments import attempts, gateway

#: Action → the card that makes it happen. Of `decline` it is chosen by its code.
_CARDS = {
    "approve": "4242424242424242",
    "challenge": "4000000000003220",
    "abandon": "4000000000003220",
    "time_out": "4000009990000021",
    "late_webhook": "4000009990000054",
}
#: Code → the card that is declined with it.
_DECLINED = {
    card.detail: card for card in reversed(CARDS) if card.behaviour == Behaviour.DECLINE and card.detail
}
#: What can happen while a bank is asked.
AT_THE_BANK = ("approve", "decline", "abandon")


def is_here(mode: str) -> bool:
    """Whether there is a panel: in test mode, outside production."""
    return mode == Mode.TEST and not settings.current().production


def decline_codes() -> list[str]:
    """The codes that a card can be declined with."""
    return sorted(_DECLINED)


def act(actor: Actor, checkout_id: str, action: str, order: Order, *, code: str = "") -> None:
    """Make it happen: to a session that is open by a card, to a payment that is under way at its bank.

    `expire` ends the session's time. An order's nonce makes a second click find what the first one did.

    Raises:
        NotFound: there is no sandbox here.
        InvalidRequest: there is no such action, or no such code.
        InvalidState: it cannot happen now; else as `payment.pay_by_card`.
    """
    if not is_here(actor.mode):
        raise NotFound("There is no sandbox here")
    if action == "expire":
        sessions.expire_now(actor, checkout_id)
        return
    session = sessions.get(actor, checkout_id)
    if session.status == Status.PAYMENT_PROCESSING and session.payment_intent_id:
        _at_the_bank(actor, checkout_id, session.payment_intent_id, action)
        return
    card = _card(action, code)
    payment.pay_by_card(actor, checkout_id, simulations.details_of(card), order)
    if action == "abandon":
        payment.give_up(actor, checkout_id)


def _card(action: str, code: str) -> TestCard:
    if action == "decline":
        found = _DECLINED.get(code or "generic_decline")
        if found is None:
            raise InvalidRequest(f"No test card is declined with {code}", field="code")
        return found
    if action not in _CARDS:
        raise InvalidRequest("There is no such action", field="action")
    return BY_NUMBER[_CARDS[action]]


def _at_the_bank(actor: Actor, checkout_id: str, intent_id: str, action: str) -> None:
    """The bank decides, or its shopper is gone; then we look, as its webhook would make us."""
    if action not in AT_THE_BANK:
        raise InvalidRequest("This cannot happen while a payment is under way", field="action")
    if action == "abandon":
        payment.give_up(actor, checkout_id)
        return
    attempt = attempts.newest(actor, intent_id)
    if attempt is None:
        return
    context = gateway.context(actor.tenant_id, str(actor.mode))
    bank.decide(context, attempt.gateway_key("authorize"), approve=action == "approve")
    payment.look_again(attempt.id, "sandbox")
