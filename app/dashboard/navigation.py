"""The menu: one table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import current_app

from app.web.opens import Door, declared

#: Group → (words, path under /dashboard/{mode}, icon).
MENU: tuple[tuple[str | None, tuple[tuple[str, str, str], ...]], ...] = (
    (
        None,
        (
            ("Home", "", "home"),
            ("Payments", "payments", "card"),
            ("Refunds", "refunds", "refund"),
            ("Disputes", "disputes", "dispute"),
        ),
    ),
    (
        "Sell",
        (
            ("Orders", "orders", "box"),
            ("Subscriptions", "subscriptions", "refresh"),
            ("Customers", "customers", "team"),
            ("Catalogue", "catalogue", "shop"),
            ("Payment links", "links", "link"),
        ),
    ),
    (
        "Money",
        (
            ("Payouts", "payouts", "payout"),
            ("Settlements", "settlements", "bank"),
            ("Reconciliation", "reconciliations", "ledger"),
            ("Exports", "exports", "download"),
            ("Connectors", "connectors", "plug"),
            ("Routing", "routing", "split"),
        ),
    ),
    (
        "Risk",
        (
            ("Failures", "failures", "alert"),
            ("Manual review", "reviews", "shield"),
            ("Identity checks", "identity", "user"),
            ("Fraud rules", "fraud", "filter"),
        ),
    ),
    (
        "Developers",
        (
            ("API keys", "keys", "key"),
            ("Webhooks", "webhooks", "webhook"),
            ("Idempotency keys", "idempotency", "swap"),
            ("Test clock", "test-clock", "clock"),
        ),
    ),
    (
        "Settings",
        (("Team", "team", "team"), ("Audit log", "audit", "audit"), ("Settings", "settings", "settings")),
    ),
)


def menu(mode: str, path: str, can: Callable[[str], bool]) -> list[dict[str, Any]]:
    """The menu with the present screen marked, without screens that `can` says one may not open."""
    groups = [(label, _items(mode, path, entries, can)) for label, entries in MENU]
    return [{"label": label, "items": items} for label, items in groups if items]


def _items(
    mode: str, path: str, entries: tuple[tuple[str, str, str], ...], can: Callable[[str], bool]
) -> list[dict[str, Any]]:
    places = [
        (words, f"/dashboard/{mode}/{place}".rstrip("/"), place, icon) for words, place, icon in entries
    ]
    return [
        {
            "label": words,
            "href": href,
            "icon": icon,
            "current": path == href or (bool(place) and path.startswith(href + "/")),
            "count": None,
        }
        for words, href, place, icon in places
        if (wanted := _permission(href)) is None or can(wanted)
    ]


def _permission(href: str) -> str | None:
    """What the screen at an address declares that it wants."""
    endpoint, _ = current_app.url_map.bind("").match(href, "GET")
    door = declared(current_app.view_functions[endpoint])
    return door.permission if isinstance(door, Door) else None
