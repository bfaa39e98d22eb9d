"""Double-entry postings: what each event in money means for the accounts.

Positive debits, negative credits; every transaction sums to zero in each currency. `source` names the event
and is unique, so that nothing is posted twice.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from app.db import reading
from app.domain.actor import Actor
from app.kit import clock
from app.kit.ids import new_id
from app.models.ledger.posting import LedgerTransaction, Posting
from app.models.payments.attempt import Attempt
from app.models.payments.refund import Refund

MERCHANT = "merchant_balance"


def receivable(connector: str) -> str:
    """What a gateway owes us until it settles."""
    return f"receivable:{connector}"


def post_capture(db: Session, attempt: Attempt) -> None:
    """A capture: the gateway owes it, and the merchant is owed it."""
    _post(
        db,
        f"capture:{attempt.id}",
        "capture",
        attempt.tenant_id,
        attempt.mode,
        attempt.intent_id,
        attempt.currency,
        ((receivable(attempt.connector), attempt.amount_captured), (MERCHANT, -attempt.amount_captured)),
    )


def post_refund(db: Session, refund: Refund, connector: str) -> None:
    """A refund that succeeded: the capture's postings the other way round."""
    _post(
        db,
        f"refund:{refund.id}",
        "refund",
        refund.tenant_id,
        refund.mode,
        refund.intent_id,
        refund.currency,
        ((MERCHANT, refund.amount), (receivable(connector), -refund.amount)),
    )


def post_refund_return(db: Session, refund: Refund, connector: str) -> None:
    """A refund that the bank sent back: its postings reversed."""
    _post(
        db,
        f"refund_return:{refund.id}",
        "refund_return",
        refund.tenant_id,
        refund.mode,
        refund.intent_id,
        refund.currency,
        ((receivable(connector), refund.amount), (MERCHANT, -refund.amount)),
    )


def balances(actor: Actor) -> dict[tuple[str, str], int]:
    """(account, currency) → balance of this merchant and mode."""
    statement = (
        select(Posting.account, Posting.currency, func.sum(Posting.amount))
        .where(Posting.tenant_id == actor.tenant_id, Posting.mode == actor.mode)
        .group_by(Posting.account, Posting.currency)
    )
    with reading() as db:
        return {(account, currency): int(total) for account, currency, total in db.execute(statement)}


def _post(
    db: Session,
    source: str,
    kind: str,
    tenant_id: str,
    mode: str,
    intent_id: str | None,
    currency: str,
    sides: Iterable[tuple[str, int]],
) -> None:
    lines = list(sides)
    if sum(amount for _, amount in lines) != 0:
        raise ValueError(f"{source} does not balance")
    transaction_id = new_id("ltx")
    db.execute(
        insert(LedgerTransaction),
        {
            "id": transaction_id,
            "tenant_id": tenant_id,
            "mode": mode,
            "source": source,
            "kind": kind,
            "payment_intent_id": intent_id,
            "posted_at": clock.now(),
        },
    )
    db.execute(
        insert(Posting),
        [
            {
                "transaction_id": transaction_id,
                "line": number,
                "tenant_id": tenant_id,
                "mode": mode,
                "account": account,
                "currency": currency,
                "amount": amount,
            }
            for number, (account, amount) in enumerate(lines)
        ],
    )
