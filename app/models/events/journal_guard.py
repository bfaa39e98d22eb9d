"""Triggers that keep the journal append-only in the database itself (security.md, Audit).

An unsealed row may only be given its place in the chain; a sealed row cannot be changed; no row can be
deleted.
"""

from __future__ import annotations

from sqlalchemy import Connection

from app.models import triggers

TABLE = "journal"
#: What sealing may set; any other column is as it was written.
_SEAL = ("sequence", "hash")

_RULES = (
    ("journal_facts_stand", "UPDATE OF {facts}", "", "a journal entry cannot be changed"),
    (
        "journal_seal_stands",
        "UPDATE",
        "WHEN (OLD.sequence IS NOT NULL)",
        "a sealed journal entry cannot be changed",
    ),
    ("journal_stays", "DELETE", "", "a journal entry cannot be deleted"),
)


def install(connection: Connection) -> None:
    """Create the triggers, over the columns that the table has now; doing it twice does no harm."""
    facts = triggers.facts(connection, TABLE, but=_SEAL)
    for name, event, condition, message in _RULES:
        triggers.refuse(connection, TABLE, name, event.format(facts=facts), message, condition)


def remove(connection: Connection) -> None:
    """Drop the triggers (a migration that has to change the table does so, and installs them again)."""
    for name, *_ in _RULES:
        triggers.allow(connection, TABLE, name)
