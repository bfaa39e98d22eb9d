"""The merchant's dashboard: one screen and its form per module; it calls services and holds no rule."""

from flask import Flask

from app.dashboard import (
    audit_log,
    branding,
    catalogue,
    checkouts,
    connectors,
    coupons,
    customers,
    disputes,
    exports,
    failures,
    fraud,
    gift_cards,
    home,
    idempotency,
    identity,
    keys,
    links,
    orders,
    payment_actions,
    payments,
    payouts,
    products,
    reconciliations,
    refunds,
    reviews,
    routing,
    search,
    security,
    settings,
    settlements,
    shipping_rates,
    sign_in,
    step_up,
    stock,
    subscriptions,
    tax_rates,
    team,
    team_roles,
    test_clock,
    webhooks,
)
from app.dashboard.shell import login_manager

SCREENS = (
    sign_in,
    step_up,
    home,
    search,
    payments,
    payment_actions,
    checkouts,
    refunds,
    disputes,
    orders,
    subscriptions,
    customers,
    catalogue,
    products,
    stock,
    coupons,
    gift_cards,
    shipping_rates,
    tax_rates,
    links,
    keys,
    webhooks,
    audit_log,
    security,
    idempotency,
    branding,
    settings,
    team,
    team_roles,
    test_clock,
    *(failures, reviews, identity, fraud, connectors, routing),
    *(settlements, reconciliations, payouts, exports),
)


def register(app: Flask) -> None:
    """Mount the screens and let Flask-Login read our server-side sessions."""
    login_manager.init_app(app)
    for screen in SCREENS:
        app.register_blueprint(screen.blueprint)


__all__ = ["SCREENS", "register"]
