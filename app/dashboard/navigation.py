"""The menu: one table."""

from __future__ import annotations

from typing import Any

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


def menu(mode: str, path: str) -> list[dict[str, Any]]:
    """The menu with the present screen marked."""
    base = f"/dashboard/{mode}"
    return [
        {
            "label": label,
            "items": [
                {
                    "label": words,
                    "href": f"{base}/{place}".rstrip("/"),
                    "icon": icon,
                    "current": _is_current(path, f"{base}/{place}".rstrip("/"), place),
                    "count": None,
                }
                for words, place, icon in items
            ],
        }
        for label, items in MENU
    ]


def _is_current(path: str, href: str, place: str) -> bool:
    return path == href or (bool(place) and path.startswith(href + "/"))
