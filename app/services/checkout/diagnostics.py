"""Where checkouts stand right now: in flight, how quick, what waits (CK-074).

Every statement looks at what is live, due or of the last hour, over an index; none counts a whole table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from app.db import reading
from app.domain.actor import Actor
from app.domain.lifecycles import checkout_sessions, deliveries, jobs
from app.domain.lifecycles import reservations as reservation_lifecycle
from app.kit import clock
from app.models.checkout.reservation import Reservation
from app.models.checkout.session import SURFACES, CheckoutSession
from app.models.events.delivery import Delivery
from app.models.events.journal import JournalEntry
from app.models.operations.job import Job
from app.models.payments.attempt import Attempt
from app.services.operations import measuring

#: What is looked at of the past.
WINDOW = timedelta(hours=1)

_S = checkout_sessions.Status
_IN_FLIGHT = (*sorted(checkout_sessions.OPEN), _S.PAYMENT_PROCESSING)
_HELD = f"{reservation_lifecycle.LIFECYCLE.name}.{reservation_lifecycle.Status.ACTIVE}"


@dataclass(frozen=True, slots=True)
class Latency:
    """How many in the last hour, and how long they took in milliseconds (None where there were none)."""

    count: int
    average_ms: float | None
    longest_ms: float | None


@dataclass(frozen=True, slots=True)
class Queue:
    """What is due and waits, and since how many seconds the longest does."""

    name: str
    depth: int
    oldest_seconds: int


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Everything at once; `in_flight` counts sessions by their status."""

    in_flight: dict[str, int]
    reservations: Latency
    payment_intents: Latency
    queues: list[Queue]


def diagnose(actor: Actor) -> Diagnosis:
    """Look at a merchant's checkouts in this mode."""
    with reading() as db:
        return Diagnosis(
            {str(status): count for status, count in db.execute(in_flight(actor))},
            _latency(db, reserved(actor)),
            _latency(db, paid(db, actor)),
            list(_queues(db, actor)),
        )


def in_flight(actor: Actor) -> Select[*tuple[Any, ...]]:
    """Sessions that have not ended, by status; the index wants to be told every surface."""
    table = CheckoutSession
    return (
        select(table.status, func.count())
        .where(*_mine(actor, table), table.surface.in_(SURFACES), table.status.in_(_IN_FLIGHT))
        .group_by(table.status)
        .order_by(table.status)
    )


def reserved(actor: Actor) -> Select[*tuple[Any, ...]]:
    """How long the holds of the last hour took to be had; the journal has an index of their births."""
    born, took = JournalEntry, Reservation.took_ms
    return (
        select(func.count(took), func.avg(took), func.max(took))
        .select_from(born)
        .join(Reservation, Reservation.id == born.entity_id)
        .where(
            *_mine(actor, born),
            born.type == _HELD,
            born.trigger == reservation_lifecycle.Trigger.CREATED,
            born.created_at >= clock.now() - WINDOW,
        )
    )


def paid(db: Session, actor: Actor) -> Select[*tuple[Any, ...]]:
    """How long checkouts' authorisations of the last hour took that did not wait for a shopper."""
    took = measuring.seconds(db, Attempt.created_at, Attempt.authorized_at) * 1000
    return select(func.count(), func.avg(took), func.max(took)).where(
        *_mine(actor, Attempt),
        Attempt.created_at >= clock.now() - WINDOW,
        Attempt.checkout_id.is_not(None),
        Attempt.authorized_at.is_not(None),
        Attempt.action.is_(None),
    )


def _latency(db: Session, statement: Select[*tuple[Any, ...]]) -> Latency:
    count, average, longest = db.execute(statement).one()
    return Latency(
        count,
        *(round(float(value), 1) if value is not None else None for value in (average, longest)),
    )


def _queues(db: Session, actor: Actor) -> Iterator[Queue]:
    for name, statement in waiting(actor).items():
        depth, oldest = db.execute(statement).one()
        yield Queue(name, depth, _seconds_since(oldest))


def waiting(actor: Actor) -> dict[str, Select[*tuple[Any, ...]]]:
    """What is due in each queue: how much, and since when the oldest is."""
    now = clock.now()
    session, hold = CheckoutSession, Reservation
    return {
        "jobs": _due(actor, Job, Job.due_at, Job.status.in_((jobs.Status.QUEUED, jobs.Status.RETRY_WAIT))),
        "webhook_deliveries": _due(
            actor,
            Delivery,
            Delivery.due_at,
            Delivery.status.in_((deliveries.Status.PENDING, deliveries.Status.RETRY_WAIT)),
        ),
        "events_to_seal": select(func.count(), func.min(JournalEntry.created_at)).where(
            *_mine(actor, JournalEntry), JournalEntry.sequence.is_(None), JournalEntry.created_at <= now
        ),
        "payments_to_look_at": _due(
            actor, Attempt, Attempt.next_query_at, Attempt.next_query_at.is_not(None)
        ),
        "reservations_to_expire": _due(
            actor, hold, hold.expires_at, hold.status == reservation_lifecycle.Status.ACTIVE
        ),
        "sessions_to_expire": _due(
            actor, session, session.expires_at, session.status.in_(sorted(checkout_sessions.OPEN))
        ),
    }


def _due(actor: Actor, table: Any, time: Any, condition: Any) -> Select[*tuple[Any, ...]]:
    return select(func.count(), func.min(time)).where(*_mine(actor, table), condition, time <= clock.now())


def _seconds_since(oldest: datetime | None) -> int:
    return max(0, int((clock.now() - oldest).total_seconds())) if oldest else 0


def _mine(actor: Actor, table: Any) -> tuple[Any, ...]:
    return table.tenant_id == actor.tenant_id, table.mode == str(actor.mode)
