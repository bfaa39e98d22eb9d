"""Customers as the dashboard shows them: by the merchant's own id, else by e-mail address.

Nobody writes a list of customers down: whoever paid is one. The list goes through the latest payments, and
each look at it reads so many and no more, whatever a merchant has sold.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, or_, select
from sqlalchemy.orm import Session, aliased

from app.db import reading
from app.domain.actor import Actor
from app.domain.errors import InvalidRequest, NotFound
from app.domain.lifecycles.intents import Status
from app.kit.pagination import DEFAULT_LIMIT, Page, decode_cursor, encode_cursor
from app.models.checkout.order import Order
from app.models.checkout.session import CheckoutSession
from app.models.json_text import LoweredText
from app.models.payments.intent import PaymentIntent
from app.services.checkout import stored_value, subscriptions
from app.services.payments import listing, saved_methods, search
from app.services.payments.listing import Line

#: So many payments are read at once, and so many times for one page.
WINDOW, WINDOWS = 1_000, 4
#: Payments that a customer's page shows; the list of payments has the others.
SHOWN = 25
#: An address that more checkouts have than this is not one person's.
_OF_ONE_ADDRESS = 200
#: As the name of an order of ours begins (models/checkout/order.py).
_ORDER = "order_"

_I, _S = PaymentIntent, CheckoutSession


@dataclass(frozen=True, slots=True)
class Customer:
    """Somebody who bought: an id of the merchant's own, or only an address."""

    id: str | None
    email: str | None
    name: str | None
    last_paid_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Bought:
    """What somebody bought: the latest payments, and the orders of those, newest first."""

    payments: list[Line]
    orders: list[Order]
    more: bool = False

    @property
    def person(self) -> Customer:
        """Who they are, as their latest checkout with a name or an address has it."""
        for line in self.payments:
            buyer = (line.session.customer or {}) if line.session else {}
            if buyer.get("email") or buyer.get("name"):
                return Customer(line.intent.customer_id, buyer.get("email"), buyer.get("name"))
        return Customer(None, None, None)

    @property
    def ids(self) -> list[str]:
        """Under which ids of the merchant's they paid."""
        return sorted({line.intent.customer_id for line in self.payments if line.intent.customer_id})


def list_page(actor: Actor, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None) -> Page[Customer]:
    """Everybody who paid, who paid last first; a page may be short, and there may be more behind it.

    Raises:
        InvalidRequest: not a cursor of this list.
    """
    place = decode_cursor(cursor) if cursor else None
    if cursor and place is None:
        raise InvalidRequest("Not a cursor of this list", field="cursor")
    found: list[tuple[str, Customer]] = []
    with reading() as db:
        for _ in range(WINDOWS):
            window = list(db.execute(_paid(actor, place).limit(WINDOW)))
            if not window:
                return Page([customer for _, customer in found], None)
            more = _of_window(db, actor, window[0][0], window[-1][0], limit + 1 - len(found))
            found += more
            if len(found) > limit:
                return Page([customer for _, customer in found[:limit]], encode_cursor(found[limit - 1][0]))
            place = window[-1][0]
            if len(window) < WINDOW:
                return Page([customer for _, customer in found], None)
    return Page([customer for _, customer in found], encode_cursor(str(place)))


def _paid(actor: Actor, before: str | None) -> Select[str]:
    """Payments that succeeded, newest first."""
    statement = select(_I.id).where(*_of(actor, _I), _I.status == Status.SUCCEEDED)
    if before is not None:
        statement = statement.where(_I.id < before)
    return statement.order_by(_I.id.desc())


def _of_window(db: Session, actor: Actor, newest: str, oldest: str, limit: int) -> list[tuple[str, Customer]]:
    """Whose latest payment is within a window."""
    statement = (
        select(_I.id, _I.customer_id, _I.succeeded_at, _S.customer)
        .outerjoin(_S, _S.id == _I.checkout_id)
        .where(
            *_of(actor, _I),
            _I.status == Status.SUCCEEDED,
            _I.id.between(oldest, newest),
            _I.parent_intent_id.is_(None),
            _is_the_latest(actor),
        )
        .order_by(_I.id.desc())
        .limit(limit)
    )
    return [
        (intent_id, Customer(customer_id, (buyer or {}).get("email"), (buyer or {}).get("name"), at))
        for intent_id, customer_id, at, buyer in db.execute(statement)
    ]


def _is_the_latest(actor: Actor) -> ColumnElement[bool]:
    """Nobody with this id has paid since; of a payment without one, nobody with this address."""
    later, theirs, bought = aliased(_I), aliased(_I), aliased(_S)
    by_id = select(later.id).where(
        *_of(actor, later),
        later.customer_id == _I.customer_id,
        later.status == Status.SUCCEEDED,
        later.parent_intent_id.is_(None),
        later.id > _I.id,
    )
    address = LoweredText(_S.customer, "email")
    by_address = (
        select(theirs.id)
        .join(bought, bought.payment_intent_id == theirs.id)
        .where(
            *_of(actor, bought),
            LoweredText(bought.customer, "email") == address,
            theirs.status == Status.SUCCEEDED,
            theirs.customer_id.is_(None),
            theirs.id > _I.id,
        )
    )
    known = and_(_I.customer_id.is_not(None), ~by_id.correlate(_I).exists())
    guest = and_(_I.customer_id.is_(None), address.is_not(None), ~by_address.correlate(_I, _S).exists())
    return or_(known, guest)


def find(actor: Actor, text: str, checkouts: list[CheckoutSession] | None = None) -> list[Customer]:
    """Whose id was typed, and who bought what was found under their name or address."""
    found: dict[str, Customer] = {}
    if is_known(actor, text):
        found[text] = Customer(text, None, None)
    for session in search.checkouts(actor, text) if checkouts is None else checkouts:
        buyer = session.customer or {}
        email, name, named = (buyer.get(key) for key in ("email", "name", "customer_id"))
        told = " ".join(str(word) for word in (email, name, named) if word).lower()
        key = named or (email or "").lower()
        if key and text.lower() in told:
            found.setdefault(key, Customer(named, email, name))
    return list(found.values())


def is_known(actor: Actor, customer_id: str) -> bool:
    """Whether something is there under an id of the merchant's."""
    if not 0 < len(customer_id) <= 64:
        return False
    with reading() as db:
        paid = db.scalar(select(_I.id).where(*_of(actor, _I), _I.customer_id == customer_id).limit(1))
    return bool(
        paid
        or saved_methods.list_page(actor, customer_id, limit=1).data
        or subscriptions.list_page(actor, customer_id=customer_id, limit=1).data
        or stored_value.credits_of(actor, customer_id)
    )


def of_id(actor: Actor, customer_id: str) -> Bought:
    """What was bought under an id of the merchant's."""
    statement = (
        select(_I.id)
        .where(*_of(actor, _I), _I.customer_id == customer_id, _I.parent_intent_id.is_(None))
        .order_by(_I.id.desc())
        .limit(SHOWN + 1)
    )
    with reading() as db:
        return _bought(actor, list(db.scalars(statement)))


def of_email(actor: Actor, email: str) -> Bought:
    """What was bought under an address.

    Raises:
        NotFound: no checkout has it.
    """
    statement = (
        select(_S.payment_intent_id)
        .where(*_of(actor, _S), LoweredText(_S.customer, "email") == email.strip().lower())
        .order_by(_S.id.desc())
        .limit(_OF_ONE_ADDRESS)
    )
    with reading() as db:
        found = list(db.scalars(statement))
    if not found:
        raise NotFound("Customer not found")
    return _bought(actor, sorted((name for name in found if name), reverse=True)[: SHOWN + 1])


def _bought(actor: Actor, intent_ids: list[str]) -> Bought:
    shown = tuple(intent_ids[:SHOWN])
    lines = listing.page(actor, listing.Filters(ids=shown), limit=SHOWN).data if shown else []
    return Bought(lines, _orders(actor, lines), len(intent_ids) > SHOWN)


def _orders(actor: Actor, lines: list[Line]) -> list[Order]:
    """Of payments: by the order's number that their checkout has, or as what they pay for."""
    named = [line.session.order_id or "" for line in lines if line.session]
    digits = [name.removeprefix(_ORDER) for name in named if name.startswith(_ORDER)]
    numbers = [int(text) for text in digits if text.isascii() and text.isdigit() and len(text) < 10]
    paid_for = [line.intent.paid_for for line in lines if line.intent.paid_for]
    if not numbers and not paid_for:
        return []
    statement = select(Order).where(
        *_of(actor, Order), or_(Order.number.in_(numbers), Order.id.in_(paid_for))
    )
    with reading() as db:
        return list(db.scalars(statement.order_by(Order.number.desc())))


def _of(actor: Actor, table: Any) -> tuple[ColumnElement[bool], ...]:
    return (table.tenant_id == actor.tenant_id, table.mode == str(actor.mode))
