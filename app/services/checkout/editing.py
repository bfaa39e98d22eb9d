"""Editing an open session: one lock, one version and one journal entry for each edit (CK-003 to CK-013)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session

from app.db import transaction
from app.domain.actor import Actor
from app.models.checkout.session import CheckoutSession
from app.models.events.journal import record
from app.services.checkout import sessions


@contextmanager
def edit(
    actor: Actor, checkout_id: str, *, version: int | None = None
) -> Iterator[tuple[Session, CheckoutSession]]:
    """The locked session and its transaction; a fresh session is collecting from then on.

    Nothing is flushed before the end, so that an edit is one UPDATE and the version grows by one.

    Raises:
        NotFound: there is none, or it is another merchant's.
        InvalidState: it is over, or being paid.
        VersionConflict: it is no longer at `version`.
    """
    with transaction(actor) as db:
        session = sessions.find(db, actor, checkout_id, lock=True)
        sessions.refuse_closed(session)
        session.expect_version(version)
        with db.no_autoflush:
            yield db, session
        read_version = session.version
        sessions.touch(session, cause=str(actor.kind))
        db.flush()
        if session.version != read_version:
            _note(db, session, actor)


def _note(db: Session, session: CheckoutSession, actor: Actor) -> None:
    record(
        db,
        "checkout.updated",
        tenant_id=session.tenant_id,
        mode=session.mode,
        entity="checkout",
        entity_id=session.id,
        cause=str(actor.kind),
        after=session.facts(),
        **session.journal_links(),
    )
