"""Paying a checkout: from the shopper's click, through 3DS or a bank, to a finished sale.

Two transactions frame every call to a gateway. The first holds the goods and writes the attempt; what
came back is recorded with the session in one. The form's nonce is the idempotency key: a double click, a
reload and the back button find the attempt that is there (reliability.md 21).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.connectors.base import CardDetails
from app.db import reading, transaction
from app.domain.actor import Actor
from app.domain.errors import Conflict, InvalidState
from app.domain.lifecycles import attempts as attempt_lifecycle
from app.domain.lifecycles import checkout_sessions as lifecycle
from app.domain.lifecycles import intents as intent_lifecycle
from app.kit.failpoints import failpoint
from app.models.checkout.session import CheckoutSession
from app.models.payments.attempt import Attempt
from app.models.payments.intent import PaymentIntent
from app.models.payments.method import PaymentMethod
from app.services.checkout import (
    dues,
    following,
    order_flow,
    prerequisites,
    renewal_flow,
    reservations,
    sale,
    sessions,
    split_runs,
    totals,
    tries,
)
from app.services.checkout import intents as session_intents
from app.services.operations import sweeping
from app.services.operations.consulting import consulting
from app.services.operations.settings import checkout_settings
from app.services.payments import attempts, claims, driver, intents, late_success, methods, parts, settling
from app.services.payments.attempts import Flow
from app.services.risk import opinions
from app.services.risk.opinions import Opinion
from app.services.risk.subjects import Buyer

_S, _T = lifecycle.Status, lifecycle.Trigger
_Intent = intent_lifecycle.Status

_TOTAL_CHANGED = "The total has changed. Look at the new total before you pay."


@dataclass(frozen=True, slots=True)
class Order:
    """What the payer sent with the pay button, beside the method; `opinion` is added on the way.

    `return_url` is where they go after 3-D Secure or a bank, instead of the session's page; `off_session`
    says that they are not there; `intent_id` names the payment where it has to be that one. `keep_for` is
    the customer for whom the card is kept, where they agreed to be charged again.
    """

    nonce: str
    quote: str | None = None
    email: str | None = None
    billing_address: dict[str, Any] | None = None
    opinion: Opinion | None = None
    return_url: str | None = None
    force_three_ds: bool = False
    off_session: bool = False
    intent_id: str | None = None
    keep_for: str | None = None


def pay_by_card(actor: Actor, checkout_id: str, card: CardDetails, order: Order) -> CheckoutSession:
    """Pay with a card typed into our page (sandbox only: live cards go to the gateway's frames).

    Raises:
        Unprocessable: a field of the card form is wrong, or an address or a way of delivery is missing.
        Conflict: `quote_changed` (the totals moved; look again), `payment_in_progress`,
            `inventory_shortfall`.
        Gone: the session has expired.
        InvalidState: it is over.
    """
    return _pay(actor, checkout_id, lambda: _typed(actor, card, order), order)


def _typed(actor: Actor, card: CardDetails, order: Order) -> PaymentMethod:
    if order.keep_for is None:
        return methods.tokenize_card(actor, card)
    return methods.tokenize_card(actor, card, customer_id=order.keep_for, consent=True)


def pay_framed(actor: Actor, checkout_id: str, token: str, order: Order) -> CheckoutSession:
    """Pay with a card typed into the gateway's own fields on our page; see `pay_by_card`."""

    def redeemed() -> PaymentMethod:
        tries.count(actor, tries.CARD_TOKEN, checkout_id)
        return methods.framed(actor, token, customer_id=order.keep_for)

    return _pay(actor, checkout_id, redeemed, order)


def pay_by_redirect(actor: Actor, checkout_id: str, method_type: str, order: Order) -> CheckoutSession:
    """Pay by a method that leads to a bank's page or shows a QR code; see `pay_by_card`."""
    return _pay(actor, checkout_id, lambda: methods.redirect(actor, method_type), order)


def pay_by_method(actor: Actor, checkout_id: str, method_id: str, order: Order) -> CheckoutSession:
    """Pay with a method that is in the vault (CK-024); see `pay_by_card`."""
    return _pay(actor, checkout_id, lambda: methods.get(actor, method_id), order)


@consulting
def finish_free(actor: Actor, checkout_id: str, order: Order) -> CheckoutSession:
    """Finish a sale of which nothing is left to pay (discounts cover it all).

    Raises:
        Conflict: `quote_changed`, when something has to be paid after all, or more is to be taken of gift
            cards than was seen; else as `pay_by_card`.
    """
    with transaction(actor) as db:
        session = sessions.find(db, actor, checkout_id, lock=True)
        session_intents.refuse_unpayable(session)
        _note_shopper(session, order)
        prerequisites.refuse_incomplete(session, actor.tenant)
        totals.calculate(db, session, actor.tenant)
        if dues.due(session) == 0 and not _has_moved(order, session):
            hold = checkout_settings(actor.tenant).hold_ttl_seconds
            reservations.hold(db, session, actor.tenant, ttl_seconds=hold, cause=str(actor.kind))
            sale.sell_free(db, session, actor.tenant, cause=str(actor.kind))
            return session
    raise Conflict(_TOTAL_CHANGED, code="quote_changed")


@dataclass(frozen=True, slots=True)
class Landing:
    """Where a payment stands after its payer has come back from 3-D Secure or a bank."""

    attempt: Attempt
    intent: PaymentIntent
    session: CheckoutSession | None


def resume(return_nonce: str) -> Landing | None:
    """The way back from 3DS or a bank. It says only "look again"; the gateway has the truth.

    None where the nonce is nobody's.
    """
    attempt = attempts.by_return_nonce(return_nonce)
    if attempt is None:
        return None
    look_again(attempt.id, "return")
    attempt, intent = whole_of(attempt.id)
    if attempt.checkout_id is None:
        return Landing(attempt, intent, None)
    with reading() as db:
        return Landing(attempt, intent, db.get_one(CheckoutSession, attempt.checkout_id))


def whole_of(attempt_id: str) -> tuple[Attempt, PaymentIntent]:
    """An attempt as it is now, and its payment: of a part the payment that is split."""
    attempt, intent, _ = attempts.load(attempt_id)
    if intent.parent_intent_id is not None:
        with reading() as db:
            intent = db.get_one(PaymentIntent, intent.parent_intent_id)
    return attempt, intent


def give_up(actor: Actor, checkout_id: str) -> None:
    """The shopper pays another way: what waits for them at a bank is withdrawn, unless it is decided."""
    session = sessions.get(actor, checkout_id)
    if session.payment_intent_id is None:
        return
    attempt = attempts.newest(actor, session.payment_intent_id)
    if attempt is not None:
        flow = flow_of(intents.get(actor, session.payment_intent_id))
        driver.give_up(attempt.id, flow, str(actor.kind), "authentication_abandoned")
        if flow is split_runs.PART:
            split_runs.go_on(session.payment_intent_id, str(actor.kind))


def look_again(attempt_id: str, cause: str) -> None:
    """Ask the gateway about an attempt and go on from there (webhooks, returns, sweeps)."""
    attempt, intent, _ = attempts.load(attempt_id)
    if cause == "webhook" and attempt.status in attempt_lifecycle.DEAD:  # given up while the event waited
        late_success.undo(attempt.id)
        return
    driver.drive(attempt.id, flow_of(intent), cause)
    if intent.parent_intent_id is not None:
        split_runs.go_on(intent.parent_intent_id, cause)


def sweep(limit: int = 50) -> int:
    """Look at every payment whose time has come: crashed, unknown, abandoned. Returns how many."""
    due = sweeping.claim_due(Attempt, limit)
    return sweeping.each(due, lambda attempt_id: look_again(attempt_id, "sweep"))


def flow_of(intent: PaymentIntent) -> Flow:
    """What hangs on a payment: a checkout, an order, a subscription, a whole payment, or nothing."""
    if intent.split or intent.parent_intent_id is not None:
        return split_runs.PART
    if intent.paid_for is not None:
        return order_flow.FLOW if intent.paid_for.startswith("ord_") else renewal_flow.FLOW
    if intent.checkout_id is None:
        return settling.STANDING_ALONE
    return FINALISING if intent.settles_with_checkout else FOLLOWED


def _pay(
    actor: Actor, checkout_id: str, make_method: Callable[[], PaymentMethod], order: Order
) -> CheckoutSession:
    session = sessions.get(actor, checkout_id)
    _refuse_other(order, session.payment_intent_id)
    if _has_nonce(session, order.nonce):
        return session
    session_intents.refuse_unpayable(session)
    method = make_method()
    failpoint("started")
    order = replace(order, opinion=_ask(actor, session, method, order))
    attempt_id = _start(actor, checkout_id, method, order)
    if attempt_id is not None:
        intent = intents.get(actor, _intent_id(actor, checkout_id))
        driver.drive(attempt_id, flow_of(intent), str(actor.kind), fresh=True)
    return sessions.get(actor, checkout_id)


def _ask(actor: Actor, session: CheckoutSession, method: PaymentMethod, order: Order) -> Opinion | None:
    """What a remote fraud provider thinks of it, where the merchant has one."""
    return opinions.ask(
        actor,
        method,
        amount=dues.due(session),
        currency=session.currency,
        buyer=Buyer.of_session(session, email=order.email, billing=order.billing_address),
    )


@consulting
def _start(actor: Actor, checkout_id: str, method: PaymentMethod, order: Order) -> str | None:
    """Hold the goods and write the attempt; None where the nonce has its attempt, or nothing is due."""
    moved = False
    try:
        with transaction(actor) as db:
            session = sessions.find(db, actor, checkout_id, lock=True)
            if _has_nonce(session, order.nonce):
                return None
            session_intents.refuse_unpayable(session)
            _note_shopper(session, order)
            prerequisites.refuse_incomplete(session, actor.tenant)
            totals.calculate(db, session, actor.tenant)
            moved = _has_moved(order, session)
            if not moved:
                return _write_attempt(db, actor, session, method, order)
    except IntegrityError as error:
        raise Conflict("A payment is already under way", code="payment_in_progress") from error
    raise Conflict(_TOTAL_CHANGED, code="quote_changed")


def _write_attempt(
    db: Session, actor: Actor, session: CheckoutSession, method: PaymentMethod, order: Order
) -> str | None:
    settings = checkout_settings(actor.tenant)
    settings.amounts.check(session.grand_total, session.currency)
    cause = str(actor.kind)
    reservations.hold(db, session, actor.tenant, ttl_seconds=settings.hold_ttl_seconds, cause=cause)
    failpoint("reserved")
    if dues.due(session) == 0:
        sale.sell_free(db, session, actor.tenant, cause=cause)
        return None
    intent = session_intents.ensure(db, actor, session)
    _refuse_other(order, intent.id)
    parts.drop(db, intent, cause=cause, reason="split_replaced")  # whoever pays on our page pays all of it
    claims.refuse_unusable(actor, intent, method)
    attempt = attempts.open_attempt(
        db,
        intent,
        method,
        nonce=order.nonce,
        cause=cause,
        opinion=order.opinion,
        return_url=order.return_url,
        force_three_ds=order.force_three_ds,
        country=(session.billing_address or session.shipping_address or {}).get("country") or None,
    )
    session.advance(
        _T.PAYMENT_STARTED,
        cause=cause,
        payment_intent_id=intent.id,
        payment_attempts=session.payment_attempts + 1,
    )
    return attempt.id


def _has_moved(order: Order, session: CheckoutSession) -> bool:
    """Whether the payer saw other totals, where it is known what they saw."""
    return order.quote is not None and order.quote != totals.quote(session)


def _note_shopper(session: CheckoutSession, order: Order) -> None:
    if order.email:
        session.customer = {**session.customer, "email": order.email}
    if order.keep_for and not session.customer.get("customer_id"):
        session.customer = {**session.customer, "customer_id": order.keep_for}
    if order.billing_address:
        session.billing_address = order.billing_address


def _has_nonce(session: CheckoutSession, nonce: str) -> bool:
    return session.payment_intent_id is not None and intents.was_asked(session.payment_intent_id, nonce)


def _refuse_other(order: Order, intent_id: str | None) -> None:
    """An intent that was given up is not paid by way of the one that came after it."""
    if order.intent_id not in (None, intent_id):
        raise InvalidState("This payment was given up; the checkout has another or none")


def _intent_id(actor: Actor, checkout_id: str) -> str:
    found = sessions.get(actor, checkout_id).payment_intent_id
    assert found is not None, "an attempt has an intent"
    return found


def _settle_followed(attempt: Attempt, cause: str) -> None:
    with transaction() as db:
        following.lock(db, attempt)
        settling.STANDING_ALONE.settle(attempt, cause)
        session = db.get_one(CheckoutSession, attempt.checkout_id)
        canceled = db.get_one(PaymentIntent, attempt.intent_id).cancel_requested
        if canceled and session.status == _S.PAYMENT_PROCESSING:
            sale.cancel_session(db, session, cause)


#: A hosted checkout: the payment succeeds together with the order.
FINALISING = Flow(following.lock, following.follow, sale.finish)
#: A checkout that its merchant finalises by API (OP-31): the payment succeeds by itself.
FOLLOWED = Flow(following.lock, following.follow, _settle_followed)
