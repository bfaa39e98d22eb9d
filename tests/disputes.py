"""Disputed payments for tests: a captured payment, and the gateway's events and the jobs run by hand."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from app.connectors.base import CardDetails
from app.connectors.sandbox import book, notices
from app.db import reading
from app.domain.actor import Actor
from app.kit import clock
from app.models.catalogue.credit_note import CreditNote
from app.models.events.journal import JournalEntry
from app.models.payments.attempt import Attempt
from app.models.payments.dispute import Dispute
from app.models.payments.intent import PaymentIntent
from app.services.events import inbound
from app.services.operations import inbound_secrets, jobs
from app.services.payments import attempts, disputes, intents, methods
from app.services.payments.disputes import DisputeDraft, Filters
from app.worker.queue import run_job

GOOD, FRAUD, NOT_RECEIVED = "4242424242424242", "4000000000000259", "4000000000002685"
INQUIRY, WARNING = "4000000000001976", "4000000000005423"


def paid(actor: Actor, number: str = GOOD, amount: int = 2000, **draft: Any) -> PaymentIntent:
    """A payment without a checkout that succeeded."""
    method = methods.tokenize_card(actor, CardDetails(number, 12, clock.now().year + 3, "123"))
    made = intents.create(actor, intents.IntentDraft(amount, "GBP", payment_method_id=method.id, **draft))
    done = intents.confirm(actor, made.id, nonce="n1")
    assert done.status == "succeeded"
    return done


def charge(actor: Actor, intent: PaymentIntent) -> Attempt:
    """Its charge."""
    [made] = attempts.of_intent(actor, intent.id)
    return made


def deliver() -> None:
    """Let the sandbox send its webhooks that are due, and do what they ask for."""
    notices.send_due(_receive, lambda tenant_id: inbound_secrets.find(tenant_id, "payment") or "")
    work()


def work() -> None:
    """Do the jobs that are due."""
    for job_id in jobs.due():
        run_job(job_id)


def told(actor: Actor, number: str, amount: int = 2000) -> Dispute:
    """A payment that its card disputes, and what became of it here."""
    intent = paid(actor, number, amount)
    deliver()
    [dispute] = [row for row in disputes.list_page(actor, Filters()).data if row.intent_id == intent.id]
    return dispute


def by_hand(actor: Actor, amount: int = 2000, intent: PaymentIntent | None = None) -> Dispute:
    """A dispute that the merchant enters."""
    made = intent or paid(actor)
    return disputes.create(actor, DisputeDraft(charge(actor, made).id, amount, "fraud"))


def told_events(dispute: Dispute) -> list[str]:
    """The types of the journal's entries about it, in order."""
    statement = (
        select(JournalEntry.type).where(JournalEntry.entity_id == dispute.id).order_by(JournalEntry.id)
    )
    with reading() as db:
        return list(db.scalars(statement))


def credit_notes() -> list[tuple[str, int, bool]]:
    """(source, amount, still good) of every credit note."""
    with reading() as db:
        rows = db.scalars(select(CreditNote).order_by(CreditNote.id)).all()
        return [(row.source, row.amount, row.voided_at is None) for row in rows]


def at_the_gateway(reference: str | None) -> dict[str, Any]:
    """A dispute in the sandbox's own book."""
    statement = select(book.disputes).where(book.disputes.c.reference == reference)
    with reading() as db:
        return dict(db.execute(statement).mappings().one())


def _receive(url: str, raw: bytes, headers: dict[str, str]) -> int:
    inbound.receive(raw, headers)
    return 200
