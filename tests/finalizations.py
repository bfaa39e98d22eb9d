"""Sessions that their merchant finalises, paid and ready; an Order Service elsewhere; what a run left behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from app import db as database
from app.connectors.sandbox import book
from app.db import reading
from app.models.catalogue.receipt import Receipt
from app.models.checkout.finalization import Finalization
from app.models.checkout.order import Order
from app.models.checkout.session import CheckoutSession
from app.providers.base import OrderDraft, PlacedOrder, Scope
from app.services.events import timeline
from app.services.operations import jobs
from app.worker.handlers import HANDLERS
from tests.shops import GOOD, Shop


def ready(shop: Shop, mode: str = "auto", *, number: str = GOOD, **draft: Any) -> CheckoutSession:
    """A session of the API, paid (`auto`) or with its money held (`manual`)."""
    options = {"capture_mode": mode, **draft.pop("options", {})}
    session = shop.session(hosted=False, options=options, **draft)
    assert shop.pay(session, number).status == "payment_processing"
    return session


def orders(session: CheckoutSession) -> list[tuple[str, str]]:
    """(id, status) of each order of a session."""
    with reading() as db:
        rows = db.scalars(select(Order).where(Order.checkout_id == session.id).order_by(Order.number))
        return [(row.public_number, row.status) for row in rows]


def receipts(session: CheckoutSession) -> list[Receipt]:
    """The receipts of a session, void ones among them."""
    with reading() as db:
        wanted = Receipt.source == f"checkout:{session.id}"
        return list(db.scalars(select(Receipt).where(wanted).order_by(Receipt.number)))


def run(session: CheckoutSession) -> Finalization:
    """The latest run of a session."""
    with reading() as db:
        wanted = Finalization.checkout_id == session.id
        return db.scalars(select(Finalization).where(wanted).order_by(Finalization.id.desc())).all()[0]


def charges() -> list[tuple[str, int, int]]:
    """(status, captured, refunded) of each payment in the gateway's book."""
    columns = (book.payments.c.status, book.payments.c.captured, book.payments.c.refunded)
    with reading() as db:
        return [(row[0], row[1], row[2]) for row in db.execute(select(*columns))]


def told(shop: Shop, session: CheckoutSession) -> list[str]:
    """The types of everything on the session's timeline."""
    return [entry.type for entry in timeline.of_checkout(shop.actor, session.id)]


def work() -> int:
    """What the worker does now: each job that is due, once. Returns how many."""
    due = jobs.due()
    for job_id in due:
        job = jobs.claim(job_id)
        assert job is not None
        try:
            result = HANDLERS[job.name](job.arguments)
        except Exception as error:
            jobs.fail(job, f"{type(error).__name__}: {error}")
        else:
            jobs.finish(job, result)
    return len(due)


@dataclass
class OrderService:
    """An Order Service elsewhere: keeps orders by key, and does next what it is told to."""

    remote: bool = True
    asked: list[dict[str, Any]] = field(default_factory=list)
    canceled: list[tuple[str, str | None]] = field(default_factory=list)
    orders: dict[str, str] = field(default_factory=dict)
    next: list[Callable[[], None]] = field(default_factory=list)

    def create(self, scope: Scope, draft: OrderDraft) -> PlacedOrder:
        """See `Orders.create`."""
        assert not database.in_transaction(), "it is elsewhere"
        self.asked.append(draft.as_dict())
        order_id = self.orders.setdefault(draft.key, f"shop-{len(self.orders) + 1}")
        if self.next:
            self.next.pop(0)()
        return PlacedOrder(order_id)

    def cancel(self, scope: Scope, key: str, order_id: str | None) -> None:
        """See `Orders.cancel`."""
        assert not database.in_transaction(), "it is elsewhere"
        self.canceled.append((key, order_id))
        if self.next:
            self.next.pop(0)()


def fails(error: Exception) -> Callable[[], None]:
    """What an Order Service may do next."""

    def fail() -> None:
        raise error

    return fail
