"""Finding payments: by an id, an e-mail address, a reference, an amount, the last four digits of the card.

Each question is asked by itself, over an index of its own, and only where what was typed could be its answer:
one statement with all of them would read every payment of the merchant.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

from sqlalchemy import ColumnElement, Select, String, cast, func, or_, select
from sqlalchemy.orm import Session

from app.db import reading
from app.domain import money
from app.domain.actor import Actor
from app.models.checkout.session import CheckoutSession
from app.models.json_text import LoweredText
from app.models.payments.attempt import Attempt
from app.models.payments.dispute import Dispute
from app.models.payments.intent import PaymentIntent
from app.models.payments.method import PaymentMethod
from app.models.payments.refund import Refund

#: More hits than anybody reads.
MAX_HITS = 100
#: So many of the latest payments and checkouts are looked through for words that no index has.
LATEST = 5_000

_AMOUNT = re.compile(r"(?:[A-Za-z]{3}\s*)?[£$€¥]?\s*[\d.,]{1,20}(?:\s*[A-Za-z]{3})?")

_I, _S = PaymentIntent, CheckoutSession


def find(actor: Actor, query: str) -> list[str]:
    """Ids of intents that the words fit, newest first; `MAX_HITS` at most."""
    text = query.strip()
    if not text:
        return []
    found: set[str] = set()
    with reading() as db:
        for statement in _questions(actor, text):
            found.update(db.scalars(statement.limit(MAX_HITS)))
        if not found and len(text) >= 3:
            found.update(_by_words(db, actor, text))
    return sorted(found, reverse=True)[:MAX_HITS]


def checkouts(actor: Actor, query: str, *, limit: int = MAX_HITS) -> list[CheckoutSession]:
    """Checkouts that the words fit, newest first; asked as payments are."""
    text = query.strip()
    if not text:
        return []
    with reading() as db:
        found = {
            row.id: row
            for condition in _of_checkout(text)
            for row in db.scalars(
                select(_S).where(*_mine(actor, _S), condition).order_by(_S.id.desc()).limit(limit)
            )
        }
        if not found and len(text) >= 3:
            ids = _latest_checkouts(actor, text).limit(limit)
            found = {row.id: row for row in db.scalars(select(_S).where(_S.id.in_(ids)))}
    return sorted(found.values(), key=lambda row: row.id, reverse=True)[:limit]


def session_of(actor: Actor, intent: PaymentIntent) -> CheckoutSession | None:
    """The checkout that a payment belongs to."""
    if intent.checkout_id is None:
        return None
    statement = select(_S).where(_S.id == intent.checkout_id, _S.tenant_id == actor.tenant_id)
    with reading() as db:
        return db.scalars(statement).one_or_none()


def _questions(actor: Actor, text: str) -> Iterator[Select[str]]:
    """What to ask, given what was typed; each statement finds the newest first."""
    if text.startswith("pi_"):
        yield _whole(_charged(actor).where(_I.id == text))
    charge = text.replace("auth_", "ch_", 1) if text.startswith("auth_") else text
    for named in (Attempt.id == charge, Attempt.gateway_reference == text):
        yield _whole(_charged(actor).join(Attempt, Attempt.intent_id == _I.id).where(named))
    for entity, prefix in ((Refund, "rf_"), (Dispute, "dp_")):
        if text.startswith(prefix):
            yield _whole(_charged(actor).join(entity, entity.intent_id == _I.id).where(entity.id == text))
    yield _payments(actor).where(_I.customer_id == text)
    for condition in _of_checkout(text):
        bought = select(_S.id).where(*_mine(actor, _S), condition).order_by(_S.id.desc()).limit(MAX_HITS)
        yield _payments(actor).where(_I.checkout_id.in_(bought.scalar_subquery()))
    if len(text) == 4 and text.isdigit():
        cards = (
            select(PaymentMethod.id)
            .where(*_mine(actor, PaymentMethod), PaymentMethod.last4 == text)
            .order_by(PaymentMethod.id.desc())
            .limit(MAX_HITS)
        )
        yield _payments(actor).where(_I.payment_method_id.in_(cards.scalar_subquery()))
    amount = _amount(actor, text)
    if amount is not None:
        minor, currency = amount
        of_currency = (_I.currency == currency,) if currency else ()
        yield _payments(actor, _I.created_at.desc()).where(_I.amount == minor, *of_currency)


def _of_checkout(text: str) -> Iterator[ColumnElement[bool]]:
    """How a checkout may be meant by what was typed; each condition has its index."""
    if text.startswith("chk_"):
        yield _S.id == text
    elif _is_uuid(text):
        yield _S.public_id == text.lower()
    else:
        yield _S.hosted_id == text
    yield _S.reference == text
    yield _S.order_id == text
    if "@" in text:
        yield LoweredText(_S.customer, "email") == text.lower()


def _by_words(db: Session, actor: Actor, text: str) -> list[str]:
    """Payments among the latest whose description, or whose checkout, has the words in it."""
    latest = _payments(actor).add_columns(_I.description).limit(LATEST).subquery()
    described = select(latest.c.id).where(latest.c.description.icontains(text, autoescape=True))
    found = list(db.scalars(described.order_by(latest.c.id.desc()).limit(MAX_HITS)))
    bought = list(db.scalars(_latest_checkouts(actor, text).limit(MAX_HITS)))
    return found + list(db.scalars(_payments(actor).where(_I.checkout_id.in_(bought)).limit(MAX_HITS)))


def _latest_checkouts(actor: Actor, text: str) -> Select[str]:
    """Ids of checkouts among the latest with the words in what people see of them."""
    latest = (
        select(_S.id, _S.title, _S.reference, _S.description, cast(_S.customer, String).label("customer"))
        .where(*_mine(actor, _S))
        .order_by(_S.id.desc())
        .limit(LATEST)
        .subquery()
    )
    columns = (latest.c.title, latest.c.reference, latest.c.description, latest.c.customer)
    fits = or_(*(column.icontains(text, autoescape=True) for column in columns))
    return select(latest.c.id).where(fits).order_by(latest.c.id.desc())


def _payments(actor: Actor, order: ColumnElement[Any] | None = None) -> Select[str]:
    """Whole payments of this merchant, newest first."""
    statement = select(_I.id).where(*_mine(actor, _I), _I.parent_intent_id.is_(None))
    return statement.order_by(order if order is not None else _I.id.desc())


def _charged(actor: Actor) -> Select[str]:
    """Payments and parts of payments."""
    return select(_I.id).where(*_mine(actor, _I))


def _whole(statement: Select[str]) -> Select[str]:
    """The whole payments in the place of parts."""
    return statement.with_only_columns(func.coalesce(_I.parent_intent_id, _I.id))


def _mine(actor: Actor, table: Any) -> tuple[ColumnElement[bool], ...]:
    return (table.tenant_id == actor.tenant_id, table.mode == str(actor.mode))


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return len(text) == 36


def _amount(actor: Actor, text: str) -> tuple[int, str | None] | None:
    """Minor units, and the currency where one was typed: `16.20`, `£16.20`, `16,20 EUR`."""
    if not _AMOUNT.fullmatch(text):
        return None
    words = re.findall(r"[A-Za-z]{3}", text)
    currency = words[0].upper() if words else None
    if len(words) > 1 or (currency and not money.is_currency(currency)):
        return None
    digits = re.sub(r"[^\d.,]", "", text).replace(",", ".")
    if digits.count(".") > 1:  # the first ones set thousands apart
        head, _, tail = digits.rpartition(".")
        digits = f"{head.replace('.', '')}.{tail}"
    try:
        return money.from_major(Decimal(digits), currency or actor.tenant.default_currency), currency
    except (InvalidOperation, ValueError):
        return None
