"""Refunds: the amount is reserved on the intent at once, the money goes back by a job.

Contract: PY-023 to PY-026, CK-028, MR-003, OP-33. One conditional UPDATE keeps Σrefunds + disputes within
what was captured, whoever asks at the same moment (reliability.md 12).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.orm import Session

from app.connectors import base
from app.db import reading, transaction
from app.domain.actor import Actor, system_actor
from app.domain.errors import InvalidState, NotFound, Unprocessable
from app.domain.lifecycles import attempts as attempt_lifecycle
from app.domain.lifecycles import refunds as lifecycle
from app.domain.rules.refundable import refundable
from app.domain.rules.retry import QUERY_DELAYS, query_delay
from app.kit import clock
from app.kit.ids import new_id
from app.kit.pagination import DEFAULT_LIMIT, Page
from app.models.payments.attempt import Attempt
from app.models.payments.intent import PaymentIntent
from app.models.payments.refund import Refund
from app.services.access import tenants
from app.services.ledger import postings
from app.services.operations import jobs, paging
from app.services.payments import credit_notes, gateway, intents, parts, reserves, store_credit

_S, _T = lifecycle.Status, lifecycle.Trigger

log = structlog.get_logger("till.refunds")

REASONS = frozenset({"customer_request", "product_return", "fraud", "other"})
ORIGINAL, STORE_CREDIT = "original_payment_method", "store_credit"
#: When one is asked about again that could not be asked about.
AFTER_FAILURE = timedelta(minutes=5)
#: What a person may do about a failed refund.
NEXT_STEPS = ["retry", "refund_by_other_means", "contact_support"]


def create(
    actor: Actor,
    intent_id: str,
    amount: int | None = None,
    reason: str | None = None,
    *,
    charge_id: str | None = None,
    refund_method: str = ORIGINAL,
    metadata: dict[str, Any] | None = None,
) -> Refund:
    """Refund a payment; without `amount` all that is left. A reason in free text is kept as such.

    In store credit it has succeeded when this returns; else the money goes back by a job. Of a split payment
    each charge gives back its own part, in the order in which they were made; the first refund is answered,
    and all have its id as `group_id`.

    Raises:
        NotFound: no such payment, or it has no such charge.
        InvalidState: nothing was captured.
        Unprocessable: more than is left, or store credit without a customer.
    """
    with transaction(actor) as db:
        intent = intents.find(db, actor, intent_id)
        if intent.amount_captured == 0:
            raise InvalidState("Nothing was captured, so there is nothing to refund")
        wanted = amount if amount is not None else left_to_refund(intent)
        how = {
            "reason": reason if reason in REASONS else "other",
            "reason_text": reason if reason and reason not in REASONS else None,
            "refund_method": refund_method,
            "metadata_": metadata or {},
            "created_by": actor.id,
        }
        if intent.split:
            return _spread(db, actor, intent, wanted, charge_id, how)
        attempt = _captured_attempt(db, intent.id, charge_id)
        return _add(db, actor, intent, attempt, wanted, how)


def _add(
    db: Session, actor: Actor, intent: PaymentIntent, attempt: Attempt, amount: int, how: dict[str, Any]
) -> Refund:
    """Reserve the amount, write the refund of a charge, and see to it that it is made."""
    if how["refund_method"] == STORE_CREDIT and intent.customer_id is None:
        raise Unprocessable(
            "Store credit needs a payment with a customer", code="customer_required", field="refund_method"
        )
    if not reserves.for_refund(db, intent.id, amount):
        raise _too_much(left_to_refund(intent))
    refund = begun(db, intent, attempt, amount, how, cause=str(actor.kind))
    if refund.refund_method == STORE_CREDIT:
        _pay_in_store_credit(db, refund, str(intent.customer_id))
    else:
        _enqueue(db, refund)
    return refund


def begun(
    db: Session, intent: PaymentIntent, attempt: Attempt, amount: int, how: dict[str, Any], *, cause: str
) -> Refund:
    """Write the refund of a charge, for which `amount` is reserved."""
    refund = Refund(
        id=new_id("rf"),
        tenant_id=intent.tenant_id,
        mode=intent.mode,
        intent_id=intent.id,
        attempt_id=attempt.id,
        checkout_id=intent.checkout_id,
        amount=amount,
        currency=intent.currency,
        **how,
    )
    db.add(refund)
    refund.begin(cause=cause)
    return refund


def submitted(refund: Refund, *, cause: str) -> None:
    """It is on its way; what became of it is asked in a while."""
    ask_at = clock.now() + timedelta(seconds=query_delay(0) or 0)
    refund.advance(_T.SUBMITTED, cause=cause, next_query_at=ask_at)


def _spread(
    db: Session, actor: Actor, whole: PaymentIntent, wanted: int, charge_id: str | None, how: dict[str, Any]
) -> Refund:
    """Refund a split payment by its charges; `charge_id` narrows it down to one."""
    pairs = [(part, _captured_attempt(db, part.id, None)) for part in parts.of(db, whole.id, lock=True)]
    if charge_id is not None:
        pairs = [pair for pair in pairs if pair[1].id == charge_id]
        if not pairs:
            raise NotFound("The payment has no such charge", code="charge_not_found")
    left = sum(left_to_refund(part) for part, _ in pairs)
    if not 0 < wanted <= left:
        raise _too_much(left)
    made: list[Refund] = []
    for part, attempt in pairs:
        share = min(wanted, left_to_refund(part))
        if share:
            group = made[0].id if made else None
            made.append(_add(db, actor, part, attempt, share, {**how, "group_id": group}))
            wanted -= share
    if len(made) > 1:
        made[0].group_id = made[0].id
    return made[0]


def left_to_refund(intent: PaymentIntent) -> int:
    """Minor units that may still go back."""
    return refundable(intent.amount_captured, intent.amount_refunding, intent.amount_disputed)


def get(actor: Actor, refund_id: str) -> Refund:
    """One refund of this merchant and mode.

    Raises:
        NotFound: there is none, or it is another merchant's.
    """
    with reading() as db:
        return _find(db, actor, refund_id)


def of_intent(actor: Actor, intent_id: str) -> list[Refund]:
    """The refunds of a payment, of a split one those of its charges, oldest first."""
    statement = _mine(actor).where(_of(intent_id)).order_by(Refund.id)
    with reading() as db:
        return list(db.scalars(statement))


def list_page(
    actor: Actor,
    *,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
    page: int | None = None,
    status: str | None = None,
    intent_id: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Page[Refund]:
    """Refunds of this merchant, or of one payment, newest first; from `since`, before `until`."""
    statement = _mine(actor)
    if intent_id:
        statement = statement.where(_of(intent_id))
    if status:
        statement = statement.where(Refund.status == status)
    if since:
        statement = statement.where(Refund.created_at >= since)
    if until:
        statement = statement.where(Refund.created_at < until)
    return paging.newest_first(statement, Refund.id, limit=limit, cursor=cursor, page=page)


def cancel(actor: Actor, refund_id: str) -> Refund:
    """Stop a refund that has not been sent (PY-025; OP-33).

    Raises:
        InvalidState: it is on its way or over.
    """
    with transaction(actor) as db:
        refund = _find(db, actor, refund_id, lock=True)
        refund.advance(_T.CANCELED, cause="api", failure_reason="canceled")
        reserves.adjust(db, refund.intent_id, refunding=-refund.amount)
        return refund


def give_back_canceled(intent_id: str) -> None:
    """Refund what was captured of a payment that had been canceled; the job `refunds.give_back_canceled`."""
    with transaction() as db:
        intent = db.get_one(PaymentIntent, intent_id, with_for_update=True)
        if left_to_refund(intent) > 0:
            profile = tenants.profile(intent.tenant_id, intent.mode)
            create(system_actor(profile, intent.mode), intent.id, reason="Canceled while it was captured")


def send(refund_id: str) -> None:
    """Send a refund to its gateway, or ask what became of it; the job `refunds.send`."""
    with transaction() as db:
        refund = db.get_one(Refund, refund_id, with_for_update=True)
        attempt = db.get_one(Attempt, refund.attempt_id)
        first = refund.status == _S.PENDING
        if first:
            submitted(refund, cause="worker")
        elif refund.status not in (_S.PROCESSING, _S.SUCCEEDED) or refund.refund_method == STORE_CREDIT:
            return
    result = gateway.refund(refund, attempt) if first else gateway.find_refund(refund, attempt)
    lost = isinstance(result, base.NotFound) and refund.status == _S.PROCESSING
    if lost:  # we died between writing and calling: the key makes it safe
        result = gateway.refund(refund, attempt)
    record(refund, attempt, result)


def sweep(limit: int = 50) -> int:
    """Ask about refunds whose outcome is still open, or may yet come back. Returns how many."""
    statement = select(Refund.id).where(Refund.next_query_at <= clock.now())
    with reading() as db:
        due = list(db.scalars(statement.order_by(Refund.next_query_at).limit(limit)))
    for refund_id in due:
        try:
            send(refund_id)
        except Exception:  # whatever it is, the others are asked about
            log.exception("refund_look_up_failed", entity_id=refund_id)
            _postpone(refund_id)
    return len(due)


def _postpone(refund_id: str) -> None:
    """Ask about it later: it must not stand before all others again."""
    due = update(Refund).where(Refund.id == refund_id, Refund.next_query_at <= clock.now())
    with transaction() as db:
        db.execute(due.values(next_query_at=clock.now() + AFTER_FAILURE, updated_at=Refund.updated_at))


def record(seen: Refund, attempt: Attempt, result: base.OperationResult | base.RefundLookupResult) -> None:
    """Write what a gateway said of a refund, unless somebody else wrote of it since it was `seen`."""
    with transaction() as db:
        refund = db.get_one(Refund, seen.id, with_for_update=True)
        if refund.version != seen.version or refund.status not in (_S.PROCESSING, _S.SUCCEEDED):
            return
        alarming = _is_alarming(refund)
        match result:
            case base.Approved() if (result.amount, result.currency) != (refund.amount, refund.currency):
                _call_a_person(db, refund)
                refund.next_query_at = None
            case base.Approved() if refund.status == _S.PROCESSING:
                _succeed(db, refund, attempt, result.reference)
            case base.Approved():
                _ask_again(refund)
            case base.Declined() if refund.status == _S.SUCCEEDED:
                refund.advance(_T.RETURNED, cause="gateway", **_failure(result.code))
                postings.post_refund_return(db, refund, attempt.connector)
                credit_notes.void_for_refund(db, refund)
                reserves.adjust(db, refund.intent_id, refunding=-refund.amount, refunded=-refund.amount)
            case base.Declined():
                refund.advance(_T.FAILED, cause="gateway", **_failure(result.code))
                reserves.adjust(db, refund.intent_id, refunding=-refund.amount)
                if gateway.tells_of_refunds(attempt):  # somebody may have made it by hand
                    of = {"attempt_id": attempt.id}
                    jobs.enqueue(db, "refunds.look_again", of, tenant_id=refund.tenant_id, mode=refund.mode)
            case base.NotExecuted() | base.Pending() | base.Unknown() | base.NotFound():
                silent = refund.status == _S.PROCESSING and not isinstance(result, base.Pending)
                if silent and refund.queries == len(QUERY_DELAYS):
                    _call_a_person(db, refund)
                _ask_again(refund)
        if alarming and refund.status != _S.PROCESSING:
            _call_off(db, refund)


def _is_alarming(refund: Refund) -> bool:
    """Whether a person was called for it."""
    asked = refund.next_query_at is not None and refund.queries <= len(QUERY_DELAYS)
    return refund.status == _S.PROCESSING and not asked


def _call_off(db: Session, refund: Refund) -> None:
    """It is known what became of it: nobody need look, unless for another refund of the payment."""
    intent = db.get_one(PaymentIntent, refund.intent_id, with_for_update=True)
    others = db.scalars(select(Refund).where(Refund.intent_id == intent.id, Refund.status == _S.PROCESSING))
    intent.needs_review = any(_is_alarming(other) for other in others)


def _call_a_person(db: Session, refund: Refund) -> None:
    """The gateway names another amount or says nothing for a day: the amount stays reserved."""
    db.get_one(PaymentIntent, refund.intent_id, with_for_update=True).needs_review = True
    refund.note("refund.needs_review", cause="gateway", before=refund.facts())


def _succeed(db: Session, refund: Refund, attempt: Attempt, reference: str) -> None:
    refund.advance(
        _T.SUCCEEDED,
        cause="gateway",
        gateway_reference=reference,
        succeeded_at=clock.now(),
        credit_note_id=credit_notes.for_refund(db, refund),
        queries=0,
        next_query_at=clock.now() + timedelta(seconds=60),
    )
    postings.post_refund(db, refund, attempt.connector)
    reserves.adjust(db, refund.intent_id, refunded=refund.amount)


def _pay_in_store_credit(db: Session, refund: Refund, customer_id: str) -> None:
    """Nothing has to leave the house: the refund succeeds in the transaction that made it."""
    refund.advance(_T.SUBMITTED, cause="store_credit")
    refund.advance(
        _T.SUCCEEDED,
        cause="store_credit",
        succeeded_at=clock.now(),
        credit_note_id=credit_notes.for_refund(db, refund),
    )
    store_credit.pay_refund(db, refund, customer_id)
    reserves.adjust(db, refund.intent_id, refunded=refund.amount)


def _failure(code: str) -> dict[str, Any]:
    return {"failure_reason": code, "actions": NEXT_STEPS, "next_query_at": None}


def _ask_again(refund: Refund) -> None:
    """An open refund is asked for until it is known; a succeeded one for a while: banks send some back."""
    delay = query_delay(refund.queries)
    refund.queries += 1
    last = timedelta(days=1) if refund.status == _S.PROCESSING else None
    wait = timedelta(seconds=delay) if delay is not None else last
    refund.next_query_at = clock.now() + wait if wait is not None else None


def _too_much(left: int) -> Unprocessable:
    return Unprocessable(
        "More than is left to refund",
        code="refund_exceeds_captured",
        field="amount",
        explain={"reason": "refund_exceeds_captured", "left": left},
    )


def _enqueue(db: Session, refund: Refund) -> None:
    jobs.enqueue(
        db,
        "refunds.send",
        {"refund_id": refund.id},
        tenant_id=refund.tenant_id,
        mode=refund.mode,
        unique_key=f"refunds.send:{refund.id}",
    )


def _captured_attempt(db: Session, intent_id: str, charge_id: str | None) -> Attempt:
    """The one charge of a payment; `charge_id` may name it."""
    statement = select(Attempt).where(
        Attempt.intent_id == intent_id, Attempt.status == attempt_lifecycle.Status.CAPTURED
    )
    charge = db.scalars(statement).one()
    if charge_id not in (None, charge.id):
        raise NotFound("The payment has no such charge", code="charge_not_found")
    return charge


def _of(intent_id: str) -> ColumnElement[bool]:
    """Refunds of a payment, or of the parts of a split one."""
    below = select(PaymentIntent.id).where(PaymentIntent.parent_intent_id == intent_id)
    return or_(Refund.intent_id == intent_id, Refund.intent_id.in_(below))


def _mine(actor: Actor) -> Any:
    return select(Refund).where(Refund.tenant_id == actor.tenant_id, Refund.mode == actor.mode)


def _find(db: Session, actor: Actor, refund_id: str, *, lock: bool = False) -> Refund:
    statement = _mine(actor).where(Refund.id == refund_id)
    found: Refund | None = db.scalars(statement.with_for_update() if lock else statement).one_or_none()
    if found is None:
        raise NotFound("Refund not found", code="refund_not_found")
    return found
