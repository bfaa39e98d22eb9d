"""Captures and refunds in the sandbox's book: one row each, by the caller's key."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from app.connectors import base
from app.connectors.sandbox import book, disputes, notices
from app.connectors.sandbox.book import Row
from app.connectors.sandbox.cards import Behaviour
from app.db import Command
from app.kit import clock
from app.kit.ids import new_id

#: After how many seconds a refund that turns, turns.
REFUND_TURN_SECONDS = 10

_INSERT = Command(lambda _: insert(book.operations))


def find(db: Session, context: base.ConnectorContext, kind: str, key: str) -> Mapping[str, Any] | None:
    """The capture or refund that was asked for under a key."""
    statement = select(book.operations).where(
        book.operations.c.tenant_id == context.tenant_id,
        book.operations.c.key == key,
        book.operations.c.kind == kind,
    )
    row = db.execute(statement).mappings().one_or_none()
    return dict(row) if row is not None else None


def write(
    db: Session, context: base.ConnectorContext, kind: str, key: str, row: Row, amount: int
) -> Mapping[str, Any]:
    """Write what was done under a key; a refund comes as its card has it."""
    turns = kind == "refund" and row["behaviour"] in (
        Behaviour.REFUND_LATER,
        Behaviour.REFUND_RETURNED,
    )
    later = kind == "refund" and row["behaviour"] == Behaviour.REFUND_LATER
    values = {
        "id": new_id("sbo"),
        "tenant_id": context.tenant_id,
        "key": key,
        "kind": kind,
        "reference": row["reference"],
        "amount": amount,
        "currency": row["currency"],
        "status": "pending" if later else "succeeded",
        "code": "returned_by_bank" if turns and not later else None,
        "turns_at": clock.now() + timedelta(seconds=REFUND_TURN_SECONDS) if turns else None,
        "created_at": clock.now(),
    }
    _INSERT.later(db, values)
    return values


def take(db: Session, context: base.ConnectorContext, key: str, row: Mapping[str, Any]) -> None:
    """What follows on money that was taken; `row` has it in `captured` already."""
    write(db, context, "capture", key, row, row["captured"])
    notices.queue(db, row, "payment.captured")
    if row["behaviour"] == Behaviour.DISPUTE:
        disputes.open_for(db, row)


def turn(db: Session, row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Let a refund change as its card says, once its time has come; of several callers one turns it."""
    if row["turns_at"] is None or clock.now() < row["turns_at"]:
        return row
    status = "succeeded" if row["status"] == "pending" else "failed"
    changes = {"status": status, "turns_at": None}
    mine = (book.operations.c.id == row["id"]) & book.operations.c.turns_at.is_not(None)
    turned = db.execute(update(book.operations).where(mine).values(changes))
    if status == "failed" and turned.rowcount:  # type: ignore[attr-defined]
        db.execute(
            update(book.payments)
            .where(book.payments.c.reference == row["reference"])
            .values(refunded=book.payments.c.refunded - row["amount"])
        )
    return {**row, **changes}
