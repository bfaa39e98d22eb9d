"""Built-in billing: receipts and credit notes in tables, one for each cause, whoever asks how often."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from app.db import transaction
from app.kit import clock
from app.kit.ids import new_id, random_token
from app.models.catalogue.credit_note import CreditNote
from app.models.catalogue.receipt import Receipt
from app.providers.base import CreditNoteDraft, ReceiptDraft, Scope


class BuiltinBilling:
    """Receipts and credit notes of the catalogue."""

    remote = False

    def issue_receipt(self, scope: Scope, draft: ReceiptDraft) -> str:
        """See `Billing.issue_receipt`."""
        values = {
            "id": draft.receipt_id,
            "tenant_id": scope.tenant.id,
            "mode": scope.mode,
            "token": random_token(),
            "source": draft.source,
            "payment_intent_id": draft.payment_intent_id,
            "order_id": draft.order_id,
            "currency": draft.currency,
            "amount": draft.amount,
            "content": {
                "seller": dict(draft.seller),
                "buyer": dict(draft.buyer),
                "lines": list(draft.lines),
                "totals": dict(draft.totals),
                "payment": dict(draft.payment) if draft.payment else None,
                "paid_at": clock.to_rfc3339(draft.paid_at),
                "reference": draft.reference,
            },
            "issued_at": clock.now(),
        }
        with transaction() as db:
            _add_unless_there(db, Receipt, values)
            live = (Receipt.source == draft.source, Receipt.voided_at.is_(None))
            return db.scalars(select(Receipt.id).where(*_of(scope, Receipt), *live)).one()

    def void_receipt(self, scope: Scope, source: str) -> None:
        """See `Billing.void_receipt`."""
        live = (Receipt.source == source, Receipt.voided_at.is_(None))
        with transaction() as db:
            db.execute(update(Receipt).where(*_of(scope, Receipt), *live).values(voided_at=clock.now()))

    def issue_credit_note(self, scope: Scope, draft: CreditNoteDraft) -> str:
        """See `Billing.issue_credit_note`."""
        values = {
            "id": new_id("cn"),
            "tenant_id": scope.tenant.id,
            "mode": scope.mode,
            "source": draft.source,
            "amount": draft.amount,
            "currency": draft.currency,
            "reason": draft.reason,
            "payment_intent_id": draft.payment_intent_id,
            "order_id": draft.order_id,
            "invoice_id": draft.invoice_id,
            "issued_at": clock.now(),
        }
        with transaction() as db:
            _add_unless_there(db, CreditNote, values)
            mine = _of(scope, CreditNote)
            return db.scalars(select(CreditNote.id).where(*mine, CreditNote.source == draft.source)).one()

    def void_credit_note(self, scope: Scope, source: str) -> None:
        """See `Billing.void_credit_note`."""
        statement = (
            update(CreditNote)
            .where(
                *_of(scope, CreditNote),
                CreditNote.source == source,
                CreditNote.voided_at.is_(None),
            )
            .values(voided_at=clock.now())
        )
        with transaction() as db:
            db.execute(statement)


def _of(scope: Scope, model: type[CreditNote | Receipt]) -> tuple[Any, Any]:
    return model.tenant_id == scope.tenant.id, model.mode == scope.mode


def _add_unless_there(db: Session, model: type[CreditNote | Receipt], values: dict[str, Any]) -> None:
    """Insert a row; where another has its cause already, that one stays."""
    dialect = postgresql if db.get_bind().dialect.name == "postgresql" else sqlite
    db.execute(dialect.insert(model).values(values).on_conflict_do_nothing())
