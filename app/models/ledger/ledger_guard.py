"""Triggers that keep the ledger append-only: a wrong posting is set right by another one, never changed."""

from __future__ import annotations

from sqlalchemy import Connection

from app.models import triggers

_TABLES = ("ledger_transactions", "ledger_postings")
#: The one thing that is noted later: that the day's sums have it (balance.py).
_NOTED = ("summed_at",)


def install(connection: Connection) -> None:
    """Create the triggers, over the columns that the tables have now; doing it twice does no harm."""
    for table in _TABLES:
        facts = triggers.facts(connection, table, but=_NOTED)
        triggers.refuse(
            connection, table, f"{table}_stand", f"UPDATE OF {facts}", "the ledger cannot be changed"
        )
        triggers.refuse(connection, table, f"{table}_stay", "DELETE", "the ledger cannot be deleted")


def remove(connection: Connection) -> None:
    """Drop the triggers (a migration that has to change a table does so, and installs them again)."""
    for table in _TABLES:
        triggers.allow(connection, table, f"{table}_stand")
        triggers.allow(connection, table, f"{table}_stay")
