"""The sandbox's settlement statements: a batch for each UTC day and currency, drawn up from its own book.

Fee of a charge: 1.4 %, rounded half up to the minor unit, and 20 minor units; a refund costs nothing, and
the charge's fee stays. A dispute takes its amount and its own fee, and gives both back when it is won. A
day's batch is drawn up once the day is over and is available a day after that. What card 4000000000000077
pays, or gets back, is a batch of its own at once. Four cards have their lines missing, 100 minor units
short, doubled, or beside a line that nobody knows (cards.py).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from sqlalchemy import ColumnElement, Table, bindparam, func, insert, or_, select, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.orm import Session

from app.connectors.base import ConnectorContext
from app.connectors.sandbox import book, disputes
from app.connectors.sandbox.cards import (
    SETTLES_AT_ONCE,
    SETTLES_NEVER,
    SETTLES_SHORT,
    SETTLES_TWICE,
    SETTLES_WITH_STRANGER,
)
from app.connectors.settling import (
    LineType,
    SettlementBatch,
    SettlementBatches,
    SettlementLine,
    SettlementPage,
)
from app.db import reading, retrying, transaction
from app.kit import clock

FEE_PER_MILLE, FEE_FIXED = 14, 20
#: How many minor units a short line lacks, as far as it has so many.
SHORT_BY = 100
#: From the end of a day until its money is available.
AVAILABLE_AFTER = timedelta(days=1)
PAGE = 500


def fee_of(gross: int) -> int:
    """What the sandbox keeps of a charge, in minor units."""
    return (gross * FEE_PER_MILLE + 500) // 1000 + FEE_FIXED


def batches(context: ConnectorContext, since: datetime | None) -> SettlementBatches:
    """Draw up what is due, and give the batches settled at or after `since`."""
    today = _midnight(clock.now())
    retrying(lambda: _draw(context, today))
    table = book.batches.c
    statement = select(book.batches).where(*_of(context, book.batches))
    if since is not None:
        statement = statement.where(table.settled_at >= since)
    with reading() as db:
        rows = db.execute(statement.order_by(table.settled_at, table.reference)).mappings().all()
    found = tuple(
        SettlementBatch(r["reference"], r["currency"], r["settled_at"], r["available_on"], r["net"])
        for r in rows
    )
    return SettlementBatches(found, complete_until=today)


def lines(context: ConnectorContext, batch: str, cursor: str | None) -> SettlementPage:
    """A page of a batch's lines; the cursor is the number of the last line before it."""
    table = book.statement_lines.c
    after = int(cursor) if cursor else 0
    statement = (
        select(book.statement_lines, book.batches)
        .join(
            book.batches,
            (book.batches.c.tenant_id == table.tenant_id)
            & (book.batches.c.mode == table.mode)
            & (book.batches.c.reference == table.batch),
        )
        .where(
            table.tenant_id == context.tenant_id,
            table.mode == context.mode,
            table.batch == batch,
            book.batches.c.account == context.account,
            table.number > after,
        )
        .order_by(table.number)
        .limit(PAGE + 1)
    )
    with reading() as db:
        rows = db.execute(statement).all()
    more = str(rows[PAGE - 1].number) if len(rows) > PAGE else None
    return SettlementPage(tuple(_line(row) for row in rows[:PAGE]), more)


def _line(row: Any) -> SettlementLine:
    return SettlementLine(
        line_id=f"{row.batch}/{row.number}",
        type=LineType(row.type),
        reference=row.reference,
        gross=row.gross,
        fee=row.fee,
        net=row.gross - row.fee,
        currency=row.currency,
        settled_at=row.settled_at,
        available_on=row.available_on,
    )


@dataclass(frozen=True, slots=True)
class _Move:
    """Money that moved: its lines, and where it is noted in which batch they are (`table.noted` by `key`)."""

    key: str
    table: Table
    by: str
    noted: str
    currency: str
    moved_at: datetime
    lines: list[dict[str, Any]]
    at_once: bool = False


def _draw(context: ConnectorContext, today: datetime) -> None:
    """Put every movement that is due into a batch, once: the rows are locked while it is decided."""
    with transaction() as db:
        due = [*_payments(db, context, today), *_chargebacks(db, context, today)]
        if not due:
            return
        drawn, whose = _last_days(db, context), f"-{context.account}" if context.account else ""
        by_batch: dict[tuple[str, str | None], list[_Move]] = defaultdict(list)
        for move in due:
            day = None if move.at_once else _day(move.moved_at, drawn.get(move.currency), today)
            if move.at_once or day is not None:
                reference = f"now-{move.key}" if move.at_once else f"{move.currency}-{day}{whose}"
                by_batch[(reference, day)].append(move)
        for (reference, day), moves in by_batch.items():
            _write(db, context, _free(db, context, reference), day, moves)


def _free(db: Session, context: ConnectorContext, reference: str) -> str:
    """The name of a statement; a day that a merchant's test clock went through again has a second one."""
    table = book.batches.c
    mine = (table.tenant_id == context.tenant_id, table.mode == context.mode)
    taken = set(db.scalars(select(table.reference).where(*mine, table.reference.startswith(reference))))
    names = (f"{reference}-{number}" if number > 1 else reference for number in count(1))
    return next(name for name in names if name not in taken)


def _day(moved_at: datetime, drawn: str | None, today: datetime) -> str | None:
    """The day whose batch takes the movement: its own, or yesterday where its own is closed already."""
    day = moved_at.date().isoformat()
    if drawn is None or day > drawn:
        return day
    yesterday = (today - timedelta(days=1)).date().isoformat()
    return yesterday if yesterday > drawn else None


def _payments(db: Session, context: ConnectorContext, today: datetime) -> Iterator[_Move]:
    """Captures and refunds in no batch yet that are final; a refund that may still turn waits for that."""
    moves, paid = book.operations.c, book.payments.c
    statement = (
        select(book.operations, paid.detail)
        .join(book.payments, paid.reference == moves.reference)
        .where(
            moves.tenant_id == context.tenant_id,
            *_of(context, book.payments),
            moves.kind.in_(("capture", "refund")),
            moves.status == "succeeded",
            moves.turns_at.is_(None),
            moves.settled_in.is_(None),
            or_(moves.created_at < today, paid.detail == SETTLES_AT_ONCE),
        )
        .order_by(moves.created_at, moves.id)
        .with_for_update(of=book.operations)
    )
    for row in db.execute(statement).mappings():
        yield _Move(
            key=row["id"],
            table=book.operations,
            by="id",
            noted="settled_in",
            currency=row["currency"],
            moved_at=row["created_at"],
            lines=_lines_of(row),
            at_once=row["detail"] == SETTLES_AT_ONCE,
        )


def _chargebacks(db: Session, context: ConnectorContext, today: datetime) -> Iterator[_Move]:
    """What disputes took, with their fee, and what was given back with it where they were won."""
    theirs = book.disputes.c
    for at, noted, sign in ((theirs.taken_at, "taken_in", -1), (theirs.returned_at, "returned_in", 1)):
        statement = (
            select(book.disputes)
            .join(book.payments, book.payments.c.reference == theirs.payment_reference)
            .where(
                theirs.tenant_id == context.tenant_id,
                theirs.mode == context.mode,
                at < today,
                theirs[noted].is_(None),
                book.payments.c.account == context.account,
            )
            .order_by(at, theirs.reference)
            .with_for_update(of=book.disputes)
        )
        for row in db.execute(statement).mappings():
            fee = -sign * disputes.fee_of(row["currency"])
            yield _Move(
                key=row["reference"],
                table=book.disputes,
                by="reference",
                noted=noted,
                currency=row["currency"],
                moved_at=row[at.name],
                lines=[_shown("dispute", row["reference"], sign * row["amount"], fee)],
            )


def _last_days(db: Session, context: ConnectorContext) -> dict[str, str]:
    """Currency → the last day whose batch is drawn up."""
    table = book.batches.c
    statement = (
        select(table.currency, func.max(table.day).label("day"))
        .where(*_of(context, book.batches), table.day.is_not(None))
        .group_by(table.currency)
    )
    return {row.currency: row.day for row in db.execute(statement)}


def _write(
    db: Session, context: ConnectorContext, reference: str, day: str | None, moves: list[_Move]
) -> None:
    lines = [line for move in moves for line in move.lines]
    whose = {"tenant_id": context.tenant_id, "mode": context.mode}
    if day is None:
        settled_at = available_on = clock.now()
    else:
        settled_at = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=1)
        available_on = settled_at + AVAILABLE_AFTER
    if lines:
        head = {
            **whose,
            "account": context.account,
            "reference": reference,
            "currency": moves[0].currency,
            "day": day,
            "net": sum(line["gross"] - line["fee"] for line in lines),
            "settled_at": settled_at,
            "available_on": available_on,
        }
        db.execute(insert(book.batches), head)
        numbered = [
            {**whose, "batch": reference, "number": number, **line} for number, line in enumerate(lines, 1)
        ]
        db.execute(insert(book.statement_lines), numbered)
    for table, by, noted in {(move.table, move.by, move.noted) for move in moves}:
        keys = [{"key_": move.key} for move in moves if (move.table, move.noted) == (table, noted)]
        db.execute(update(table).where(table.c[by] == bindparam("key_")).values({noted: reference}), keys)


def _of(context: ConnectorContext, table: Table) -> tuple[ColumnElement[bool], ...]:
    """Rows of the caller's account."""
    mine = {"tenant_id": context.tenant_id, "mode": context.mode, "account": context.account}
    return tuple(table.c[name] == value for name, value in mine.items())


def _lines_of(row: RowMapping) -> list[dict[str, Any]]:
    """The lines of a movement, planted discrepancies included: these cards are settled wrongly."""
    if row["kind"] == "refund":
        return [_shown("refund", row["id"], -row["amount"], 0)]
    gross, detail = row["amount"], row["detail"]
    proper = _shown("charge", row["reference"], gross, fee_of(gross))
    if detail == SETTLES_NEVER:
        return []
    if detail == SETTLES_SHORT:
        return [{**proper, "gross": gross - min(SHORT_BY, gross)}]
    if detail == SETTLES_TWICE:
        return [proper, proper]
    if detail == SETTLES_WITH_STRANGER:
        return [proper, {**proper, "reference": f"sbx_stranger_{row['id']}"}]
    return [proper]


def _shown(type_: str, reference: str, gross: int, fee: int) -> dict[str, Any]:
    return {"type": type_, "reference": reference, "gross": gross, "fee": fee}


def _midnight(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
