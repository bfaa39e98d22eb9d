"""Strict rate limits: sliding windows counted in the database, right over any number of processes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from app.db import transaction
from app.domain.errors import RateLimited
from app.kit import clock
from app.kit.canonical import fingerprint
from app.kit.ids import new_id
from app.models.operations.rate_window import RateHit


@dataclass(frozen=True, slots=True)
class Left:
    """How many requests are left, the seconds until the next slot frees, and what takes this one back."""

    remaining: int
    reset_seconds: int
    hit_id: str


def hit(name: str, who: str, *, limit: int, window_seconds: int) -> Left:
    """Count a request of `who` against the limit `name`; refused ones do not count.

    Those who come for one bucket at the same moment queue, so that the last slot is given once.

    Raises:
        RateLimited: with the seconds until a slot is free.
    """
    bucket = fingerprint([name, who])
    now = clock.now()
    since = now - timedelta(seconds=window_seconds)
    with transaction() as db:
        _queue(db, bucket)
        seen, oldest = db.execute(
            select(func.count(), func.min(RateHit.at)).where(RateHit.bucket == bucket, RateHit.at > since)
        ).one()
        if seen < limit:
            hit_id = new_id("hit")
            db.execute(insert(RateHit), {"id": hit_id, "bucket": bucket, "at": now, "weight": 1})
            return Left(limit - seen - 1, _whole((oldest or now) - since), hit_id)
    raise RateLimited(_whole(oldest - since))


def take_back(hits: Sequence[Left]) -> None:
    """Let requests that were counted not count after all."""
    with transaction() as db:
        db.execute(delete(RateHit).where(RateHit.id.in_([left.hit_id for left in hits])))


def _whole(time: timedelta) -> int:
    """Whole seconds, at least one, of which none is too short."""
    return max(1, math.ceil(time.total_seconds()))


def note(db: Session, name: str) -> None:
    """Count something that has no limit of its own, in the caller's transaction."""
    row = {"id": new_id("hit"), "bucket": fingerprint([name]), "at": clock.now(), "weight": 1}
    db.execute(insert(RateHit), row)


def _queue(db: Session, bucket: str) -> None:
    """PostgreSQL counts side by side unless told otherwise; SQLite has one writer anyway."""
    if db.get_bind().dialect.name == "postgresql":
        db.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(bucket, 0))))


def forget(name: str, who: str) -> None:
    """Start the count anew (after a success)."""
    with transaction() as db:
        db.execute(delete(RateHit).where(RateHit.bucket == fingerprint([name, who])))


def clean(older_than_seconds: int = 3600) -> int:
    """Drop what no window looks at any more. Returns how many."""
    limit = clock.now() - timedelta(seconds=older_than_seconds)
    with transaction() as db:
        return int(db.execute(delete(RateHit).where(RateHit.at < limit)).rowcount)  # type: ignore[attr-defined]
