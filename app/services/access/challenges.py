"""MFA challenges of the API (OP-08): an action is challenged, a TOTP code answers, a token lets it through.

A challenge names its person, merchant and action, takes five answers and is answered once, also where
many come at the same moment. The token that a right answer gives is signed, not stored.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, update

from app import settings
from app.db import reading, transaction
from app.domain.actor import Actor
from app.domain.errors import InvalidRequest, MfaRequired, PermissionDenied
from app.kit import clock, signing
from app.kit.ids import new_id
from app.models.access.challenge import MfaChallenge
from app.services.access import totp, users

#: How long a challenge may be answered, and how long its answer lets the action through.
LIFETIME = timedelta(minutes=5)
#: So many answers does a challenge take; the fifth wrong one ends it.
MAX_TRIES = 5

_TOKEN = "mfa-token"


def challenge(actor: Actor, action: str) -> dict[str, Any]:
    """What a person has to answer: `challengeId`, `action`, and whether they must enrol first.

    Raises:
        MfaRequired: an operator acts in their name, who has not their second factor.
    """
    if actor.on_behalf_of is not None:
        raise MfaRequired(explain={"action": action})
    user, _ = users.get(actor.id)
    now = clock.now()
    asked = MfaChallenge(
        id=new_id("mfa"),
        tenant_id=actor.tenant_id,
        user_id=actor.id,
        action=action,
        tries=0,
        created_at=now,
        expires_at=now + LIFETIME,
    )
    with transaction(actor) as db:
        db.add(asked)
    told: dict[str, Any] = {"challengeId": asked.id, "action": action}
    if not user.totp_enabled:
        told["enrollmentRequired"] = True
    return told


def enroll(actor: Actor) -> tuple[str, str]:
    """Start the enrolment of a person: (base-32 secret, otpauth URI); the first answer puts it in force.

    Raises:
        Conflict: they are enrolled already; a token alone must not replace a second factor.
        PermissionDenied: an operator acts in their name.
    """
    _refuse_impersonated(actor)
    return totp.begin(actor.id)


def answer(actor: Actor, challenge_id: str, code: str) -> tuple[str, datetime, list[str]]:
    """Answer a challenge: (token for X-MFA-Token, when it ends, recovery codes after the first one ever).

    Raises:
        InvalidRequest: not a challenge of this person, answered or over, or given five wrong answers.
        RateLimited: five codes in five minutes.
        Unauthenticated: the code is wrong, or was used before.
        PermissionDenied: an operator acts in their name.
    """
    _refuse_impersonated(actor)
    action = _take_try(actor, challenge_id)
    user, _ = users.get(actor.id)
    recovery = []
    if user.totp_enabled:
        users.check_second_factor(user.id, code)
    else:
        recovery = _first_code(actor, code)
    if not _close(challenge_id):
        raise _unknown()
    token, ends = _sign(actor, action)
    return token, ends, recovery


def confirmed(actor: Actor, action: str, token: str) -> bool:
    """Whether this person has confirmed this action lately."""
    if actor.on_behalf_of is not None:
        return False
    claims = signing.read_token(_TOKEN, token, settings.current().signing_key, clock.now())
    mine = (actor.id, actor.tenant_id, action)
    return claims is not None and (claims["u"], claims["t"], claims["a"]) == mine


def clean() -> int:
    """Drop challenges that are over. Returns how many."""
    with transaction() as db:
        over = delete(MfaChallenge).where(MfaChallenge.expires_at < clock.now())
        return int(db.execute(over).rowcount)  # type: ignore[attr-defined]


def _take_try(actor: Actor, challenge_id: str) -> str:
    """Use up one of the challenge's tries, before the code is looked at; the action that it is about."""
    taken = (
        update(MfaChallenge)
        .where(
            MfaChallenge.id == challenge_id,
            MfaChallenge.user_id == actor.id,
            MfaChallenge.tenant_id == actor.tenant_id,
            MfaChallenge.expires_at > clock.now(),
            MfaChallenge.answered_at.is_(None),
            MfaChallenge.tries < MAX_TRIES,
        )
        .values(tries=MfaChallenge.tries + 1)
    )
    with transaction(actor) as db:
        if not db.execute(taken).rowcount:  # type: ignore[attr-defined]
            raise _unknown()
    with reading() as db:
        return db.get_one(MfaChallenge, challenge_id).action


def _close(challenge_id: str) -> bool:
    """Answered: of two right answers at once (a code, a recovery code) one counts."""
    closed = (
        update(MfaChallenge)
        .where(MfaChallenge.id == challenge_id, MfaChallenge.answered_at.is_(None))
        .values(answered_at=clock.now())
    )
    with transaction() as db:
        return bool(db.execute(closed).rowcount)  # type: ignore[attr-defined]


def _first_code(actor: Actor, code: str) -> list[str]:
    recovery = totp.enable(actor.id, code, keep=actor.sign_in)
    if recovery is None:
        raise InvalidRequest("This code isn't right", code="invalid_mfa_code", field="code")
    return recovery


def _sign(actor: Actor, action: str) -> tuple[str, datetime]:
    ends = clock.now() + LIFETIME
    claims = {"u": actor.id, "t": actor.tenant_id, "a": action, "exp": int(ends.timestamp())}
    return signing.sign_token(_TOKEN, claims, settings.current().signing_key), ends


def _unknown() -> InvalidRequest:
    return InvalidRequest("Unknown or expired challenge", code="invalid_challenge", field="challengeId")


def _refuse_impersonated(actor: Actor) -> None:
    if actor.on_behalf_of is not None:
        raise PermissionDenied("Their second factor is theirs alone", code="impersonated")
