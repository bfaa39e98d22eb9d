"""The journal: one append-only row per fact, which is history, timeline, audit entry and outbox at once.

A row is written in the transaction of the change it tells of. The worker *seals* rows in order: it gives
each the next number of its merchant's chain and `SHA256(previous ‖ row)`, and fans the published ones out
to webhook endpoints in the same transaction. An unsealed row is therefore an undelivered one, and no
merchant's payments queue behind each other for the head of a chain (docs/adr/0006).
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any, TypedDict

from sqlalchemy import Index, String, insert, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from app.db import Command, before_commit
from app.domain.actor import Actor
from app.kit import clock
from app.kit.canonical import canonical_bytes
from app.kit.ids import new_id
from app.models.base import Base, Owned
from app.models.types import PrimaryId

#: The cause of facts about what was asked for and refused: audited, and told to no webhook endpoint.
REFUSED = "refused"


class JournalLinks(TypedDict):
    """The checkout and the payment that a fact belongs to."""

    checkout_id: str | None
    payment_intent_id: str | None


class JournalEntry(Owned, Base):
    """A fact: who did what to which entity, from which status to which, and why."""

    __tablename__ = "journal"
    __table_args__ = (
        Index(
            "ix_journal_unsealed",
            "id",
            sqlite_where=text("sequence IS NULL"),
            postgresql_where=text("sequence IS NULL"),
        ),
        Index(
            "uq_journal_chain",
            "tenant_id",
            "sequence",
            unique=True,
            sqlite_where=text("sequence IS NOT NULL"),
            postgresql_where=text("sequence IS NOT NULL"),
        ),
        Index("ix_journal_entity", "tenant_id", "entity_id", "id"),
        Index(
            "ix_journal_checkout",
            "tenant_id",
            "checkout_id",
            "id",
            sqlite_where=text("checkout_id IS NOT NULL"),
            postgresql_where=text("checkout_id IS NOT NULL"),
        ),
        Index("ix_journal_payment", "tenant_id", "payment_intent_id", "id"),
        Index("ix_journal_type", "tenant_id", "mode", "type", "created_at", "id"),
        Index("ix_journal_time", "tenant_id", "mode", "created_at", "id"),
        Index(
            "ix_journal_people",
            "tenant_id",
            "mode",
            "actor_id",
            "created_at",
            "id",
            sqlite_where=text("actor_kind = 'user'"),
            postgresql_where=text("actor_kind = 'user'"),
        ),
    )

    id: Mapped[PrimaryId]
    type: Mapped[str] = mapped_column(String(64))
    entity: Mapped[str] = mapped_column(String(32))
    entity_id: Mapped[str] = mapped_column(String(64))
    checkout_id: Mapped[str | None] = mapped_column(String(40))
    payment_intent_id: Mapped[str | None] = mapped_column(String(40))
    trigger: Mapped[str | None] = mapped_column(String(32))
    from_status: Mapped[str | None] = mapped_column(String(32))
    to_status: Mapped[str | None] = mapped_column(String(32))
    cause: Mapped[str] = mapped_column(String(64))
    actor_kind: Mapped[str] = mapped_column(String(20))
    actor_id: Mapped[str] = mapped_column(String(64))
    on_behalf_of: Mapped[str | None] = mapped_column(String(64))
    correlation_id: Mapped[str] = mapped_column(String(64))
    data: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    sequence: Mapped[int | None]
    hash: Mapped[str | None] = mapped_column(String(64))

    def sealed_hash(self, previous: str, sequence: int) -> str:
        """`SHA256(previous ‖ canonical row)`, hexadecimal, as security.md has it."""
        row = {
            name: getattr(self, name)
            for name in (
                "id",
                "tenant_id",
                "mode",
                "type",
                "entity",
                "entity_id",
                "checkout_id",
                "payment_intent_id",
                "trigger",
                "from_status",
                "to_status",
                "cause",
                "actor_kind",
                "actor_id",
                "on_behalf_of",
                "correlation_id",
                "data",
            )
        }
        row["created_at"] = self.created_at.isoformat()
        row["sequence"] = sequence
        return hashlib.sha256(previous.encode() + canonical_bytes(row)).hexdigest()


def record(
    session: Session,
    type_: str,
    *,
    tenant_id: str,
    mode: str,
    entity: str,
    entity_id: str,
    cause: str,
    checkout_id: str | None = None,
    payment_intent_id: str | None = None,
    trigger: str | None = None,
    from_status: str | None = None,
    to_status: str | None = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> str:
    """Put a fact on the journal of this transaction and return its event id (`evt_…`).

    Rows are collected and written as one statement just before the commit.
    """
    actor: Actor | None = session.info.get("actor")
    event_id = new_id("evt")
    session.info.setdefault("journal", []).append(
        {
            "id": event_id,
            "tenant_id": tenant_id,
            "mode": mode,
            "type": str(type_),
            "entity": entity,
            "entity_id": entity_id,
            "checkout_id": checkout_id,
            "payment_intent_id": payment_intent_id,
            "trigger": trigger,
            "from_status": from_status,
            "to_status": to_status,
            "cause": cause,
            "actor_kind": str(actor.kind) if actor else "system",
            "actor_id": actor.id if actor else "system",
            "on_behalf_of": actor.on_behalf_of if actor else None,
            "correlation_id": (actor.request_id if actor else "") or event_id,
            "data": {"object": after or {}, "before": before, "after": after},
            "created_at": clock.now(),
            "sequence": None,
            "hash": None,
        }
    )
    return event_id


#: Made once: building a statement costs more than running it.
_INSERT = Command(lambda _: insert(JournalEntry.__table__))  # type: ignore[arg-type]


@before_commit
def _write(session: Session) -> None:
    rows = session.info.pop("journal", None)
    if rows:
        _INSERT.later(session, *rows)
