"""Notes that a merchant's people attach to a checkout or a payment, whatever has become of it (CK-063)."""

from __future__ import annotations

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from app.db import reading, transaction
from app.domain.actor import Actor
from app.domain.errors import InvalidRequest, Unprocessable
from app.domain.rules.cards import holds_card_number
from app.kit.ids import new_id
from app.models.checkout.support_note import SupportNote
from app.models.events.journal import JournalLinks, record
from app.models.payments.intent import PaymentIntent
from app.services.checkout import sessions
from app.services.payments import intents

#: The type of its journal entry.
ADDED = "support_note.added"


def add(actor: Actor, checkout_id: str, text: str, *, author: str | None = None) -> SupportNote:
    """Attach a note; without an author it is the caller's.

    Raises:
        NotFound: no such session, or another merchant's.
        InvalidRequest: nothing is written in it.
        Unprocessable: `card_number_refused`.
    """
    words, name = checked(text, "note"), checked(author or actor.label or str(actor.kind), "author")
    with transaction(actor) as db:
        session = sessions.find(db, actor, checkout_id)
        return _write(db, actor, words, name, session.journal_links())


def add_to_payment(actor: Actor, intent_id: str, text: str) -> SupportNote:
    """Attach a note to a payment; it is one of its checkout, too. Raises as `add`."""
    words = checked(text, "note")
    with transaction(actor) as db:
        intent = intents.find(db, actor, intent_id)
        return _write(db, actor, words, actor.label or str(actor.kind), intent.journal_links())


def of_payment(actor: Actor, intent: PaymentIntent) -> list[SupportNote]:
    """The notes of a payment and of its checkout, newest first."""
    about = [SupportNote.payment_intent_id == intent.id]
    if intent.checkout_id is not None:
        about.append(SupportNote.checkout_id == intent.checkout_id)
    statement = select(SupportNote).where(SupportNote.tenant_id == actor.tenant_id, or_(*about))
    with reading() as db:
        return list(db.scalars(statement.order_by(SupportNote.id.desc())))


def _write(db: Session, actor: Actor, words: str, author: str, links: JournalLinks) -> SupportNote:
    note = SupportNote(
        id=new_id("note"),
        tenant_id=actor.tenant_id,
        mode=str(actor.mode),
        text=words,
        author=author,
        created_by=actor.id,
        **links,
    )
    db.add(note)
    record(
        db,
        ADDED,
        tenant_id=note.tenant_id,
        mode=note.mode,
        entity="support_note",
        entity_id=note.id,
        cause=str(actor.kind),
        after={"id": note.id},
        **links,
    )
    return note


def checked(text: str, field: str) -> str:
    """A text of support without the spaces around it; raises as `add`."""
    words = text.strip()
    if not words:
        raise InvalidRequest(f"{field} is empty", code="invalid_field", field=field)
    if holds_card_number(words):
        raise Unprocessable(
            f"{field} seems to hold a card number, which must not be written down",
            code="card_number_refused",
            field=field,
        )
    return words
