"""The audit: the journal by actor, action, time and checkout, each entry with its proof (PY-086, CK-072)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import literal, or_, select, tuple_
from sqlalchemy.orm import Session

from app.db import UtcDateTime, reading
from app.domain.actor import Actor, Mode
from app.domain.errors import InvalidRequest, NotFound
from app.kit.pagination import DEFAULT_LIMIT, Page, decode_cursor, encode_cursor
from app.models.events.journal import JournalEntry
from app.services.events.audit import GENESIS
from app.services.operations import paging


@dataclass(frozen=True, slots=True)
class Filters:
    """What is looked for; an action is an event type, or all of a kind as `api_key.*`."""

    actor: str | None = None
    action: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    checkout_id: str | None = None
    #: What it is about: a key, a person, a payment …
    entity_id: str | None = None
    #: Test and live together, as the merchant's own people see them.
    both_modes: bool = False
    #: Only what is about checkouts, and how the merchant's choices for them changed.
    checkouts: bool = False


@dataclass(frozen=True, slots=True)
class Proven:
    """An entry with the hash before it. `intact` is None until it has its place in the chain."""

    entry: JournalEntry
    previous_hash: str | None
    intact: bool | None


def search(
    actor: Actor,
    filters: Filters,
    *,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
    page: int | None = None,
) -> Page[Proven]:
    """Entries that fit, newest first.

    Raises:
        InvalidRequest: not a cursor of this list, or a cursor and a page's number.
    """
    key = tuple_(JournalEntry.created_at, JournalEntry.id)
    conditions = [JournalEntry.tenant_id == actor.tenant_id, *_conditions(filters)]
    modes = [str(mode) for mode in (Mode if filters.both_modes else (actor.mode,))]
    if page is not None:
        every = select(JournalEntry).where(*conditions, JournalEntry.mode.in_(modes))
        newest = every.order_by(JournalEntry.created_at.desc(), JournalEntry.id.desc())
        found = paging.numbered(newest, limit=limit, page=page, cursor=cursor)
        with reading() as db:
            return Page(_proven(db, actor, found.data), numbered=found.numbered)
    rows: list[JournalEntry] = []
    with reading() as db:
        if cursor is not None:
            conditions.append(key < _place(db, actor, cursor))
        # A mode at a time: each has its index in the order of time.
        for mode in modes:
            statement = select(JournalEntry).where(*conditions, JournalEntry.mode == mode)
            ordered = statement.order_by(JournalEntry.created_at.desc(), JournalEntry.id.desc())
            rows += db.scalars(ordered.limit(limit + 1))
        rows.sort(key=lambda row: (row.created_at, row.id), reverse=True)
        more = encode_cursor(rows[limit - 1].id) if len(rows) > limit else None
        return Page(_proven(db, actor, rows[:limit]), more)


def get(actor: Actor, entry_id: str) -> Proven:
    """One entry with its proof, of either mode.

    Raises:
        NotFound: there is none, or it is another merchant's.
    """
    with reading() as db:
        row = db.get(JournalEntry, entry_id)
        if row is None or row.tenant_id != actor.tenant_id:
            raise NotFound("There is no such entry")
        return _proven(db, actor, [row])[0]


def _conditions(filters: Filters) -> list[Any]:
    found: list[Any] = []
    if filters.actor is not None:
        found.append(JournalEntry.actor_id == filters.actor)
        if filters.actor.startswith("usr_"):  # what people do has an index of its own
            found.append(JournalEntry.actor_kind == "user")
    if filters.action is not None and filters.action.endswith(".*"):
        found.append(JournalEntry.type.startswith(filters.action[:-1], autoescape=True))
    elif filters.action is not None:
        found.append(JournalEntry.type == filters.action)
    if filters.entity_id is not None:
        found.append(JournalEntry.entity_id == filters.entity_id)
    if filters.checkout_id is not None:
        found.append(JournalEntry.checkout_id == filters.checkout_id)
    elif filters.checkouts:
        found.append(or_(JournalEntry.checkout_id.is_not(None), JournalEntry.entity == "settings"))
    if filters.since is not None:
        found.append(JournalEntry.created_at >= filters.since)
    if filters.until is not None:
        found.append(JournalEntry.created_at < filters.until)
    return found


def _place(db: Session, actor: Actor, cursor: str) -> Any:
    """Where a page goes on: behind the row that its cursor names."""
    last = decode_cursor(cursor)
    row = db.get(JournalEntry, last) if last else None
    if row is None or row.tenant_id != actor.tenant_id:
        raise InvalidRequest("Not a cursor of this list", field="cursor")
    return tuple_(literal(row.created_at, UtcDateTime()), literal(row.id))


def _proven(db: Session, actor: Actor, rows: list[JournalEntry]) -> list[Proven]:
    before = [row.sequence - 1 for row in rows if row.sequence is not None]
    statement = select(JournalEntry.sequence, JournalEntry.hash).where(
        JournalEntry.tenant_id == actor.tenant_id, JournalEntry.sequence.in_(before)
    )
    hashes: dict[int | None, str | None] = {row.sequence: row.hash for row in db.execute(statement)}
    hashes[0] = GENESIS
    return [_proof(row, hashes) for row in rows]


def _proof(row: JournalEntry, hashes: dict[int | None, str | None]) -> Proven:
    if row.sequence is None:
        return Proven(row, None, None)
    previous = hashes.get(row.sequence - 1)
    intact = previous is not None and row.hash == row.sealed_hash(previous, row.sequence)
    return Proven(row, previous, intact)
