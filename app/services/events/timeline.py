"""Timelines: the journal read by entity, checkout or payment (CK-066)."""

from __future__ import annotations

from sqlalchemy import Select, select

from app.db import reading
from app.domain.actor import Actor
from app.models.events.journal import JournalEntry


def of_checkout(actor: Actor, checkout_id: str) -> list[JournalEntry]:
    """Everything that happened to a checkout, in time order."""
    return _read(_mine(actor).where(JournalEntry.checkout_id == checkout_id))


def of_payment(actor: Actor, intent_id: str) -> list[JournalEntry]:
    """Everything that happened to a payment, in time order."""
    return _read(_mine(actor).where(JournalEntry.payment_intent_id == intent_id))


def of_entity(actor: Actor, entity_id: str) -> list[JournalEntry]:
    """Everything that happened to one entity (a key, a link, an endpoint …), in time order."""
    return _read(_mine(actor).where(JournalEntry.entity_id == entity_id))


def _mine(actor: Actor) -> Select[JournalEntry]:
    return select(JournalEntry).where(
        JournalEntry.tenant_id == actor.tenant_id, JournalEntry.mode == actor.mode
    )


def _read(statement: Select[JournalEntry]) -> list[JournalEntry]:
    with reading() as db:
        return list(db.scalars(statement.order_by(JournalEntry.id)))
