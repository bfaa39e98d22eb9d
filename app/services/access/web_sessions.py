"""Server-side sessions of signed-in browsers: the cookie holds a random token, the table its hash."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, select, update

from app.db import reading, transaction
from app.domain.actor import Actor, ActorKind, Mode, TenantProfile
from app.kit import clock
from app.kit.ids import new_id, random_token
from app.models.access.tenant import Tenant
from app.models.access.user import User, WebSession
from app.services.access import roles
from app.services.access.sign_ins import ABSOLUTE, IDLE
from app.services.operations.secrets_at_rest import hash_token

STEP_UP = timedelta(minutes=5)
#: The time of last use is written at most this often.
TOUCH = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who is signed in, and what they have lately confirmed."""

    token_hash: str
    id: str
    user: User
    tenant: TenantProfile
    step_up: dict[str, str]
    permissions: frozenset[str]

    def actor(self, mode: str, request_id: str = "") -> Actor:
        """The person as an actor in test or live mode."""
        return Actor(
            ActorKind.USER,
            self.user.id,
            self.tenant.in_mode(mode),
            Mode(mode),
            self.permissions,
            self.user.name,
            request_id,
            created_by=self.user.id,
            sign_in=self.id,
        )

    def confirmed(self, action: str) -> bool:
        """Whether this action was stepped up for within the last five minutes."""
        until = self.step_up.get(action)
        return until is not None and until > clock.now().isoformat()


def open_session(user_id: str, *, address: str | None = None, agent: str = "") -> str:
    """Start a session; the token for the cookie. Each sign-in gets a fresh one.

    `address` is the shortened network address and `agent` the browser, as they are shown where it is listed.
    """
    token, now = random_token(32), clock.now()
    row = WebSession(
        token_hash=hash_token(token),
        id=new_id("ses"),
        user_id=user_id,
        address=address,
        agent=agent,
        created_at=now,
        last_seen_at=now,
        expires_at=now + ABSOLUTE,
        step_up={},
    )
    with transaction() as db:
        db.add(row)
    return token


def load(token: str) -> SignedIn | None:
    """The session of a cookie, unless it was closed, idle for 15 minutes, or is 12 hours old."""
    now = clock.now()
    statement = (
        select(WebSession, User, Tenant)
        .join(User, User.id == WebSession.user_id)
        .join(Tenant, Tenant.id == User.tenant_id)
        .where(
            WebSession.token_hash == hash_token(token),
            WebSession.expires_at > now,
            WebSession.last_seen_at > now - IDLE,
            User.disabled_at.is_(None),
            Tenant.tokens_valid_after.is_(None) | (WebSession.created_at > Tenant.tokens_valid_after),
        )
    )
    with reading() as db:
        row = db.execute(statement).one_or_none()
        if row is None:
            return None
        session, user, tenant = row
        permissions = roles.permissions_of(db, user)
    if now - session.last_seen_at > TOUCH:
        _touch(session.token_hash)
    return SignedIn(
        session.token_hash, session.id, user, tenant.profile(Mode.LIVE), session.step_up, permissions
    )


def close(token_hash: str) -> None:
    """Sign out."""
    with transaction() as db:
        db.execute(delete(WebSession).where(WebSession.token_hash == token_hash))


def confirm(token_hash: str, action: str) -> None:
    """Remember that the person stepped up for an action."""
    with transaction() as db:
        row = db.get_one(WebSession, token_hash, with_for_update=True)
        until = (clock.now() + STEP_UP).isoformat()
        row.step_up = {**row.step_up, action: until}


def renew(token_hash: str) -> str:
    """Give a session a new token (after MFA and privilege changes: no fixation)."""
    token = random_token(32)
    with transaction() as db:
        db.execute(
            update(WebSession).where(WebSession.token_hash == token_hash).values(token_hash=hash_token(token))
        )
    return token


def clean() -> int:
    """Drop sessions that are over. Returns how many."""
    with transaction() as db:
        over = delete(WebSession).where(WebSession.expires_at < clock.now())
        return int(db.execute(over).rowcount)  # type: ignore[attr-defined]


def _touch(token_hash: str) -> None:
    with transaction() as db:
        db.execute(
            update(WebSession).where(WebSession.token_hash == token_hash).values(last_seen_at=clock.now())
        )
