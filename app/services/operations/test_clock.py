"""The test clock: a merchant's test mode goes forward in time, and nobody else's (sandbox.md).

Time itself cannot differ between merchants: sweeps look at everybody's rows by one clock. So the rows are
moved instead: whatever is still to come in this merchant's test mode, in our tables and in the sandbox's
book, comes so much earlier. What is due then is done by the worker as ever. What has happened keeps its
time, since the journal and the ledger cannot be changed (docs/adr/0039).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Table, func, literal, select, update
from sqlalchemy.orm import Session

from app.connectors.sandbox import book
from app.db import retrying, transaction
from app.domain.actor import Actor, Mode
from app.domain.errors import InvalidRequest, PermissionDenied
from app.models.catalogue.promotion import Coupon
from app.models.catalogue.stored_value import GiftCard
from app.models.checkout.order import Order
from app.models.checkout.payment_link import PaymentLink
from app.models.checkout.reservation import Reservation
from app.models.checkout.session import CheckoutSession
from app.models.checkout.subscription import Subscription, SubscriptionPeriod
from app.models.events.delivery import Delivery
from app.models.events.journal import record
from app.models.operations.job import Job
from app.models.payments.attempt import Attempt
from app.models.payments.dispute import Dispute
from app.models.payments.refund import Refund
from app.models.treasury.payout import Payout
from app.models.treasury.settlement import Settlement
from app.services.operations import jobs

ADVANCED = "test_clock.advanced"
LONGEST = timedelta(days=90)
#: Who may move it.
PERMISSION = "sandbox:write"


@dataclass(frozen=True, slots=True)
class _Coming:
    """Columns of a table that say when something is to happen, of the rows where it still is."""

    table: Any
    columns: tuple[str, ...]
    where: tuple[ColumnElement[bool], ...] = ()


def _ours() -> Sequence[_Coming]:
    waiting = Delivery.status.in_(("pending", "retry_wait"))
    return (
        _Coming(CheckoutSession.__table__, ("expires_at",)),
        _Coming(Reservation.__table__, ("expires_at", "extended_until_at")),
        _Coming(Order.__table__, ("expires_at",), (Order.status == "pending",)),
        _Coming(PaymentLink.__table__, ("expires_at",)),
        _Coming(Coupon.__table__, ("starts_at", "ends_at")),
        _Coming(GiftCard.__table__, ("expires_at",)),
        _Coming(Attempt.__table__, ("action_expires_at", "auth_expires_at", "next_query_at")),
        _Coming(Refund.__table__, ("next_query_at",)),
        _Coming(Dispute.__table__, ("evidence_due_at", "next_query_at")),
        _Coming(Payout.__table__, ("next_query_at",)),
        _Coming(Settlement.__table__, ("available_on",), (Settlement.status == "pending",)),
        _Coming(
            Subscription.__table__,
            ("anchor_at", "current_period_start", "current_period_end", "next_query_at"),
        ),
        _Coming(SubscriptionPeriod.__table__, ("starts_at", "ends_at", "next_try_at")),
        _Coming(Delivery.__table__, ("due_at",), (waiting,)),
        _Coming(Job.__table__, ("due_at",), (Job.status.in_(("queued", "retry_wait")),)),
    )


def _of_the_book() -> Sequence[_Coming]:
    """The sandbox's: its own time goes by what it wrote down, so what is in no statement yet moves, too."""
    moves, theirs = book.operations.c, book.disputes.c
    return (
        _Coming(book.payments, ("created_at", "action_expires_at")),
        _Coming(book.webhooks, ("due_at",), (book.webhooks.c.sent_at.is_(None),)),
        _Coming(book.payouts, ("turns_at",)),
        _Coming(book.disputes, ("evidence_due_at", "decides_at")),
        _Coming(book.disputes, ("taken_at",), (theirs.taken_in.is_(None),)),
        _Coming(book.disputes, ("returned_at",), (theirs.returned_in.is_(None),)),
        _Coming(book.batches, ("settled_at", "available_on")),
        _Coming(book.operations, ("turns_at",)),
        _Coming(book.operations, ("created_at",), (moves.settled_in.is_(None),)),
    )


def advance(actor: Actor, seconds: int) -> None:
    """Let a merchant's test mode go forward; the worker then does what has become due.

    Raises:
        PermissionDenied: the caller may not use the sandbox, or is in live mode.
        InvalidRequest: not from a second to 90 days.
    """
    if actor.mode != Mode.TEST:
        raise PermissionDenied("Time goes forward in test mode alone", code="test_mode_required")
    if not actor.can(PERMISSION):
        raise PermissionDenied(f"Missing {PERMISSION} permission")
    if not 0 < seconds <= LONGEST.total_seconds():
        raise InvalidRequest(f"From a second to {LONGEST.days} days", field="seconds")
    retrying(lambda: _advance(actor, seconds))


def _advance(actor: Actor, seconds: int) -> None:
    with transaction(actor) as db:
        for coming in (*_ours(), *_of_the_book()):
            for name in coming.columns:
                _bring_forward(db, actor.tenant_id, coming, name, seconds)
        _bring_days_forward(db, actor.tenant_id, seconds // 86_400)
        jobs.enqueue(
            db,
            "settlements.sync",
            {"tenant_id": actor.tenant_id, "mode": str(Mode.TEST), "connectors": None},
            tenant_id=actor.tenant_id,
            mode=str(Mode.TEST),
        )
        record(
            db,
            ADVANCED,
            tenant_id=actor.tenant_id,
            mode=str(Mode.TEST),
            entity="tenant",
            entity_id=actor.tenant_id,
            cause=str(actor.kind),
            after={"id": actor.tenant_id, "seconds": seconds},
        )


def _bring_forward(db: Session, tenant_id: str, coming: _Coming, name: str, seconds: int) -> None:
    table, column = coming.table, coming.table.c[name]
    changed = {name: _earlier(db, column, seconds)}
    if "updated_at" in table.c:
        changed["updated_at"] = table.c.updated_at
    mine = _mine(table, tenant_id)
    db.execute(update(table).where(*mine, column.is_not(None), *coming.where).values(changed))


def _mine(table: Table, tenant_id: str) -> tuple[ColumnElement[bool], ...]:
    """The merchant's rows of test mode. The book's operations have the mode of their payment."""
    if "mode" in table.c:
        return table.c.tenant_id == tenant_id, table.c.mode == str(Mode.TEST)
    paid = book.payments.c
    theirs = select(paid.reference).where(paid.tenant_id == tenant_id, paid.mode == str(Mode.TEST))
    return table.c.tenant_id == tenant_id, table.c.reference.in_(theirs)


def _earlier(db: Session, column: ColumnElement[Any], seconds: int) -> ColumnElement[Any]:
    """An instant so many seconds earlier, as each kind of database reckons it."""
    if db.get_bind().dialect.name == "postgresql":
        return column - literal(timedelta(seconds=seconds))
    return func.strftime("%Y-%m-%d %H:%M:%f", column, f"-{seconds} seconds").concat("000")


def _bring_days_forward(db: Session, tenant_id: str, days: int) -> None:
    """The days of the statements that are drawn up: a later one takes what is paid from now on."""
    table = book.batches
    drawn = db.execute(
        select(table.c.reference, table.c.day).where(*_mine(table, tenant_id), table.c.day.is_not(None))
    )
    for reference, day in drawn.all() if days else ():
        before = (date.fromisoformat(day) - timedelta(days=days)).isoformat()
        one = update(table).where(*_mine(table, tenant_id), table.c.reference == reference)
        db.execute(one.values(day=before))
