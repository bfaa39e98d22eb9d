"""Issuing gift cards: what the merchant sells or gives away elsewhere, and Till redeems (OP-45)."""

from __future__ import annotations

import secrets
from datetime import timedelta

from sqlalchemy.exc import IntegrityError

from app.db import transaction
from app.domain import money
from app.domain.actor import Actor
from app.domain.errors import Conflict, InvalidRequest
from app.kit import clock
from app.kit.ids import new_id
from app.models.catalogue.stored_value import GiftCard
from app.models.events.journal import record

#: Without letters and digits that look alike; sixteen of them are 80 bits, more than anybody tries.
_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_GROUPS, _GROUP = 4, 4


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


def label(code: str) -> str:
    """What may be shown of a code: its end."""
    return f"…{code[-4:]}" if len(code) > 6 else f"…{code[-2:]}"


def _code() -> str:
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS))
