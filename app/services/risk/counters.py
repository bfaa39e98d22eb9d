"""Velocity counters: counted and read in one statement, right over any number of processes.

An upsert takes the rows' locks in the order of their keys and gives back what they hold then, so that of
sixteen at once each sees those before it. A transaction that fails counts nothing. Nothing else may be
locked after them in the same transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import bindparam, case, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from app.db import Lookup, transaction
from app.domain.rules import velocity
from app.domain.rules.velocity import Scope
from app.kit import clock
from app.kit.canonical import fingerprint
from app.models.risk.velocity_counter import VelocityCounter

_TABLE: Any = VelocityCounter.__table__
_INSERT: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
_METRICS = ("tries", "declines", "amount")


@dataclass(frozen=True, slots=True)
class Key:
    """A counter and the length of its window."""

    bucket: str
    window_seconds: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What a counter holds; each pair is (this fixed window, the one before)."""

    window_seconds: int
    window_start: int
    tries: tuple[int, int]
    declines: tuple[int, int]
    amount: tuple[int, int]

    def sliding(self, pair: tuple[int, int], now: float) -> int:
        """One of the pairs over the sliding window."""
        return velocity.sliding(
            pair[0], pair[1], now=now, start=self.window_start, window_seconds=self.window_seconds
        )


def key(owner: Sequence[str], scope: Scope, value: str, window_seconds: int, currency: str = "") -> Key:
    """The counter of a value that was hashed by its source; `owner` is merchant and mode."""
    bucket = fingerprint([*owner, str(scope), value, window_seconds, currency])
    return Key(bucket, window_seconds)


def add(
    db: Session, keys: Iterable[Key], *, tries: int = 0, declines: int = 0, amount: int = 0
) -> dict[str, Reading]:
    """Count, and read what the counters hold with it, by bucket."""
    now = clock.now().timestamp()
    ordered = sorted(set(keys), key=lambda item: item.bucket)
    if not ordered:
        return {}
    counted = {"tries": tries, "declines": declines, "amount": amount}
    given: dict[str, Any] = {}
    for number, item in enumerate(ordered):
        start = velocity.start_of(now, item.window_seconds)
        row = {"bucket": item.bucket, "window_seconds": item.window_seconds, "window_start": start}
        row |= {"over_at": start + 2 * item.window_seconds, **counted}
        given |= {f"{name}_{number}": value for name, value in row.items()}
    found = _upsert(db.get_bind().dialect.name, len(ordered)).all(db, given)
    return {row.bucket: _reading(row._asdict()) for row in found}


def look(db: Session, keys: Iterable[Key]) -> dict[str, Reading]:
    """Read counters without counting, by bucket; one that was never used is not among them."""
    now = clock.now().timestamp()
    wanted = {item.bucket: item for item in keys}
    if not wanted:
        return {}
    found = db.connection().execute(select(_TABLE).where(_TABLE.c.bucket.in_(wanted))).mappings()
    return {row["bucket"]: _rolled(_reading(row), now) for row in found}


def clean() -> int:
    """Drop counters of which no window holds anything any more. Returns how many.

    Those in a confirm's hands are left: it locks several, in another order than we would.
    """
    now = int(clock.now().timestamp())
    idle = select(VelocityCounter.bucket).where(VelocityCounter.over_at <= now)
    over = delete(VelocityCounter).where(VelocityCounter.bucket.in_(idle.with_for_update(skip_locked=True)))
    with transaction() as db:
        return int(db.execute(over).rowcount)  # type: ignore[attr-defined]


def _reading(row: Any) -> Reading:
    tries, declines, amount = ((row[name], row[f"{name}_before"]) for name in _METRICS)
    return Reading(row["window_seconds"], row["window_start"], tries, declines, amount)


def _rolled(seen: Reading, now: float) -> Reading:
    """The reading as the next upsert would find it."""
    start = velocity.start_of(now, seen.window_seconds)
    if seen.window_start in (start, start + seen.window_seconds):
        return seen
    follows = start == seen.window_start + seen.window_seconds
    tries, declines, amount = (
        (0, pair[0] if follows else 0) for pair in (seen.tries, seen.declines, seen.amount)
    )
    return Reading(seen.window_seconds, start, tries, declines, amount)


@lru_cache(maxsize=32)
def _upsert(dialect: str, rows: int) -> Lookup:
    """Made once for each number of counters: building a statement costs more than running it."""
    given = ("bucket", "window_seconds", "window_start", "over_at", *_METRICS)
    zeros = {f"{name}_before": 0 for name in _METRICS}
    statement = _INSERT[dialect](_TABLE).values(
        [
            {name: bindparam(f"{name}_{row}", type_=_TABLE.c[name].type) for name in given} | zeros
            for row in range(rows)
        ]
    )
    old, new = _TABLE.c, statement.excluded
    # Also where another process' clock is ahead by a window; what lies further ahead was a wrong clock's.
    same = old.window_start.in_((new.window_start, new.window_start + new.window_seconds))
    follows = old.window_start == new.window_start - new.window_seconds
    changes: dict[str, Any] = {
        "window_start": case((same, old.window_start), else_=new.window_start),
        "over_at": case((same, old.over_at), else_=new.over_at),
    }
    for name in _METRICS:
        before = f"{name}_before"
        changes[name] = case((same, old[name] + new[name]), else_=new[name])
        changes[before] = case((same, old[before]), (follows, old[name]), else_=0)
    upsert = statement.on_conflict_do_update(index_elements=[old.bucket], set_=changes)
    return Lookup(upsert.returning(_TABLE))
