"""The comparison of a reconciliation: every line of a statement with our books, and our books with the lines.

The job `reconciliations.run`. It goes in steps, each one transaction of a few set-based statements over a
chunk of rows; the step's place is kept in the same transaction, so that a killed worker's successor goes on
from there. First all lines, then what should have been settled and was not, then the settlements themselves.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, and_, case, exists, func, insert, literal, null, or_, select
from sqlalchemy.orm import Session, aliased

from app.connectors.settling import LineType
from app.db import retrying, transaction
from app.domain.lifecycles import settlements as lifecycle
from app.kit import clock
from app.models.treasury.reconciliation import Reconciliation, ReconciliationItem, Resolution
from app.models.treasury.settlement import Settlement, SettlementFeed, SettlementLine
from app.services.treasury import matching

#: Outcomes; all but the first want a person.
MATCHED, UNMATCHED, MISMATCH, DUPLICATE, MISSING = (
    "matched",
    "unmatched",
    "amount_mismatch",
    "duplicate",
    "missing",
)
DISCREPANCIES = (UNMATCHED, MISMATCH, DUPLICATE, MISSING)

LINES, CLOSING, DONE = "lines", "closing", "done"
#: Phases in their order; between lines and closing one for each kind that must be settled, or come back.
PHASES = (LINES, *matching.LOOKED_FOR, CLOSING, DONE)

_COLUMNS = (
    "job_id",
    "subject_id",
    "outcome",
    "type",
    "connector",
    "connector_id",
    "transaction_id",
    "line_id",
    "settlement_id",
    "reference",
    "currency",
    "expected",
    "actual",
    "occurred_at",
)


def run(job_id: str) -> dict[str, Any]:
    """Compare to the end; a count for each outcome."""
    while not retrying(partial(_step, job_id)):
        pass
    with transaction() as db:
        summary = db.get_one(Reconciliation, job_id).summary or []
    counts = dict.fromkeys((MATCHED, *DISCREPANCIES), 0)
    for row in summary:
        counts[row["outcome"]] += row["count"]
    return counts


def _step(job_id: str) -> bool:
    """One chunk, or on to the next phase; True when all is done."""
    with transaction() as db:
        found = db.get_one(Reconciliation, job_id, with_for_update=True)
        if found.phase == DONE:
            return True
        if found.phase == LINES:
            place = _compare_lines(db, found)
        elif found.phase == CLOSING:
            place = _close_settlements(db, found)
        else:
            place = _find_missing(db, found, matching.LOOKED_FOR[found.phase])
        if place is None:
            found.phase, place = PHASES[PHASES.index(found.phase) + 1], ""
        found.cursor = place
        if found.phase == DONE:
            found.summary, found.finished_at = _summary(db, job_id), clock.now()
        return False


def in_scope(run: Reconciliation) -> tuple[ColumnElement[bool], ...]:
    """The settlements that a run is about."""
    scope = [
        Settlement.tenant_id == run.tenant_id,
        Settlement.mode == run.mode,
        Settlement.fetched_at.is_not(None),
        Settlement.settled_at >= run.from_,
        Settlement.settled_at < run.to,
    ]
    if run.connector_id:
        scope.append(Settlement.connector_id == run.connector_id)
    return tuple(scope)


def _compare_lines(db: Session, run: Reconciliation) -> str | None:
    line = SettlementLine
    which = (
        line.tenant_id == run.tenant_id,
        line.mode == run.mode,
        line.settlement_id.in_(select(Settlement.id).where(*in_scope(run))),
    )
    settlement_id, _, line_id = run.cursor.partition("|")
    after = (settlement_id, line_id)
    last = matching.next_place(db, after, *which)
    if last is None:
        return None
    chunk = and_(*which, matching.between(after, last))
    matching.match(db, chunk)
    for kind in matching.KINDS:
        expected = kind.expected
        statement = select(*_line_columns(run, expected, _outcome(expected)))
        statement = statement.outerjoin(kind.model, kind.model.id == line.transaction_id)
        if kind.type == LineType.PAYOUT:  # one that the gateway made by itself is no discrepancy
            statement = statement.where(line.transaction_id.is_not(None))
        _insert(db, statement.where(chunk, line.type == kind.type))
    return "|".join(last)


def _outcome(expected: Any) -> ColumnElement[str]:
    line, earlier = SettlementLine, aliased(SettlementLine)
    repeats = exists().where(
        earlier.tenant_id == line.tenant_id,
        earlier.mode == line.mode,
        earlier.connector_id == line.connector_id,
        earlier.reference == line.reference,
        earlier.type == line.type,
        (earlier.gross > 0) == (line.gross > 0),
        earlier.id < line.id,
    )
    given_up = matching.squared(line.transaction_id, (Resolution.amount > 0) == (line.gross > 0))
    return case(
        (repeats, DUPLICATE),
        (or_(line.transaction_id.is_(None), given_up), UNMATCHED),
        (line.gross != expected, MISMATCH),
        (matching.squared(line.id), UNMATCHED),  # it was wrong when somebody decided: it stands by itself
        else_=MATCHED,
    )


def _line_columns(run: Reconciliation, expected: Any, outcome: ColumnElement[str]) -> list[Any]:
    line = SettlementLine
    owner = select(Settlement.connector).where(Settlement.id == line.settlement_id).scalar_subquery()
    return [
        literal(run.id),
        line.id,
        outcome,
        line.type,
        owner,
        line.connector_id,
        line.transaction_id,
        line.id,
        line.settlement_id,
        line.reference,
        line.currency,
        expected,
        line.gross,
        line.settled_at,
    ]


def _find_missing(db: Session, run: Reconciliation, kind: matching.Kind) -> str | None:
    """What moved before the point up to which its gateway has been read, and stands in no statement."""
    owner = kind.model
    which = [owner.tenant_id == run.tenant_id, owner.mode == run.mode, kind.moved]
    which += [kind.moved_at >= run.from_, kind.moved_at < run.to]
    if run.connector_id:
        which.append(kind.connector_id == run.connector_id)
    at, _, last_id = run.cursor.partition("|")
    if at:
        moment = datetime.fromisoformat(at)
        which.append(or_(kind.moved_at > moment, and_(kind.moved_at == moment, owner.id > last_id)))
    ordered = (kind.moved_at, owner.id)
    page = kind.joined(select(*ordered)).where(*which).order_by(*ordered).limit(matching.CHUNK)
    rows = db.execute(page).all()
    if not rows:
        return None
    until, until_id = rows[-1]
    which.append(or_(kind.moved_at < until, and_(kind.moved_at == until, owner.id <= until_id)))
    columns = [
        literal(run.id),
        owner.id,
        literal(MISSING),
        literal(str(kind.type)),
        kind.connector,
        kind.connector_id,
        owner.id,
        null(),
        null(),
        owner.gateway_reference,
        owner.currency,
        kind.amount,
        null(),
        kind.moved_at,
    ]
    statement = kind.joined(select(*columns)).join(
        SettlementFeed,
        and_(
            SettlementFeed.tenant_id == owner.tenant_id,
            SettlementFeed.mode == owner.mode,
            SettlementFeed.connector_id == kind.connector_id,
            SettlementFeed.complete_until > kind.moved_at,
        ),
    )
    _insert(db, statement.where(*which, kind.absent))
    return f"{until.isoformat()}|{until_id}"


def still_holds(db: Session, item: ReconciliationItem) -> bool:
    """Whether what a run found is so now, or has been settled, matched or decided since."""
    line = SettlementLine
    if item.line_id is None:
        told = [
            db.scalar(select(kind.amount).where(kind.model.id == item.subject_id, kind.moved, kind.absent))
            for kind in matching.LOOKED_FOR.values()
            if kind.type == item.type
        ]
        return item.expected in told
    [kind] = [kind for kind in matching.KINDS if kind.type == item.type]
    statement = (
        select(line.transaction_id, kind.expected, _outcome(kind.expected))
        .outerjoin(kind.model, kind.model.id == line.transaction_id)
        .where(line.id == item.line_id)
    )
    return tuple(db.execute(statement).one()) == (item.transaction_id, item.expected, item.outcome)


def _close_settlements(db: Session, run: Reconciliation) -> str | None:
    statement = (
        select(Settlement)
        .where(*in_scope(run), Settlement.id > run.cursor, ~open_items(run.id, Settlement.id))
        .where(Settlement.status == lifecycle.Status.POSTED)
        .order_by(Settlement.id)
        .limit(100)
        .with_for_update()
    )
    rows = list(db.scalars(statement))
    for row in rows:
        row.advance(lifecycle.Trigger.RECONCILED, cause="reconciliation", reconciled_at=clock.now())
    return rows[-1].id if rows else None


def open_items(job_id: str, settlement_id: Any) -> ColumnElement[bool]:
    """Whether a settlement has a discrepancy that nobody has decided."""
    item = ReconciliationItem
    decided = exists().where(Resolution.subject_id == item.subject_id, Resolution.final)
    return exists().where(
        item.job_id == job_id,
        item.outcome.in_(DISCREPANCIES),
        item.settlement_id == settlement_id,
        ~decided,
    )


def _summary(db: Session, job_id: str) -> list[dict[str, Any]]:
    item = ReconciliationItem
    statement = (
        select(
            item.outcome,
            item.currency,
            func.count(),
            func.sum(item.expected),
            func.sum(item.actual),
        )
        .where(item.job_id == job_id)
        .group_by(item.outcome, item.currency)
        .order_by(item.outcome, item.currency)
    )
    names = ("outcome", "currency", "count", "expected", "actual")
    return [
        dict(zip(names, (outcome, currency, count, int(expected or 0), int(actual or 0)), strict=True))
        for outcome, currency, count, expected, actual in db.execute(statement)
    ]


def _insert(db: Session, statement: Any) -> None:
    db.execute(insert(ReconciliationItem).from_select(_COLUMNS, statement))
