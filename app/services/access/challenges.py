"""MFA challenges of the API (OP-08): an action is challenged, a TOTP code answers, a token lets it through.

Challenges and tokens are signed, not stored: each names its person, merchant and action. A code can be
used once and wrong ones are counted, so a challenge is worth five guesses.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from app import settings
from app.domain.actor import Actor
from app.domain.errors import InvalidRequest
from app.kit import clock, signing
from app.services.access import totp, users

#: How long a challenge may be answered, and how long its answer lets the action through.
LIFETIME = timedelta(minutes=5)

_CHALLENGE, _TOKEN = "mfa-challenge", "mfa-token"


def challenge(actor: Actor, action: str) -> dict[str, Any]:
    """What a person has to answer: `challengeId`, `action`, and whether they must enrol first."""
    user, _ = users.get(actor.id)
    asked: dict[str, Any] = {"challengeId": _sign(_CHALLENGE, actor, action)[0], "action": action}
    if not user.totp_enabled:
        asked["enrollmentRequired"] = True
    return asked


def enroll(actor: Actor) -> tuple[str, str]:
    """Start the enrolment of a person: (base-32 secret, otpauth URI); the first answer puts it in force.

    Raises:
        Conflict: they are enrolled already; a token alone must not replace a second factor.
    """
    return totp.begin(actor.id)


def answer(actor: Actor, challenge_id: str, code: str) -> tuple[str, datetime, list[str]]:
    """Answer a challenge: (token for X-MFA-Token, when it ends, recovery codes after the first one ever).

    Raises:
        InvalidRequest: not a challenge of this person, or its time is up.
        RateLimited: five codes in five minutes.
        Unauthenticated: the code is wrong, or was used before.
    """
    asked = _read(_CHALLENGE, actor, challenge_id)
    if asked is None:
        raise InvalidRequest("Unknown or expired challenge", code="invalid_challenge", field="challengeId")
    user, _ = users.get(actor.id)
    recovery = []
    if user.totp_enabled:
        users.check_second_factor(user.id, code)
    else:
        recovery = _first_code(user.id, code)
    token, ends = _sign(_TOKEN, actor, asked["a"])
    return token, ends, recovery


def confirmed(actor: Actor, action: str, token: str) -> bool:
    """Whether this person has confirmed this action lately."""
    claims = _read(_TOKEN, actor, token)
    return claims is not None and claims["a"] == action


def _first_code(user_id: str, code: str) -> list[str]:
    recovery = totp.enable(user_id, code)
    if recovery is None:
        raise InvalidRequest("This code isn't right", code="invalid_mfa_code", field="code")
    return recovery


def _sign(kind: str, actor: Actor, action: str) -> tuple[str, datetime]:
    ends = clock.now() + LIFETIME
    claims = {"u": actor.id, "t": actor.tenant_id, "a": action, "exp": int(ends.timestamp())}
    return signing.sign_token(kind, claims, settings.current().signing_key), ends


def _read(kind: str, actor: Actor, token: str) -> dict[str, Any] | None:
    claims = signing.read_token(kind, token, settings.current().signing_key, clock.now())
    if claims is None or (claims["u"], claims["t"]) != (actor.id, actor.tenant_id):
        return None
    return claims
