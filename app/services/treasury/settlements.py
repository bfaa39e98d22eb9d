"""Settlements: asking for a sync, the list, one with its transactions (PY-044 to PY-047)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Select, and_, exists, literal, or_, select
from sqlalchemy.orm import Session

from app.db import reading, transaction
from app.domain.actor import Actor
from app.domain.errors import InvalidRequest, NotFound
from app.kit import clock
from app.kit.ids import new_id
from app.kit.pagination import DEFAULT_LIMIT, Page, decode_cursor, encode_cursor
from app.models.access.tenant import Tenant
from app.models.events.journal import record
from app.models.operations.job import Job
from app.models.payments.attempt import Attempt
from app.models.treasury.settlement import Settlement, SettlementLine
from app.services.operations import jobs, paging
from app.services.treasury import gateways

MODES = ("test", "live")
_LATEST = (Settlement.settled_at.desc(), Settlement.id.desc())


@dataclass(frozen=True, slots=True)
class Filters:
    """Which statements; `since` and `until` bound `settled_at`, the latter left out."""

    status: str | None = None
    connector_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def request_sync(actor: Actor, connector_id: str | None = None) -> str:
    """Have the statements read, of one gateway or of all that the merchant uses; the id of the job.

    Raises:
        NotFound: no such connector.
    """
    wanted = None
    if connector_id is not None:
        wanted = [gateways.named(connector_id, gateways.settling(actor.tenant_id, str(actor.mode))).id]
    with transaction(actor) as db:
        job_id = _enqueue(db, actor.tenant_id, str(actor.mode), wanted)
        record(
            db,
            "settlement.sync_requested",
            tenant_id=actor.tenant_id,
            mode=actor.mode,
            entity="job",
            entity_id=job_id,
            cause="api",
            after={"id": job_id, "connectors": wanted},
        )
    return job_id


def sync_daily(limit: int = 500) -> int:
    """Once a UTC day, have the statements of each active merchant read. Returns how many jobs were made."""
    day, made = clock.now().date().isoformat(), 0
    for mode in MODES:
        key = literal("settlements.sync:") + Tenant.id + literal(f":{mode}:{day}")
        active = exists().where(
            Attempt.tenant_id == Tenant.id, Attempt.mode == mode, Attempt.captured_at.is_not(None)
        )
        due = select(Tenant.id).where(active, ~exists().where(Job.unique_key == key)).order_by(Tenant.id)
        with transaction() as db:
            for tenant_id in db.scalars(due.limit(limit)).all():
                _enqueue(db, tenant_id, mode, None, f"settlements.sync:{tenant_id}:{mode}:{day}")
                made += 1
    return made


def list_page(
    actor: Actor,
    which: Filters | None = None,
    *,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
    page: int | None = None,
) -> Page[Settlement]:
    """Statements, the latest settled first.

    Raises:
        InvalidRequest: not a cursor of this list, or a cursor and a page's number.
    """
    row = Settlement
    statement = _filtered(actor, which)
    if page is not None:
        return paging.numbered(statement.order_by(*_LATEST), limit=limit, page=page, cursor=cursor)
    if cursor:
        at, last = _decode(cursor)
        statement = statement.where(or_(row.settled_at < at, and_(row.settled_at == at, row.id < last)))
    with reading() as db:
        rows = list(db.scalars(statement.order_by(*_LATEST).limit(limit + 1)))
    return Page(rows[:limit], _encode(rows[limit - 1]) if len(rows) > limit else None)


def get(actor: Actor, settlement_id: str) -> Settlement:
    """One statement of this merchant and mode.

    Raises:
        NotFound: there is none, or it is another merchant's.
    """
    with reading() as db:
        found = db.scalars(_mine(actor).where(Settlement.id == settlement_id)).one_or_none()
    if found is None:
        raise NotFound("Settlement not found", code="settlement_not_found")
    return found


def lines(
    actor: Actor, settlement_id: str, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None
) -> Page[SettlementLine]:
    """The lines of a statement in the gateway's order.

    Raises:
        InvalidRequest: not a cursor of this list.
        NotFound: no such statement.
    """
    line, owner = SettlementLine, get(actor, settlement_id)
    statement = select(line).where(  # merchant and mode as well: the index in this order begins with them
        line.tenant_id == owner.tenant_id, line.mode == owner.mode, line.settlement_id == owner.id
    )
    if cursor:
        last = decode_cursor(cursor)
        if last is None:
            raise InvalidRequest("Not a cursor of this list", field="cursor")
        statement = statement.where(line.id > last)
    with reading() as db:
        rows = list(db.scalars(statement.order_by(line.id).limit(limit + 1)))
    return Page(rows[:limit], encode_cursor(rows[limit - 1].id) if len(rows) > limit else None)


def _enqueue(
    db: Session, tenant_id: str, mode: str, connectors: list[str] | None, unique_key: str | None = None
) -> str:
    job_id = new_id("job")
    jobs.enqueue(
        db,
        "settlements.sync",
        {"tenant_id": tenant_id, "mode": mode, "connectors": connectors},
        tenant_id=tenant_id,
        mode=mode,
        unique_key=unique_key,
        job_id=job_id,
    )
    return job_id


def _mine(actor: Actor) -> Select[Settlement]:
    return select(Settlement).where(Settlement.tenant_id == actor.tenant_id, Settlement.mode == actor.mode)


def _filtered(actor: Actor, which: Filters | None) -> Select[Settlement]:
    row, which = Settlement, which or Filters()
    conditions = []
    if which.status:
        conditions.append(row.status == which.status)
    if which.connector_id:
        conditions.append(row.connector_id == which.connector_id)
    if which.since:
        conditions.append(row.settled_at >= which.since)
    if which.until:
        conditions.append(row.settled_at < which.until)
    return _mine(actor).where(*conditions)


def _encode(row: Settlement) -> str:
    """A cursor over time and id: microseconds since 1970, an underscore, the id."""
    return encode_cursor(f"{round(row.settled_at.timestamp() * 1_000_000)}_{row.id}")


def _decode(cursor: str) -> tuple[datetime, str]:
    at, _, last = (decode_cursor(cursor) or "").partition("_")
    if not at.isdigit() or len(at) > 16 or not last:
        raise InvalidRequest("Not a cursor of this list", field="cursor")
    seconds, micros = divmod(int(at), 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros), last
