"""/csp-reports: where browsers report pages of ours that broke their Content-Security-Policy (security.md).

Anybody may post here, so that little is believed: reports of routes that are no page of ours, of unknown
directives and of browsers' extensions are dropped; of addresses only origins are kept, since a path may be
the secret that opens a page.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response, current_app, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from app.domain.errors import InvalidRequest, PayloadTooLarge
from app.kit import addresses, strict_json
from app.services.operations import csp_reports, rate_limits
from app.services.operations.csp_reports import Violation
from app.web.authentication import client_address
from app.web.opens import To, opens

PATH = "/csp-reports"
MAX_BODY = 64 * 1024
MAX_REPORTS = 20
#: Posts in a minute from one address; a browser sends what it has in one.
LIMIT = 10

_MEDIA = ("application/reports+json", "application/csp-report", "application/json")
_DIRECTIVES = frozenset(
    {
        "base-uri",
        "connect-src",
        "default-src",
        "font-src",
        "form-action",
        "frame-ancestors",
        "frame-src",
        "img-src",
        "manifest-src",
        "media-src",
        "object-src",
        "script-src",
        "script-src-attr",
        "script-src-elem",
        "style-src",
        "style-src-attr",
        "style-src-elem",
        "worker-src",
    }
)
_KEYWORD = re.compile(r"^[a-z][a-z-]{0,30}$")
_EXTENSION = re.compile(r"^[a-z-]+-extension$")

blueprint = Blueprint("csp_reports", __name__)


def install(app: Flask, exempt: Callable[[Blueprint], None]) -> None:
    """Register the endpoint; a browser reports by itself, without a form's token."""
    exempt(blueprint)
    app.register_blueprint(blueprint)


@blueprint.post(PATH)
@opens(To.EVERYBODY)
def take() -> Response:
    """Take what a browser reports, in the form of the Reporting API or of CSP 2."""
    rate_limits.hit("csp_reports", addresses.line(client_address()), limit=LIMIT, window_seconds=60)
    found = [item for item in map(_violation, _bodies()[:MAX_REPORTS]) if item is not None]
    if found:
        csp_reports.record(found)
    return Response(status=204)


def _bodies() -> list[Any]:
    """The violations as they were sent.

    Raises:
        InvalidRequest: it is not JSON of either form.
        PayloadTooLarge: no browser sends so much.
    """
    if request.mimetype not in _MEDIA:
        raise InvalidRequest("Not a report")
    if (request.content_length or 0) > MAX_BODY:
        raise PayloadTooLarge
    raw = request.get_data()
    if len(raw) > MAX_BODY:
        raise PayloadTooLarge
    try:
        sent = strict_json.loads(raw)
    except strict_json.StrictJsonError as error:
        raise InvalidRequest("Not a report") from error
    if isinstance(sent, dict):
        return [sent.get("csp-report")]
    if not isinstance(sent, list):
        raise InvalidRequest("Not a report")
    return [
        item.get("body") for item in sent if isinstance(item, dict) and item.get("type") == "csp-violation"
    ]


def _violation(body: Any) -> Violation | None:
    """What is kept of one report; None where it says nothing of a page of ours."""
    if not isinstance(body, dict):
        return None
    directive = str(_first(body, "effectiveDirective", "effective-directive", "violated-directive"))
    directive = directive.partition(" ")[0]
    route = _route(str(_first(body, "documentURL", "document-uri")))
    blocked = _blocked(str(_first(body, "blockedURL", "blocked-uri")))
    if route is None or blocked is None or directive not in _DIRECTIVES:
        return None
    return Violation(route, directive, blocked)


def _first(body: dict[str, Any], *names: str) -> Any:
    return next((body[name] for name in names if body.get(name)), "")


def _route(url: str) -> str | None:
    """The route of a page of this site."""
    try:
        parts = urlsplit(url)
        if parts.netloc != request.host:
            return None
        rule, _ = current_app.create_url_adapter(request).match(  # type: ignore[union-attr]
            parts.path, method="GET", return_rule=True
        )
    except (ValueError, HTTPException, RequestRedirect):
        return None
    return str(rule.rule)[:120]


def _blocked(url: str) -> str | None:
    """An origin or a keyword; None for what browsers' extensions do to our pages, and for rubbish."""
    if _KEYWORD.match(url):
        return None if _EXTENSION.match(url) else url
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return None
    if not _KEYWORD.match(parts.scheme) or _EXTENSION.match(parts.scheme) or not parts.hostname:
        return None
    return f"{parts.scheme}://{parts.hostname}{port}"[:120]
