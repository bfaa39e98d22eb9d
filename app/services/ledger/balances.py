"""Balances: the guarded ones that payouts draw on, sums by day, and what stood on each account at a moment.

The postings are the truth. A guarded balance is kept in the transaction of each posting; sums of days are
added up by the worker, so that opening balances need not read the whole ledger.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import func, literal, select, union_all, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from app.db import reading, transaction
from app.domain.actor import Actor
from app.kit import clock
from app.models.ledger.balance import AccountBalance, LedgerDay
from app.models.ledger.posting import LedgerTransaction, Posting

#: Accounts that begin so are guarded: settled money at a gateway.
GUARDED = "balance:"


def keep(db: Session, tenant_id: str, mode: str, currency: str, sides: Iterable[tuple[str, int]]) -> None:
    """Add postings to the guarded balances among their accounts."""
    insert = _insert(db)
    for account, amount in sides:
        if not account.startswith(GUARDED):
            continue
        added = insert(AccountBalance).values(
            tenant_id=tenant_id, mode=mode, account=account, currency=currency, amount=amount
        )
        key = ["tenant_id", "mode", "account", "currency"]
        total = AccountBalance.amount + added.excluded.amount
        db.execute(added.on_conflict_do_update(index_elements=key, set_={"amount": total}))


def take(db: Session, tenant_id: str, mode: str, account: str, currency: str, amount: int) -> bool:
    """Take from a guarded balance if it is there: one conditional UPDATE, whoever asks at the same moment."""
    taken = (
        update(AccountBalance)
        .where(
            AccountBalance.tenant_id == tenant_id,
            AccountBalance.mode == mode,
            AccountBalance.account == account,
            AccountBalance.currency == currency,
            AccountBalance.amount >= amount,
            literal(amount) > 0,
        )
        .values(amount=AccountBalance.amount - amount)
        .execution_options(synchronize_session=False)
    )
    return bool(db.execute(taken).rowcount)  # type: ignore[attr-defined]


def guarded(actor: Actor, currency: str) -> dict[str, int]:
    """Account → what may be taken from it, in this currency."""
    statement = select(AccountBalance.account, AccountBalance.amount).where(
        AccountBalance.tenant_id == actor.tenant_id,
        AccountBalance.mode == actor.mode,
        AccountBalance.currency == currency,
    )
    with reading() as db:
        return {account: amount for account, amount in db.execute(statement)}  # noqa: C416 - typed so


def before(actor: Actor, midnight: datetime) -> dict[tuple[str, str], int]:
    """(account, currency) → balance at the beginning of that UTC day."""
    summed = select(LedgerDay.account, LedgerDay.currency, LedgerDay.amount).where(
        LedgerDay.tenant_id == actor.tenant_id,
        LedgerDay.mode == actor.mode,
        LedgerDay.day < midnight.date(),
    )
    fresh = (
        select(Posting.account, Posting.currency, Posting.amount)
        .join(LedgerTransaction, LedgerTransaction.id == Posting.transaction_id)
        .where(
            LedgerTransaction.tenant_id == actor.tenant_id,
            LedgerTransaction.mode == actor.mode,
            LedgerTransaction.summed_at.is_(None),
            LedgerTransaction.posted_at < midnight,
        )
    )
    both = union_all(summed, fresh).subquery()
    total = func.sum(both.c.amount)
    statement = select(both.c.account, both.c.currency, total).group_by(both.c.account, both.c.currency)
    with reading() as db:
        return {(account, currency): int(amount) for account, currency, amount in db.execute(statement)}


def sum_days(limit: int = 500) -> int:
    """Add transactions that are in no sum yet to those of their days, each once. Returns how many."""
    ledger = LedgerTransaction
    with transaction() as db:
        waiting = (
            select(ledger.id)
            .where(ledger.summed_at.is_(None))
            .order_by(ledger.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        ids = list(db.scalars(waiting))
        if not ids:
            return 0
        key = (
            Posting.tenant_id,
            Posting.mode,
            Posting.account,
            Posting.currency,
            func.date(ledger.posted_at),
        )
        sums = (
            select(*key, func.sum(Posting.amount))
            .join(ledger, ledger.id == Posting.transaction_id)
            .where(ledger.id.in_(ids))
            .group_by(*key)
            .order_by(*key)
        )
        names = ["tenant_id", "mode", "account", "currency", "day"]
        added = _insert(db)(LedgerDay).from_select([*names, "amount"], sums)
        total = LedgerDay.amount + added.excluded.amount
        db.execute(added.on_conflict_do_update(index_elements=names, set_={"amount": total}))
        noted = update(ledger).where(ledger.id.in_(ids)).values(summed_at=clock.now())
        db.execute(noted.execution_options(synchronize_session=False))
        return len(ids)


def _insert(db: Session) -> Any:
    """The dialect's own insert, which knows `ON CONFLICT`."""
    return postgresql.insert if db.get_bind().dialect.name == "postgresql" else sqlite.insert
