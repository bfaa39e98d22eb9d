"""Keys and tokens."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from payment_sdk._models import Model, hidden, named


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey(Model):
    """An API key; `key` is the key itself, shown once, when it is made.

    `effective_scopes` is what it may do now: less than its scopes where whoever made it may do less today.
    """

    id: str
    name: str
    type: str
    environment: str
    prefix: str
    last4: str
    scopes: list[str]
    effective_scopes: list[str]
    status: str
    created_by: str | None
    made_with: str | None
    replaced_by: str | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    key: str | None = hidden()


@dataclass(frozen=True, slots=True, kw_only=True)
class RolledKey(ApiKey):
    """A key that takes the place of another, which works on for a while."""

    previous: ApiKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Token(Model):
    """A bearer token, for `PaymentClient(access_token=…)`; it lives for `expires_in` seconds.

    People have a `refresh_token` as well, which works once and gives the next pair.
    """

    access_token: str = field(repr=False)
    token_type: str
    expires_in: int
    refresh_token: str | None = hidden()
    refresh_expires_in: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MfaToken(Model):
    """What `client.with_options(mfa_token=…)` takes; recovery codes come once, with the first code ever."""

    mfa_token: str = field(repr=False, metadata={"key": "mfaToken"})
    expires_at: datetime = named("expiresAt")
    recovery_codes: list[str] = field(repr=False, metadata={"key": "recoveryCodes"})
