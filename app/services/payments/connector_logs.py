"""Connector logs (PY-082): one row for each call of a gateway, written beside the payment, never within it.

Rows are collected in this process and written a moment later, many at once, so that no payment waits for
them. A process that is killed loses the last half second of them: they are for looking, not for accounting.
"""

from __future__ import annotations

import atexit
import threading
from collections import deque
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Engine, delete, insert, select

from app import db
from app.db import transaction
from app.domain.actor import Actor
from app.kit import clock
from app.kit.ids import new_id
from app.kit.pagination import DEFAULT_LIMIT, Page
from app.models.payments.connector import ConnectorLog
from app.services.operations import paging

log = structlog.get_logger("till.connector_logs")

#: How long rows are kept.
KEEP = timedelta(days=30)
#: More than this is not held back in one process; what comes on top pushes out the oldest.
MAX_WAITING = 10_000
#: Rows dropped in one statement when they are cleaned up.
_BATCH = 5_000

#: How long rows are collected before they are written; None: until `flush` is called (tests).
delay_seconds: float | None = 0.5

_waiting: deque[tuple[Engine, dict[str, Any]]] = deque(maxlen=MAX_WAITING)
_lock = threading.Lock()
_timer: threading.Timer | None = None


def note(
    *,
    tenant_id: str,
    mode: str,
    connector_id: str | None,
    type_: str,
    operation: str,
    outcome: str,
    latency_ms: int,
    error: str | None = None,
    key: str | None = None,
    entity_id: str | None = None,
    reference: str | None = None,
) -> None:
    """Remember a call; it is written soon."""
    row = {
        "id": new_id("clg"),
        "tenant_id": tenant_id,
        "mode": mode,
        "connector_id": connector_id or type_,
        "type": type_,
        "operation": operation,
        "outcome": outcome,
        "error": error[:64] if error else None,
        "latency_ms": latency_ms,
        "key": key,
        "entity_id": entity_id,
        "reference": reference,
        "created_at": clock.now(),
    }
    with _lock:
        _waiting.append((db.engine(), row))
        _write_soon()


def flush() -> int:
    """Write what was collected. Returns how many rows."""
    with _lock:
        collected = list(_waiting)
        _waiting.clear()
    # A row for a database that this process has left meanwhile is dropped.
    rows = [row for engine, row in collected if engine is db.engine()]
    if rows:
        with transaction() as session:
            session.execute(insert(ConnectorLog), rows)
    return len(rows)


def list_page(
    actor: Actor,
    connector_id: str,
    *,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
    page: int | None = None,
    operation: str | None = None,
    outcome: str | None = None,
) -> Page[ConnectorLog]:
    """Calls of one connector of this merchant, newest first.

    Raises:
        InvalidRequest: not a cursor of this list.
    """
    statement = select(ConnectorLog).where(
        ConnectorLog.tenant_id == actor.tenant_id,
        ConnectorLog.mode == actor.mode,
        ConnectorLog.connector_id == connector_id,
    )
    if operation:
        statement = statement.where(ConnectorLog.operation == operation)
    if outcome:
        statement = statement.where(ConnectorLog.outcome == outcome)
    return paging.newest_first(statement, ConnectorLog.id, limit=limit, cursor=cursor, page=page)


def clean() -> int:
    """Drop rows that are older than they are kept, in small transactions. Returns how many."""
    before, dropped = clock.now() - KEEP, 0
    while True:
        some = _drop(before)
        dropped += some
        if some < _BATCH:
            return dropped


def _drop(before: datetime) -> int:
    old = select(ConnectorLog.id).where(ConnectorLog.created_at < before).limit(_BATCH)
    with transaction() as session:
        dropped = session.execute(delete(ConnectorLog).where(ConnectorLog.id.in_(old)))
        return int(dropped.rowcount)  # type: ignore[attr-defined]


def _write_soon() -> None:
    """Let a thread write in a moment, unless one is about to; called under the lock."""
    global _timer
    if delay_seconds is not None and _timer is None:
        _timer = threading.Timer(delay_seconds, _write_now)
        _timer.daemon = True
        _timer.start()


def _write_now() -> None:
    global _timer
    with _lock:
        _timer = None
    try:
        flush()
    except Exception:  # the payments went through; only their log did not
        log.exception("connector_logs_not_written")


@atexit.register
def _write_at_exit() -> None:
    if _waiting and delay_seconds is not None:
        _write_now()
