"""Invariants of stored value: what is promised is held, what is taken is posted, no more is held."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from app.models.catalogue.stored_value import GiftCard, StoreCredit
from app.models.checkout.session import CheckoutSession
from app.models.checkout.wallet_hold import WalletHold
from app.models.ledger.posting import LedgerTransaction, Posting
from app.services.operations.violations import Violation


def _stored_value_holds(db: Session) -> Iterator[Violation]:
    """What is held of each card and credit is the sum of what is promised to checkouts."""
    promised = func.coalesce(func.sum(WalletHold.amount), 0)
    kinds: tuple[tuple[str, Any], ...] = (("gift_card", GiftCard), ("store_credit", StoreCredit))
    for kind, table in kinds:
        mine = (
            (WalletHold.instrument_id == table.id) & (WalletHold.kind == kind) & (WalletHold.status == "held")
        )
        statement = (
            select(table.id, table.held, promised)
            .outerjoin(WalletHold, mine)
            .group_by(table.id, table.held)
            .having(table.held != promised)
        )
        for instrument_id, held, total in db.execute(statement):
            yield Violation("stored_value_holds", instrument_id, f"{held} held, {total} promised")


def _wallets_agree(db: Session) -> Iterator[Violation]:
    """What a session says is applied is what is held or taken for it, and no more than it costs once paid."""
    standing = (WalletHold.checkout_id == CheckoutSession.id) & WalletHold.status.in_(("held", "taken"))
    total = func.coalesce(func.sum(WalletHold.amount), 0)
    held = func.sum(case((WalletHold.status == "held", WalletHold.amount), else_=0))
    over = CheckoutSession.status.in_(("completed", "canceled"))
    statement = (
        select(CheckoutSession.id, CheckoutSession.wallet_applied, total)
        .outerjoin(WalletHold, standing)
        .where((CheckoutSession.wallet_applied != 0) | WalletHold.id.is_not(None))
        .group_by(CheckoutSession.id, CheckoutSession.wallet_applied, CheckoutSession.status)
        .having((CheckoutSession.wallet_applied != total) | (over & (held > 0)))
    )
    for checkout_id, applied, summed in db.execute(statement):
        yield Violation("wallets_agree", checkout_id, f"{applied} applied, {summed} held or taken")


def _taken_is_posted(db: Session) -> Iterator[Violation]:
    """Whatever was taken stands in the ledger with its amount, once; what was returned stands there twice."""
    ledger = LedgerTransaction
    posted = (
        select(ledger.source, func.sum(Posting.amount).label("amount"))
        .join(Posting, Posting.transaction_id == ledger.id)
        .where(ledger.kind.in_(("stored_value", "stored_value_return")), Posting.amount > 0)
        .group_by(ledger.source)
        .subquery()
    )
    for kind, statuses in (("stored_value", ("taken", "returned")), ("stored_value_return", ("returned",))):
        there = func.coalesce(posted.c.amount, 0)
        wanted = case((WalletHold.status.in_(statuses), WalletHold.amount), else_=0)
        statement = (
            select(WalletHold.id, wanted, there)
            .outerjoin(posted, posted.c.source == f"{kind}:" + WalletHold.id)
            .where(wanted != there)
        )
        for hold_id, amount, found in db.execute(statement):
            yield Violation("taken_is_posted", hold_id, f"{kind}: {amount} moved, {found} posted")


RULES: tuple[Callable[[Session], Iterator[Violation]], ...] = (
    _stored_value_holds,
    _wallets_agree,
    _taken_is_posted,
)
