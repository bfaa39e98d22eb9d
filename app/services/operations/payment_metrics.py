"""What payments came to over a span of time: rates, latencies, reasons (PY-076, contract requirement 9).

A handful of set-based statements, each over an index by time, however many payments there are. Every
measure counts what happened within the span: payments and attempts that began, refunds that were asked for,
disputes that were opened or decided, charges that were settled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, String, case, func, select
from sqlalchemy.orm import Session

from app.db import reading
from app.domain.actor import Actor
from app.domain.lifecycles import attempts as attempt_lifecycle
from app.domain.lifecycles import disputes as dispute_lifecycle
from app.domain.lifecycles import intents as intent_lifecycle
from app.domain.lifecycles import refunds as refund_lifecycle
from app.models.events.journal import JournalEntry
from app.models.payments.attempt import Attempt, connector_of_attempt
from app.models.payments.intent import PaymentIntent
from app.models.payments.method import PaymentMethod
from app.models.payments.refund import Refund
from app.models.treasury.settlement import Settlement, SettlementLine
from app.services.operations import measuring

GROUPS = ("day", "week", "month", "connector", "currency", "method")
#: More reasons than anybody reads.
MAX_REASONS = 50

_I, _A, _R, _D = (
    intent_lifecycle.Status,
    attempt_lifecycle.Status,
    refund_lifecycle.Status,
    dispute_lifecycle.Status,
)
_APPROVED = (_I.SUCCEEDED, _I.REQUIRES_CAPTURE)
_REFUSED = (_I.REQUIRES_PAYMENT_METHOD, _I.FAILED)
_CHARGEBACKS = ("dispute.created", f"dispute.{_D.NEEDS_RESPONSE}")
_DECIDED = (f"dispute.{_D.WON}", f"dispute.{_D.LOST}")
_times = measuring.times
_TIMES = ("day", "week", "month")


@dataclass(frozen=True, slots=True)
class Measures:
    """Rates from 0 to 1, None where nothing can be divided; delays in seconds, latency in milliseconds.

    `success_rate` is of payments whose outcome is known, `decline_rate` of single attempts, `chargeback_rate`
    of captured payments. The latency leaves out what waited for a shopper.
    """

    payments_count: int
    success_rate: float | None
    decline_rate: float | None
    chargeback_rate: float | None
    avg_settlement_delay: int | None
    avg_authorization_latency_ms: int | None
    three_ds_challenge_rate: float | None
    refund_failure_rate: float | None
    dispute_win_rate: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """The measures as a whole, by group, by connector, and why attempts were declined.

    A connector is named by the merchant's account there, or by its type where it needs none.
    """

    since: datetime
    until: datetime
    total: Measures
    groups: list[tuple[str, Measures]]
    connectors: list[tuple[str, Measures]]
    decline_reasons: list[tuple[str, int]]


def report(
    actor: Actor, *, since: datetime | None = None, until: datetime | None = None, group_by: str | None = None
) -> Report:
    """The report of a span, by default of the last 30 days.

    Raises:
        InvalidRequest: the span is empty or longer than two years.
    """
    start, end = measuring.span(since, until)
    with reading() as db:
        span = _Span(db, actor, start, end)
        groups = span.counted(group_by) if group_by else {}
        connectors = groups if group_by == "connector" else span.counted("connector")
        reasons = span.decline_reasons()
    whole = sum(connectors.values(), Counter[str]())
    return Report(start, end, _measures(whole), _by_key(groups.items()), _by_key(connectors.items()), reasons)


class _Span:
    """One merchant's facts within a span."""

    def __init__(self, db: Session, actor: Actor, since: datetime, until: datetime) -> None:
        self._db, self._actor, self._since, self._until = db, actor, since, until
        self._postgresql = db.get_bind().dialect.name == "postgresql"

    def counted(self, group: str) -> dict[str, Counter[str]]:
        """Key of the group → what was counted."""
        found: dict[str, Counter[str]] = {}
        for statement in (
            self._payments(group),
            self._attempts(group),
            self._refunds(group),
            self._disputes(group),
            self._settlements(group),
        ):
            for row in self._db.execute(statement).mappings():
                counts = {name: value for name, value in row.items() if name != "bucket" and value}
                found.setdefault(row["bucket"] or "unknown", Counter()).update(
                    {str(name): value for name, value in counts.items()}
                )
        return found

    def decline_reasons(self) -> list[tuple[str, int]]:
        """Why attempts were declined, the most frequent first."""
        count = func.count()
        statement = (
            select(func.coalesce(Attempt.decline_code, "unknown"), count)
            .where(*self._within(Attempt, Attempt.created_at), Attempt.status == _A.DECLINED)
            .group_by(Attempt.decline_code)
            .order_by(count.desc(), Attempt.decline_code)
            .limit(MAX_REASONS)
        )
        return [(code, number) for code, number in self._db.execute(statement)]

    def _payments(self, group: str) -> Select[Any]:
        table = PaymentIntent
        statement = (
            select(
                self._bucket(group, table.created_at, table.currency),
                func.count().label("payments"),
                _times(table.status.in_(_APPROVED), "approved"),
                _times(table.status.in_(_REFUSED), "refused"),
                _times(table.amount_captured > 0, "captured"),
            )
            .select_from(table)
            .where(
                *self._within(table, table.created_at), table.attempts > 0, table.parent_intent_id.is_(None)
            )
        )
        return self._joined(statement, group, Attempt.id == _last_attempt())

    def _attempts(self, group: str) -> Select[Any]:
        table = Attempt
        silent = table.authorized_at.is_not(None) & table.action.is_(None)
        challenged = table.action["type"].as_string() == "3ds_challenge"
        statement = (
            select(
                self._bucket(group, table.created_at, table.currency),
                func.count().label("attempts"),
                _times(table.authorized_at.is_not(None), "authorized"),
                _times(table.status == _A.DECLINED, "declined"),
                _times(challenged, "challenged"),
                _times(silent, "timed"),
                func.sum(
                    case((silent, self._seconds(table.created_at, table.authorized_at)), else_=0.0)
                ).label("latency"),
            )
            .select_from(table)
            .where(*self._within(table, table.created_at))
        )
        return self._joined(statement, group, None)

    def _refunds(self, group: str) -> Select[Any]:
        table = Refund
        failed = (table.status == _R.FAILED) & (func.coalesce(table.failure_reason, "") != "canceled")
        statement = (
            select(
                self._bucket(group, table.created_at, table.currency),
                _times(table.status == _R.SUCCEEDED, "refunds_succeeded"),
                _times(failed, "refunds_failed"),
            )
            .select_from(table)
            .where(*self._within(table, table.created_at))
        )
        return self._joined(statement, group, Attempt.id == Refund.attempt_id)

    def _disputes(self, group: str) -> Select[Any]:
        """From the journal, whose types are indexed: inquiries that never took money are no chargebacks."""
        table = JournalEntry
        opened = table.type.in_(_CHARGEBACKS) & (table.to_status == _D.NEEDS_RESPONSE)
        statement = (
            select(
                self._bucket(group, table.created_at, PaymentIntent.currency),
                _times(opened, "chargebacks"),
                _times(table.type == _DECIDED[0], "disputes_won"),
                _times(table.type == _DECIDED[1], "disputes_lost"),
            )
            .select_from(table)
            .join(PaymentIntent, PaymentIntent.id == table.payment_intent_id)
            .where(*self._within(table, table.created_at), table.type.in_(_CHARGEBACKS + _DECIDED))
        )
        return self._joined(statement, group, Attempt.id == _last_attempt())

    def _settlements(self, group: str) -> Select[Any]:
        """How long charges took from their capture to a statement of their gateway.

        Not less than no time: a test clock brings statements forward, and captures stay when they were.
        """
        table = Settlement
        delay = self._seconds(Attempt.captured_at, SettlementLine.settled_at)
        delay = case((SettlementLine.settled_at > Attempt.captured_at, delay), else_=0)
        statement = (
            select(
                self._bucket(group, table.settled_at, table.currency),
                func.count().label("settled"),
                func.sum(delay).label("settlement_seconds"),
            )
            .select_from(table)
            .join(SettlementLine, SettlementLine.settlement_id == table.id)
            .join(Attempt, Attempt.id == SettlementLine.transaction_id)
            .where(*self._within(table, table.settled_at), Attempt.captured_at.is_not(None))
        )
        return self._joined(statement, group, None)

    def _within(self, table: Any, time: Any) -> tuple[ColumnElement[bool], ...]:
        return (
            table.tenant_id == self._actor.tenant_id,
            table.mode == str(self._actor.mode),
            time >= self._since,
            time < self._until,
        )

    def _joined(self, statement: Select[Any], group: str, attempt: Any) -> Select[Any]:
        """With the attempt and its method, where the group is told by them."""
        if group in ("connector", "method") and attempt is not None:
            statement = statement.join(Attempt, attempt)
        if group == "method":
            statement = statement.join(PaymentMethod, PaymentMethod.id == Attempt.payment_method_id)
        return statement.group_by("bucket")

    def _bucket(self, group: str, time: Any, currency: Any) -> Any:
        known: dict[str, Any] = {
            "connector": connector_of_attempt,
            "currency": currency,
            "method": PaymentMethod.type,
        }
        made = self._period(group, time) if group in _TIMES else known[group]
        return made.label("bucket")

    def _period(self, unit: str, time: Any) -> Any:
        """`2025-08-29`, the Monday of its week, or `2025-08`; in UTC."""
        if self._postgresql:
            shape = "YYYY-MM" if unit == "month" else "YYYY-MM-DD"
            return func.to_char(func.date_trunc(unit, time), shape, type_=String)
        if unit == "week":  # the next Monday of six days ago
            return func.date(time, "-6 days", "weekday 1", type_=String)
        return func.strftime("%Y-%m" if unit == "month" else "%Y-%m-%d", time, type_=String)

    def _seconds(self, start: Any, end: Any) -> Any:
        return measuring.seconds(self._db, start, end)


def _last_attempt() -> Any:
    """The id of a payment's latest attempt: ids are in time order."""
    other = Attempt.__table__.alias("other")
    return (
        select(func.max(other.c.id)).where(other.c.intent_id == PaymentIntent.id).correlate(PaymentIntent)
    ).scalar_subquery()


def _by_key(found: Iterable[tuple[str, Counter[str]]]) -> list[tuple[str, Measures]]:
    return [(key, _measures(counts)) for key, counts in sorted(found)]


def _measures(counts: Counter[str]) -> Measures:
    def rate(part: str, *whole: str) -> float | None:
        total = sum(int(counts[name]) for name in whole)
        return round(int(counts[part]) / total, 4) if total else None

    latency = 1000 * float(counts["latency"]) / counts["timed"] if counts["timed"] else None
    delay = float(counts["settlement_seconds"]) / counts["settled"] if counts["settled"] else None
    return Measures(
        payments_count=int(counts["payments"]),
        success_rate=rate("approved", "approved", "refused"),
        decline_rate=rate("declined", "declined", "authorized"),
        chargeback_rate=rate("chargebacks", "captured"),
        avg_settlement_delay=round(delay) if delay is not None else None,
        avg_authorization_latency_ms=round(latency) if latency is not None else None,
        three_ds_challenge_rate=rate("challenged", "attempts"),
        refund_failure_rate=rate("refunds_failed", "refunds_failed", "refunds_succeeded"),
        dispute_win_rate=rate("disputes_won", "disputes_won", "disputes_lost"),
    )
