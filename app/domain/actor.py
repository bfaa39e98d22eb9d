"""Who acts, for which merchant, in which mode; every service call carries one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from app.domain.permissions import allows


class Mode(StrEnum):
    """Test and live never mix (decisions.md 11)."""

    TEST = "test"
    LIVE = "live"


class ActorKind(StrEnum):
    """How somebody came in."""

    USER = "user"
    API_KEY = "api_key"
    PUBLISHABLE_KEY = "publishable_key"
    CLIENT_TOKEN = "client_token"
    CLIENT_SECRET = "client_secret"
    MACHINE_TOKEN = "machine_token"
    SHOPPER = "shopper"
    SYSTEM = "system"
    PUBLIC = "public"


#: Credentials that shoppers' browsers hold (OP-07).
BROWSERS = frozenset({ActorKind.PUBLISHABLE_KEY, ActorKind.CLIENT_TOKEN, ActorKind.CLIENT_SECRET})
#: Whoever comes in otherwise is a shopper, or may be one.
_MERCHANTS = frozenset({ActorKind.USER, ActorKind.API_KEY, ActorKind.MACHINE_TOKEN, ActorKind.SYSTEM})


@dataclass(frozen=True, slots=True)
class TenantProfile:
    """What an actor carries of its merchant, so that hot paths need no further look-up."""

    id: str
    slug: str
    name: str
    default_currency: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    public_id: str = ""
    test_settings: Mapping[str, Any] = field(default_factory=dict)
    suspended: bool = False

    def in_mode(self, mode: str) -> TenantProfile:
        """The merchant as it is in a mode: in test mode with what was chosen for that alone."""
        if mode != Mode.TEST or not self.test_settings:
            return self
        return replace(self, settings={**self.settings, **self.test_settings}, test_settings={})


@dataclass(frozen=True, slots=True)
class Actor:
    """An authenticated (or public) caller.

    `session_id` binds a client token or a shopper to one checkout session, `intent_id` a client secret to one
    payment. `permissions` may hold `*`. `address` is the network address that the request came from.
    `expires_at` is the end of a credential from which no longer-lived one may be had. `sign_in` is the one by
    which a person came, `on_behalf_of` who acts in their name.
    """

    kind: ActorKind
    id: str
    tenant: TenantProfile
    mode: Mode
    permissions: frozenset[str] = frozenset()
    label: str = ""
    request_id: str = ""
    session_id: str | None = None
    intent_id: str | None = None
    mfa_at: datetime | None = None
    on_behalf_of: str | None = None
    created_by: str | None = None
    address: str = ""
    expires_at: datetime | None = None
    sign_in: str = ""

    @property
    def is_shopper(self) -> bool:
        """Whether the request comes from a shopper's own browser, not from a merchant's server or people."""
        return self.kind not in _MERCHANTS

    @property
    def is_test_key(self) -> bool:
        """Whether it is a key of test mode, or its token: what it does must not reach live mode."""
        return self.mode == Mode.TEST and self.kind in (ActorKind.API_KEY, ActorKind.MACHINE_TOKEN)

    @property
    def tenant_id(self) -> str:
        """The merchant's id."""
        return self.tenant.id

    def can(self, permission: str) -> bool:
        """Whether this actor holds the permission, directly or by a wildcard."""
        return allows(self.permissions, permission)

    def asking(self, request_id: str, address: str = "") -> Actor:
        """The same actor, with the id of the request that it makes and where it comes from."""
        return replace(self, request_id=request_id, address=address)


def system_actor(tenant: TenantProfile, mode: str, label: str = "system") -> Actor:
    """Till itself: sweeps, jobs, gateway webhooks."""
    return Actor(ActorKind.SYSTEM, "system", tenant, Mode(mode), frozenset({"*"}), label)


def shopper_actor(
    tenant: TenantProfile, mode: str, session_id: str, request_id: str = "", address: str = ""
) -> Actor:
    """The person on the hosted page of one session."""
    return Actor(
        ActorKind.SHOPPER,
        session_id,
        tenant,
        Mode(mode),
        label="shopper",
        request_id=request_id,
        session_id=session_id,
        address=address,
    )
