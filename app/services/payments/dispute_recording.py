"""Recording: what a gateway says of a dispute, written down once, with what it means for the money.

Each recording is one transaction that locks the intent first and the dispute after it, so that whoever tells
of a dispute at the same moment waits. A dispute goes forward only: what is older than what we know changes
nothing (reliability.md 8).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from app.connectors import base
from app.db import transaction
from app.domain.lifecycles import disputes as lifecycle
from app.kit import clock
from app.kit.ids import new_id
from app.models.events.journal import record as journal
from app.models.payments.attempt import Attempt
from app.models.payments.dispute import AccountingNote, Dispute
from app.models.payments.intent import PaymentIntent
from app.services.ledger import postings
from app.services.payments import credit_notes, reserves

#: An open dispute is asked about this often, besides the gateway's own events.
ASK_EVERY = timedelta(hours=6)

_S, _T = lifecycle.Status, lifecycle.Trigger

log = structlog.get_logger("till.disputes")


def record(attempt: Attempt, theirs: base.GatewayDispute, cause: str) -> None:
    """Write down a dispute of a charge as its gateway has it: a new one, or how far it has come."""
    if (theirs.payment_reference, theirs.currency) != (attempt.gateway_reference, attempt.currency):
        log.error("dispute_of_another_payment", charge_id=attempt.id, reference=theirs.reference)
        return
    with transaction() as db:
        intent = db.get_one(PaymentIntent, attempt.intent_id, with_for_update=True)
        statement = select(Dispute).where(
            Dispute.tenant_id == attempt.tenant_id,
            Dispute.mode == attempt.mode,
            Dispute.connector == attempt.connector,
            Dispute.gateway_reference == theirs.reference,
        )
        dispute = db.scalars(statement.with_for_update()).one_or_none()
        if dispute is None:
            dispute = _by_hand(db, attempt, theirs) or _received(db, intent, attempt, theirs, cause)
        follow(db, dispute, theirs, cause)


def lock(db: Session, dispute_id: str, intent_id: str) -> Dispute:
    """A dispute, locked after its intent."""
    db.get_one(PaymentIntent, intent_id, with_for_update=True)
    return db.get_one(Dispute, dispute_id, with_for_update=True, populate_existing=True)


def follow(db: Session, dispute: Dispute, theirs: base.GatewayDispute, cause: str) -> None:
    """Take a locked dispute as far as its gateway has come, and finish it where the merchant gave in.

    Of an answer that is older than what we know nothing is taken, neither its fee nor its due date.
    """
    if not lifecycle.is_behind(theirs.status, dispute.outcome or dispute.status):
        _catch_up(db, dispute, theirs, cause)
    dispute.next_query_at = _next_query(dispute)


def _catch_up(db: Session, dispute: Dispute, theirs: base.GatewayDispute, cause: str) -> None:
    overdue = dispute.evidence_due_at is not None and dispute.evidence_due_at <= clock.now()
    dispute.kind, dispute.evidence_due_at = str(theirs.kind), theirs.evidence_due_at
    if dispute.status == _S.WARNING:  # nothing is held yet, and its chargeback may be of another amount
        dispute.amount = theirs.amount
    for trigger in lifecycle.path(dispute.status, theirs.status, overdue=overdue):
        step(db, dispute, trigger, cause)
    if {dispute.outcome, str(theirs.status)} == {str(_S.WON), str(_S.LOST)}:
        log.error("dispute_contradicted", dispute_id=dispute.id, outcome=dispute.outcome)
        tell(db, dispute, "dispute.contradicted", {"gateway_status": str(theirs.status), **dispute.facts()})
    elif theirs.fee != dispute.fee:
        _charge(db, dispute, theirs.fee)
    if dispute.close_requested_at is not None and dispute.status not in lifecycle.OPEN:
        finish(db, dispute, cause)


def hold(db: Session, dispute: Dispute, reserved: int) -> None:
    """The money is gone until somebody decides; the caller has reserved what could be reserved of it."""
    dispute.amount_reserved, dispute.opened_at = reserved, clock.now()
    postings.post_dispute_opened(db, dispute)
    if reserved < dispute.amount:
        tell(db, dispute, "dispute.exceeds_captured", {"left": reserved, **dispute.facts()})


def step(db: Session, dispute: Dispute, trigger: lifecycle.Trigger, cause: str) -> None:
    """Follow one edge, with what it means for reserves, ledger and invoice."""
    target = str(dispute.lifecycle.edge(dispute.status, trigger).target)
    changes: dict[str, Any] = {}
    if target in (_S.WON, _S.LOST):
        changes = {"outcome": target, "decided_at": clock.now()}
    if target == _S.LOST:
        changes["credit_note_id"] = credit_notes.for_dispute(db, dispute)
    if target == _S.CLOSED:
        changes["closed_at"] = clock.now()
    if trigger == _T.ESCALATED:  # to close a warning was asked for, not to give up money
        changes["close_requested_at"] = None
    dispute.advance(trigger, cause=cause, **changes)
    if trigger == _T.ESCALATED:
        hold(db, dispute, reserves.up_to(db, dispute.intent_id, dispute.amount))
    elif target == _S.WON:
        reserves.adjust(db, dispute.intent_id, disputed=-dispute.amount_reserved)
        dispute.amount_reserved = 0
        postings.post_dispute_won(db, dispute)
    elif target == _S.LOST:
        postings.post_dispute_lost(db, dispute)


def finish(db: Session, dispute: Dispute, cause: str) -> None:
    """Close a decided dispute, with the note that the books get."""
    if dispute.status != _S.CLOSED:
        step(db, dispute, _T.CLOSED, cause)
    dispute.close_requested_at, dispute.next_query_at = None, None
    note = AccountingNote(
        id=new_id("an"),
        tenant_id=dispute.tenant_id,
        mode=dispute.mode,
        dispute_id=dispute.id,
        outcome=dispute.outcome or "closed",
        amount=dispute.amount if dispute.outcome == _S.LOST else 0,
        fee=dispute.fee,
        currency=dispute.currency,
        text=dispute.closing_note or "",
        credit_note_id=dispute.credit_note_id,
        created_by=db.info["actor"].id if db.info.get("actor") else None,
        created_at=clock.now(),
    )
    db.add(note)
    facts = {"id": note.id, "dispute_id": dispute.id, "outcome": note.outcome, "text": note.text}
    tell(db, dispute, "dispute.accounting_note", {**facts, "amount": note.amount, "fee": note.fee})


def _received(
    db: Session, intent: PaymentIntent, attempt: Attempt, theirs: base.GatewayDispute, cause: str
) -> Dispute:
    warned = theirs.status in (base.GatewayDisputeStatus.WARNING, base.GatewayDisputeStatus.CLOSED)
    dispute = Dispute(
        id=new_id("dp"),
        tenant_id=attempt.tenant_id,
        mode=attempt.mode,
        intent_id=intent.id,
        attempt_id=attempt.id,
        checkout_id=attempt.checkout_id,
        connector=attempt.connector,
        gateway_reference=theirs.reference,
        kind=str(theirs.kind),
        status=str(_S.WARNING if warned else _S.NEEDS_RESPONSE),
        amount=theirs.amount,
        amount_reserved=0,
        currency=theirs.currency,
        fee=0,
        reason_code=theirs.reason_code[:40],
        merchant_account_id=intent.merchant_account_id,
        received_at=theirs.received_at,
        evidence_due_at=theirs.evidence_due_at,
    )
    db.add(dispute)
    dispute.begin(cause=cause)
    if not warned:
        hold(db, dispute, reserves.up_to(db, intent.id, dispute.amount))
    return dispute


def _by_hand(db: Session, attempt: Attempt, theirs: base.GatewayDispute) -> Dispute | None:
    """The dispute that the merchant has entered before its gateway told of it: it is the same one."""
    if theirs.kind != base.DisputeKind.CHARGEBACK:
        return None
    dispute = db.scalars(_entered_before(attempt, theirs).with_for_update()).one_or_none()
    if dispute is not None:
        dispute.gateway_reference = theirs.reference
        tell(db, dispute, "dispute.matched", {"gateway_reference": theirs.reference, **dispute.facts()})
    return dispute


def _entered_before(attempt: Attempt, theirs: base.GatewayDispute) -> Select[Dispute]:
    return (
        select(Dispute)
        .where(
            Dispute.intent_id == attempt.intent_id,  # which has an index
            Dispute.attempt_id == attempt.id,
            Dispute.gateway_reference.is_(None),
            Dispute.amount == theirs.amount,
            Dispute.status == _S.NEEDS_RESPONSE,
        )
        .order_by(Dispute.received_at, Dispute.id)
        .limit(1)
    )


def _charge(db: Session, dispute: Dispute, fee: int) -> None:
    change, dispute.fee = fee - dispute.fee, fee
    postings.post_dispute_fee(db, dispute, change)


def _next_query(dispute: Dispute) -> datetime | None:
    if dispute.status not in lifecycle.OPEN:
        return None
    regular, due = clock.now() + ASK_EVERY, dispute.evidence_due_at
    return min(regular, due + timedelta(seconds=1)) if due and due > clock.now() else regular


def tell(db: Session, dispute: Dispute, type_: str, facts: dict[str, Any]) -> None:
    """Journal a fact about a dispute that is no change of its status."""
    journal(
        db,
        type_,
        tenant_id=dispute.tenant_id,
        mode=dispute.mode,
        entity="dispute",
        entity_id=dispute.id,
        cause="dispute",
        after=facts,
        **dispute.journal_links(),
    )
