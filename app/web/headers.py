"""Request ids, security headers and the request log (security.md)."""

from __future__ import annotations

import re
import time

import structlog
from flask import Flask, Response, g, request

from app import settings
from app.kit.ids import new_id

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
}
_API = "default-src 'none'; frame-ancestors 'none'"
_PERMISSIONS = "camera=(), microphone=(), geolocation=(), usb=(), payment=(self)"


def policy(**changes: str) -> str:
    """The base Content-Security-Policy with directives changed (`frame_src="'self'"`)."""
    directives = {**_BASE, **{name.replace("_", "-"): value for name, value in changes.items()}}
    return "; ".join(f"{name} {value}" for name, value in directives.items())


_PAGE = policy(frame_src="'self'")


def install(app: Flask) -> None:
    """Give every request an id and a log line, and every answer its headers."""

    @app.before_request
    def _identify() -> None:
        given = request.headers.get("X-Request-ID", "")
        g.request_id = given if _REQUEST_ID.match(given) else new_id("req")
        g.started = time.perf_counter()

    @app.after_request
    def _finish(response: Response) -> Response:
        _secure(response)
        response.headers["X-Request-ID"] = g.get("request_id", "")
        limit = g.get("rate_limit")
        if limit is not None:
            name, count, remaining, reset = limit
            response.headers["RateLimit-Policy"] = f'"{name}";q={count};w=1'
            response.headers["RateLimit"] = f'"{name}";r={remaining};t={reset}'
        _log(response)
        return response


def _secure(response: Response) -> None:
    headers = response.headers
    is_static = request.endpoint == "static"
    if "Content-Security-Policy" not in headers:
        is_page = response.mimetype == "text/html"
        headers["Content-Security-Policy"] = _PAGE if is_page else _API
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "strict-origin-when-cross-origin"
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    headers["Permissions-Policy"] = _PERMISSIONS
    if "Cache-Control" not in headers or not is_static:
        headers.setdefault("Cache-Control", "no-store")
    if settings.current().production:
        headers["Strict-Transport-Security"] = "max-age=63072000; includeSubDomains"


def _log(response: Response) -> None:
    if request.endpoint == "static" or request.path == "/healthz":
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
        address=cut_address(request.remote_addr or ""),
    )


def cut_address(address: str) -> str:
    """An address without its last part: logs hold no whole one."""
    separator = ":" if ":" in address else "."
    return separator.join([*address.split(separator)[:-1], "0"]) if address else ""
