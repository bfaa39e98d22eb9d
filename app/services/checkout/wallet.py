"""Stored value of a session: held while it is open, taken with its order, given back otherwise (OP-45).

All of it works inside the caller's transaction, on a locked session. An instrument is changed by one
conditional UPDATE, so that what is promised to checkouts never exceeds its balance (reliability.md 17).
Where more is held than the total came to, the rest goes back when the sale is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.domain.lifecycles import wallet_holds as lifecycle
from app.models.catalogue.stored_value import GiftCard, StoreCredit
from app.models.checkout.session import CheckoutSession
from app.models.checkout.wallet_hold import WalletHold
from app.services.ledger import postings

GIFT_CARD, STORE_CREDIT = "gift_card", "store_credit"

_S, _T = lifecycle.Status, lifecycle.Trigger
_TABLES: dict[str, Any] = {GIFT_CARD: GiftCard, STORE_CREDIT: StoreCredit}


def commit(db: Session, session: CheckoutSession, *, cause: str) -> None:
    """Take what is applied, as far as the total goes, and post it; doing it twice takes nothing more."""
    if not session.wallet_applied:
        return
    holds = held(db, session, lock=True)
    used = shares(session, holds)
    for hold in _in_order(holds):
        taken = used[hold.id]
        if not taken:
            let_go(db, session, hold, cause)
            continue
        _change(db, hold, held=-hold.amount, balance=-taken)
        hold.advance(_T.TAKEN, cause=cause, amount=taken)
        postings.post_stored_value(db, hold, session.payment_intent_id)
    if holds:
        session.wallet_applied = sum(used.values())


def release(db: Session, session: CheckoutSession, *, cause: str) -> None:
    """Give back what is held; doing it twice changes nothing."""
    if not session.wallet_applied:
        return
    for hold in _in_order(held(db, session, lock=True)):
        let_go(db, session, hold, cause)


def release_credit(db: Session, session: CheckoutSession, *, cause: str) -> None:
    """Give back the credit that is held: it is another customer's session from now on."""
    if not session.wallet_applied:
        return
    for hold in held(db, session, lock=True):
        if hold.kind == STORE_CREDIT:
            let_go(db, session, hold, cause)


def undo(db: Session, session: CheckoutSession, *, cause: str) -> None:
    """Give back what is held, and restore what was taken with a sale that is undone."""
    if not session.wallet_applied:
        return
    release(db, session, cause=cause)
    statement = select(WalletHold).where(WalletHold.checkout_id == session.id, WalletHold.status == _S.TAKEN)
    for hold in _in_order(db.scalars(statement.with_for_update()).all()):
        _change(db, hold, balance=hold.amount)
        hold.advance(_T.RETURNED, cause=cause)
        postings.post_stored_value_return(db, hold, session.payment_intent_id)
        session.wallet_applied -= hold.amount


def held(db: Session, session: CheckoutSession, *, lock: bool = False) -> list[WalletHold]:
    """What is held for a session, in the order in which it was applied."""
    statement = (
        select(WalletHold)
        .where(WalletHold.checkout_id == session.id, WalletHold.status == _S.HELD)
        .order_by(WalletHold.id)
    )
    return list(db.scalars(statement.with_for_update() if lock else statement))


def shares(session: CheckoutSession, holds: Sequence[WalletHold]) -> dict[str, int]:
    """Hold id → how much of it the total needs, first come first used."""
    left, found = session.grand_total, {}
    for hold in holds:
        found[hold.id] = min(hold.amount, left)
        left -= found[hold.id]
    return found


def instrument(db: Session, kind: str, instrument_id: str) -> GiftCard | StoreCredit:
    """The row that has the balance, locked, as it is now."""
    found: GiftCard | StoreCredit = db.get_one(
        _TABLES[kind], instrument_id, with_for_update=True, populate_existing=True
    )
    return found


def promise(db: Session, row: GiftCard | StoreCredit, amount: int) -> bool:
    """Hold more of an instrument, or less; False where so much is not left."""
    kind: Any = type(row)
    statement = update(kind).where(
        kind.id == row.id, kind.balance - kind.held >= amount, kind.held + amount >= 0
    )
    return _moved(db, statement.values(held=kind.held + amount))


def let_go(db: Session, session: CheckoutSession, hold: WalletHold, cause: str) -> None:
    """Give one hold back; what is due follows."""
    _change(db, hold, held=-hold.amount)
    hold.advance(_T.RELEASED, cause=cause)
    session.wallet_applied -= hold.amount


def _change(db: Session, hold: WalletHold, **changes: int) -> None:
    """Move sums that are ours: it cannot fail while the books are right."""
    kind = _TABLES[hold.kind]
    values = {name: getattr(kind, name) + change for name, change in changes.items()}
    if not _moved(db, update(kind).where(kind.id == hold.instrument_id).values(values)):
        raise LookupError(f"{hold.kind} {hold.instrument_id} of {hold.id} is gone")


def _moved(db: Session, statement: Any) -> bool:
    done: Any = db.execute(statement.execution_options(synchronize_session=False))
    return bool(done.rowcount)


def _in_order(holds: Sequence[WalletHold]) -> list[WalletHold]:
    """By instrument, so that two sessions that use the same ones lock them in the same order."""
    return sorted(holds, key=lambda hold: (hold.kind, hold.instrument_id))
