"""POST /api/v1/mfa/verify and /api/v1/mfa/enroll: the second factor of people with a token (OP-08)."""

from __future__ import annotations

from pydantic import Field

from app.api.merchant.surface import surface
from app.domain.actor import Actor
from app.services.access import challenges
from app.web.schemas import Body, Instant, View
from app.web.surface import PEOPLE, Idempotency


class Answer(Body):
    """The code for a challenge."""

    challengeId: str = Field(min_length=1, max_length=500)  # noqa: N815 - the contract's spelling
    code: str = Field(min_length=1, max_length=40)


class Confirmed(View):
    """What to send as X-MFA-Token; recovery codes come once, with the first code ever."""

    mfaToken: str  # noqa: N815
    expiresAt: Instant  # noqa: N815
    recoveryCodes: list[str]  # noqa: N815


class Enrolment(View):
    """What an authenticator app takes."""

    secret: str
    otpauthUri: str  # noqa: N815


@surface.post(
    "/v1/mfa/verify",
    "OP-08-verify",
    body=Answer,
    returns=Confirmed,
    auth=PEOPLE,
    idempotency=Idempotency.NONE,
)
def verify(actor: Actor, body: Answer) -> Confirmed:
    """Answer an MFA challenge."""
    token, ends, recovery = challenges.answer(actor, body.challengeId, body.code)
    return Confirmed(mfaToken=token, expiresAt=ends, recoveryCodes=recovery)


@surface.post(
    "/v1/mfa/enroll", "OP-08-enroll", returns=Enrolment, status=201, auth=PEOPLE, idempotency=Idempotency.NONE
)
def enroll(actor: Actor) -> Enrolment:
    """Start the enrolment of a second factor."""
    secret, uri = challenges.enroll(actor)
    return Enrolment(secret=secret, otpauthUri=uri)
