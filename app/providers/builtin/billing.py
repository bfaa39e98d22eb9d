"""Built-in billing: credit notes in a table, one for each cause, whoever asks how often."""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite

from app.db import transaction
from app.kit import clock
from app.kit.ids import new_id
from app.models.catalogue.credit_note import CreditNote
from app.providers.base import CreditNoteDraft, Scope


class BuiltinBilling:
    """Credit notes of the catalogue."""

    remote = False

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
            dialect = postgresql if db.get_bind().dialect.name == "postgresql" else sqlite
            db.execute(dialect.insert(CreditNote).values(values).on_conflict_do_nothing())
            mine = (CreditNote.tenant_id == scope.tenant.id, CreditNote.mode == scope.mode)
            return db.scalars(select(CreditNote.id).where(*mine, CreditNote.source == draft.source)).one()

    def void_credit_note(self, scope: Scope, source: str) -> None:
        """See `Billing.void_credit_note`."""
        statement = (
            update(CreditNote)
            .where(
                CreditNote.tenant_id == scope.tenant.id,
                CreditNote.mode == scope.mode,
                CreditNote.source == source,
                CreditNote.voided_at.is_(None),
            )
            .values(voided_at=clock.now())
        )
        with transaction() as db:
            db.execute(statement)
