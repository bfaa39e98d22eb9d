"""The general rate limits counted in the database: one statement a call, right over all that share it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, case, delete
from sqlalchemy.dialects import postgresql, sqlite

from app.db import transaction
from app.kit import clock
from app.kit.canonical import fingerprint
from app.models.operations.rate_counter import RateCounter

_TABLE: Any = RateCounter.__table__


def _upsert(dialect: Any) -> Any:
    statement = dialect.insert(_TABLE)
    old, new = _TABLE.c, statement.excluded
    # A window that is over makes room; so does one that the clock of another machine has put far ahead.
    is_open = (old.ends_at > bindparam("now")) & (old.ends_at <= new.ends_at)
    changes = {
        "calls": case((is_open, old.calls + 1), else_=1),
        "ends_at": case((is_open, old.ends_at), else_=new.ends_at),
    }
    upsert = statement.values(
        bucket=bindparam("key"), ends_at=bindparam("ends"), calls=1
    ).on_conflict_do_update(index_elements=[old.bucket], set_=changes)
    return upsert.returning(old.calls, old.ends_at)


#: Made once: building a statement costs more than running it.
_UPSERT = {"postgresql": _upsert(postgresql), "sqlite": _upsert(sqlite)}


class Counters:
    """Fixed windows as rows; see `Counters` in web/counters.py."""

    def count(self, key: str, window_seconds: int) -> tuple[int, float]:
        """Count a call: how many there are in the open window, and when it ends (unix seconds)."""
        now = clock.now().timestamp()
        values = {"key": fingerprint(key), "now": now, "ends": now + window_seconds}
        with transaction() as db:
            connection = db.connection()
            calls, ends = connection.execute(_UPSERT[connection.dialect.name], values).one()
        return calls, ends


def clean() -> int:
    """Drop windows that are over. Returns how many."""
    over = delete(RateCounter).where(RateCounter.ends_at < clock.now().timestamp())
    with transaction() as db:
        return int(db.execute(over).rowcount)  # type: ignore[attr-defined]
