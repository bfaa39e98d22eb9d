"""The one error handler: every error becomes the body of the surface it happened on, or an HTML page."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import structlog
from flask import Flask, Response, g, render_template, request
from flask.globals import request_ctx
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import NotFound as WerkzeugNotFound

from app.domain import errors
from app.domain.errors import DomainError
from app.web.surface import Surface

log = structlog.get_logger("till.web")

_OF_STATUS: dict[int, type[DomainError]] = {
    400: errors.InvalidRequest,
    401: errors.Unauthenticated,
    403: errors.PermissionDenied,
    404: errors.NotFound,
    409: errors.Conflict,
    410: errors.Gone,
    413: errors.PayloadTooLarge,
    415: errors.UnsupportedMediaType,
    429: errors.RateLimited,
    503: errors.ServiceUnavailable,
}


def install(app: Flask, surfaces: Sequence[Surface]) -> None:
    """Let one handler take everything; the surface is found by its longest path prefix."""
    ordered = _by_length(surfaces)

    def handle(error: Exception) -> Response:
        domain_error, status, headers = _understand(error)
        surface = next((s for under, s in ordered if under.match(request.path)), None)
        if surface is None:
            return _page(domain_error, status, headers)
        body = surface.render_error(domain_error, g.get("request_id", ""))
        response = Response(
            json.dumps(body, ensure_ascii=False),
            status=status_of(surface, status),
            mimetype="application/json",
        )
        response.headers.update(headers)
        return response

    app.register_error_handler(Exception, handle)


def _understand(error: Exception) -> tuple[DomainError, int, dict[str, str]]:
    headers: dict[str, str] = {}
    if isinstance(error, DomainError):
        retry = getattr(error, "retry_after", None)
        if retry:
            headers["Retry-After"] = str(retry)
        return error, error.http_status, headers
    if isinstance(error, CSRFError):
        return (
            errors.InvalidRequest(
                "This form has expired. Go back, reload the page and try again.", code="csrf_failed"
            ),
            400,
            headers,
        )
    if isinstance(error, HTTPException):
        return _of_http(error)
    if isinstance(error, (OperationalError, PoolTimeout)):
        log.exception("database_failed")
        return _understand(errors.ServiceUnavailable())
    log.exception("unexpected_error")
    return DomainError(), 500, headers


def _of_http(error: HTTPException) -> tuple[DomainError, int, dict[str, str]]:
    status = error.code or 500
    headers = {
        name: value for name, value in error.get_headers() if name in ("Allow", "Retry-After", "Location")
    }
    if status == 405:
        return DomainError("Method not allowed", code="method_not_allowed"), 405, headers
    kind = _OF_STATUS.get(status)
    if kind is None or kind is errors.RateLimited:
        return DomainError(error.name, code=error.name.lower().replace(" ", "_")), status, headers
    message = None if isinstance(error, WerkzeugNotFound) else error.name
    return kind(message), status, headers


def status_of(surface: Surface, status: int) -> int:
    """Three surfaces say 400 where the others say 409 or 422 (OP-11)."""
    if surface.name in ("merchant", "sessions", "orders") and status in (409, 422):
        return 400
    return status


def _by_length(surfaces: Sequence[Surface]) -> list[tuple[re.Pattern[str], Surface]]:
    """Every place where a surface is mounted, fixed and long ones first; `<name>` is any one segment."""
    places = [(prefix, surface) for surface in surfaces for prefix in surface.error_prefixes]
    places.sort(key=lambda place: ("<" in place[0], -len(place[0])))
    return [(re.compile(re.sub("<[^>]+>", "[^/]+", prefix) + "(?:[/:]|$)"), s) for prefix, s in places]


def _page(error: DomainError, status: int, headers: dict[str, str]) -> Response:
    if request_ctx.url_adapter is None:  # a host that isn't ours: no page of ours can link anywhere
        response = Response(f"{error.message}\n", status=status, mimetype="text/plain")
    else:
        page = render_template("errors/error.html", status=status, error=error)
        response = Response(page, status=status, mimetype="text/html")
    response.headers.update(headers)
    return response
