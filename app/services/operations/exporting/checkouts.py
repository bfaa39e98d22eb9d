"""What can be exported of checkouts (CK-065): their events, and the sessions that failed.

Both are streams of the journal in the order of time: by then, as the audit and the timelines have it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import select

from app.domain.event_types import EventType
from app.models.checkout.session import CheckoutSession
from app.models.events.journal import JournalEntry
from app.models.operations.export import Export
from app.services.operations.exporting.datasets import AnySelect, Column, Dataset, Row, chunks, counted

_TIME, _KEY = JournalEntry.created_at, JournalEntry.id


def _events(export: Export, _: dict[str, str]) -> Iterator[Row]:
    """Everything that happened to checkouts, from their birth to their order."""
    return chunks(_entries(export), _TIME, _KEY, "created_at")


def _entries(export: Export) -> AnySelect:
    entry = JournalEntry
    statement = select(
        entry.id,
        entry.created_at,
        entry.type,
        entry.checkout_id,
        entry.payment_intent_id,
        entry.entity,
        entry.entity_id,
        entry.from_status,
        entry.to_status,
        entry.cause,
        entry.actor_kind,
        entry.actor_id,
        entry.correlation_id,
    ).where(*_within(export), entry.checkout_id.is_not(None))
    known = {"event": entry.type, "checkout_id": entry.checkout_id}
    return _filtered(statement, export, known)


def _failures(export: Export, _: dict[str, str]) -> Iterator[Row]:
    """Each time that a session failed, why, and where the session stands by now."""
    return chunks(_failed(export), _TIME, _KEY, "failed_at")


def _failed(export: Export) -> AnySelect:
    session, entry = CheckoutSession, JournalEntry
    reason = entry.data["after"]["failure_reason"].as_string()
    statement = (
        select(
            entry.id,
            entry.created_at.label("failed_at"),
            session.id.label("checkout_id"),
            reason.label("failure_reason"),
            entry.from_status,
            entry.cause,
            session.status,
            session.surface,
            session.channel,
            session.reference,
            session.owner_type,
            session.owner_id,
            session.currency,
            session.totals["grand_total"].as_integer().label("grand_total"),
            session.payment_attempts,
            session.payment_intent_id,
            session.created_at.label("created_at"),
            session.expires_at,
        )
        .join(session, session.id == entry.entity_id)
        .where(*_within(export), entry.type == EventType.CHECKOUT_FAILED)
    )
    known = {"currency": session.currency, "reason": reason, "status": session.status}
    return _filtered(statement, export, known)


def _within(export: Export) -> list[Any]:
    conditions = [
        JournalEntry.tenant_id == export.tenant_id,
        JournalEntry.mode == export.mode,
        export.until > JournalEntry.created_at,
    ]
    if export.since is not None:
        conditions.append(JournalEntry.created_at >= export.since)
    return conditions


def _filtered(statement: AnySelect, export: Export, known: dict[str, Any]) -> AnySelect:
    return statement.where(*(known[name] == value for name, value in export.filters.items()))


EVENTS = Dataset(
    (
        Column("id"),
        Column("created_at", "instant"),
        Column("type"),
        Column("checkout_id"),
        Column("payment_intent_id"),
        Column("entity"),
        Column("entity_id"),
        Column("from_status"),
        Column("to_status"),
        Column("cause"),
        Column("actor_kind"),
        Column("actor_id"),
        Column("correlation_id"),
    ),
    _events,
    counted(_entries),
    frozenset({"event", "checkout_id"}),
)

FAILURES = Dataset(
    (
        Column("id"),
        Column("failed_at", "instant"),
        Column("checkout_id"),
        Column("failure_reason"),
        Column("from_status"),
        Column("cause"),
        Column("status"),
        Column("surface"),
        Column("channel"),
        Column("reference"),
        Column("owner_type"),
        Column("owner_id"),
        Column("currency"),
        Column("grand_total", "integer"),
        Column("payment_attempts", "integer"),
        Column("payment_intent_id"),
        Column("created_at", "instant"),
        Column("expires_at", "instant"),
    ),
    _failures,
    counted(_failed),
    frozenset({"currency", "reason", "status"}),
)

DATASETS: dict[str, Dataset] = {"checkout_events": EVENTS, "failed_sessions": FAILURES}
