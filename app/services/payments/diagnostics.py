"""Where payments stand right now: in flight, failed of late, slow, refunds that wait (PY-085)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from app.db import reading
from app.domain.actor import Actor
from app.domain.lifecycles import attempts as attempt_lifecycle
from app.domain.lifecycles import intents as lifecycle
from app.domain.lifecycles import refunds as refund_lifecycle
from app.kit import clock
from app.models.payments.attempt import Attempt, connector_of_attempt
from app.models.payments.intent import PaymentIntent
from app.models.payments.refund import Refund
from app.services.operations import measuring

#: What is looked at of the past.
WINDOW = timedelta(hours=24)
#: Of the oldest in flight, so many are named.
NAMED = 20

_S, _A, _R = lifecycle.Status, attempt_lifecycle.Status, refund_lifecycle.Status
_whole = PaymentIntent.parent_intent_id.is_(None)
_IN_FLIGHT = (
    _S.REQUIRES_CONFIRMATION,
    _S.PROCESSING,
    _S.REQUIRES_ACTION,
    _S.AUTHORIZED,
    _S.REQUIRES_CAPTURE,
)
_OPEN = (_R.PENDING, _R.PROCESSING, _R.REQUIRES_ACTION)


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many stand in a status, and since when the oldest does."""

    status: str
    count: int
    oldest_at: datetime | None
    needs_review: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """How many attempts a connector's gateway declined for a reason."""

    connector: str
    code: str
    count: int


@dataclass(frozen=True, slots=True)
class Latency:
    """How long authorisations took that did not wait for a shopper, in milliseconds."""

    connector: str
    count: int
    average_ms: int
    longest_ms: int


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Everything at once; `oldest` are (intent id, status, since when)."""

    in_flight: list[Waiting]
    oldest: list[tuple[str, str, datetime]]
    failed_attempts: list[Failure]
    latencies: list[Latency]
    queued_refunds: list[Waiting]


def diagnose(actor: Actor) -> Diagnosis:
    """Look at a merchant's payments in this mode, in five statements over indexes."""
    with reading() as db:
        return Diagnosis(
            _in_flight(db, actor),
            _oldest(db, actor),
            _failed_attempts(db, actor),
            _latencies(db, actor),
            _queued_refunds(db, actor),
        )


def _in_flight(db: Session, actor: Actor) -> list[Waiting]:
    review = func.sum(case((PaymentIntent.needs_review, 1), else_=0))
    statement = (
        select(PaymentIntent.status, func.count(), func.min(PaymentIntent.created_at), review)
        .where(*_mine(actor, PaymentIntent), _whole, PaymentIntent.status.in_(_IN_FLIGHT))
        .group_by(PaymentIntent.status)
        .order_by(PaymentIntent.status)
    )
    return [Waiting(status, count, at, int(held)) for status, count, at, held in db.execute(statement)]


def _oldest(db: Session, actor: Actor) -> list[tuple[str, str, datetime]]:
    """Those that wait for a gateway or a shopper: a merchant's own capture may take its time."""
    waiting = (_S.PROCESSING, _S.REQUIRES_ACTION, _S.AUTHORIZED)
    statement = (
        select(PaymentIntent.id, PaymentIntent.status, PaymentIntent.created_at)
        .where(*_mine(actor, PaymentIntent), _whole, PaymentIntent.status.in_(waiting))
        .order_by(PaymentIntent.id)
        .limit(NAMED)
    )
    return [(row.id, row.status, row.created_at) for row in db.execute(statement)]


def _failed_attempts(db: Session, actor: Actor) -> list[Failure]:
    code = func.coalesce(Attempt.decline_code, Attempt.status)
    statement = (
        select(connector_of_attempt, code, func.count())
        .where(
            *_mine(actor, Attempt),
            Attempt.created_at >= clock.now() - WINDOW,
            Attempt.status.in_((_A.DECLINED, _A.NOT_FOUND)),
        )
        .group_by(connector_of_attempt, Attempt.decline_code, Attempt.status)
        .order_by(func.count().desc(), connector_of_attempt, code)
        .limit(50)
    )
    return [Failure(*row) for row in db.execute(statement)]


def _latencies(db: Session, actor: Actor) -> list[Latency]:
    took = measuring.seconds(db, Attempt.created_at, Attempt.authorized_at) * 1000
    statement = (
        select(connector_of_attempt, func.count(), func.avg(took), func.max(took))
        .where(
            *_mine(actor, Attempt),
            Attempt.created_at >= clock.now() - WINDOW,
            Attempt.authorized_at.is_not(None),
            Attempt.action.is_(None),
        )
        .group_by(connector_of_attempt)
        .order_by(connector_of_attempt)
    )
    return [
        Latency(name, count, round(average), round(longest))
        for name, count, average, longest in db.execute(statement)
    ]


def _queued_refunds(db: Session, actor: Actor) -> list[Waiting]:
    statement = (
        select(Refund.status, func.count(), func.min(Refund.created_at))
        .where(*_mine(actor, Refund), Refund.status.in_(_OPEN))
        .group_by(Refund.status)
        .order_by(Refund.status)
    )
    return [Waiting(status, count, at) for status, count, at in db.execute(statement)]


def _mine(actor: Actor, table: Any) -> tuple[Any, ...]:
    return table.tenant_id == actor.tenant_id, table.mode == str(actor.mode)
