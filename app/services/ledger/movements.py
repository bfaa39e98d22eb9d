"""The money movements of one payment, as the ledger has them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select

from app.db import reading
from app.domain.actor import Actor
from app.models.ledger.posting import LedgerTransaction, Posting
from app.models.payments.intent import PaymentIntent


@dataclass(frozen=True, slots=True)
class Movement:
    """One transaction: its sides are (account, minor units), debits positive; they sum to zero."""

    id: str
    kind: str
    source: str
    at: datetime
    currency: str
    sides: list[tuple[str, int]]


def of_payment(actor: Actor, intent_id: str) -> list[Movement]:
    """What a payment, or the parts of a split one, moved; the earliest first."""
    ledger = LedgerTransaction
    parts = select(PaymentIntent.id).where(PaymentIntent.parent_intent_id == intent_id)
    statement = (
        select(ledger, Posting)
        .join(Posting, Posting.transaction_id == ledger.id)
        .where(
            ledger.tenant_id == actor.tenant_id,
            ledger.mode == str(actor.mode),
            or_(ledger.payment_intent_id == intent_id, ledger.payment_intent_id.in_(parts)),
        )
        .order_by(ledger.posted_at, ledger.id, Posting.line)
    )
    found: dict[str, Movement] = {}
    with reading() as db:
        for head, side in db.execute(statement):
            fresh = Movement(head.id, head.kind, head.source, head.posted_at, side.currency, [])
            found.setdefault(head.id, fresh).sides.append((side.account, side.amount))
    return list(found.values())
