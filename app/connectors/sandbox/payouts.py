"""Payouts of the sandbox: what becomes of one is decided by its destination.

The names that begin with `bank_account_` are our own; the bare numbers are the field's test accounts (ACH
and SEPA, sandbox.md). Any other destination is paid at once. More than the sandbox has settled and not yet
paid out is refused by its own book, whatever the caller believes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.connectors.base import Approved, ConnectorContext, Declined, NotFound, Pending, Unknown
from app.connectors.sandbox import book
from app.connectors.settling import PayoutLookupResult, PayoutRequest, PayoutResult
from app.db import retrying, transaction
from app.kit import clock
from app.kit.ids import new_id

#: After how many seconds a payout that turns, turns.
TURN_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Destination:
    """How a payout begins, what it turns into later, and whether its first answer is lost."""

    status: str = "paid"
    code: str | None = None
    turns: bool = False
    lost: str | None = None


_OK = Destination()

DESTINATIONS: dict[str, Destination] = {
    "000123456789": _OK,
    "AT611904300234573201": _OK,
    "000222222227": Destination("failed", "insufficient_funds"),
    "AT861904300235473202": Destination("failed", "could_not_process"),
    "000000000009": Destination("pending"),
    "bank_account_closed": Destination("failed", "account_closed"),
    "bank_account_slow": Destination("pending", turns=True),
    "bank_account_returned": Destination("paid", "returned_by_bank", turns=True),
    "bank_account_time_out_before": Destination(lost="before"),
    "bank_account_time_out_after": Destination(lost="after"),
}


def send(context: ConnectorContext, request: PayoutRequest) -> PayoutResult:
    """Pay, once for each key; where the answer is lost, the same key gets it at the next call."""
    plan = DESTINATIONS.get(request.destination, _OK)
    try:
        row, fresh = retrying(lambda: _open(context, request, plan))
    except IntegrityError:  # another call with this key was first
        row, fresh = retrying(lambda: _open(context, request, plan))
    if row is None:
        return Declined("insufficient_funds")
    if fresh and plan.lost:
        return Unknown("timed out")
    if row["status"] == "dropped":
        row = _execute(row)
    return _answer(row)


def find(context: ConnectorContext, key: str) -> PayoutLookupResult:
    """What became of the payout; one whose time has come has turned."""
    with transaction() as db:
        row = _by_key(db, context, key)
        if row is None or row["status"] == "dropped":
            return NotFound()
        return _answer(_turn(db, row))


def _open(
    context: ConnectorContext, request: PayoutRequest, plan: Destination
) -> tuple[RowMapping | dict[str, Any] | None, bool]:
    """The payout under this key and whether this call wrote it; none where the money is not there."""
    with transaction() as db:
        known = _by_key(db, context, request.key)
        if known is not None:
            return _turn(db, known), False
        if _left(db, context, request.currency) < request.amount:
            return None, False
        values = {
            "id": new_id("sbp"),
            "tenant_id": context.tenant_id,
            "mode": context.mode,
            "account": context.account,
            "key": request.key,
            "amount": request.amount,
            "currency": request.currency,
            "destination": request.destination,
            "status": "dropped" if plan.lost == "before" else plan.status,
            "code": plan.code,
            "turns_at": clock.now() + timedelta(seconds=TURN_SECONDS) if plan.turns else None,
            "created_at": clock.now(),
        }
        db.execute(insert(book.payouts), values)
        return values, True


def _execute(row: RowMapping | dict[str, Any]) -> dict[str, Any]:
    """The call that was lost before is made again, and this time gets through."""
    with transaction() as db:
        db.execute(update(book.payouts).where(book.payouts.c.id == row["id"]).values(status="paid"))
    return {**row, "status": "paid"}


def _left(db: Session, context: ConnectorContext, currency: str) -> int:
    """What may still be paid: settled and available, less what was paid out or is on its way."""
    heads, lines, sent = book.batches.c, book.statement_lines.c, book.payouts.c
    mine = (
        heads.tenant_id == context.tenant_id,
        heads.mode == context.mode,
        heads.account == context.account,
        heads.currency == currency,
    )
    available = (*mine, heads.available_on <= clock.now())
    db.execute(select(heads.reference).where(*mine).with_for_update()).all()  # one payout at a time
    settled = (
        select(func.coalesce(func.sum(lines.gross - lines.fee), 0))
        .join(
            book.batches,
            (lines.tenant_id == heads.tenant_id)
            & (lines.mode == heads.mode)
            & (lines.batch == heads.reference),
        )
        .where(*available)
    )
    gone = select(func.coalesce(func.sum(sent.amount), 0)).where(
        sent.tenant_id == context.tenant_id,
        sent.mode == context.mode,
        sent.account == context.account,
        sent.currency == currency,
        sent.status.in_(("paid", "pending")),
    )
    return int(db.scalar(settled) or 0) - int(db.scalar(gone) or 0)


def _turn(db: Session, row: RowMapping) -> RowMapping | dict[str, Any]:
    """Let a payout arrive or come back, once its time has come."""
    if row["turns_at"] is None or clock.now() < row["turns_at"]:
        return row
    changes = {"status": "paid" if row["status"] == "pending" else "failed", "turns_at": None}
    db.execute(update(book.payouts).where(book.payouts.c.id == row["id"]).values(changes))
    return {**row, **changes}


def _by_key(db: Session, context: ConnectorContext, key: str) -> RowMapping | None:
    table = book.payouts.c
    statement = select(book.payouts).where(
        table.tenant_id == context.tenant_id, table.mode == context.mode, table.key == key
    )
    return db.execute(statement.with_for_update()).mappings().one_or_none()


def _answer(row: RowMapping | dict[str, Any]) -> Approved | Declined | Pending:
    if row["status"] == "failed":
        return Declined(row["code"] or "could_not_process", row["id"])
    if row["status"] == "pending":
        return Pending(row["id"])
    return Approved(row["id"], row["amount"], row["currency"])
