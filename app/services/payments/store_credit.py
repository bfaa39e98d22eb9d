"""Store credit: what a merchant owes a customer; a refund may be paid into it."""

from __future__ import annotations

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from app.kit import clock
from app.kit.ids import new_id
from app.models.catalogue.stored_value import StoreCredit
from app.models.events.journal import record
from app.models.payments.refund import Refund
from app.services.ledger import postings


def pay_refund(db: Session, refund: Refund, customer_id: str) -> None:
    """Add a refund to its customer's balance, in the transaction in which the refund succeeds."""
    now = clock.now()
    dialect = postgresql if db.get_bind().dialect.name == "postgresql" else sqlite
    values = {
        "id": new_id("scr"),
        "tenant_id": refund.tenant_id,
        "mode": refund.mode,
        "customer_id": customer_id,
        "currency": refund.currency,
        "balance": refund.amount,
        "held": 0,
        "created_at": now,
        "updated_at": now,
    }
    db.execute(
        dialect.insert(StoreCredit)
        .values(values)
        .on_conflict_do_update(
            index_elements=["tenant_id", "mode", "customer_id", "currency"],
            set_={"balance": StoreCredit.balance + refund.amount, "updated_at": now},
        )
    )
    postings.post_store_credit(db, refund)
    record(
        db,
        "store_credit.credited",
        tenant_id=refund.tenant_id,
        mode=refund.mode,
        entity="customer",
        entity_id=customer_id,
        cause="refund",
        after={"refund_id": refund.id, "amount": refund.amount, "currency": refund.currency},
        **refund.journal_links(),
    )
