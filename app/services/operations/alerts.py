"""Alerts: an operator is called where nothing else will put it right (OP-78).

An alert is an error in the log, a count, and an entry of the journal, which is audit record and event at
once; `raise_alert` writes all but the entry, which is the caller's own.
"""

from __future__ import annotations

from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from app.db import reading
from app.domain.actor import Actor
from app.kit import clock
from app.models.operations.alert import AlertCounter

log = structlog.get_logger("till.alerts")


def raise_alert(db: Session, name: str, *, tenant_id: str, mode: str, entity_id: str) -> None:
    """Count and log an alert in the caller's transaction; `name` is that of its event."""
    now = clock.now()
    dialect: Any = postgresql if db.get_bind().dialect.name == "postgresql" else sqlite
    first = {"tenant_id": tenant_id, "mode": mode, "name": name, "count": 1, "last_at": now}
    statement = dialect.insert(AlertCounter).values(first)
    again = {"count": AlertCounter.count + 1, "last_at": now}
    db.execute(statement.on_conflict_do_update(index_elements=["tenant_id", "mode", "name"], set_=again))
    log.error("alert", alert=name, tenant_id=tenant_id, entity_id=entity_id)


def counts(actor: Actor) -> dict[str, int]:
    """How often each kind of alert was raised for this merchant and mode."""
    mine = (AlertCounter.tenant_id == actor.tenant_id, AlertCounter.mode == actor.mode)
    with reading() as db:
        return {row.name: row.count for row in db.scalars(select(AlertCounter).where(*mine))}
