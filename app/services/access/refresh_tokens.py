"""Refresh tokens: a person stays signed in at the API, and a stolen token is found out (OP-05, decision 8).

Each token works once and gives the next one of its family; only keyed hashes are kept. A token that comes
a second time is in two hands, and nobody can tell whose are the right ones, so the family ends, with all
access tokens that came of it. Two tabs that refresh at the same moment are no theft: within `GRACE` the
one that was later is told so and nothing ends (docs/adr/0026).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from app.db import reading, retrying, transaction
from app.domain.actor import Actor
from app.domain.errors import Conflict, DomainError, Unauthenticated
from app.kit import clock
from app.kit.ids import new_id, random_token
from app.models.access.token_family import RefreshToken, TokenFamily
from app.models.events.journal import record
from app.services.access import sign_ins, tokens
from app.services.access.sign_ins import ABSOLUTE, IDLE
from app.services.operations.secrets_at_rest import hash_token

#: Unused for so long, a sign-in is over: an access token's life, and the idle time of a browser's session.
UNUSED = timedelta(seconds=tokens.JWT_SECONDS) + IDLE
#: A used token that comes again so soon is a race of its owner's, and no theft.
GRACE = timedelta(seconds=10)
#: Families are kept for a while after their end, for whoever asks what happened.
KEEP = timedelta(days=7)

_PREFIX = "rt_"


@dataclass(frozen=True, slots=True)
class Granted:
    """A person, an access token for them, and the one token that gives the next."""

    actor: Actor
    access_token: str
    refresh_token: str
    expires_at: datetime


def begin(user_id: str, mode: str, *, address: str | None = None, agent: str = "") -> Granted:
    """Start a family for somebody who has just signed in, whole; twelve hours later it is over.

    Raises:
        Unauthenticated: there is no such person any more.
    """
    now = clock.now()
    actor = tokens.person(user_id, mode)
    family = TokenFamily(
        id=new_id("fam"),
        tenant_id=actor.tenant_id,
        mode=mode,
        user_id=user_id,
        address=address,
        agent=agent,
        created_at=now,
        last_seen_at=now,
        expires_at=now + ABSOLUTE,
    )
    with transaction(actor) as db:
        db.add(family)
        db.flush()
        return _grant(db, family, actor)


def rotate(presented: str) -> Granted:
    """Use a refresh token up, for an access token and the next one.

    Raises:
        Unauthenticated: `invalid_grant`, unknown, expired, or used before, which ends its family.
        Conflict: `refresh_token_just_used`, of several at once another one was first.
    """
    token_hash = hash_token(presented)
    if _family_of(token_hash) is None:  # what is none of ours takes no turn among those who write
        raise _refused()
    outcome = retrying(lambda: _rotate(token_hash))
    if isinstance(outcome, DomainError):
        raise outcome
    return outcome


def revoke(presented: str) -> None:
    """End the family of a refresh or access token (RFC 7009); what is no token of ours is none to end."""
    if presented.startswith("eyJ"):
        family_id = tokens.family_of(presented)
    else:
        family_id = _family_of(hash_token(presented))
    if family_id is None:
        return
    with transaction() as db:
        if sign_ins.end_family(db, family_id, "signed_out"):
            _note(db, db.get_one(TokenFamily, family_id), "user.signed_out")


def clean() -> int:
    """Drop families that ended long ago, with their tokens. Returns how many."""
    with transaction() as db:
        old = delete(TokenFamily).where(TokenFamily.expires_at < clock.now() - KEEP)
        return int(db.execute(old).rowcount)  # type: ignore[attr-defined]


def _family_of(token_hash: str) -> str | None:
    with reading() as db:
        return db.scalar(select(RefreshToken.family_id).where(RefreshToken.token_hash == token_hash))


def _rotate(token_hash: str) -> Granted | DomainError:
    """What comes of a token; an error is returned, since what it stands for has to be kept."""
    now = clock.now()
    with transaction() as db:
        family = db.scalars(
            select(TokenFamily).join(RefreshToken).where(RefreshToken.token_hash == token_hash)
        ).one_or_none()
        if family is None or family.ended_at is not None or family.expires_at <= now:
            return _refused()
        taken = update(RefreshToken).where(
            RefreshToken.token_hash == token_hash,
            RefreshToken.used_at.is_(None),
            RefreshToken.expires_at > now,
        )
        if not db.execute(taken.values(used_at=now)).rowcount:  # type: ignore[attr-defined]
            return _not_taken(db, family, token_hash, now)
        try:
            actor = tokens.person(family.user_id, family.mode, since=family.created_at)
        except Unauthenticated:
            return _refused()
        family.last_seen_at = now
        return _grant(db, family, actor)


def _not_taken(db: Session, family: TokenFamily, token_hash: str, now: datetime) -> DomainError:
    used_at = db.scalar(select(RefreshToken.used_at).where(RefreshToken.token_hash == token_hash))
    if used_at is None:
        return _refused()
    if now - used_at <= GRACE:
        return Conflict(
            "This token was used a moment ago; go on with the one that came of it",
            code="refresh_token_just_used",
        )
    if sign_ins.end_family(db, family.id, "reused"):
        _note(db, family, "user.refresh_token_reused")
    return _refused()


def _refused() -> Unauthenticated:
    return Unauthenticated("Invalid or expired refresh token", code="invalid_grant")


def _grant(db: Session, family: TokenFamily, actor: Actor) -> Granted:
    token, now = _PREFIX + random_token(32), clock.now()
    row = RefreshToken(
        token_hash=hash_token(token),
        family_id=family.id,
        created_at=now,
        expires_at=min(now + UNUSED, family.expires_at),
    )
    db.add(row)
    return Granted(actor, tokens.mint_jwt(actor, family_id=family.id), token, row.expires_at)


def _note(db: Session, family: TokenFamily, type_: str) -> None:
    record(
        db,
        type_,
        tenant_id=family.tenant_id,
        mode="live",
        entity="user",
        entity_id=family.user_id,
        cause="refresh token",
        after={"id": family.user_id, "sign_in": family.id, "mode": family.mode},
    )
