"""Sending again: one delivery, what was given up, or the events of a span of time; a replay is a new row.

An event keeps its id and its body however often it is sent, so that a receiver that has it already can tell.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, func, insert, literal, select, tuple_
from sqlalchemy.orm import Session, aliased

from app.db import UtcDateTime, reading, transaction
from app.domain.actor import Actor
from app.domain.errors import InvalidRequest, InvalidState
from app.domain.event_types import PUBLISHED
from app.domain.lifecycles import deliveries as lifecycle
from app.kit import clock
from app.kit.ids import new_id
from app.kit.pagination import decode_cursor, encode_cursor
from app.models.events.delivery import Delivery
from app.models.events.journal import JournalEntry, record
from app.models.events.webhook_endpoint import WebhookEndpoint
from app.services.events import audit, deliveries, webhooks

#: Events that one call sends again: each may be 20 kB, and all are written in one transaction.
MAX_EVENTS = 1000

_S = lifecycle.Status
_WAITING = (_S.PENDING, _S.LEASED, _S.RETRY_WAIT)


class Which(StrEnum):
    """Which events of a span: given up, never sent to this endpoint, or all. What still waits is none."""

    FAILED = "failed"
    MISSING = "missing"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Span:
    """Events from `since` until before `until`, as far as the endpoint lists them; `events` narrows it down.

    `cursor` goes on behind what the last call has sent.
    """

    endpoint_id: str
    since: datetime
    until: datetime
    which: Which = Which.FAILED
    events: tuple[str, ...] = ()
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many events were sent again, or would be, by type; the cursor where there are more."""

    by_event: dict[str, int]
    next_cursor: str | None = None

    @property
    def count(self) -> int:
        """All of them."""
        return sum(self.by_event.values())


def one(actor: Actor, delivery_id: str) -> Delivery:
    """Send an event again: a new delivery of the same body under the same event id.

    Raises:
        NotFound: there is no such delivery of this merchant, or its endpoint was deleted.
        InvalidState: its endpoint is switched off.
    """
    old, _ = deliveries.get(actor, delivery_id)
    _ready(actor, old.endpoint_id)
    fresh = _again(old)
    with transaction(actor) as db:
        db.add(fresh)
        db.flush()  # an answer kept under an idempotency key is written before this transaction's end
        _note(db, actor, "delivery", fresh.id, {"id": fresh.id, "replay_of": old.id})
    return fresh


def failed(actor: Actor, limit: int = MAX_EVENTS) -> int:
    """Send again what was exhausted at endpoints that are on, each event once (PY-083). Returns how many.

    Test events are not among them: they never happened.
    """
    again = aliased(Delivery)
    statement = (
        deliveries.mine(actor)
        .join(WebhookEndpoint, WebhookEndpoint.id == Delivery.endpoint_id)
        .join(JournalEntry, JournalEntry.id == Delivery.event_id)
        .where(
            Delivery.status == _S.EXHAUSTED,
            WebhookEndpoint.disabled_at.is_(None),
            WebhookEndpoint.deleted_at.is_(None),
            ~select(again.id).where(again.replay_of == Delivery.id).exists(),
        )
        .order_by(Delivery.id)
        .limit(limit)
    )
    with transaction(actor) as db:
        webhooks.queue(db, actor)
        fresh = [_again(old) for old in db.scalars(statement)]
        db.add_all(fresh)
        if fresh:
            _note(db, actor, "merchant", actor.tenant_id, {"deliveries": len(fresh)})
    return len(fresh)


def dry_run(actor: Actor, span: Span) -> Replayed:
    """The dry run: what `span` would send, all of it.

    Raises:
        NotFound: there is no such endpoint.
        InvalidRequest: the span ends before it begins, or an event or the cursor is unknown.
    """
    endpoint = webhooks.get(actor, span.endpoint_id)
    with reading() as db:
        wanted = _wanted(db, actor, endpoint, span)
        statement = wanted.with_only_columns(JournalEntry.type, func.count()).group_by(JournalEntry.type)
        return Replayed({row[0]: row[1] for row in db.execute(statement)})


def of_span(actor: Actor, span: Span, limit: int = MAX_EVENTS) -> Replayed:
    """Send the events of a span again, oldest first, at most `limit`; all or none of them.

    Whoever does it twice at once sends what was given up, or is missing, once.

    Raises:
        NotFound, InvalidRequest: see `dry_run`.
        InvalidState: the endpoint is switched off.
    """
    with transaction(actor) as db:
        webhooks.queue(db, actor)
        endpoint = _ready(actor, span.endpoint_id)
        wanted = _wanted(db, actor, endpoint, span)
        newest = select(func.max(Delivery.id)).where(*_to(endpoint)).scalar_subquery()
        ordered = wanted.add_columns(newest).order_by(JournalEntry.created_at, JournalEntry.id)
        rows = db.execute(ordered.limit(limit + 1)).all()
        chosen = rows[:limit]
        fresh = [audit.delivery_row(entry, endpoint.id, replay_of=old) for entry, old in chosen]
        if fresh:
            db.execute(insert(Delivery), fresh)
            facts = {"deliveries": len(fresh), "which": str(span.which), **_edges(span)}
            _note(db, actor, "webhook_endpoint", endpoint.id, facts)
    by_event = Counter(row["event_type"] for row in fresh)
    return Replayed(by_event, encode_cursor(chosen[-1][0].id) if len(rows) > limit else None)


def whole_span(actor: Actor, span: Span) -> Replayed:
    """Send the events of a span again, however many, call after call (the command line)."""
    by_event: Counter[str] = Counter()
    while True:
        made = of_span(actor, span)
        by_event.update(made.by_event)
        if made.next_cursor is None:
            return Replayed(by_event)
        span = replace(span, cursor=made.next_cursor)


def _wanted(db: Session, actor: Actor, endpoint: WebhookEndpoint, span: Span) -> Select[Any]:
    """The events of a span. One that is not sealed yet is on its way, whatever else is said of it."""
    if span.until <= span.since:
        raise InvalidRequest("The span ends before it begins", field="until")
    unknown = set(span.events) - {str(name) for name in PUBLISHED}
    if unknown:
        raise InvalidRequest(f"There is no event {min(unknown)}", field="events")
    names = [name for name in endpoint.events if not span.events or name in span.events]
    statement = select(JournalEntry).where(
        JournalEntry.tenant_id == actor.tenant_id,
        JournalEntry.mode == str(actor.mode),
        JournalEntry.type.in_(names),
        JournalEntry.created_at >= span.since,
        JournalEntry.created_at < span.until,
        JournalEntry.sequence.is_not(None),
        *_outcome(endpoint, span.which),
    )
    if span.cursor is None:
        return statement
    last = db.get(JournalEntry, decode_cursor(span.cursor) or "")
    if last is None or last.tenant_id != actor.tenant_id:
        raise InvalidRequest("Not a cursor of this span", field="cursor")
    place = tuple_(literal(last.created_at, UtcDateTime()), literal(last.id))
    return statement.where(tuple_(JournalEntry.created_at, JournalEntry.id) > place)


def _outcome(endpoint: WebhookEndpoint, which: Which) -> list[ColumnElement[bool]]:
    if which == Which.MISSING:
        return [~exists().where(*_to(endpoint))]
    if which == Which.ALL:
        return [~exists().where(*_to(endpoint), Delivery.status.in_(_WAITING))]
    return [
        exists().where(*_to(endpoint)),
        ~exists().where(*_to(endpoint), Delivery.status != _S.EXHAUSTED),
    ]


def _to(endpoint: WebhookEndpoint) -> tuple[ColumnElement[bool], ...]:
    return (Delivery.event_id == JournalEntry.id, Delivery.endpoint_id == endpoint.id)


def _edges(span: Span) -> dict[str, str]:
    return {"since": clock.to_rfc3339(span.since), "until": clock.to_rfc3339(span.until)}


def _ready(actor: Actor, endpoint_id: str) -> WebhookEndpoint:
    endpoint = webhooks.get(actor, endpoint_id)
    if endpoint.disabled_at is not None:
        raise InvalidState("The endpoint is switched off; switch it on before sending again")
    return endpoint


def _again(old: Delivery) -> Delivery:
    """A fresh delivery of what an old one carried."""
    return Delivery(
        id=new_id("dlv"),
        tenant_id=old.tenant_id,
        mode=old.mode,
        endpoint_id=old.endpoint_id,
        event_id=old.event_id,
        event_type=old.event_type,
        body=old.body,
        status=str(lifecycle.LIFECYCLE.initial),
        tries=0,
        due_at=clock.now(),
        replay_of=old.id,
    )


def _note(db: Session, actor: Actor, entity: str, entity_id: str, after: dict[str, Any]) -> None:
    record(
        db,
        "webhook_delivery.resent",
        tenant_id=actor.tenant_id,
        mode=str(actor.mode),
        entity=entity,
        entity_id=entity_id,
        cause="api",
        after=after,
    )
