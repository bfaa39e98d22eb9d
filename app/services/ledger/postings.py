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
from app.models.payments.dispute import Dispute
from app.models.payments.refund import Refund

MERCHANT = "merchant_balance"
#: What the merchant owes its customers in goods.
STORE_CREDIT = "store_credit"
#: What is kept from the merchant while a dispute is open.
WITHHELD = "merchant_disputed"


def receivable(connector: str) -> str:
    """What a gateway owes us until it settles."""
    return f"receivable:{connector}"


def contested(connector: str) -> str:
    """What a gateway has taken back for disputes that nobody has decided yet."""
    return f"disputes:{connector}"


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


def post_store_credit(db: Session, refund: Refund) -> None:
    """A refund in store credit: the gateway keeps its money, the merchant owes its customer."""
    _post(
        db,
        f"refund:{refund.id}",
        "refund",
        refund.tenant_id,
        refund.mode,
        refund.intent_id,
        refund.currency,
        ((MERCHANT, refund.amount), (STORE_CREDIT, -refund.amount)),
    )


def post_dispute_opened(db: Session, dispute: Dispute) -> None:
    """The gateway takes the money back, and it is kept from the merchant, until somebody decides."""
    amount = dispute.amount
    _post_dispute(
        db,
        dispute,
        "dispute_opened",
        (contested(dispute.connector), amount),
        (receivable(dispute.connector), -amount),
        (MERCHANT, amount),
        (WITHHELD, -amount),
    )


def post_dispute_won(db: Session, dispute: Dispute) -> None:
    """The money comes back: the opening's postings the other way round."""
    amount = dispute.amount
    _post_dispute(
        db,
        dispute,
        "dispute_won",
        (receivable(dispute.connector), amount),
        (contested(dispute.connector), -amount),
        (WITHHELD, amount),
        (MERCHANT, -amount),
    )


def post_dispute_lost(db: Session, dispute: Dispute) -> None:
    """What the gateway took is paid with what was kept from the merchant."""
    _post_dispute(
        db,
        dispute,
        "dispute_lost",
        (WITHHELD, dispute.amount),
        (contested(dispute.connector), -dispute.amount),
    )


def post_dispute_fee(db: Session, dispute: Dispute, change: int) -> None:
    """The gateway's fee for a dispute rises by `change`, or falls: the merchant bears it."""
    _post_dispute(
        db,
        dispute,
        "dispute_fee",
        (MERCHANT, change),
        (receivable(dispute.connector), -change),
        source=f"dispute_fee:{dispute.id}:{dispute.version}",
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


def _post_dispute(
    db: Session, dispute: Dispute, kind: str, *sides: tuple[str, int], source: str | None = None
) -> None:
    _post(
        db,
        source or f"{kind}:{dispute.id}",
        kind,
        dispute.tenant_id,
        dispute.mode,
        dispute.intent_id,
        dispute.currency,
        sides,
    )


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
