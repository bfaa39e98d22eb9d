"""Browser credentials: client tokens, bound to one session and expiring with it (OP-07)."""

from __future__ import annotations

from sqlalchemy import select

from app import settings
from app.db import reading
from app.domain.actor import Actor, ActorKind, Mode
from app.domain.errors import Unauthenticated
from app.kit import clock, signing
from app.models.access.tenant import Tenant
from app.models.checkout.session import CheckoutSession

_KIND = "client"
_PREFIX = "pub_"


def client_token(session: CheckoutSession) -> str:
    """The session's client token: signed, not stored, the same each time."""
    claims = {"sid": session.id, "exp": int(session.expires_at.timestamp())}
    return _PREFIX + signing.sign_token(_KIND, claims, settings.current().signing_key)


def authenticate(presented: str) -> Actor:
    """The actor behind a client token: it may do what its own session's page may do.

    Raises:
        Unauthenticated: not one of ours, or expired.
    """
    claims = signing.read_token(
        _KIND, presented.removeprefix(_PREFIX), settings.current().signing_key, clock.now()
    )
    if claims is None:
        raise Unauthenticated("Invalid or expired token")
    statement = (
        select(Tenant, CheckoutSession.mode)
        .join(CheckoutSession, CheckoutSession.tenant_id == Tenant.id)
        .where(CheckoutSession.id == claims["sid"])
    )
    with reading() as db:
        row = db.execute(statement).one_or_none()
    if row is None:
        raise Unauthenticated("Invalid or expired token")
    return Actor(
        ActorKind.CLIENT_TOKEN,
        claims["sid"],
        row[0].profile(),
        Mode(row[1]),
        frozenset({"checkout:*", "intents:*", "methods:*"}),
        "client token",
        session_id=claims["sid"],
    )
