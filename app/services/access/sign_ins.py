"""Everything that a person has signed in with, in browsers and at the API: what is open, and how it ends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Update, delete, select, update
from sqlalchemy.orm import Session

from app.db import reading, transaction
from app.domain.actor import Actor
from app.domain.errors import NotFound
from app.kit import clock
from app.models.access.token_family import TokenFamily
from app.models.access.user import WebSession
from app.models.events.journal import record

#: A browser's session ends when nobody used it for so long; any sign-in is over after twelve hours.
IDLE, ABSOLUTE = timedelta(minutes=15), timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class OpenSignIn:
    """A sign-in that is open: a browser's session, or a family of tokens at the API."""

    id: str
    kind: str
    agent: str
    address: str | None
    created_at: datetime
    last_seen_at: datetime
    current: bool


def list_open(user_id: str, current: str = "") -> list[OpenSignIn]:
    """What a person is signed in with, used last first; `current` is the sign-in that asks."""
    now = clock.now()
    browsers = select(WebSession).where(
        WebSession.user_id == user_id, WebSession.expires_at > now, WebSession.last_seen_at > now - IDLE
    )
    families = select(TokenFamily).where(
        TokenFamily.user_id == user_id, TokenFamily.expires_at > now, TokenFamily.ended_at.is_(None)
    )
    with reading() as db:
        found = [_shown(row, "browser", current) for row in db.scalars(browsers)]
        found += [_shown(row, "api", current) for row in db.scalars(families)]
    return sorted(found, key=lambda item: item.last_seen_at, reverse=True)


def end(actor: Actor, user_id: str, sign_in_id: str) -> None:
    """End one of a person's own sign-ins.

    Raises:
        NotFound: it is not theirs, or is over.
    """
    with transaction(actor) as db:
        gone = delete(WebSession).where(WebSession.id == sign_in_id, WebSession.user_id == user_id)
        over = _ending("signed_out").where(TokenFamily.id == sign_in_id, TokenFamily.user_id == user_id)
        if not db.execute(gone).rowcount + db.execute(over).rowcount:  # type: ignore[attr-defined]
            raise NotFound("This is not open any more", code="sign_in_not_found")
        _note(db, actor, user_id, sign_in_id)


def end_others(actor: Actor, user_id: str, keep: str) -> None:
    """End all of a person's sign-ins but the one that is named."""
    with transaction(actor) as db:
        end_all(db, user_id, "signed_out", keep)
        _note(db, actor, user_id, "all others")


def end_all(db: Session, user_id: str, why: str, keep: str = "") -> None:
    """End all that a person is signed in with, but for the sign-in that is named."""
    db.execute(delete(WebSession).where(WebSession.user_id == user_id, WebSession.id != keep))
    db.execute(_ending(why).where(TokenFamily.user_id == user_id, TokenFamily.id != keep))


def end_family(db: Session, family_id: str, why: str) -> bool:
    """End a sign-in at the API; whether it was still open."""
    return bool(db.execute(_ending(why).where(TokenFamily.id == family_id)).rowcount)  # type: ignore[attr-defined]


def _ending(why: str) -> Update:
    return (
        update(TokenFamily)
        .where(TokenFamily.ended_at.is_(None))
        .values(ended_at=clock.now(), ended_why=why)
        .execution_options(synchronize_session=False)
    )


def _note(db: Session, actor: Actor, user_id: str, sign_in: str) -> None:
    record(
        db,
        "user.signed_out",
        tenant_id=actor.tenant_id,
        mode="live",
        entity="user",
        entity_id=user_id,
        cause="settings",
        after={"id": user_id, "sign_in": sign_in},
    )


def _shown(row: WebSession | TokenFamily, kind: str, current: str) -> OpenSignIn:
    mine = row.id == current
    return OpenSignIn(row.id, kind, row.agent, row.address, row.created_at, row.last_seen_at, mine)
