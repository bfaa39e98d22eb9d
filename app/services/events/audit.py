"""Sealing: gives journal rows their place in the merchant's hash chain and fans them out, in one go.

A row without a sequence is neither chained nor delivered; one with a sequence is both. That is the outbox
(docs/adr/0006).
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from app.db import reading, retrying, transaction
from app.domain.event_types import PUBLISHED
from app.domain.lifecycles import deliveries
from app.kit import clock
from app.kit.ids import new_id
from app.models.access.tenant import Tenant
from app.models.events.delivery import Delivery
from app.models.events.journal import REFUSED, JournalEntry
from app.models.events.webhook_endpoint import WebhookEndpoint
from app.services.operations import examinations
from app.services.operations.examinations import Chain

log = structlog.get_logger("till.events")

GENESIS = "0" * 64
_PUBLISHED = frozenset(str(name) for name in PUBLISHED)

#: A payload stays under this (sandbox.md); what would be larger goes without its snapshots.
MAX_BODY = 20_000


def seal(limit: int = 500) -> int:
    """Seal what is new, merchant by merchant, at most `limit` rows of each. Returns how many.

    One merchant whose rows cannot be sealed does not keep the others waiting.
    """
    statement = (
        select(JournalEntry.tenant_id).where(JournalEntry.sequence.is_(None)).group_by(JournalEntry.tenant_id)
    )
    with reading() as db:
        tenants = list(db.scalars(statement))
    return sum(_seal_safely(tenant_id, limit) for tenant_id in tenants)


def _seal_safely(tenant_id: str, limit: int) -> int:
    try:
        return retrying(lambda: _seal_tenant(tenant_id, limit))
    except Exception:  # kept for the next round, and loud
        log.exception("sealing_failed", tenant_id=tenant_id)
        return 0


def _seal_tenant(tenant_id: str, limit: int) -> int:
    with transaction() as db:
        # One sealer at a time for each merchant: the chain has one head. Not a full lock: every insert
        # that refers to the merchant takes a key-share lock on the same row, and must not wait for us.
        db.execute(select(Tenant.id).where(Tenant.id == tenant_id).with_for_update(key_share=True))
        rows = list(
            db.scalars(
                select(JournalEntry)
                .where(JournalEntry.tenant_id == tenant_id, JournalEntry.sequence.is_(None))
                .order_by(JournalEntry.id)
                .limit(limit)
            )
        )
        sequence, previous = _head(db, tenant_id)
        links = []
        for row in rows:
            sequence += 1
            previous = row.sealed_hash(previous, sequence)
            links.append({"id": row.id, "sequence": sequence, "hash": previous})
        if links:
            db.execute(update(JournalEntry), links)
            _fan_out(db, [row for row in rows if row.type in _PUBLISHED and row.cause != REFUSED])
        return len(links)


def _head(db: Session, tenant_id: str) -> tuple[int, str]:
    statement = (
        select(JournalEntry.sequence, JournalEntry.hash)
        .where(JournalEntry.tenant_id == tenant_id, JournalEntry.sequence.is_not(None))
        .order_by(JournalEntry.sequence.desc())
        .limit(1)
    )
    row = db.execute(statement).one_or_none()
    return (row[0] or 0, row[1] or GENESIS) if row is not None else (0, GENESIS)


def _fan_out(db: Session, rows: list[JournalEntry]) -> None:
    """A delivery for each endpoint that lists the event."""
    if not rows:
        return
    endpoints = db.scalars(
        select(WebhookEndpoint).where(
            WebhookEndpoint.tenant_id == rows[0].tenant_id,
            WebhookEndpoint.deleted_at.is_(None),
            WebhookEndpoint.disabled_at.is_(None),
        )
    )
    wanting: dict[tuple[str, str], list[str]] = defaultdict(list)
    for endpoint in endpoints:
        for name in endpoint.events:
            wanting[(endpoint.mode, name)].append(endpoint.id)
    made = [delivery_row(row, endpoint_id) for row in rows for endpoint_id in wanting[(row.mode, row.type)]]
    if made:
        db.execute(insert(Delivery), made)


def delivery_row(entry: JournalEntry, endpoint_id: str, replay_of: str | None = None) -> dict[str, Any]:
    """The row of a fresh delivery of an event."""
    now = clock.now()
    return {
        "id": new_id("dlv"),
        "tenant_id": entry.tenant_id,
        "mode": entry.mode,
        "endpoint_id": endpoint_id,
        "event_id": entry.id,
        "event_type": entry.type,
        "body": envelope(entry),
        "status": str(deliveries.Status.PENDING),
        "tries": 0,
        "due_at": now,
        "replay_of": replay_of,
        "created_at": now,
        "updated_at": now,
    }


def envelope(entry: JournalEntry) -> str:
    """The event as it is sent (OP-17)."""
    data: dict[str, Any] = {
        "object": entry.data.get("object"),
        "checkout_id": entry.checkout_id,
        "payment_intent_id": entry.payment_intent_id,
        "before": entry.data.get("before"),
        "after": entry.data.get("after"),
    }
    event = {
        "id": entry.id,
        "type": entry.type,
        "created_at": clock.to_rfc3339(entry.created_at),
        "correlation_id": entry.correlation_id,
    }
    lean = {**data, "before": None, "after": None}
    essential = _essentials(data["object"])
    named = {name: value for name, value in essential.items() if name in ("id", "status")}
    for shown in (data, lean, {**lean, "object": essential}, {**lean, "object": named}):
        body = json.dumps({**event, "data": shown}, separators=(",", ":"), ensure_ascii=False)
        if len(body.encode()) <= MAX_BODY:
            break
    return body


def _essentials(shown: dict[str, Any] | None) -> dict[str, Any]:
    """The plain and short facts of an object that is too large to send."""
    return {
        name: value
        for name, value in (shown or {}).items()
        if not isinstance(value, (dict, list)) and len(str(value)) <= 255
    }


def examined(tenant_id: str) -> Chain:
    """The state of a merchant's chain as an examination keeps it; a broken one keeps its last good head."""
    with reading() as db:
        head = _head(db, tenant_id)
    problems = verify(tenant_id)
    sequence, hash_ = (problems and examinations.heads().get(tenant_id)) or head
    log.info("chain_examined", tenant_id=tenant_id, entity_id=f"{sequence}:{hash_}")
    return Chain(problems, sequence, hash_)


@dataclass(frozen=True, slots=True)
class Part:
    """What was found of a part of a chain: what is wrong, the last number seen, and if it is the end."""

    problems: list[str]
    reached: int
    finished: bool


def head(tenant_id: str) -> int:
    """The number of a merchant's last sealed entry; 0 where there is none."""
    with reading() as db:
        return _head(db, tenant_id)[0]


def verify(tenant_id: str, batch: int = 1000) -> list[str]:
    """What is wrong with a merchant's chain: gaps, altered rows, an end cut off. Empty when it holds.

    An end is missed where the last examination has seen it (operations/examinations.py).
    """
    part = verify_part(tenant_id, 0, batch)
    problems = part.problems
    while not part.finished:
        part = verify_part(tenant_id, part.reached, batch)
        problems += part.problems
    return problems


def verify_part(tenant_id: str, after: int, limit: int) -> Part:
    """Verify the entries after a number, at most `limit` of them, so that a long chain can show progress."""
    known, known_hash = examinations.heads().get(tenant_id, (0, GENESIS))
    entries = JournalEntry.tenant_id == tenant_id
    statement = (
        select(JournalEntry)
        .where(entries, JournalEntry.sequence > after)
        .order_by(JournalEntry.sequence)
        .limit(limit)
    )
    with reading() as db:
        before = db.scalar(select(JournalEntry.hash).where(entries, JournalEntry.sequence == after))
        rows = list(db.scalars(statement))
    problems: list[str] = []
    previous, expected = (before or "") if after else GENESIS, after + 1
    for row in rows:
        assert row.sequence is not None
        if row.sequence != expected:
            problems.append(f"entry {expected} is missing before {row.id}")
        if row.hash != row.sealed_hash(previous, row.sequence):
            problems.append(f"{row.id} was altered, or what stood before it")
        if row.sequence == known and row.hash != known_hash:
            problems.append(f"{row.id} stands where an examination has seen another entry")
        previous, expected = row.hash or "", row.sequence + 1
    finished = len(rows) < limit
    if finished and expected <= known:
        missing = f"entries {expected} to {known}, which an examination has seen, are missing at the end"
        problems.append(missing)
    return Part(problems, expected - 1, finished)
