"""Customers of whom something is kept: who they are, as far as their saved methods tell."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from app.db import reading
from app.domain.actor import Actor
from app.domain.errors import InvalidRequest
from app.domain.lifecycles import methods as lifecycle
from app.kit.pagination import DEFAULT_LIMIT, Page
from app.models.payments.method import PaymentMethod


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer's id at the merchant, how many methods they keep, and since when the last one."""

    id: str
    methods: int
    last_kept_at: datetime


def list_page(actor: Actor, *, limit: int = DEFAULT_LIMIT, after: str | None = None) -> Page[Customer]:
    """Customers who keep a method, by their ids; `after` is the last id of the page before.

    The cursor of the page is that id: it is the merchant's own word, and may hold any letter.

    Raises:
        InvalidRequest: `after` is longer than an id.
    """
    if after is not None and len(after) > 64:
        raise InvalidRequest("Not a cursor of this list", field="after")
    method = PaymentMethod
    statement = (
        select(method.customer_id, func.count(), func.max(method.created_at))
        .where(
            method.tenant_id == actor.tenant_id,
            method.mode == str(actor.mode),
            method.customer_id.is_not(None),
            method.status == lifecycle.Status.ACTIVE,
        )
        .group_by(method.customer_id)
        .order_by(method.customer_id)
        .limit(limit + 1)
    )
    if after is not None:
        statement = statement.where(method.customer_id > after)
    with reading() as db:
        found = [Customer(str(id_), count, last) for id_, count, last in db.execute(statement)]
    return Page(found[:limit], found[limit - 1].id if len(found) > limit else None)
