"""The database: its engine, `transaction()` and `reading()`, and prepared statements for hot paths.

SQLite (WAL) and PostgreSQL behave alike to callers: writers queue, reads never block, instants are UTC.
Recipes and measurements: docs/adr/0003.
"""

from app.db.engine import configure, dispose, engine
from app.db.prepared import Command, Lookup
from app.db.types import UtcDateTime
from app.db.units import (
    before_commit,
    in_transaction,
    lost_a_race,
    reading,
    retrying,
    transaction,
    when_undone,
)

__all__ = [
    "Command",
    "Lookup",
    "UtcDateTime",
    "before_commit",
    "configure",
    "dispose",
    "engine",
    "in_transaction",
    "lost_a_race",
    "reading",
    "retrying",
    "transaction",
    "when_undone",
]
