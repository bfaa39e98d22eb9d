"""Request ids, security headers and the request log (security.md)."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import structlog
from flask import Flask, Response, g, request

from app import settings
from app.domain.rules.cards import holds_card_number
from app.kit.ids import new_id
from app.web import csp_reports, rate_limits
from app.web.authentication import client_address

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

log = structlog.get_logger("till.web")

_REQUEST_ID = re.compile(r"^[A-Za-z0-9._-]{8,64}$")

_BASE = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "object-src": "'none'",
    "frame-ancestors": "'none'",
    "report-uri": csp_reports.PATH,
    "report-to": "csp",
}
_API = "default-src 'none'; frame-ancestors 'none'"
_PERMISSIONS = "camera=(), microphone=(), geolocation=(), usb=(), payment=(self)"


def policy(**changes: str) -> str:
    """The base Content-Security-Policy with directives changed (`frame_src="'self'"`)."""
    directives = {**_BASE, **{name.replace("_", "-"): value for name, value in changes.items()}}
    return "; ".join(f"{name} {value}" for name, value in directives.items())


_PAGE = policy(frame_src="'self'")
_REPORTING = f'csp="{csp_reports.PATH}"'
#: `no-store` unless a view says otherwise: what we answer is personal.
_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": _PERMISSIONS,
    "Cache-Control": "no-store",
}


def install(app: Flask) -> None:
    """Give every request an id and a log line, and every answer its headers."""

    @app.before_request
    def _identify() -> None:
        given = request.headers.get("X-Request-ID", "")
        good = _REQUEST_ID.match(given) and not holds_card_number(given)
        g.request_id = given if good else new_id("req")
        g.started = time.perf_counter()

    app.wsgi_app = _Secured(app.wsgi_app)  # type: ignore[method-assign]

    @app.after_request
    def _finish(response: Response) -> Response:
        response.headers["X-Request-ID"] = g.get("request_id", "")
        rate_limits.tell(response)
        _log(response)
        return response


class _Secured:
    """Adds the fixed headers below Flask, where a header costs nothing; one that is set already stays."""

    def __init__(self, wsgi_app: Any) -> None:
        self._wsgi_app = wsgi_app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            given = {name.lower(): value for name, value in headers}
            is_page = given.get("content-type", "").startswith("text/html")
            fixed = _fixed(is_page, settings.current().production)
            headers += [pair for pair in fixed if pair[0].lower() not in given]
            return start_response(status, headers, exc_info)

        return self._wsgi_app(environ, start)  # type: ignore[no-any-return]


@lru_cache(maxsize=4)
def _fixed(is_page: bool, production: bool) -> tuple[tuple[str, str], ...]:
    found = {**_ALWAYS, "Content-Security-Policy": _PAGE if is_page else _API}
    if is_page:
        found["Reporting-Endpoints"] = _REPORTING
    if production:
        found["Strict-Transport-Security"] = "max-age=63072000; includeSubDomains"
    return tuple(found.items())


def _log(response: Response) -> None:
    if request.endpoint == "static" or request.path == "/healthz" or not log.is_enabled_for(logging.INFO):
        return
    actor = g.get("actor")
    log.info(
        "request",
        request_id=g.get("request_id"),
        method=request.method,
        route=str(request.url_rule) if request.url_rule else "none",
        status=response.status_code,
        duration_ms=round((time.perf_counter() - g.started) * 1000, 1) if "started" in g else None,
        tenant_id=actor.tenant_id if actor else None,
        address=cut_address(client_address()),
    )


def cut_address(address: str) -> str:
    """An address without its last part: logs hold no whole one."""
    separator = ":" if ":" in address else "."
    return separator.join([*address.split(separator)[:-1], "0"]) if address else ""
