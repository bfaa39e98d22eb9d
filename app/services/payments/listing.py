"""The dashboard's list of payments: filtered, newest first, a page at a time or all of it as a stream."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Select, and_, or_, select

from app.db import reading
from app.domain.actor import Actor
from app.domain.errors import InvalidRequest
from app.kit.pagination import Page, decode_moment, encode_moment
from app.models.checkout.session import CheckoutSession
from app.models.payments.intent import PaymentIntent
from app.models.payments.method import PaymentMethod

PAGE = 25
#: Rows of a stream that are read at once.
BATCH = 500

_I = PaymentIntent


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list is narrowed down to. `until` is excluded; amounts are minor units, both ends included.

    `ids` are what a search has found; none found is an empty list.
    """

    status: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    method: str | None = None
    currency: str | None = None
    least: int | None = None
    most: int | None = None
    ids: tuple[str, ...] | None = None


class Line(NamedTuple):
    """A payment with what it was paid by, and its checkout."""

    intent: PaymentIntent
    method: PaymentMethod | None
    session: CheckoutSession | None

    @property
    def email(self) -> str | None:
        """The customer's address."""
        return (self.session.customer or {}).get("email") if self.session else None


def page(actor: Actor, filters: Filters, *, limit: int = PAGE, cursor: str | None = None) -> Page[Line]:
    """A page of payments, newest first.

    Raises:
        InvalidRequest: not a cursor of this list.
    """
    rows = _read(actor, filters, limit + 1, _place(cursor) if cursor else None)
    if len(rows) <= limit:
        return Page(rows, None)
    last = rows[limit - 1].intent
    return Page(rows[:limit], encode_moment(last.created_at, last.id))


def stream(actor: Actor, filters: Filters) -> Iterator[Line]:
    """All payments of a list, newest first; no more than `BATCH` are held at a time."""
    place: tuple[datetime, str] | None = None
    while rows := _read(actor, filters, BATCH, place):
        yield from rows
        if len(rows) < BATCH:
            return
        place = (rows[-1].intent.created_at, rows[-1].intent.id)


def _read(actor: Actor, filters: Filters, count: int, place: tuple[datetime, str] | None) -> list[Line]:
    statement = _filtered(actor, filters)
    if place is not None:
        at, last_id = place
        before = or_(_I.created_at < at, and_(_I.created_at == at, _I.id < last_id))
        statement = statement.where(_I.created_at <= at, before)
    statement = statement.order_by(_I.created_at.desc(), _I.id.desc()).limit(count)
    with reading() as db:
        return [Line(row[0], row[1], row[2]) for row in db.execute(statement)]


def _filtered(actor: Actor, filters: Filters) -> Select[PaymentIntent, PaymentMethod, CheckoutSession]:
    statement = (
        select(_I, PaymentMethod, CheckoutSession)
        .outerjoin(PaymentMethod, PaymentMethod.id == _I.payment_method_id)
        .outerjoin(CheckoutSession, CheckoutSession.id == _I.checkout_id)
        .where(_I.tenant_id == actor.tenant_id, _I.mode == str(actor.mode), _I.parent_intent_id.is_(None))
    )
    wanted: tuple[tuple[Any, Any], ...] = (
        (filters.status, lambda value: _I.status == value),
        (filters.since, lambda value: _I.created_at >= value),
        (filters.until, lambda value: _I.created_at < value),
        (filters.method, lambda value: PaymentMethod.type == value),
        (filters.currency, lambda value: _I.currency == value),
        (filters.least, lambda value: _I.amount >= value),
        (filters.most, lambda value: _I.amount <= value),
        (filters.ids, _I.id.in_),
    )
    return statement.where(*(condition(value) for value, condition in wanted if value is not None))


def _place(cursor: str) -> tuple[datetime, str]:
    found = decode_moment(cursor)
    if found is None:
        raise InvalidRequest("Not a cursor of this list", field="cursor")
    return found
