"""Permission words and the roles that bundle them (OP-09); the spelling is each contract's own."""

from __future__ import annotations

from collections.abc import Collection

RESOURCES = (
    "checkout",
    "intents",
    "methods",
    "refunds",
    "disputes",
    "connectors",
    "routing",
    "settlements",
    "payouts",
    "reconciliations",
    "fraud",
    "webhooks",
    "exports",
    "reports",
    "settings",
    "health",
    "sandbox",
    "sessions",
    "orders",
    "subscriptions",
    "links",
    "catalogue",
)

REFUNDS_CREATE = "refunds:create"
KEYS_MANAGE = "api_keys.manage"
WEBHOOKS_MANAGE = "webhooks.manage"
LINKS_MANAGE = "links.manage"
AUDIT_READ = "audit:read"
TEAM_MANAGE = "team.manage"
#: Seeing every order and moving it on: for administrators, and roles that a merchant gives it.
ORDERS_MANAGE = "orders.manage"
#: Saying by hand that a checkout is paid: administrators alone have it, unless a role of the merchant's does.
CHECKOUT_OVERRIDE = "checkout.override"

#: Scopes that a key may be given; anything else is refused at creation.
SCOPES = frozenset(
    [f"{resource}:{verb}" for resource in RESOURCES for verb in ("read", "write")]
    + ["methods:attach", REFUNDS_CREATE, "*"]
)

#: All that a role may be made of; what is no scope is for people and for keys that may do everything.
PERMISSIONS = SCOPES | {
    KEYS_MANAGE,
    WEBHOOKS_MANAGE,
    LINKS_MANAGE,
    AUDIT_READ,
    TEAM_MANAGE,
    CHECKOUT_OVERRIDE,
    ORDERS_MANAGE,
}

_READ_ALL = frozenset(f"{resource}:read" for resource in RESOURCES) - {"connectors:read"}
_EVERYTHING = frozenset({"*"})

ROLES: dict[str, frozenset[str]] = {
    "payments_admin": _EVERYTHING,
    "admin": _EVERYTHING,
    "reconciler": frozenset(
        {
            "settlements:read",
            "settlements:write",
            "payouts:read",
            "reconciliations:read",
            "reconciliations:write",
            "exports:read",
            "exports:write",
            "reports:read",
        }
    ),
    "read_only": _READ_ALL,
}


def of_role(role: str) -> frozenset[str]:
    """What a role may do; an unknown role may do nothing."""
    return ROLES.get(role, frozenset())


def allows(held: Collection[str], permission: str) -> bool:
    """Whether these words hold the permission, directly or by a wildcard."""
    return permission in held or "*" in held or f"{permission.split(':', maxsplit=1)[0]}:*" in held


def cut(words: Collection[str], held: Collection[str]) -> frozenset[str]:
    """What both allow: the scopes of a key that cannot do more than whoever answers for it."""
    return frozenset(w for w in words if allows(held, w)) | frozenset(w for w in held if allows(words, w))
