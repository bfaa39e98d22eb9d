"""Permissions and scopes in words, as forms offer them: what is seen, what is changed, and the rest."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from flask_babel import lazy_gettext as _

from app.domain.permissions import (
    AUDIT_READ,
    CHECKOUT_OVERRIDE,
    KEYS_MANAGE,
    LINKS_MANAGE,
    ORDERS_MANAGE,
    PERMISSIONS,
    REFUNDS_CREATE,
    RESOURCES,
    TEAM_MANAGE,
    WEBHOOKS_MANAGE,
)

#: Resource → its words.
_RESOURCES: dict[str, Any] = {
    "checkout": _("Checkouts"),
    "sessions": _("Checkout sessions for sites"),
    "orders": _("Orders and customers"),
    "subscriptions": _("Subscriptions"),
    "intents": _("Payments"),
    "methods": _("Payment methods"),
    "refunds": _("Refunds"),
    "disputes": _("Disputes"),
    "links": _("Payment links"),
    "settlements": _("Settlements"),
    "payouts": _("Payouts"),
    "reconciliations": _("Reconciliation"),
    "exports": _("Exports"),
    "reports": _("Reports"),
    "fraud": _("Fraud rules and reviews"),
    "connectors": _("Connectors to gateways"),
    "routing": _("Routing rules"),
    "webhooks": _("Webhooks"),
    "settings": _("Settings"),
    "health": _("State of the system"),
    "sandbox": _("Sandbox"),
}
#: What is neither seeing nor changing a resource.
_OTHERS: dict[str, Any] = {
    REFUNDS_CREATE: _("Make refunds"),
    "methods:attach": _("Keep a payment method for a customer"),
    ORDERS_MANAGE: _("Manage orders and customers"),
    LINKS_MANAGE: _("Make and switch payment links"),
    WEBHOOKS_MANAGE: _("Manage webhook endpoints"),
    KEYS_MANAGE: _("Make and revoke API keys"),
    TEAM_MANAGE: _("Manage the team and its roles"),
    AUDIT_READ: _("Read the audit log"),
    CHECKOUT_OVERRIDE: _("Say by hand that a checkout is paid"),
}
EVERYTHING = "*"


def table(offered: Collection[str]) -> list[tuple[Any, str | None, str | None]]:
    """(words, permission to see, permission to change) of each resource, as far as they are offered."""
    ordered = [*_RESOURCES, *(name for name in RESOURCES if name not in _RESOURCES)]
    rows = []
    for name in ordered:
        read, write = (word if word in offered else None for word in (f"{name}:read", f"{name}:write"))
        if read or write:
            rows.append((_RESOURCES.get(name, name), read, write))
    return rows


def others(offered: Collection[str]) -> list[tuple[str, Any]]:
    """The permissions that are offered beside those of the table, with their words."""
    listed = {f"{name}:{verb}" for name in RESOURCES for verb in ("read", "write")} | {EVERYTHING}
    ordered = [*_OTHERS, *sorted(PERMISSIONS - set(_OTHERS))]
    return [(word, _OTHERS.get(word, word)) for word in ordered if word in offered and word not in listed]


def words(held: Collection[str]) -> list[Any]:
    """What somebody may do, one line each."""
    if EVERYTHING in held:
        return [_("Everything")]
    lines = []
    for name, read, write in table(held):
        if read and write:
            lines.append(_("%(what)s: see and change", what=name))
        else:
            lines.append(_("%(what)s: see", what=name) if read else _("%(what)s: change", what=name))
    return lines + [text for word, text in others(held)]
