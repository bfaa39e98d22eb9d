"""How a merchant's connectors do: success rate from the attempts, latency from the logs (requirement 9)."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import case, func, or_, select, union_all
from sqlalchemy.orm import Session

from app.db import reading
from app.domain.actor import Actor
from app.domain.lifecycles.attempts import Status as AttemptStatus
from app.domain.lifecycles.connectors import Status
from app.kit import clock
from app.models.payments.attempt import Attempt
from app.models.payments.connector import ConnectorAccount, ConnectorLog

#: Of each connector, the latency of so many of its latest authorisations is looked at.
SAMPLE = 500
#: The decline code of what a gateway did not execute.
_NOT_EXECUTED = "gateway_unavailable"


@dataclass(frozen=True, slots=True)
class Performance:
    """One connector over some days; latencies in milliseconds, None where there was no call.

    `connector_id` is None for the connector that needs no account. `undecided` are payments whose outcome is
    open; `unreachable` those that the gateway provably did not execute.
    """

    connector_id: str | None
    type: str
    name: str
    approved: int = 0
    declined: int = 0
    unreachable: int = 0
    undecided: int = 0
    median_ms: int | None = None
    p95_ms: int | None = None

    @property
    def success_rate(self) -> int | None:
        """Percent of decided payments that were approved."""
        decided = self.approved + self.declined
        return round(100 * self.approved / decided) if decided else None


def performance(actor: Actor, *, days: int = 30) -> list[Performance]:
    """Each connector of the merchant, in the order of their priority, in three queries."""
    since = clock.now() - timedelta(days=days)
    accounts = (
        select(ConnectorAccount.id, ConnectorAccount.type, ConnectorAccount.name)
        .where(
            ConnectorAccount.tenant_id == actor.tenant_id,
            ConnectorAccount.mode == actor.mode,
            ConnectorAccount.status != Status.DELETED,
        )
        .order_by(ConnectorAccount.priority, ConnectorAccount.id)
    )
    with reading() as db:
        named = [(row.id, row.type, row.name) for row in db.execute(accounts)]
        counts = _counts(db, actor, [connector_id for connector_id, _, _ in named], since)
        shown: list[tuple[str | None, str, str]] = [
            *named,
            *((None, type_, type_) for connector_id, type_ in counts if connector_id is None),
        ]
        latencies = _latencies(db, actor, [connector_id or type_ for connector_id, type_, _ in shown])
    return [
        Performance(
            connector_id,
            type_,
            name,
            *counts.get((connector_id, type_), (0, 0, 0, 0)),
            median_ms=_percentile(latencies[connector_id or type_], 50),
            p95_ms=_percentile(latencies[connector_id or type_], 95),
        )
        for connector_id, type_, name in shown
    ]


def _counts(
    db: Session, actor: Actor, connector_ids: list[str], since: datetime
) -> dict[tuple[str | None, str], tuple[int, int, int, int]]:
    """(connector, type) → approved, declined, unreachable, undecided."""
    approved, fruitless = Attempt.authorized_at.is_not(None), Attempt.authorized_at.is_(None)
    declined = (Attempt.status == AttemptStatus.DECLINED) & (Attempt.decline_code != _NOT_EXECUTED)
    lost = (Attempt.status == AttemptStatus.NOT_FOUND) | (Attempt.decline_code == _NOT_EXECUTED)
    kinds = (approved, fruitless & declined, fruitless & lost)
    sums = [func.coalesce(func.sum(case((kind, 1), else_=0)), 0) for kind in kinds]
    statement = (
        select(Attempt.connector_id, Attempt.connector, *sums, func.count())
        .where(
            Attempt.tenant_id == actor.tenant_id,
            Attempt.mode == actor.mode,
            or_(Attempt.connector_id.in_(connector_ids), Attempt.connector_id.is_(None)),
            Attempt.created_at >= since,
            Attempt.block_code.is_(None),  # else no gateway heard of it
        )
        .group_by(Attempt.connector_id, Attempt.connector)
    )
    return {
        (connector_id, type_): (int(yes), int(no), int(none), int(total - yes - no - none))
        for connector_id, type_, yes, no, none, total in db.execute(statement)
    }


def _latencies(db: Session, actor: Actor, names: list[str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    if not names:
        return found
    latest = [
        select(ConnectorLog.connector_id, ConnectorLog.latency_ms)
        .where(
            ConnectorLog.tenant_id == actor.tenant_id,
            ConnectorLog.mode == actor.mode,
            ConnectorLog.connector_id == name,
            ConnectorLog.operation == "authorize",
        )
        .order_by(ConnectorLog.id.desc())
        .limit(SAMPLE)
        .subquery()
        for name in names
    ]
    for name, latency in db.execute(union_all(*(select(part) for part in latest))):
        found[name].append(latency)
    return found


def _percentile(values: list[int], percent: int) -> int | None:
    """By the nearest rank."""
    if not values:
        return None
    return sorted(values)[max(0, -(-len(values) * percent // 100) - 1)]
