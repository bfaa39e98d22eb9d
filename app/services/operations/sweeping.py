"""Sweeps over rows whose time has come: each is one sweeper's, and one that breaks keeps no other waiting."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import select, update

from app.db import reading, transaction
from app.kit import clock

log = structlog.get_logger("till.sweeping")

#: How long one sweeper has for a row before another may look at it; what breaks is due again after it.
CLAIM = timedelta(seconds=60)


def claim_due(model: Any, limit: int) -> list[str]:
    """Ids of rows whose `next_query_at` has come, the longest due first, claimed for this sweep."""
    due = select(model.id, model.next_query_at).where(model.next_query_at <= clock.now())
    with reading() as db:
        rows = db.execute(due.order_by(model.next_query_at).limit(limit)).all()
    return [row_id for row_id, seen in rows if _claim(model, row_id, seen)]


def each(ids: Iterable[str], work: Callable[[str], object]) -> int:
    """Do the work for each, and log what breaks. Returns for how many there was something to do."""
    return sum(_done(row_id, work) for row_id in ids)


def _done(row_id: str, work: Callable[[str], object]) -> bool:
    try:
        return work(row_id) is not False
    except Exception:
        log.exception("sweep_broke", entity_id=row_id)
        return False


def _claim(model: Any, row_id: str, seen: datetime) -> bool:
    claim = (
        update(model)
        .where(model.id == row_id, model.next_query_at == seen)
        .values(next_query_at=clock.now() + CLAIM, updated_at=model.updated_at)
        .execution_options(synchronize_session=False)
    )
    with transaction() as db:
        return bool(db.execute(claim).rowcount)  # type: ignore[attr-defined]
