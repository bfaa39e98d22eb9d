"""create_app: the whole wiring on one screen."""

from __future__ import annotations

import os
from typing import Any

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from app import cli, dashboard, db, pages
from app import settings as environment
from app.api import SURFACES
from app.settings import Settings
from app.web import (
    compression,
    cors,
    csp_reports,
    errors,
    filters,
    frames,
    headers,
    health,
    languages,
    logs,
    nul,
    openapi,
    rate_limits,
    static_files,
)
from app.web.cookies import CookieSessions

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class _App(Flask):
    """Flask, whose views and hooks are all ordinary functions: it asks of each in each request."""

    def ensure_sync(self, func: Any) -> Any:
        """The function itself."""
        return func


def create_app(settings: Settings | None = None) -> Flask:
    """The web application over the given settings, or the environment's."""
    settings = settings or environment.load()
    environment.use(settings)
    logs.configure(settings.log_level)
    db.configure(settings.database, ephemeral=settings.ephemeral)

    app = _App(
        "till",
        root_path=ROOT,
        template_folder="templates",
        static_folder="static",
        instance_path=str(settings.data_dir),
    )
    app.config.update(
        SECRET_KEY=settings.signing_key,
        MAX_CONTENT_LENGTH=10 * 1024 * 1024,
        SESSION_COOKIE_NAME="__Host-till" if settings.production else "till",
        SESSION_COOKIE_SECURE=settings.production,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        WTF_CSRF_TIME_LIMIT=None,
        WTF_I18N_ENABLED=False,  # the words of our forms are ours
        WTF_CSRF_SSL_STRICT=settings.production,
        TRUSTED_HOSTS=settings.trusted_hosts or None,
    )
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True}
    if settings.trusted_proxies:
        count = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=count)  # type: ignore[method-assign]

    app.session_interface = CookieSessions()
    languages.install(app)
    filters.install(app)
    headers.install(app)
    nul.install(app)
    csrf = frames.install(app)
    rate_limits.install(app)
    cors.install(app, SURFACES)
    errors.install(app, SURFACES)
    for part in (health, static_files, compression):
        part.install(app)
    for surface in SURFACES:
        surface.mount(app, csrf.exempt)
    openapi.install(app, SURFACES)
    csp_reports.install(app, csrf.exempt)
    pages.register(app, csrf)
    dashboard.register(app)
    cli.register(app)
    return app
