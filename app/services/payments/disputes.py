"""Disputes: told by a gateway or entered by hand, read, given up, closed, and watched until they are decided.

Contract: PY-028, PY-029, PY-032, PY-033; evidence is in services/payments/dispute_evidence.py, what a
gateway says in services/payments/dispute_recording.py. Gateways are called with nothing open, and what is
asked of them is committed first, with a job that asks again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Select, literal, select, tuple_, update
from sqlalchemy.orm import Session

from app.connectors import base
from app.db import UtcDateTime, reading, transaction
from app.domain.actor import Actor
from app.domain.errors import (
    Conflict,
    InvalidRequest,
    InvalidState,
    NotFound,
    ServiceUnavailable,
    Unprocessable,
)
from app.domain.lifecycles import attempts as attempt_lifecycle
from app.domain.lifecycles import disputes as lifecycle
from app.kit import clock
from app.kit.ids import new_id
from app.kit.pagination import DEFAULT_LIMIT, Page, decode_cursor, encode_cursor
from app.models.payments.attempt import Attempt
from app.models.payments.dispute import AccountingNote, Dispute, EvidenceSubmission
from app.models.payments.intent import PaymentIntent
from app.services.operations import jobs, paging, sweeping
from app.services.payments import dispute_recording as recording
from app.services.payments import gateway, reserves

#: How long the merchant has to answer a dispute that was entered by hand.
RESPONSE_TIME = timedelta(days=20)
#: When a job asks a gateway again, where the first call may have died on its way.
ASK_AGAIN = timedelta(seconds=30)

#: When a gateway is asked again that did not say, and one that knows of no such dispute.
UNANSWERED, UNHEARD_OF = timedelta(minutes=15), timedelta(hours=6)

_S, _T = lifecycle.Status, lifecycle.Trigger


@dataclass(frozen=True, slots=True)
class DisputeDraft:
    """What a merchant knows of a dispute that it enters by hand; `amount` in minor units."""

    charge_id: str
    amount: int
    reason_code: str
    received_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Filters:
    """Which disputes of a list: `since` and `until` bound `received_at`, the second one exclusively."""

    status: str | None = None
    merchant_account_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def create(actor: Actor, draft: DisputeDraft) -> Dispute:
    """Enter a dispute that no gateway tells of; its amount is reserved at once.

    Raises:
        NotFound: no such charge.
        InvalidState: the charge was not captured.
        Unprocessable: more than is left of it.
    """
    now = clock.now()
    with transaction(actor) as db:
        charge = _charge(db, actor, draft.charge_id)
        if not reserves.for_dispute(db, charge.intent_id, draft.amount):
            raise Unprocessable(
                "More than is left of the charge", code="dispute_exceeds_captured", field="amount"
            )
        received = draft.received_at or now
        due = max(received, now) + RESPONSE_TIME
        dispute = Dispute(
            id=new_id("dp"),
            tenant_id=charge.tenant_id,
            mode=charge.mode,
            intent_id=charge.intent_id,
            attempt_id=charge.id,
            checkout_id=charge.checkout_id,
            connector=charge.connector,
            kind=str(base.DisputeKind.CHARGEBACK),
            amount=draft.amount,
            amount_reserved=draft.amount,
            currency=charge.currency,
            fee=0,
            reason_code=draft.reason_code,
            merchant_account_id=db.get_one(PaymentIntent, charge.intent_id).merchant_account_id,
            received_at=received,
            evidence_due_at=due,
            next_query_at=due,
            created_by=actor.id,
        )
        db.add(dispute)
        dispute.begin(cause=str(actor.kind))
        recording.hold(db, dispute, draft.amount)
        return dispute


def get(actor: Actor, dispute_id: str) -> Dispute:
    """One dispute of this merchant and mode.

    Raises:
        NotFound: there is none, or it is another merchant's.
    """
    with reading() as db:
        return find(db, actor, dispute_id)


def list_page(
    actor: Actor,
    filters: Filters,
    *,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
    page: int | None = None,
) -> Page[Dispute]:
    """Disputes of this merchant, the newest received first.

    Raises:
        InvalidRequest: not a cursor of this list, or a cursor and a page's number.
    """
    statement = _filtered(actor, filters)
    if page is not None:
        return paging.numbered(_newest_first(statement), limit=limit, page=page, cursor=cursor)
    with reading() as db:
        if cursor:
            last = db.scalars(_mine(actor).where(Dispute.id == decode_cursor(cursor))).one_or_none()
            if last is None:
                raise InvalidRequest("Not a cursor of this list", field="cursor")
            place = tuple_(literal(last.received_at, UtcDateTime()), last.id)
            statement = statement.where(tuple_(Dispute.received_at, Dispute.id) < place)
        rows = list(db.scalars(_newest_first(statement).limit(limit + 1)))
    return Page(rows[:limit], encode_cursor(rows[limit - 1].id) if len(rows) > limit else None)


def notes_of(actor: Actor, dispute_ids: Iterable[str]) -> dict[str, AccountingNote]:
    """Dispute id → its accounting note, of those that have one."""
    statement = select(AccountingNote).where(
        AccountingNote.dispute_id.in_(list(dispute_ids)), AccountingNote.tenant_id == actor.tenant_id
    )
    with reading() as db:
        return {note.dispute_id: note for note in db.scalars(statement)}


def close(actor: Actor, dispute_id: str, outcome: str | None, note: str) -> Dispute:
    """Close a decided dispute, or give in to an open one; the books get a note (PY-032).

    Of a dispute that no gateway decides `outcome` says how it ended. A warning of fraud asks for nothing: its
    gateway is not told. Where the gateway has not answered when this returns, `close_requested_at` stands and
    a job asks again.

    Raises:
        InvalidState: closed already, or the issuer has still to decide.
        Conflict: evidence is on its way, or the gateway does not let the merchant give in any more.
        Unprocessable: `outcome` is missing, or is not how it ended.
    """
    with transaction(actor) as db:
        seen = find(db, actor, dispute_id)
        dispute = recording.lock(db, seen.id, seen.intent_id)
        if dispute.status == _S.CLOSED:
            dispute.lifecycle.edge(dispute.status, _T.CLOSED)  # raises in the lifecycle's own words
        dispute.closing_note = note
        told_only = dispute.kind == base.DisputeKind.EARLY_FRAUD_WARNING
        if told_only or dispute.status in (_S.WON, _S.LOST) or dispute.gateway_reference is None:
            _decide_by_hand(db, dispute, outcome)
            recording.finish(db, dispute, "api")
            return dispute
        _ask_to_give_in(db, dispute, outcome)
    return give_in(dispute_id, actor) or get(actor, dispute_id)


def give_in(dispute_id: str, actor: Actor | None = None) -> Dispute | None:
    """Tell the gateway that the merchant gives in; None while it has not answered.

    Raises:
        Conflict: the gateway does not take it any more.
    """
    dispute, attempt = _load(dispute_id)
    if dispute.close_requested_at is None:
        return dispute
    result = _accept(dispute, attempt)
    if isinstance(result, base.Unknown):
        return None
    if isinstance(result, base.GatewayDispute) and result.status != dispute.status:
        with transaction(actor) as db:
            locked = recording.lock(db, dispute.id, dispute.intent_id)
            recording.follow(db, locked, result, "gateway")
            return locked
    with transaction() as db:
        locked = recording.lock(db, dispute.id, dispute.intent_id)
        locked.close_requested_at = None
    look_again(attempt.id, str(dispute.gateway_reference))
    raise Conflict("The gateway does not take this any more", code="dispute_not_open")


def _accept(dispute: Dispute, attempt: Attempt) -> base.DisputeResult:
    """Accept at the gateway; not where a warning has become a chargeback, which costs money, meanwhile."""
    reference = str(dispute.gateway_reference)
    if dispute.status == _S.WARNING:
        state = gateway.find_dispute(attempt, reference)
        if isinstance(state, base.Unknown):
            return state
        if isinstance(state, base.GatewayDispute) and state.kind == base.DisputeKind.CHARGEBACK:
            return base.Declined("dispute_escalated")
    return gateway.accept_dispute(attempt, base.AcceptRequest(f"accept_{dispute.id}", reference))


def give_in_again(dispute_id: str) -> None:
    """See `give_in`; the job `disputes.give_in`.

    Raises:
        ServiceUnavailable: the gateway has not answered; the job runs again.
    """
    try:
        answered = give_in(dispute_id)
    except Conflict:
        return
    if answered is None:
        raise ServiceUnavailable("The gateway did not say")


def look_again(attempt_id: str, reference: str) -> None:
    """Ask the gateway of a charge where its dispute stands; the job `disputes.look_again`.

    Raises:
        ServiceUnavailable: it is not known yet, or the charge's capture is not written yet.
    """
    with reading() as db:
        attempt = db.get_one(Attempt, attempt_id)
    if attempt.status != attempt_lifecycle.Status.CAPTURED:
        raise ServiceUnavailable("The capture is not written yet")
    state = gateway.find_dispute(attempt, reference)
    if isinstance(state, base.Unknown):
        raise ServiceUnavailable("The gateway did not say")
    if isinstance(state, base.GatewayDispute):
        recording.record(attempt, state, "gateway")


def sweep(limit: int = 50) -> int:
    """Ask about open disputes, and end those by hand whose time is up. Returns how many."""
    return sweeping.each(sweeping.claim_due(Dispute, limit), _sweep_one)


def _sweep_one(dispute_id: str) -> None:
    dispute, attempt = _load(dispute_id)
    if dispute.gateway_reference is None:
        _let_lapse(dispute)
        return
    state = gateway.find_dispute(attempt, dispute.gateway_reference)
    if isinstance(state, base.GatewayDispute):
        recording.record(attempt, state, "sweep")
    else:
        _ask_again(dispute_id, UNHEARD_OF if isinstance(state, base.NotFound) else UNANSWERED)


def _ask_again(dispute_id: str, after: timedelta) -> None:
    later = (
        update(Dispute)
        .where(Dispute.id == dispute_id, Dispute.next_query_at.is_not(None))
        .values(next_query_at=clock.now() + after, updated_at=Dispute.updated_at)
        .execution_options(synchronize_session=False)
    )
    with transaction() as db:
        db.execute(later)


def find(db: Session, actor: Actor, dispute_id: str) -> Dispute:
    """See `get`, in the caller's transaction."""
    found = db.scalars(_mine(actor).where(Dispute.id == dispute_id)).one_or_none()
    if found is None:
        raise NotFound("Dispute not found", code="dispute_not_found")
    return found


def _filtered(actor: Actor, filters: Filters) -> Select[Dispute]:
    statement = _mine(actor)
    if filters.status:
        statement = statement.where(Dispute.status == filters.status)
    if filters.merchant_account_id:
        statement = statement.where(Dispute.merchant_account_id == filters.merchant_account_id)
    if filters.since:
        statement = statement.where(Dispute.received_at >= filters.since)
    if filters.until:
        statement = statement.where(Dispute.received_at < filters.until)
    return statement


def _newest_first(statement: Select[Dispute]) -> Select[Dispute]:
    return statement.order_by(Dispute.received_at.desc(), Dispute.id.desc())


def _decide_by_hand(db: Session, dispute: Dispute, outcome: str | None) -> None:
    """Take a dispute to the outcome that the merchant names, where nobody else decides it."""
    word = "lost" if outcome == "accepted" else outcome
    if dispute.status in (_S.WON, _S.LOST):
        if word not in (None, dispute.outcome):
            raise Unprocessable(f"It was {dispute.outcome}", code="outcome_conflict", field="outcome")
        return
    if dispute.status in (_S.WARNING, _S.NEEDS_RESPONSE):
        if word == "won":
            raise InvalidState("A dispute is won by evidence: submit it first")
        if dispute.status == _S.NEEDS_RESPONSE:
            recording.step(db, dispute, _T.ACCEPTED, "api")
    elif word is None:
        raise Unprocessable("Say how it ended", code="outcome_required", field="outcome")
    else:
        recording.step(db, dispute, _T.WON if word == "won" else _T.LOST, "api")


def _ask_to_give_in(db: Session, dispute: Dispute, outcome: str | None) -> None:
    if dispute.status == _S.UNDER_REVIEW or outcome == "won":
        raise InvalidState("The issuer has still to decide")
    pending = select(EvidenceSubmission.id).where(
        EvidenceSubmission.dispute_id == dispute.id,
        EvidenceSubmission.sent_at.is_(None),
        EvidenceSubmission.refusal.is_(None),
    )
    if db.scalar(pending) is not None:
        raise Conflict("Evidence is on its way", code="evidence_in_flight")
    dispute.close_requested_at = clock.now()
    recording.tell(db, dispute, "dispute.close_requested", {"note": dispute.closing_note, **dispute.facts()})
    jobs.enqueue(
        db,
        "disputes.give_in",
        {"dispute_id": dispute.id},
        tenant_id=dispute.tenant_id,
        mode=dispute.mode,
        due_at=clock.now() + ASK_AGAIN,
    )


def _let_lapse(seen: Dispute) -> None:
    with transaction() as db:
        dispute = recording.lock(db, seen.id, seen.intent_id)
        if dispute.gateway_reference is not None:
            return  # its gateway has told of it since, and is asked from now on
        dispute.next_query_at = None
        if dispute.status == _S.NEEDS_RESPONSE:
            recording.step(db, dispute, _T.DEADLINE_PASSED, "deadline")


def _load(dispute_id: str) -> tuple[Dispute, Attempt]:
    with reading() as db:
        dispute = db.get_one(Dispute, dispute_id)
        return dispute, db.get_one(Attempt, dispute.attempt_id)


def _charge(db: Session, actor: Actor, charge_id: str) -> Attempt:
    statement = (
        select(Attempt)
        .join(PaymentIntent, PaymentIntent.id == Attempt.intent_id)
        .where(
            Attempt.id == charge_id,
            PaymentIntent.tenant_id == actor.tenant_id,
            PaymentIntent.mode == actor.mode,
        )
    )
    charge = db.scalars(statement).one_or_none()
    if charge is None:
        raise NotFound("Charge not found", code="charge_not_found")
    if charge.status != attempt_lifecycle.Status.CAPTURED:
        raise InvalidState("The charge was not captured, so there is nothing to dispute")
    return charge


def _mine(actor: Actor) -> Select[Dispute]:
    return select(Dispute).where(Dispute.tenant_id == actor.tenant_id, Dispute.mode == actor.mode)
