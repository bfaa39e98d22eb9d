"""Notes that a merchant's people attach to a checkout, whatever has become of it (CK-063)."""

from __future__ import annotations

from app.db import transaction
from app.domain.actor import Actor
from app.domain.errors import InvalidRequest, Unprocessable
from app.domain.rules.cards import holds_card_number
from app.kit.ids import new_id
from app.models.checkout.support_note import SupportNote
from app.models.events.journal import record
from app.services.checkout import sessions

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
        note = SupportNote(
            id=new_id("note"),
            tenant_id=session.tenant_id,
            mode=session.mode,
            checkout_id=session.id,
            text=words,
            author=name,
            created_by=actor.id,
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
            **session.journal_links(),
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
