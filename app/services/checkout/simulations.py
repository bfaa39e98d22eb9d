"""The sandbox on demand: events that are made to happen, and test tokens (PY-067 to PY-069, OP-40).

A simulation drives the real flow: our own calls where the merchant or the shopper acts, the sandbox's book
and its signed webhook where the bank does. It lives in this room because an intent may belong to a checkout.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from app import settings
from app.connectors import base
from app.connectors.sandbox import simulations as bank
from app.connectors.sandbox.cards import BY_NUMBER, CARDS, Behaviour, TestCard
from app.connectors.vaulting import MethodDetails, WalletDetails
from app.db import transaction
from app.domain.actor import Actor, Mode, system_actor
from app.domain.errors import InvalidRequest, InvalidState, NotFound, PermissionDenied, Unprocessable
from app.domain.event_types import PUBLISHED
from app.domain.lifecycles import intents as lifecycle
from app.domain.lifecycles import refunds as refund_lifecycle
from app.kit import clock
from app.kit.ids import new_id, random_token
from app.models.events.journal import record
from app.models.payments.intent import PaymentIntent
from app.models.payments.refund import Refund
from app.services.access import tenants
from app.services.checkout import payments
from app.services.checkout.payment import Order
from app.services.operations import jobs
from app.services.payments import attempts, claims, gateway, intents, methods, refunds

MAX_DELAY_MS = 24 * 3600 * 1000
MAX_TOKENS = 50
_GOOD, _DECLINED = BY_NUMBER["4242424242424242"], BY_NUMBER["4000000000000002"]

_S, _R = lifecycle.Status, refund_lifecycle.Status
_AT_THE_BANK = (_S.REQUIRES_ACTION, _S.PROCESSING)


@dataclass(frozen=True, slots=True)
class Simulation:
    """How an event is made to happen, and what has to be so before.

    `run` may be called twice with the same nonce and does its work once.
    """

    possible: Callable[[PaymentIntent], bool]
    run: Callable[[Actor, PaymentIntent, str], None]


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A simulation that a job will run."""

    job_id: str
    type: str
    intent_id: str
    due_at: datetime


def cards() -> tuple[TestCard, ...]:
    """The published test numbers and what they do."""
    return CARDS


def issue(actor: Actor, card_id: str | None, method_type: str, count: int) -> list[base.MethodToken]:
    """Test tokens: of a card of the table (by default one that succeeds), or of a redirect method.

    Raises:
        PermissionDenied: not in test mode.
        InvalidRequest: there is no such card, or its number is none.
        Unprocessable: the sandbox does not simulate the method.
    """
    _in_test_mode(actor)
    if method_type != "card":
        return _tokens(actor, WalletDetails(method_type), count)
    card = next((c for c in CARDS if c.id == (card_id or _GOOD.id)), None)
    if card is None or card.behaviour == Behaviour.REFUSE:
        raise InvalidRequest(
            "There is no such test card: their ids are in GET /v1/payments/test/cards",
            code="unknown_test_card",
            field="card",
        )
    return _tokens(actor, details_of(card), count)


def _tokens(actor: Actor, details: MethodDetails, count: int) -> list[base.MethodToken]:
    """Such as a browser is given: each makes one method (PY-001)."""
    issued = [methods.issue_token(actor, details) for _ in range(count)]
    return [replace(token.method, token=token.token) for token in issued]


def schedule(actor: Actor, type_: str, intent_id: str, delay_ms: int = 0) -> Scheduled:
    """Let an event happen to a payment after a delay; a job does it.

    Raises:
        PermissionDenied: not in test mode.
        InvalidRequest: there is no event of that name.
        Unprocessable: it cannot be simulated, or the payment is not the sandbox's.
        NotFound: no such payment.
        InvalidState: it cannot happen to this payment now.
    """
    _in_test_mode(actor)
    if type_ not in {str(name) for name in PUBLISHED}:
        raise InvalidRequest(f"There is no event {type_}", field="type")
    if type_ not in SIMULATIONS:
        raise Unprocessable(f"{type_} cannot be simulated", code="simulation_not_available", field="type")
    intent = intents.get(actor, intent_id)
    _check(actor, type_, intent)
    job_id, due_at = new_id("job"), clock.now() + timedelta(milliseconds=delay_ms)
    arguments = {
        "tenant_id": actor.tenant_id,
        "type": type_,
        "intent_id": intent.id,
        "nonce": f"simulation-{random_token(12)}",
    }
    with transaction(actor) as db:
        jobs.enqueue(
            db,
            "sandbox.simulate",
            arguments,
            tenant_id=actor.tenant_id,
            mode=str(actor.mode),
            due_at=due_at,
            max_tries=3,
            job_id=job_id,
        )
        record(
            db,
            "simulation.scheduled",
            tenant_id=actor.tenant_id,
            mode=str(actor.mode),
            entity="payment_intent",
            entity_id=intent.id,
            cause=str(actor.kind),
            checkout_id=intent.checkout_id,
            payment_intent_id=intent.id,
            after={"type": type_, "job_id": job_id},
        )
    return Scheduled(job_id, type_, intent.id, due_at)


def run(job: dict[str, Any]) -> None:
    """Make the event happen; the job `sandbox.simulate`.

    Raises:
        NotFound: this is production, or the payment is gone.
        InvalidState: meanwhile it cannot happen any more.
    """
    if settings.current().production:
        raise NotFound("There is no sandbox here")
    actor = system_actor(tenants.profile(job["tenant_id"], Mode.TEST), Mode.TEST, "simulation")
    simulation = SIMULATIONS[job["type"]]
    simulation.run(actor, intents.get(actor, job["intent_id"]), job["nonce"])


def _check(actor: Actor, type_: str, intent: PaymentIntent) -> None:
    tried = attempts.of_intent(actor, intent.id)
    if tried and tried[-1].connector != "sandbox":
        raise Unprocessable("This payment is not the sandbox's", code="not_a_sandbox_payment")
    if not SIMULATIONS[type_].possible(intent):
        raise InvalidState(f"{type_} cannot happen to a payment that is {intent.status}")
    if intent.status in lifecycle.EDITABLE:  # a test card is about to pay it
        claims.refuse_type(actor, intent, "card")


def _in_test_mode(actor: Actor) -> None:
    if actor.mode != Mode.TEST:
        raise PermissionDenied("The sandbox is for test mode", code="test_mode_required")


def details_of(card: TestCard) -> base.CardDetails:
    """A card of the table as a shopper would type it."""
    cvc = "1234" if card.brand == "AMEX" else "123"
    return base.CardDetails(card.number, 12, clock.now().year + 2, cvc)


def _succeed(actor: Actor, intent: PaymentIntent, nonce: str) -> None:
    """Pay with a good card, or let the bank approve; what is only authorised is captured."""
    if intent.status in lifecycle.EDITABLE:
        intent = _confirm(actor, intent, _GOOD, nonce)
    if intent.status in _AT_THE_BANK:
        _at_the_bank(actor, intent, approve=True)
    elif intent.status == _S.REQUIRES_CAPTURE:
        payments.capture(actor, intent.id)


def _fail(actor: Actor, intent: PaymentIntent, nonce: str) -> None:
    """Try with a card that is declined, or let the bank refuse."""
    if intent.status in lifecycle.EDITABLE:
        _confirm(actor, intent, _DECLINED, nonce)
    elif intent.status in _AT_THE_BANK:
        _at_the_bank(actor, intent, approve=False)


def _confirm(actor: Actor, intent: PaymentIntent, card: TestCard, nonce: str) -> PaymentIntent:
    if any(attempt.nonce == nonce for attempt in attempts.of_intent(actor, intent.id)):
        return intent  # an earlier run did it
    method = methods.tokenize_card(actor, details_of(card))
    return payments.confirm(actor, intent.id, Order(nonce), method_id=method.id)


def _at_the_bank(actor: Actor, intent: PaymentIntent, *, approve: bool) -> None:
    live = attempts.of_intent(actor, intent.id)[-1]
    context = gateway.context(actor.tenant_id, str(actor.mode))
    bank.decide(context, live.gateway_key("authorize"), approve=approve)


def _refund(actor: Actor, intent: PaymentIntent, nonce: str, *, succeed: bool) -> None:
    """Turn a refund that is there, or make one of all that is left and turn that."""
    found = _refund_to_turn(refunds.of_intent(actor, intent.id), nonce, succeed=succeed)
    if found is None:
        found = refunds.create(actor, intent.id, metadata={"simulation": nonce})
    refunds.send(found.id)
    context = gateway.context(actor.tenant_id, str(actor.mode))
    bank.turn_refund(context, f"refund_{found.id}", succeed=succeed)


def _dispute(actor: Actor, intent: PaymentIntent, nonce: str) -> None:
    """Once a payment: a second run finds the dispute that the first one opened."""
    charged = attempts.of_intent(actor, intent.id)[-1]
    bank.dispute(gateway.context(actor.tenant_id, str(actor.mode)), charged.gateway_key("authorize"))


def _refund_to_turn(rows: list[Refund], nonce: str, *, succeed: bool) -> Refund | None:
    mine = [row for row in rows if row.metadata_.get("simulation") == nonce]
    waiting = [row for row in rows if row.status in (_R.PENDING, _R.PROCESSING)]
    through = [row for row in rows if row.status == _R.SUCCEEDED and not succeed]
    return next(iter(mine or waiting[::-1] or through[::-1]), None)


#: What can be made to happen.
SIMULATIONS: dict[str, Simulation] = {
    "payment.succeeded": Simulation(
        lambda i: i.status in (*lifecycle.EDITABLE, *_AT_THE_BANK, _S.REQUIRES_CAPTURE), _succeed
    ),
    "payment.failed": Simulation(lambda i: i.status in (*lifecycle.EDITABLE, *_AT_THE_BANK), _fail),
    "refund.succeeded": Simulation(
        lambda i: i.amount_captured > 0, lambda a, i, nonce: _refund(a, i, nonce, succeed=True)
    ),
    "refund.failed": Simulation(
        lambda i: i.amount_captured > 0, lambda a, i, nonce: _refund(a, i, nonce, succeed=False)
    ),
    "dispute.created": Simulation(lambda i: i.amount_captured > 0 and i.amount_disputed == 0, _dispute),
}
