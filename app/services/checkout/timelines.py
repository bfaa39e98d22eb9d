"""The timeline of a checkout: its journal, its calculations and its notes, in time order (CK-066).

Ids are in time order whatever their prefix (kit/ids.py): what is after the prefix places entries of several
tables, and a cursor names it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db import reading
from app.domain.actor import Actor
from app.domain.errors import InvalidRequest
from app.kit.pagination import DEFAULT_LIMIT, Page, decode_cursor, encode_cursor
from app.models.checkout.calculation import Calculation
from app.models.checkout.support_note import SupportNote
from app.models.events.journal import JournalEntry
from app.services.checkout import sessions

CALCULATED = "checkout.calculated"

#: What is told of an entity. Nothing of customers, their addresses or metadata, and no secret, is among it.
_TOLD = (
    "amount",
    "amount_authorized",
    "amount_captured",
    "amount_refunded",
    "currency",
    "capture_mode",
    "connector",
    "gateway_reference",
    "decline_code",
    "last_error",
    "cancel_reason",
    "failure_reason",
    "partial",
    "lines",
    "totals",
    "grand_total",
    "order_id",
    "receipt_id",
    "refund_id",
    "action",
    "note",
    "support_discount",
    "shipment_plan_id",
)


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that happened: to what, from which status to which, why, and by whom."""

    id: str
    at: datetime
    type: str
    entity: str
    entity_id: str
    details: dict[str, Any]
    from_status: str | None = None
    to_status: str | None = None
    cause: str | None = None
    actor_kind: str | None = None
    actor_id: str | None = None
    on_behalf_of: str | None = None
    payment_intent_id: str | None = None
    correlation_id: str | None = None

    @property
    def place(self) -> str:
        """Where it stands among the others."""
        return self.id.rpartition("_")[2]


def page(
    actor: Actor, checkout_id: str, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None
) -> Page[Entry]:
    """What happened to a checkout, the earliest first.

    Raises:
        NotFound: there is none, or it is another merchant's.
        InvalidRequest: not a cursor of this list.
    """
    sessions.get(actor, checkout_id)
    prefix, _, after = (decode_cursor(cursor) or "").partition("_") if cursor else ("at", "", "")
    if prefix != "at":
        raise InvalidRequest("Not a cursor of this list", field="cursor")
    with reading() as db:
        found = list(_entries(db, actor, checkout_id, after, limit + 1))
    found = sorted(found, key=attrgetter("place"))[: limit + 1]
    more = encode_cursor(f"at_{found[limit - 1].place}") if len(found) > limit else None
    return Page(found[:limit], more)


def _entries(db: Session, actor: Actor, checkout_id: str, after: str, count: int) -> Iterator[Entry]:
    """The next entries of each table, `count` of each at most."""
    journal = select(JournalEntry).where(
        JournalEntry.tenant_id == actor.tenant_id,
        JournalEntry.mode == actor.mode,
        JournalEntry.checkout_id == checkout_id,
    )
    if after:
        journal = journal.where(JournalEntry.id > f"evt_{after}")
    rows = list(db.scalars(journal.order_by(JournalEntry.id).limit(count)))
    if rows and not after:
        after = rows[0].id.rpartition("_")[2]  # the first totals are made with the session, and told with it
    notes = _notes(db, rows)
    yield from (_of_journal(row, notes) for row in rows)
    calculations = (
        select(Calculation)
        .where(Calculation.checkout_id == checkout_id, Calculation.id > f"calc_{after}")
        .order_by(Calculation.id)
        .limit(count)
    )
    yield from (_of_calculation(row) for row in db.scalars(calculations))


def _notes(db: Session, rows: Sequence[JournalEntry]) -> dict[str, SupportNote]:
    ids = [row.entity_id for row in rows if row.entity == "support_note"]
    if not ids:
        return {}
    return {note.id: note for note in db.scalars(select(SupportNote).where(SupportNote.id.in_(ids)))}


def _of_journal(row: JournalEntry, notes: dict[str, SupportNote]) -> Entry:
    facts = row.data.get("after") or {}
    details = {name: facts[name] for name in _TOLD if facts.get(name) is not None}
    if row.entity == "support_note":
        note = notes.get(row.entity_id)
        details = {"note": note.text, "author": note.author} if note else {}
    return Entry(
        id=row.id,
        at=row.created_at,
        type=row.type,
        entity=row.entity,
        entity_id=row.entity_id,
        details=details,
        from_status=row.from_status,
        to_status=row.to_status,
        cause=row.cause,
        actor_kind=row.actor_kind,
        actor_id=row.actor_id,
        on_behalf_of=row.on_behalf_of,
        payment_intent_id=row.payment_intent_id,
        correlation_id=row.correlation_id,
    )


def _of_calculation(row: Calculation) -> Entry:
    issues = [issue["explain"] for issue in row.outputs.get("issues", ())]
    details = {"totals": row.outputs["totals"], **({"issues": issues} if issues else {})}
    return Entry(row.id, row.calculated_at, CALCULATED, "calculation", row.id, details)
