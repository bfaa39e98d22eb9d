"""Cross-origin calls: pages of other sites may call what a browser's own credential opens.

Those endpoints take a bearer token and no cookie, so every origin is told yes; any other endpoint stays
closed to pages of other sites.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from flask import Flask, Response, request

from app.domain.actor import ActorKind
from app.web.surface import Surface

_BROWSERS = frozenset({ActorKind.CLIENT_TOKEN, ActorKind.PUBLISHABLE_KEY})
_SENT = "Authorization, Content-Type, Idempotency-Key, If-Match, X-Request-ID, X-Tenant-ID"
_SHOWN = "ETag, Idempotent-Replayed, RateLimit, RateLimit-Policy, Retry-After, X-Request-ID"
#: How long a browser may remember the answer to its question, in seconds.
_REMEMBER = "600"


def install(app: Flask, surfaces: Sequence[Surface]) -> None:
    """Answer browsers that ask whether their page may call."""
    open_paths = {
        re.sub(r"{(\w+)}", r"<\1>", prefix + policy.path)
        for surface in surfaces
        for prefix in surface.mounts
        for policy in surface.policies
        if policy.auth & _BROWSERS
    }

    @app.after_request
    def _allow(response: Response) -> Response:
        rule = request.url_rule
        if "Origin" not in request.headers or rule is None or rule.rule not in open_paths:
            return response
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Access-Control-Expose-Headers"] = _SHOWN
        if request.method == "OPTIONS":
            response.headers["Access-Control-Allow-Methods"] = response.headers.get("Allow", "")
            response.headers["Access-Control-Allow-Headers"] = _SENT
            response.headers["Access-Control-Max-Age"] = _REMEMBER
        return response
