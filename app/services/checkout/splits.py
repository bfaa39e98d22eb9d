"""Splitting a session's payment over several methods (CK-029, OP-45): use cases over `split_runs`.

Stored value among the allocations is held at once, as when it is applied by itself; what is left is paid by
one method, which needs no parts, or by several: each is an intent below the session's own, authorised by
hand and captured when all of them are. A split may be replaced while nothing is sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db import reading, transaction
from app.domain.actor import Actor
from app.domain.errors import Conflict, InvalidState, Unprocessable
from app.domain.event_types import EventType
from app.domain.lifecycles import checkout_sessions
from app.domain.lifecycles import intents as lifecycle
from app.domain.lifecycles.intents import EDITABLE
from app.models.checkout.session import CheckoutSession
from app.models.payments.attempt import Attempt
from app.models.payments.intent import PaymentIntent
from app.models.payments.method import PaymentMethod
from app.services.checkout import dues, reservations, sessions, split_runs, stored_value, totals, tries
from app.services.checkout import intents as session_intents
from app.services.checkout.wallet import GIFT_CARD, STORE_CREDIT
from app.services.operations.consulting import consulting
from app.services.operations.settings import checkout_settings
from app.services.payments import attempts, claims, driver, intents, methods, parts, settling
from app.services.payments.intents import IntentDraft
from app.services.risk import screening
from app.services.risk.opinions import Opinion

_S, _T = lifecycle.Status, lifecycle.Trigger
_Checkout = checkout_sessions.Trigger

#: Over more methods nobody pays.
MAX_PARTS = 10


@dataclass(frozen=True, slots=True)
class Allocation:
    """So much, in minor units, from one method: of a type, or one that is in the vault; `code` of a card."""

    amount: int
    method_type: str | None = None
    method_id: str | None = None
    code: str | None = None

    @property
    def is_stored_value(self) -> bool:
        """Whether no gateway is asked for it."""
        return self.method_type in (GIFT_CARD, STORE_CREDIT)


def split(actor: Actor, intent_id: str, allocations: Sequence[Allocation]) -> PaymentIntent:
    """Let a session's payment be made in parts, in place of any split before (CK-029).

    Raises:
        InvalidState: it is under way, over, or no session's.
        Unprocessable: `split_sum_mismatch`; a method that is not taken; stored value that is not there.
        NotFound: a method that is nobody's.
    """
    whole = _splittable(actor, intent_id)
    checkout_id = str(whole.checkout_id)
    chosen = [methods.usable(actor, a.method_id) if a.method_id else None for a in allocations]
    for allocation in allocations:
        if allocation.code is not None:
            tries.count(actor, tries.GIFT_CARD, checkout_id)
    return _replace(actor, checkout_id, intent_id, allocations, chosen)


@consulting
def _replace(
    actor: Actor,
    checkout_id: str,
    intent_id: str,
    allocations: Sequence[Allocation],
    chosen: Sequence[PaymentMethod | None],
) -> PaymentIntent:
    """The split in one transaction; see `split`."""
    with transaction(actor) as db:
        session = sessions.find(db, actor, checkout_id, lock=True)
        session_intents.refuse_unpayable(session)
        if session.payment_intent_id != intent_id:
            raise InvalidState("This payment was given up; the checkout has another or none")
        totals.calculate(db, session, actor.tenant)
        intent = session_intents.ensure(db, actor, session)
        if intent.id != intent_id or intent.status not in EDITABLE:
            raise InvalidState(f"A payment that is {intent.status} cannot be split")
        _check_sum(allocations, dues.due(session))
        parts.drop(db, intent, cause=str(actor.kind), reason="split_replaced")
        stored_value.lock_cards(db, actor, [a.code for a in allocations if a.code is not None])
        for allocation in sorted(allocations, key=lambda a: a.method_type == STORE_CREDIT):
            if allocation.is_stored_value:
                _hold(actor, checkout_id, allocation)
        rest = [pair for pair in zip(allocations, chosen, strict=True) if not pair[0].is_stored_value]
        _divide(db, actor, session, intent, rest)
        return intent


def allocations_of(actor: Actor, whole: PaymentIntent) -> list[PaymentIntent]:
    """The parts of a payment, for whoever may see it; none where it is not split."""
    if not whole.split:
        return []
    with reading() as db:
        return parts.of(db, intents.get(actor, whole.id).id)


def confirm(
    actor: Actor,
    whole: PaymentIntent,
    *,
    nonce: str,
    return_url: str | None = None,
) -> PaymentIntent:
    """Ask for the money of all parts, one after the other; the payment comes back as far as it got.

    Raises:
        Conflict: `payment_in_progress`, `inventory_shortfall`, `split_replaced`.
        InvalidState: it is over, or `payment_method_required`: a part has no method yet.
        Unprocessable: `split_sum_mismatch`: another amount is due by now; a kept card of another customer.
    """
    checkout_id = str(whole.checkout_id)
    if not _was_asked(whole.id, nonce):
        session_intents.refuse_unpayable(sessions.get(actor, checkout_id))
        _make_methods(actor, whole)
        attempt_id = _begin(actor, whole, nonce, return_url)
        if attempt_id is not None:
            driver.drive(attempt_id, split_runs.PART, str(actor.kind), fresh=True)
    split_runs.go_on(whole.id, str(actor.kind))
    return intents.get(actor, whole.id)


def capture(actor: Actor, whole: PaymentIntent, amount: int | None) -> PaymentIntent:
    """Take what all parts hold; asked again while it is under way, it goes on (CK-026).

    Raises:
        InvalidState: the payment is not waiting for a capture.
        Unprocessable: `partial_capture_not_supported`: a split payment is captured whole.
    """
    with transaction(actor) as db:
        sessions.find(db, actor, str(whole.checkout_id), lock=True)
        intent = intents.find(db, actor, whole.id, lock=True)
        if not intent.split:
            raise _replaced()
        if amount not in (None, intent.amount):
            raise Unprocessable(
                "A split payment is captured whole", code="partial_capture_not_supported", field="amount"
            )
        if intent.cancel_requested:
            raise InvalidState("A payment that is being canceled cannot be captured")
        under_way = intent.status == _S.PROCESSING and intent.amount_authorized > 0
        if not under_way:
            intent.advance(_T.CAPTURE_STARTED, cause=str(actor.kind), last_error=None)
    split_runs.go_on(whole.id, str(actor.kind))
    return intents.get(actor, whole.id)


def cancel(actor: Actor, whole: PaymentIntent, reason: str) -> PaymentIntent:
    """Cancel a payment that is under way: what its parts hold is voided or sent back first (CK-027).

    Raises:
        InvalidState: it is over.
    """
    with transaction(actor) as db:
        sessions.find(db, actor, str(whole.checkout_id), lock=True)
        intent = intents.find(db, actor, whole.id, lock=True)
        if not intent.split:
            raise _replaced()
        if lifecycle.LIFECYCLE.is_terminal(intent.status):
            raise InvalidState(f"A payment that is {intent.status} cannot be canceled")
        settling.request_cancel(db, intent, reason)
    split_runs.go_on(whole.id, "cancel")
    return intents.get(actor, whole.id)


def _splittable(actor: Actor, intent_id: str) -> PaymentIntent:
    whole = intents.get(actor, intent_id)
    if whole.checkout_id is None or whole.parent_intent_id is not None:
        raise InvalidState("Only the payment of a checkout can be split", code="not_splittable")
    return whole


def _check_sum(allocations: Sequence[Allocation], due: int) -> None:
    total = sum(allocation.amount for allocation in allocations)
    if total != due:
        raise _mismatch(total, due)


def _mismatch(total: int, due: int) -> Unprocessable:
    return Unprocessable(
        "The allocations do not add up to the amount due",
        code="split_sum_mismatch",
        field="allocations",
        explain={"reason": "split_sum_mismatch", "sum": total, "due": due},
    )


def _hold(actor: Actor, checkout_id: str, allocation: Allocation) -> None:
    if allocation.method_type == GIFT_CARD:
        stored_value.hold_gift_card(actor, checkout_id, allocation.code or "", amount=allocation.amount)
    else:
        stored_value.apply_store_credit(actor, checkout_id, allocation.amount, more=True)


def _divide(
    db: Session,
    actor: Actor,
    session: CheckoutSession,
    whole: PaymentIntent,
    rest: list[tuple[Allocation, PaymentMethod | None]],
) -> None:
    """What stored value leaves: nothing, one method for all of it, or parts."""
    before = whole.facts()
    kinds = [method.type if method else str(allocation.method_type) for allocation, method in rest]
    for kind in kinds:
        claims.refuse_type(actor, whole, kind)
    if len(rest) == 1 and rest[0][1] is not None:
        claims.refuse_unusable(actor, whole, rest[0][1])
        whole.advance(_T.ATTACHED, cause="api", payment_method_id=rest[0][1].id)
        return
    if len(rest) > 1:
        whole.split, whole.payment_method_id = True, None
        for number, ((allocation, method), kind) in enumerate(zip(rest, kinds, strict=True), 1):
            intents.add(db, actor, _draft(session, whole, allocation.amount, kind, number), method)
    db.flush()
    if whole.version != before["version"]:
        whole.note(EventType.INTENT_UPDATED, cause="api", before=before)


def _draft(
    session: CheckoutSession, whole: PaymentIntent, amount: int, kind: str, number: int
) -> IntentDraft:
    return IntentDraft(
        amount=amount,
        currency=whole.currency,
        capture_mode="manual",
        customer_id=session.customer.get("customer_id"),
        description=whole.description,
        metadata=whole.metadata_,
        checkout_id=session.id,
        method_types=(kind,),
        parent_intent_id=whole.id,
        part=number,
    )


def _was_asked(whole_id: str, nonce: str) -> bool:
    """Whether a part was sent under this nonce: the call is a repetition."""
    known = (
        select(Attempt.id)
        .join(PaymentIntent, PaymentIntent.id == Attempt.intent_id)
        .where(PaymentIntent.parent_intent_id == whole_id, Attempt.nonce == nonce)
    )
    with reading() as db:
        return db.scalar(known.limit(1)) is not None


def _make_methods(actor: Actor, whole: PaymentIntent) -> None:
    """Methods that lead to a bank are made when they are used; a card has to be attached before."""
    for part in allocations_of(actor, whole):
        if part.payment_method_id is not None:
            continue
        kind = part.method_types[0]
        if kind == "card":
            raise InvalidState(
                f"Attach a card to part {part.part}",
                code="payment_method_required",
                explain={"reason": "payment_method_required", "payment_intent_id": part.id},
            )
        mine = replace(actor, intent_id=part.id)  # who may pay the whole may pay its parts
        intents.attach(mine, part.id, methods.redirect(actor, kind).id)


def _begin(actor: Actor, whole: PaymentIntent, nonce: str, return_url: str | None) -> str | None:
    """Hold the goods, and write the first part's attempt with the payment's own step, all at once."""
    with reading() as db:
        first = next(iter(parts.of(db, whole.id)), None)
    if first is None or first.payment_method_id is None:
        raise _replaced()
    method = methods.get(actor, first.payment_method_id)
    opinion = screening.ask(actor, first, method)
    return _open(actor, whole, first, method, opinion, nonce, return_url)


@consulting
def _open(
    actor: Actor,
    whole: PaymentIntent,
    first: PaymentIntent,
    method: PaymentMethod,
    opinion: Opinion | None,
    nonce: str,
    return_url: str | None,
) -> str | None:
    """The transaction of `_begin`; None where the nonce has its attempt."""
    with transaction(actor) as db:
        session = sessions.find(db, actor, str(whole.checkout_id), lock=True)
        if _was_asked(whole.id, nonce):
            return None
        session_intents.refuse_unpayable(session)
        totals.calculate(db, session, actor.tenant)
        settings, cause = checkout_settings(actor.tenant), str(actor.kind)
        settings.amounts.check(session.grand_total, session.currency)
        reservations.hold(db, session, actor.tenant, ttl_seconds=settings.hold_ttl_seconds, cause=cause)
        intent = session_intents.ensure(db, actor, session)
        found = parts.of(db, whole.id, lock=True)
        seen = (first.id, method.id)
        if intent.id != whole.id or not intent.split or (found[0].id, found[0].payment_method_id) != seen:
            raise _replaced()
        if sum(part.amount for part in found) != dues.due(session):
            raise _mismatch(sum(part.amount for part in found), dues.due(session))
        terms: dict[str, Any] = {"opinion": opinion, "return_url": return_url, "country": _country(session)}
        _refuse_unusable(db, actor, session, found)
        attempt = attempts.open_attempt(db, found[0], method, nonce=nonce, cause=cause, **terms)
        intent.advance(
            _T.CONFIRMED,
            cause=cause,
            attempts=intent.attempts + 1,
            next_action=None,
            last_error=None,
            amount_authorized=0,
        )
        session.advance(
            _Checkout.PAYMENT_STARTED,
            cause=cause,
            payment_intent_id=intent.id,
            payment_attempts=session.payment_attempts + 1,
        )
        return attempt.id


def _replaced() -> Conflict:
    return Conflict("The split was replaced just now; look at it again", code="split_replaced")


def _refuse_unusable(db: Session, actor: Actor, session: CheckoutSession, found: list[PaymentIntent]) -> None:
    """The session may have another customer by now: a kept card is its own customer's."""
    for part in found:
        part.customer_id = session.customer.get("customer_id")
        claims.refuse_unusable(actor, part, db.get_one(PaymentMethod, part.payment_method_id))


def _country(session: CheckoutSession) -> str | None:
    return (session.billing_address or session.shipping_address or {}).get("country") or None
