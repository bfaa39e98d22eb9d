"""Housekeeping: rows that nobody looks at any more."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete

from app.db import transaction
from app.kit import clock
from app.models.operations.idempotency import IdempotencyRecord
from app.services.operations import csp_reports, rate_counters, rate_limits

#: Idempotency keys are kept for a day (OP-13).
KEEP_KEYS = timedelta(hours=24)


def clean() -> int:
    """Drop old idempotency records, rate windows, counters and reports. Returns how many."""
    old = delete(IdempotencyRecord).where(IdempotencyRecord.created_at < clock.now() - KEEP_KEYS)
    with transaction() as db:
        dropped = int(db.execute(old).rowcount)  # type: ignore[attr-defined]
    return dropped + rate_limits.clean() + rate_counters.clean() + csp_reports.clean()
