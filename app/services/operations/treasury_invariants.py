"""Invariants of the treasury: statements, payouts, decisions and kept sums agree with the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sqlalchemy import and_, case, func, literal, select
from sqlalchemy.orm import Session

from app.connectors.sandbox import book as sandbox
from app.models.ledger.balance import AccountBalance, LedgerDay
from app.models.ledger.posting import LedgerTransaction, Posting
from app.models.payments.intent import PaymentIntent
from app.models.treasury.payout import Payout
from app.models.treasury.reconciliation import Resolution
from app.models.treasury.settlement import Settlement, SettlementLine
from app.services.operations.violations import Violation


def _settlements_are_their_lines(db: Session) -> Iterator[Violation]:
    line = SettlementLine
    sums = [
        func.coalesce(func.sum(case((line.type == "payout", 0), else_=column)), 0)
        for column in (line.gross, line.fee, line.net)
    ]
    statement = (
        select(Settlement.id, func.count(line.id), *sums)
        .outerjoin(line, line.settlement_id == Settlement.id)
        .where(Settlement.fetched_at.is_not(None))
        .group_by(Settlement.id)
        .having(
            (func.count(line.id) != Settlement.line_count)
            | (sums[0] != Settlement.gross)
            | (sums[1] != Settlement.fee)
            | (sums[2] != Settlement.net)
        )
    )
    for settlement_id, *found in db.execute(statement):
        yield Violation("settlements_are_their_lines", settlement_id, f"its lines come to {found}")


def _settlements_are_posted(db: Session) -> Iterator[Violation]:
    """What a posted statement brought is on the gateway's balance; what a pending one brings is not."""
    amount = case((Posting.account.startswith("balance:"), Posting.amount), else_=0)
    posted = func.coalesce(func.sum(amount), 0)
    said = case((Settlement.status == "pending", 0), else_=Settlement.net)
    statement = (
        select(Settlement.id, said, posted)
        .outerjoin(LedgerTransaction, LedgerTransaction.source == literal("settlement:") + Settlement.id)
        .outerjoin(Posting, Posting.transaction_id == LedgerTransaction.id)
        .group_by(Settlement.id)
        .having(said != posted)
    )
    for settlement_id, brought, found in db.execute(statement):
        yield Violation("settlements_are_posted", settlement_id, f"brought {brought}, posted {found}")


def _payouts_are_posted(db: Session) -> Iterator[Violation]:
    """What is in transit is the sum of the payouts on their way."""
    open_ = func.sum(case((Payout.status.in_(("pending", "processing")), Payout.amount), else_=0))
    ours = (
        select(Payout.tenant_id, Payout.mode, Payout.connector, Payout.currency, open_.label("amount"))
        .group_by(Payout.tenant_id, Payout.mode, Payout.connector, Payout.currency)
        .subquery()
    )
    posted = (
        select(func.coalesce(func.sum(Posting.amount), 0))
        .where(
            Posting.tenant_id == ours.c.tenant_id,
            Posting.mode == ours.c.mode,
            Posting.account == literal("payouts:") + ours.c.connector,
            Posting.currency == ours.c.currency,
        )
        .scalar_subquery()
    )
    for tenant_id, amount, found in db.execute(
        select(ours.c.tenant_id, ours.c.amount, posted).where(ours.c.amount != posted)
    ):
        yield Violation("payouts_are_posted", tenant_id, f"{amount} on its way, posted {found}")


def _sandbox_payouts_agree(db: Session) -> Iterator[Violation]:
    """A payout that is paid is known there, and one whose amount was given back did not go out."""
    theirs = sandbox.payouts.c
    statement = (
        select(Payout.id, Payout.status, theirs.status)
        .outerjoin(
            sandbox.payouts,
            and_(theirs.tenant_id == Payout.tenant_id, theirs.key == literal("payout_") + Payout.id),
        )
        .where(Payout.connector == "sandbox")
        .where(
            ((Payout.status == "paid") & theirs.status.is_(None))
            | ((Payout.status == "failed") & theirs.status.in_(("paid", "pending")))
            | ((theirs.status == "paid") & (theirs.amount != Payout.amount))
        )
    )
    for payout_id, here, there in db.execute(statement):
        yield Violation("sandbox_payouts_agree", payout_id, f"{here} here and {there} at the gateway")


def _refunds_are_posted(db: Session) -> Iterator[Violation]:
    """What the merchant bears of an intent's refunds in the ledger is what the intent says has gone back."""
    posted = (
        select(LedgerTransaction.payment_intent_id, func.sum(Posting.amount).label("amount"))
        .join(Posting, Posting.transaction_id == LedgerTransaction.id)
        .where(LedgerTransaction.kind.in_(("refund", "refund_return")), Posting.account == "merchant_balance")
        .group_by(LedgerTransaction.payment_intent_id)
        .subquery()
    )
    amount = func.coalesce(posted.c.amount, 0)
    statement = (
        select(PaymentIntent.id, PaymentIntent.amount_refunded, amount)
        .outerjoin(posted, posted.c.payment_intent_id == PaymentIntent.id)
        .where(PaymentIntent.split.is_(False), PaymentIntent.amount_refunded != amount)
    )
    for intent_id, refunded, found in db.execute(statement):
        yield Violation("refunds_are_posted", intent_id, f"refunded {refunded}, posted {found}")


def _kept_sums_are_the_ledgers(db: Session) -> Iterator[Violation]:
    """Guarded balances and the sums of days are what a replay of the postings gives."""
    key = (Posting.tenant_id, Posting.mode, Posting.account, Posting.currency)
    replays = (
        (
            AccountBalance,
            select(*key, func.sum(Posting.amount)).where(Posting.account.startswith("balance:")),
        ),
        (
            LedgerDay,
            select(*key, func.sum(Posting.amount))
            .join(LedgerTransaction, LedgerTransaction.id == Posting.transaction_id)
            .where(LedgerTransaction.summed_at.is_not(None)),
        ),
    )
    for kept, replay in replays:
        columns = (kept.tenant_id, kept.mode, kept.account, kept.currency)
        stored = {
            tuple(row[:4]): int(row[4])
            for row in db.execute(select(*columns, func.sum(kept.amount)).group_by(*columns))
        }
        told = {tuple(row[:4]): int(row[4]) for row in db.execute(replay.group_by(*key))}
        for place in stored.keys() | told.keys():
            if stored.get(place, 0) != told.get(place, 0):
                detail = f"{kept.__tablename__}: {stored.get(place, 0)} kept, {told.get(place, 0)} posted"
                yield Violation("kept_sums_are_the_ledgers", " ".join(place), detail)


def _decisions_are_posted(db: Session) -> Iterator[Violation]:
    statement = (
        select(Resolution.subject_id, Resolution.amount)
        .outerjoin(
            LedgerTransaction, LedgerTransaction.source == literal("resolution:") + Resolution.subject_id
        )
        .where(Resolution.amount != 0, LedgerTransaction.id.is_(None))
    )
    for subject_id, amount in db.execute(statement):
        yield Violation("decisions_are_posted", subject_id, f"{amount} decided and not posted")


RULES: tuple[Callable[[Session], Iterator[Violation]], ...] = (
    _settlements_are_their_lines,
    _settlements_are_posted,
    _payouts_are_posted,
    _sandbox_payouts_agree,
    _refunds_are_posted,
    _kept_sums_are_the_ledgers,
    _decisions_are_posted,
)
