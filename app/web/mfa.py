"""The second factor at the door of endpoints that want one (OP-08)."""

from __future__ import annotations

from flask import request

from app.domain.actor import Actor, ActorKind
from app.domain.errors import MfaRequired
from app.services.access import challenges


def require(action: str | None, actor: Actor) -> None:
    """Let through whoever has lately confirmed this action; API keys are exempt.

    Raises:
        MfaRequired: with the challenge to answer, where the caller is a person.
    """
    if action is None or actor.kind == ActorKind.API_KEY:
        return
    if actor.kind != ActorKind.USER:  # a machine has no second factor, so it never gets in
        raise MfaRequired(explain={"action": action})
    if not challenges.confirmed(actor, action, request.headers.get("X-MFA-Token", "")):
        raise MfaRequired(explain=challenges.challenge(actor, action))
