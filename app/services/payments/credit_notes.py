"""Credit notes: each refund and each lost dispute takes its amount off the invoice, once (OP-27).

The built-in billing writes in the caller's transaction, so that the note and what it is for stand together.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from app.models.events.journal import record
from app.models.payments.dispute import Dispute
from app.models.payments.intent import PaymentIntent
from app.models.payments.refund import Refund
from app.providers import registry
from app.providers.base import CreditNoteDraft, Scope
from app.services.access import tenants


def for_refund(db: Session, refund: Refund) -> str:
    """Issue the credit note of a refund; its id."""
    return _issue(db, refund, f"refund:{refund.id}", refund.reason)


def for_dispute(db: Session, dispute: Dispute) -> str:
    """Issue the credit note of a lost dispute; its id."""
    return _issue(db, dispute, f"dispute:{dispute.id}", dispute.reason_code)


def void_for_refund(db: Session, refund: Refund) -> None:
    """Take back the credit note of a refund that came back."""
    scope = Scope(tenants.profile(refund.tenant_id, refund.mode), refund.mode)
    registry.billing(scope.tenant).void_credit_note(scope, f"refund:{refund.id}")
    _tell(db, refund, "credit_note.voided", {"id": refund.credit_note_id, "refund_id": refund.id})


def _issue(db: Session, cause: Refund | Dispute, source: str, reason: str) -> str:
    metadata = db.get_one(PaymentIntent, cause.intent_id).metadata_
    draft = CreditNoteDraft(
        source=source,
        amount=cause.amount,
        currency=cause.currency,
        reason=reason,
        payment_intent_id=cause.intent_id,
        order_id=_word(metadata.get("order_id")),
        invoice_id=_word(metadata.get("invoice_id")),
    )
    scope = Scope(tenants.profile(cause.tenant_id, cause.mode), cause.mode)
    note_id = registry.billing(scope.tenant).issue_credit_note(scope, draft)
    facts = {"id": note_id, "source": source, "amount": cause.amount, "currency": cause.currency}
    _tell(db, cause, "credit_note.issued", facts)
    return note_id


def _word(value: Any) -> str | None:
    """Metadata is the merchant's own: only a short text is a reference."""
    return value if isinstance(value, str) and 0 < len(value) <= 64 else None


def _tell(db: Session, cause: Refund | Dispute, type_: str, facts: dict[str, Any]) -> None:
    record(
        db,
        type_,
        tenant_id=cause.tenant_id,
        mode=cause.mode,
        entity="credit_note",
        entity_id=str(facts["id"]),
        cause=cause.lifecycle.name,
        after=facts,
        **cause.journal_links(),
    )
