"""Credentials that are signed, not stored: browsers' tokens and secrets (OP-07) and short JWTs (OP-05).

A client token is bound to one session and expires with it; a client secret is bound to one payment and
lasts half an hour. A JWT stands for a person or for an API key (a machine's token); whoever it stands for is
looked up on each call, with the sign-in that it came of and the merchant's "valid after", so that revoking
any of them ends it. A claim `act` names who acts in a person's name (OP-81).
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from sqlalchemy import bindparam, select

from app import settings
from app.db import reading, transaction
from app.domain.actor import Actor, ActorKind, Mode
from app.domain.errors import InvalidRequest, PermissionDenied, Unauthenticated
from app.domain.lifecycles import checkout_sessions, intents
from app.kit import clock, crypto, signing
from app.kit.ids import new_id
from app.models.access.tenant import Tenant
from app.models.access.token_family import TokenFamily
from app.models.access.user import User
from app.models.checkout.session import CheckoutSession
from app.models.events.journal import record
from app.models.payments.intent import PaymentIntent
from app.services.access import keys, roles
from app.services.access.tenants import refuse_suspended, too_old
from app.services.operations.settings import checkout_settings

#: How long a JWT lives (security.md).
JWT_SECONDS = 600

#: How long a payment's client secret lives: twice the time that a shopper has at a bank.
CLIENT_SECRET_SECONDS = 1800

#: How long an embedded page's token lives (OP-07).
EMBED_SECONDS = 900

_KIND = "client"
_SECRET_KIND = "intent"
_PREFIX = "pub_"
_PAYMENT, _SECRET_WORD = "pi_", "_secret_"
_AUDIENCE = "till-api"
_CLAIMS = ["aud", "iss", "sub", "jti", "iat", "iat_ms", "exp", "tenant_id", "mode", "machine"]
#: Clocks of two of our machines may differ by so much.
_SKEW_SECONDS = 5

_REFUSED = "Invalid or expired token"
_PERSON = (
    select(User, Tenant, TokenFamily)
    .join(Tenant, Tenant.id == User.tenant_id)
    .outerjoin(TokenFamily, (TokenFamily.id == bindparam("family_id")) & (TokenFamily.user_id == User.id))
    .where(User.id == bindparam("user_id"))
)


def client_token(session: CheckoutSession, *, actor: Actor | None = None) -> str:
    """The session's client token: signed, not stored, the same each time.

    An embedded page's credential gets none that outlives itself.
    """
    if actor is not None and actor.expires_at is not None:
        return _embed_token(session, min(actor.expires_at, session.expires_at))
    claims = {"sid": session.id, "exp": int(session.expires_at.timestamp())}
    return _PREFIX + signing.sign_token(_KIND, claims, settings.current().signing_key)


def embed_token(actor: Actor, session: CheckoutSession) -> tuple[str, datetime]:
    """A client token for a frame on another page, and its end: in 15 minutes, or with the session if sooner.

    It cannot be renewed with itself, so that one which leaks from a page soon ends.
    """
    until = min(clock.now() + timedelta(seconds=EMBED_SECONDS), session.expires_at)
    until = min(until, actor.expires_at or until).replace(microsecond=0)
    return _embed_token(session, until), until


def _embed_token(session: CheckoutSession, until: datetime) -> str:
    claims = {"sid": session.id, "exp": int(until.timestamp()), "embed": True}
    return _PREFIX + signing.sign_token(_KIND, claims, settings.current().signing_key)


def client_secret(intent: PaymentIntent) -> str:
    """A fresh secret for the browser that pays this intent (`pi_…_secret_…`): signed, not stored."""
    expires_at = int(clock.now().timestamp()) + CLIENT_SECRET_SECONDS
    claims = {"pi": intent.id, "exp": expires_at}
    signed = signing.sign_token(_SECRET_KIND, claims, settings.current().signing_key)
    return intent.id + _SECRET_WORD + signed


def mint_jwt(actor: Actor, *, family_id: str | None = None) -> str:
    """A JWT for a person or an API key, in the actor's mode, for ten minutes; it ends with its family."""
    milliseconds = _milliseconds(clock.now())
    now = milliseconds // 1000
    claims: dict[str, Any] = {
        "aud": _AUDIENCE,
        "iss": settings.current().base_url,
        "sub": actor.id,
        "jti": new_id("jwt"),
        "iat": now,
        "iat_ms": milliseconds,
        "exp": now + JWT_SECONDS,
        "tenant_id": actor.tenant_id,
        "mode": str(actor.mode),
        "machine": actor.kind == ActorKind.API_KEY,
        "permissions": sorted(actor.permissions),
    }
    if family_id is not None:
        claims["sid"] = family_id
    if actor.on_behalf_of is not None:
        claims["act"] = {"sub": actor.on_behalf_of}
    key = _jwt_key()
    return jwt.encode(claims, key, algorithm="HS256", headers={"kid": _key_id(key)})


def hand_out(user_id: str, mode: str, operator: str) -> str:
    """A JWT that an operator makes for a person, who then is that person; the audit says who made it.

    Raises:
        Unauthenticated: there is no such person any more.
    """
    return _by_hand(person(user_id, mode), "user.token_handed_out", operator)


def impersonate(user_id: str, mode: str, acting: str) -> str:
    """A JWT for an operator who acts in a person's name, which the audit says of all that they do (OP-81).

    Raises:
        InvalidRequest: nobody is named.
        Unauthenticated: there is no such person any more.
    """
    name = acting.strip()
    if not 0 < len(name) <= 64:
        raise InvalidRequest("Say who acts, in at most 64 characters", field="act")
    return _by_hand(replace(person(user_id, mode), on_behalf_of=name), "user.impersonated", name)


def _by_hand(actor: Actor, type_: str, operator: str) -> str:
    with transaction(actor) as db:
        record(
            db,
            type_,
            tenant_id=actor.tenant_id,
            mode=str(actor.mode),
            entity="user",
            entity_id=actor.id,
            cause="cli",
            after={"id": actor.id, "operator": operator},
        )
    return mint_jwt(actor)


def person(user_id: str, mode: str, *, since: datetime | None = None) -> Actor:
    """A person of the dashboard as an actor of the API; `since` is when they signed in.

    Raises:
        Unauthenticated: there is no such person any more, or what they signed in with is over.
        PermissionDenied: `second_factor_required`: the merchant wants one of everybody, and they have none;
            `tenant_suspended`.
    """
    return _person(user_id, mode, issued=None if since is None else _milliseconds(since))


def family_of(presented: str) -> str | None:
    """The sign-in that a person's access token came of.

    Raises:
        InvalidRequest: `unsupported_token_type`, no sign-in stands behind it: a machine's ends with its key.
    """
    try:
        claims = _claims(presented)
    except Unauthenticated:
        return None
    if not isinstance(claims.get("sid"), str):
        raise InvalidRequest(
            "A token without a sign-in ends with its key", code="unsupported_token_type", field="token"
        )
    return str(claims["sid"])


def authenticate(presented: str, *, to_look: bool = False) -> Actor:
    """The actor behind a client token, a client secret or a JWT.

    A browser that comes `to_look` how its payment stands is let in although the merchant is suspended, where
    that is under way or over: whoever has paid sees how it went.

    Raises:
        Unauthenticated: not one of ours, expired, or whom it stands for is gone.
        PermissionDenied: see `person`.
    """
    if presented.startswith(_PREFIX):
        return _of_client_token(presented, to_look)
    return _of_client_secret(presented, to_look) if presented.startswith(_PAYMENT) else _of_jwt(presented)


def _of_client_token(presented: str, to_look: bool) -> Actor:
    """It may do what its own session's page may do."""
    claims = signing.read_token(
        _KIND, presented.removeprefix(_PREFIX), settings.current().signing_key, clock.now()
    )
    if claims is None:
        raise Unauthenticated(_REFUSED)
    statement = (
        select(Tenant, CheckoutSession.mode, CheckoutSession.status)
        .join(CheckoutSession, CheckoutSession.tenant_id == Tenant.id)
        .where(CheckoutSession.id == claims["sid"])
    )
    with reading() as db:
        row = db.execute(statement).one_or_none()
    if row is None:
        raise Unauthenticated(_REFUSED)
    profile = row[0].profile(row[1])
    if not to_look or row[2] in checkout_sessions.OPEN:
        refuse_suspended(profile)
    return Actor(
        ActorKind.CLIENT_TOKEN,
        claims["sid"],
        profile,
        Mode(row[1]),
        frozenset({"checkout:*", "intents:*", "methods:*"}),
        "client token",
        session_id=claims["sid"],
        expires_at=datetime.fromtimestamp(claims["exp"], UTC) if claims.get("embed") else None,
    )


def _of_client_secret(presented: str, to_look: bool) -> Actor:
    """It may look at its own payment and take it through, and nothing else."""
    intent_id, _, signed = presented.partition(_SECRET_WORD)
    claims = signing.read_token(_SECRET_KIND, signed, settings.current().signing_key, clock.now())
    if claims is None or claims["pi"] != intent_id:
        raise Unauthenticated(_REFUSED)
    statement = (
        select(Tenant, PaymentIntent.mode, PaymentIntent.status)
        .join(PaymentIntent, PaymentIntent.tenant_id == Tenant.id)
        .where(PaymentIntent.id == intent_id)
    )
    with reading() as db:
        row = db.execute(statement).one_or_none()
    if row is None:
        raise Unauthenticated(_REFUSED)
    profile = row[0].profile(row[1])
    if not to_look or row[2] in intents.EDITABLE:
        refuse_suspended(profile)
    return Actor(
        ActorKind.CLIENT_SECRET,
        intent_id,
        profile,
        Mode(row[1]),
        frozenset({"intents:read", "intents:write"}),
        "client secret",
        intent_id=intent_id,
    )


def _of_jwt(presented: str) -> Actor:
    claims = _claims(presented)
    issued = claims["iat_ms"]
    if not claims["machine"]:
        actor = _person(claims["sub"], claims["mode"], issued=issued, family_id=claims.get("sid"))
        actor = replace(actor, on_behalf_of=_acting(claims), sign_in=claims.get("sid", ""))
    else:
        key = keys.by_id(claims["sub"], issued=issued)
        actor = Actor(
            ActorKind.MACHINE_TOKEN,
            key.id,
            key.tenant,
            key.mode,
            key.permissions,
            key.label,
            created_by=key.created_by,
        )
    if actor.tenant_id != claims["tenant_id"]:
        raise Unauthenticated(_REFUSED)
    return actor


def _claims(presented: str) -> dict[str, Any]:
    """The claims of a good JWT; the time is told by our clock, not by the library's."""
    key = _jwt_key()
    try:
        if jwt.get_unverified_header(presented).get("kid") != _key_id(key):
            raise Unauthenticated(_REFUSED)
        claims: dict[str, Any] = jwt.decode(
            presented,
            key,
            algorithms=["HS256"],
            audience=_AUDIENCE,
            issuer=settings.current().base_url,
            options={"require": _CLAIMS, "verify_exp": False, "verify_iat": False},
        )
    except jwt.PyJWTError as error:
        raise Unauthenticated(_REFUSED) from error
    now, issued, expires = clock.now().timestamp(), claims["iat"], claims["exp"]
    if not all(isinstance(claims[name], int) for name in ("iat", "iat_ms", "exp")):
        raise Unauthenticated(_REFUSED)
    if not issued - _SKEW_SECONDS <= now or expires > issued + JWT_SECONDS:
        raise Unauthenticated(_REFUSED)
    if now >= expires:
        raise Unauthenticated(_REFUSED, problem="expired")
    return claims


def _person(user_id: str, mode: str, *, issued: int | None, family_id: str | None = None) -> Actor:
    """A person; `issued` is when, in unix milliseconds, what they come with was given to them."""
    with reading() as db:
        row = db.execute(_PERSON, {"user_id": user_id, "family_id": family_id}).one_or_none()
        if row is None or row[0].disabled_at is not None:
            raise Unauthenticated(_REFUSED)
        user, tenant, family = row
        permissions = roles.permissions_of(db, user)
    if issued is not None and any(
        too_old(issued, after) for after in (user.tokens_valid_after, tenant.tokens_valid_after)
    ):
        raise Unauthenticated(_REFUSED)
    if family_id is not None and (
        family is None or family.ended_at is not None or family.expires_at <= clock.now()
    ):
        raise Unauthenticated(_REFUSED)
    profile = tenant.profile(mode)
    refuse_suspended(profile)
    if checkout_settings(profile).require_second_factor and not user.totp_enabled:
        raise PermissionDenied(
            "Your team wants two-step sign-in of everybody: set it up at the dashboard",
            code="second_factor_required",
        )
    return Actor(
        ActorKind.USER,
        user.id,
        profile,
        Mode(mode),
        permissions,
        user.name,
        created_by=user.id,
    )


def _acting(claims: dict[str, Any]) -> str | None:
    acting = claims.get("act")
    return str(acting["sub"]) if isinstance(acting, dict) and "sub" in acting else None


def _milliseconds(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)


def _jwt_key() -> bytes:
    """A key of its own, so that nothing else that is signed here can pass for a JWT."""
    return crypto.keyed_hash("jwt", settings.current().signing_key).encode()


def _key_id(key: bytes) -> str:
    return hashlib.sha256(key).hexdigest()[:8]
