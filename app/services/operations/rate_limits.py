"""Strict rate limits: sliding windows counted in the database, right over any number of processes."""

from __future__ import annotations

import math
from datetime import timedelta

from sqlalchemy import delete, func, insert, select

from app.db import transaction
from app.domain.errors import RateLimited
from app.kit import clock
from app.kit.canonical import fingerprint
from app.kit.ids import new_id
from app.models.operations.rate_window import RateHit


def hit(name: str, who: str, *, limit: int, window_seconds: int) -> None:
    """Count a request of `who` against the limit `name`; refused ones do not count.

    Two that come at the same moment may both see the last slot; the window is a brake, not a lock.

    Raises:
        RateLimited: with the seconds until a slot is free.
    """
    bucket = fingerprint([name, who])
    now = clock.now()
    since = now - timedelta(seconds=window_seconds)
    with transaction() as db:
        seen, oldest = db.execute(
            select(func.count(), func.min(RateHit.at)).where(RateHit.bucket == bucket, RateHit.at > since)
        ).one()
        if seen < limit:
            db.execute(insert(RateHit), {"id": new_id("hit"), "bucket": bucket, "at": now, "weight": 1})
            return
    raise RateLimited(max(1, math.ceil((oldest - since).total_seconds())))


def forget(name: str, who: str) -> None:
    """Start the count anew (after a success)."""
    with transaction() as db:
        db.execute(delete(RateHit).where(RateHit.bucket == fingerprint([name, who])))


def clean(older_than_seconds: int = 3600) -> int:
    """Drop what no window looks at any more. Returns how many."""
    limit = clock.now() - timedelta(seconds=older_than_seconds)
    with transaction() as db:
        return int(db.execute(delete(RateHit).where(RateHit.at < limit)).rowcount)  # type: ignore[attr-defined]
