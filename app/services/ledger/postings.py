"""Double-entry postings: what each event in money means for the accounts.

Positive debits, negative credits; every transaction sums to zero in each currency. `source` names the event
and is unique, so that nothing is posted twice.

Each gateway has four accounts: `receivable:` what it owes until it settles, `balance:` what it has settled
and holds for the merchant, `fees:` what it kept, `payouts:` what is on its way to the bank. What settlement
leaves on `receivable:` is either early or wrong, and reconciliation tells which.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from app.connectors.settling import LineType
from app.db import Command, reading
from app.domain.actor import Actor
from app.kit import clock
from app.kit.ids import new_id
from app.models.checkout.wallet_hold import WalletHold
from app.models.ledger.posting import LedgerTransaction, Posting
from app.models.payments.attempt import Attempt
from app.models.payments.dispute import Dispute
from app.models.payments.refund import Refund
from app.models.treasury.payout import Payout
from app.models.treasury.reconciliation import ReconciliationItem, Resolution
from app.models.treasury.settlement import Settlement
from app.services.ledger import balances as guarded

MERCHANT = "merchant_balance"
#: What the merchant owes its customers in goods.
STORE_CREDIT = "store_credit"
GIFT_CARDS = "gift_cards"
#: What is kept from the merchant while a dispute is open.
WITHHELD = "merchant_disputed"
BANK = "bank"
WRITE_OFFS = "write_offs"

#: Made once: building a statement costs more than running it.
_TRANSACTION = Command(lambda _: insert(LedgerTransaction.__table__))  # type: ignore[arg-type]
_POSTING = Command(lambda _: insert(Posting.__table__))  # type: ignore[arg-type]


def receivable(connector: str) -> str:
    """What a gateway owes us until it settles."""
    return f"receivable:{connector}"


def contested(connector: str) -> str:
    """What a gateway has taken back for disputes that nobody has decided yet."""
    return f"disputes:{connector}"


def available(connector_id: str) -> str:
    """What a gateway has settled and not paid out, in each account there: a guarded balance (balances.py)."""
    return f"{guarded.GUARDED}{connector_id}"


def fees(connector: str) -> str:
    """What a gateway kept for itself."""
    return f"fees:{connector}"


def in_transit(connector: str) -> str:
    """What has left a gateway and has not arrived at the bank."""
    return f"payouts:{connector}"


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


def post_store_credit_change(
    db: Session, source: str, tenant_id: str, mode: str, currency: str, amount: int
) -> None:
    """Credit that somebody of the merchant gave, out of its own pocket; below 0 it was taken back."""
    sides = ((MERCHANT, amount), (STORE_CREDIT, -amount))
    _post(db, source, "store_credit", tenant_id, mode, None, currency, sides)


def sides_of(db: Session, source: str, actor: Actor) -> dict[str, tuple[str, int]] | None:
    """Account → (currency, minor units) of a transaction of this merchant; None where there is none."""
    statement = (
        select(Posting.account, Posting.currency, Posting.amount)
        .join(LedgerTransaction, LedgerTransaction.id == Posting.transaction_id)
        .where(
            LedgerTransaction.source == source,
            LedgerTransaction.tenant_id == actor.tenant_id,
            LedgerTransaction.mode == str(actor.mode),
        )
    )
    found = {account: (currency, amount) for account, currency, amount in db.execute(statement)}
    return found or None


def post_stored_value(db: Session, hold: WalletHold, intent_id: str | None) -> None:
    """A gift card or credit is spent: the merchant owes its customer less, and is owed the sale."""
    _post_stored_value(db, hold, "stored_value", intent_id, hold.amount)


def post_stored_value_return(db: Session, hold: WalletHold, intent_id: str | None) -> None:
    """A sale that was paid with stored value is undone: its postings the other way round."""
    _post_stored_value(db, hold, "stored_value_return", intent_id, -hold.amount)


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


def post_settlement(
    db: Session, settlement: Settlement, *, paid_elsewhere: int = 0, booked_fees: int = 0
) -> None:
    """A statement whose money is available.

    `paid_elsewhere` is what the gateway paid out unasked, `booked_fees` those of its fees that stand on
    `receivable:` since they arose, or will once we learn of it (disputes).
    """
    whose = (settlement.tenant_id, settlement.mode, None, settlement.currency)
    gateway = settlement.connector
    sides = (
        (available(settlement.connector_id), settlement.net),
        (fees(gateway), settlement.fee - booked_fees),
        (receivable(gateway), booked_fees - settlement.gross),
    )
    _post(db, f"settlement:{settlement.id}", "settlement", *whose, sides)
    out = ((BANK, paid_elsewhere), (available(settlement.connector_id), -paid_elsewhere))
    _post(db, f"settlement_payouts:{settlement.id}", "payout", *whose, out)


def post_payout(db: Session, payout: Payout) -> None:
    """A payout sets out; its amount has been taken from the guarded balance already (balances.py)."""
    _move(db, payout, "payout", available(payout.connector_id), in_transit(payout.connector), taken=True)


def post_payout_paid(db: Session, payout: Payout) -> None:
    """A payout has arrived."""
    _move(db, payout, "payout_paid", in_transit(payout.connector), BANK)


def post_payout_failed(db: Session, payout: Payout) -> None:
    """A payout did not leave, or did not arrive: the balance has it again."""
    _move(db, payout, "payout_failed", in_transit(payout.connector), available(payout.connector_id))


def post_payout_returned(db: Session, payout: Payout) -> None:
    """A payout had arrived, and the bank sent it back."""
    _move(db, payout, "payout_returned", BANK, available(payout.connector_id))


def post_resolution(db: Session, resolution: Resolution, kind: str, item: ReconciliationItem) -> None:
    """A discrepancy is taken off the gateway's account: as a loss (`write_off`), or as income (`adjustment`).

    `resolution.amount` is what the gateway owes too much; it may be negative. A payout never stood on
    `receivable:`: it is set right between the gateway's balance and the bank.
    """
    account, other = receivable(item.connector), MERCHANT
    if item.type == LineType.PAYOUT:
        account, other = available(item.connector_id), BANK
    _post(
        db,
        f"resolution:{resolution.subject_id}",
        kind,
        resolution.tenant_id,
        resolution.mode,
        None,
        item.currency,
        (
            (WRITE_OFFS if kind == "write_off" else other, resolution.amount),
            (account, -resolution.amount),
        ),
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


def _move(db: Session, payout: Payout, kind: str, source: str, target: str, *, taken: bool = False) -> None:
    _post(
        db,
        f"{kind}:{payout.id}",
        kind,
        payout.tenant_id,
        payout.mode,
        None,
        payout.currency,
        ((target, payout.amount), (source, -payout.amount)),
        taken=taken,
    )


def _post_stored_value(db: Session, hold: WalletHold, kind: str, intent_id: str | None, amount: int) -> None:
    owed = GIFT_CARDS if hold.kind == "gift_card" else STORE_CREDIT
    sides = ((owed, amount), (MERCHANT, -amount))
    _post(db, f"{kind}:{hold.id}", kind, hold.tenant_id, hold.mode, intent_id, hold.currency, sides)


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
    *,
    taken: bool = False,
) -> None:
    """Write a transaction; sides without an amount are left out, and one without any is not written.

    With `taken` the guarded balances have been changed by the caller.
    """
    lines = [(account, amount) for account, amount in sides if amount]
    if sum(amount for _, amount in lines) != 0:
        raise ValueError(f"{source} does not balance")
    if not lines:
        return
    head = {
        "id": new_id("ltx"),
        "tenant_id": tenant_id,
        "mode": mode,
        "source": source,
        "kind": kind,
        "payment_intent_id": intent_id,
        "posted_at": clock.now(),
    }
    _TRANSACTION.later(db, head)
    whose = {"transaction_id": head["id"], "tenant_id": tenant_id, "mode": mode, "currency": currency}
    rows = [
        {**whose, "line": number, "account": account, "amount": amount}
        for number, (account, amount) in enumerate(lines)
    ]
    _POSTING.later(db, *rows)
    if not taken:
        guarded.keep(db, tenant_id, mode, currency, lines)
