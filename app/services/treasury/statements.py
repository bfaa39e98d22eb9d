"""Reading statements: what a gateway settled is fetched, matched with our transactions and posted, once.

The job `settlements.sync`. Lines are kept page by page and are unique by the gateway's own id, so that a
killed worker's successor, or sixteen workers at once, end with the same rows. A statement is posted under
its row's lock, when all of its lines are here and its money is available.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Select, case, func, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.connectors.settling import LineType, SettlementBatch
from app.connectors.settling import SettlementLine as Given
from app.db import reading, retrying, transaction
from app.domain.errors import Conflict, DomainError
from app.domain.lifecycles import connectors as connector_lifecycle
from app.domain.lifecycles import settlements as lifecycle
from app.kit import clock
from app.kit.ids import new_id
from app.models.payments.connector import ConnectorAccount
from app.models.treasury.settlement import Settlement, SettlementFeed, SettlementLine
from app.services.ledger import postings
from app.services.operations import sweeping
from app.services.treasury import gateways, matching

#: A gateway is asked again for what it settled so long before the point up to which it was read.
OVERLAP = timedelta(days=7)
#: Where nothing has moved for so long, a gateway that was never read or is deleted is not asked by itself.
RECENT = timedelta(days=60)

_S, _T = lifecycle.Status, lifecycle.Trigger
_KINDS = tuple(matching.LOOKED_FOR.values())


def sync(tenant_id: str, mode: str, connectors: list[str] | None) -> dict[str, Any]:
    """Read what is new at these gateways, or at all in use; how many statements and lines are new.

    Doing it again adds nothing. A gateway that fails keeps no other one waiting.

    Raises:
        ServiceUnavailable: a gateway did not answer; what was read stays.
        Conflict: a statement does not add up.
    """
    new, failed = {"settlements": 0, "lines": 0}, None
    sources = gateways.settling(tenant_id, mode)
    if connectors is None:
        sources = [source for source in sources if _in_use(tenant_id, mode, source)]
    else:
        sources = [gateways.named(connector_id, sources) for connector_id in connectors]
    for source in sources:
        try:
            _sync_one(tenant_id, mode, source, new)
        except DomainError as error:
            failed = error
    if failed is not None:
        raise failed
    return new


def _in_use(tenant_id: str, mode: str, source: gateways.Source) -> bool:
    """Whether its statements were read before, or something has lately moved there.

    Of an account that was deleted only the second counts: one day its statements are over.
    """
    with reading() as db:
        account = db.get(ConnectorAccount, source.id)
        gone = account is not None and account.status == connector_lifecycle.Status.DELETED
        if not gone and db.get(SettlementFeed, (tenant_id, mode, source.id)) is not None:
            return True
        return any(db.scalars(_lately(tenant_id, mode, source, kind)).first() for kind in _KINDS)


def _lately(tenant_id: str, mode: str, source: gateways.Source, kind: matching.Kind) -> Select[tuple[str]]:
    """One transaction of a kind that moved at a gateway lately, if there is one."""
    owner = kind.model
    return (
        kind.joined(select(owner.id))
        .where(
            owner.tenant_id == tenant_id,
            owner.mode == mode,
            kind.moved_at >= clock.now() - RECENT,
            kind.moved,
            matching.made_at(source.type, source.id),
        )
        .limit(1)
    )


def _sync_one(tenant_id: str, mode: str, source: gateways.Source, new: dict[str, int]) -> None:
    """Read what is new at a gateway; a statement that cannot be read keeps no later one waiting.

    How far the gateway was read is then not noted: what stands in that statement is not to be missed.
    """
    found, failed = gateways.batches(tenant_id, mode, source, _since(tenant_id, mode, source.id)), None
    for batch in found.batches:
        settlement = _opened(tenant_id, mode, source, batch)
        if settlement.fetched_at is None:
            try:
                _take(settlement, batch, new)
            except DomainError as error:
                failed = failed or error
    if failed is not None:
        raise failed
    _note(tenant_id, mode, source.id, found.complete_until)


def _take(settlement: Settlement, batch: SettlementBatch, new: dict[str, int]) -> None:
    """Read a statement that was not read to its end before."""
    _read(settlement)
    lines = retrying(partial(_close, settlement, batch.net))
    if lines is not None:
        new["settlements"] += 1
        new["lines"] += lines
    if (lines or 0) > matching.CHUNK:
        _tell_the_planner()


def post_due(limit: int = 50) -> int:
    """Post the statements whose money has become available. Returns how many."""
    statement = (
        select(Settlement.id)
        .where(
            Settlement.status == _S.PENDING,
            Settlement.available_on <= clock.now(),
            Settlement.fetched_at.is_not(None),
        )
        .limit(limit)
    )
    with reading() as db:
        due = list(db.scalars(statement))
    return sweeping.each(due, lambda settlement_id: retrying(partial(_post_one, settlement_id)))


def _since(tenant_id: str, mode: str, connector_id: str) -> datetime | None:
    with reading() as db:
        feed = db.get(SettlementFeed, (tenant_id, mode, connector_id))
    return feed.complete_until - OVERLAP if feed is not None and feed.complete_until else None


def _opened(tenant_id: str, mode: str, source: gateways.Source, batch: SettlementBatch) -> Settlement:
    """The row of a statement, written when it is seen for the first time."""
    statement = select(Settlement).where(
        Settlement.tenant_id == tenant_id,
        Settlement.mode == mode,
        Settlement.connector_id == source.id,
        Settlement.reference == batch.reference,
    )
    with reading() as db:
        found = db.scalars(statement).one_or_none()
    if found is not None:
        return found
    row = Settlement(
        id=new_id("set"),
        tenant_id=tenant_id,
        mode=mode,
        connector=source.type,
        connector_id=source.id,
        reference=batch.reference,
        currency=batch.currency,
        settled_at=batch.settled_at,
        available_on=batch.available_on,
    )
    try:
        with transaction() as db:
            db.add(row)
            row.begin(cause="sync")
        return row
    except IntegrityError:  # another worker was first
        with reading() as db:
            return db.scalars(statement).one()


def _read(settlement: Settlement) -> None:
    """Fetch the lines page by page, each page kept at once."""
    cursor = None
    while True:
        page = gateways.lines(settlement, cursor)
        rows = [_row(settlement, line) for line in page.lines]
        if rows:
            retrying(partial(_keep, rows))
        cursor = page.next_cursor
        if cursor is None:
            return


def _row(settlement: Settlement, line: Given) -> dict[str, Any]:
    """A line as it is kept; a fee that stands alone is all fee, however the gateway writes it.

    Raises:
        Conflict: it is in another currency, or its net is not gross less fee.
    """
    gross, fee = (0, -line.net) if line.type == LineType.FEE else (line.gross, line.fee)
    if line.currency != settlement.currency or line.net != gross - fee:
        raise _refused(settlement, f"line {line.line_id}")
    return {
        "id": new_id("stl"),
        "settlement_id": settlement.id,
        "tenant_id": settlement.tenant_id,
        "mode": settlement.mode,
        "connector_id": settlement.connector_id,
        "line_id": line.line_id,
        "type": str(line.type),
        "reference": line.reference,
        "gross": gross,
        "fee": fee,
        "net": line.net,
        "currency": line.currency,
        "settled_at": line.settled_at,
        "available_on": line.available_on,
    }


def _keep(rows: list[dict[str, Any]]) -> None:
    with transaction() as db:
        insert = postgresql.insert if db.get_bind().dialect.name == "postgresql" else sqlite.insert
        unless_here = insert(SettlementLine).on_conflict_do_nothing(
            index_elements=["settlement_id", "line_id"]
        )
        db.connection().execute(unless_here, rows)


def _close(seen: Settlement, control_net: int | None) -> int | None:
    """All lines are here: match, sum up, and post if the money is there.

    Returns how many lines there are, or None where another worker has closed it.
    """
    line = SettlementLine
    mine = (line.tenant_id == seen.tenant_id, line.mode == seen.mode, line.settlement_id == seen.id)
    with reading() as db:
        parts = list(matching.chunks(db, *mine))
    for part in parts:
        with transaction() as db:
            matching.match(db, part)
    with transaction() as db:
        settlement = db.get_one(Settlement, seen.id, with_for_update=True)
        if settlement.fetched_at is not None:
            return None
        ours = case((line.type == LineType.PAYOUT, 0), else_=1)  # not income, so not in the sums
        sums = select(
            func.count(),
            func.coalesce(func.sum(line.net), 0),
            *(func.coalesce(func.sum(ours * column), 0) for column in (line.gross, line.fee, line.net)),
        ).where(*mine)
        count, total, gross, fee, net = (int(value) for value in db.execute(sums).one())
        if control_net is not None and control_net != total:
            raise _refused(settlement, f"its lines come to {total}, its head says {control_net}")
        settlement.line_count, settlement.fetched_at = count, clock.now()
        settlement.gross, settlement.fee, settlement.net = gross, fee, net
        if settlement.available_on <= clock.now():
            _post(db, settlement)
        return count


def _tell_the_planner() -> None:
    """After so many new rows PostgreSQL plans for the table as it was, until its own daemon comes by."""
    with transaction() as db:
        if db.get_bind().dialect.name == "postgresql":
            db.execute(text(f"ANALYZE {SettlementLine.__tablename__}"))


def _post_one(settlement_id: str) -> bool:
    with transaction() as db:
        settlement = db.get_one(Settlement, settlement_id, with_for_update=True)
        if settlement.status != _S.PENDING:
            return False
        _post(db, settlement)
        return True


def _post(db: Session, settlement: Settlement) -> None:
    line = SettlementLine
    elsewhere = select(func.coalesce(-func.sum(line.net), 0)).where(
        line.settlement_id == settlement.id, line.type == LineType.PAYOUT, line.transaction_id.is_(None)
    )
    booked = select(func.coalesce(func.sum(line.fee), 0)).where(
        line.settlement_id == settlement.id, line.type == LineType.DISPUTE
    )
    settlement.advance(_T.POSTED, cause="sync", posted_at=clock.now())
    postings.post_settlement(
        db,
        settlement,
        paid_elsewhere=int(db.scalar(elsewhere) or 0),
        booked_fees=int(db.scalar(booked) or 0),
    )


def _note(tenant_id: str, mode: str, connector_id: str, complete_until: datetime | None) -> None:
    """How far this gateway has been read; never less far than before."""
    with transaction() as db:
        insert = postgresql.insert if db.get_bind().dialect.name == "postgresql" else sqlite.insert
        feed = insert(SettlementFeed).values(
            tenant_id=tenant_id,
            mode=mode,
            connector_id=connector_id,
            complete_until=complete_until,
            synced_at=clock.now(),
        )
        known, given = SettlementFeed.complete_until, feed.excluded.complete_until
        further = case(
            (given.is_(None), known), (known.is_(None), given), (given > known, given), else_=known
        )
        db.execute(
            feed.on_conflict_do_update(
                index_elements=["tenant_id", "mode", "connector_id"],
                set_={"complete_until": further, "synced_at": feed.excluded.synced_at},
            )
        )


def _refused(settlement: Settlement, what: str) -> Conflict:
    return Conflict(
        f"The statement {settlement.reference} of {settlement.connector} does not add up: {what}",
        code="statement_does_not_add_up",
    )
