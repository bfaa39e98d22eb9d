"""The merchant's dashboard: one screen and its form per module; it calls services and holds no rule."""

from flask import Flask

from app.dashboard import (
    audit_log,
    branding,
    checkouts,
    home,
    idempotency,
    keys,
    links,
    payment_actions,
    payments,
    refunds,
    search,
    security,
    settings,
    sign_in,
    step_up,
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
)


def register(app: Flask) -> None:
    """Mount the screens and let Flask-Login read our server-side sessions."""
    login_manager.init_app(app)
    for screen in SCREENS:
        app.register_blueprint(screen.blueprint)


__all__ = ["SCREENS", "register"]
