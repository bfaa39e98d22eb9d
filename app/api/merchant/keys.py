"""MR-006, MR-007: API keys, out of the one store that PY-070 to PY-072 show as well (OP-06)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Literal

from pydantic import Field

from app.api.merchant.surface import surface
from app.domain.actor import Actor, Mode
from app.domain.errors import NotFound
from app.domain.permissions import KEYS_MANAGE, SCOPES
from app.models.access.api_key import ApiKey
from app.services.access import keys
from app.web.endpoint import Answer
from app.web.schemas import Body, Instant, View
from app.web.surface import CONFIRMED, Limit


class KeyCreate(Body):
    """A secret key; live, unless it is to be one for tests."""

    name: str = Field(min_length=1, max_length=100)
    environment: Literal["live", "test"] = "live"


class KeyMade(View):
    """A new key. `secret` is in this answer alone: repeated under its Idempotency-Key it is null."""

    id: str
    name: str
    prefix: str
    secret: str | None
    created_at: Instant

    @classmethod
    def of(cls, row: ApiKey, secret: str | None = None) -> KeyMade:
        """The view of a row."""
        return cls(
            id=row.public_id, name=row.name, prefix=row.prefix, secret=secret, created_at=row.created_at
        )


class KeyRevoke(Body):
    """Which key: its id, as either surface shows it."""

    keyId: str = Field(min_length=1, max_length=64)  # noqa: N815 - the contract's spelling


class KeyRevoked(View):
    """Since when the key is refused."""

    success: Literal[True] = True
    revokedAt: Instant  # noqa: N815


@surface.post(
    "/keys:create",
    "MR-006",
    body=KeyCreate,
    returns=KeyMade,
    status=201,
    auth=CONFIRMED,
    permission=KEYS_MANAGE,
    mfa="api-keys",
    limit=Limit(10, "tenant"),
)
def create(actor: Actor, body: KeyCreate) -> Answer:
    """Make an API key; its secret is in this answer alone."""
    held = None if actor.can("*") else sorted(scope for scope in SCOPES if actor.can(scope))
    row, secret = keys.create(actor, body.name, mode=body.environment, scopes=held)
    return Answer(KeyMade.of(row, secret), kept=KeyMade.of(row))


@surface.post(
    "/keys:revoke",
    "MR-007",
    body=KeyRevoke,
    returns=KeyRevoked,
    auth=CONFIRMED,
    permission=KEYS_MANAGE,
    mfa="api-keys",
    limit=Limit(10, "tenant"),
)
def revoke(actor: Actor, body: KeyRevoke) -> KeyRevoked:
    """Revoke an API key: it is refused from the next request on."""
    return KeyRevoked(revokedAt=_revoked(actor, body.keyId))


def _revoked(actor: Actor, key_id: str) -> datetime:
    """Revoke a key of either mode, as this surface makes keys of either."""
    for mode in sorted(Mode, key=lambda one: one != actor.mode):
        try:
            revoked_at = keys.revoke(replace(actor, mode=mode), key_id).revoked_at
        except NotFound:
            continue
        assert revoked_at is not None
        return revoked_at
    raise NotFound("API key not found")
