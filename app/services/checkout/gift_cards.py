"""Gift cards as the merchant handles them: issued here, sold or given away elsewhere, blocked (OP-45)."""

from __future__ import annotations

import secrets
import time
from datetime import timedelta

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.db import reading, transaction
from app.domain import money
from app.domain.actor import Actor
from app.domain.errors import Conflict, InvalidRequest, NotFound
from app.kit import clock
from app.kit.ids import new_id
from app.kit.pagination import DEFAULT_LIMIT, Page
from app.models.catalogue.stored_value import GiftCard
from app.models.events.journal import record
from app.services.operations.paging import newest_first

#: Without letters and digits that look alike; sixteen of them are 80 bits, more than anybody tries.
_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_GROUPS, _GROUP = 4, 4

_FOREVER = float("inf")
#: For so many seconds nobody asks again whether a merchant has cards; one who has is remembered.
_NONE_SECONDS = 5
#: (tenant, mode, currency) → until when there are none, or infinity: there are.
_KNOWN: dict[tuple[str, str, str], float] = {}


def are_issued(actor: Actor, currency: str) -> bool:
    """Whether a page should ask for gift cards: the merchant has made some in this currency."""
    key, now = (actor.tenant_id, str(actor.mode), currency), time.monotonic()
    until = _KNOWN.get(key, 0.0)
    if until > now:
        return until == _FOREVER
    statement = select(GiftCard.id).where(
        GiftCard.tenant_id == actor.tenant_id, GiftCard.mode == actor.mode, GiftCard.currency == currency
    )
    with reading() as db:
        found = db.scalar(statement.limit(1)) is not None
    _KNOWN[key] = _FOREVER if found else now + _NONE_SECONDS
    return found


def issue(
    actor: Actor, amount: int, currency: str, *, code: str | None = None, days: int | None = None
) -> GiftCard:
    """Make a gift card of so many minor units; its code is made unless it is given. It lapses after `days`.

    Raises:
        InvalidRequest: not an amount, a currency, or a code of 6 to 64 characters without spaces.
        Conflict: the merchant has a card with this code.
    """
    if not 0 < amount <= money.MAX_AMOUNT:
        raise InvalidRequest("Valid amount is required", code="invalid_amount", field="amount")
    if not money.is_currency(currency):
        raise InvalidRequest("There is no such currency", code="unsupported_currency", field="currency")
    if code is not None and not (6 <= len(code) <= 64 and code.isascii() and code.split() == [code]):
        raise InvalidRequest("A code has 6 to 64 characters without spaces", field="code")
    card = GiftCard(
        id=new_id("gft"),
        tenant_id=actor.tenant_id,
        mode=str(actor.mode),
        code=code or _code(),
        currency=currency,
        balance=amount,
        expires_at=clock.now() + timedelta(days=days) if days is not None else None,
    )
    try:
        with transaction(actor) as db:
            db.add(card)
            record(
                db,
                "gift_card.issued",
                tenant_id=card.tenant_id,
                mode=card.mode,
                entity="gift_card",
                entity_id=card.id,
                cause=str(actor.kind),
                after={"label": label(card.code), "amount": amount, "currency": currency},
            )
    except IntegrityError as error:
        raise Conflict("There is a gift card with this code", code="giftcard_exists") from error
    return card


def set_blocked(actor: Actor, card_id: str, blocked: bool) -> GiftCard:
    """Refuse a card from now on, or take it again; its balance stays, and checkouts that hold some go on.

    Raises:
        NotFound: see `get`.
    """
    with transaction(actor) as db:
        card = _one(db, _mine(actor).where(GiftCard.id == card_id).with_for_update())
        if (card.blocked_at is not None) == blocked:
            return card
        card.blocked_at = clock.now() if blocked else None
        record(
            db,
            "gift_card.blocked" if blocked else "gift_card.unblocked",
            tenant_id=card.tenant_id,
            mode=card.mode,
            entity="gift_card",
            entity_id=card.id,
            cause=str(actor.kind),
            before={"label": label(card.code), "blocked": not blocked},
            after={"label": label(card.code), "blocked": blocked},
        )
        return card


def get(actor: Actor, card_id: str) -> GiftCard:
    """One card of this merchant and mode.

    Raises:
        NotFound: there is none, or it is another merchant's.
    """
    with reading() as db:
        return _one(db, _mine(actor).where(GiftCard.id == card_id))


def by_code(actor: Actor, code: str) -> GiftCard:
    """The card with this code, in capitals or as it was typed; raises as `get`."""
    typed = code.strip()
    with reading() as db:
        found = {card.code: card for card in db.scalars(_mine(actor).where(_named(typed)))}
    card = found.get(typed) or found.get(typed.upper())
    if card is None:
        raise _unknown()
    return card


def list_page(actor: Actor, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None) -> Page[GiftCard]:
    """Cards, newest first.

    Raises:
        InvalidRequest: not a cursor of this list.
    """
    statement = _mine(actor)
    return newest_first(statement, GiftCard.id, limit=limit, cursor=cursor)


def state(card: GiftCard) -> str:
    """`active`, or why it pays nothing: `blocked`, `expired`, `used_up`."""
    if card.blocked_at is not None:
        return "blocked"
    if card.expires_at is not None and card.expires_at <= clock.now():
        return "expired"
    return "active" if card.balance else "used_up"


def label(code: str) -> str:
    """What may be shown of a code: its end."""
    return f"…{code[-4:]}" if len(code) > 6 else f"…{code[-2:]}"


def _mine(actor: Actor) -> Select[GiftCard]:
    return select(GiftCard).where(GiftCard.tenant_id == actor.tenant_id, GiftCard.mode == str(actor.mode))


def _named(code: str) -> ColumnElement[bool]:
    return GiftCard.code.in_({code, code.upper()})


def _one(db: Session, statement: Select[GiftCard]) -> GiftCard:
    found = db.scalars(statement.execution_options(populate_existing=True)).one_or_none()
    if found is None:
        raise _unknown()
    return found


def _unknown() -> NotFound:
    return NotFound("There is no such gift card", code="giftcard_not_found")


def _code() -> str:
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS))
