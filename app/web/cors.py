"""Cross-origin calls: pages of other sites may call what browsers are meant to call (docs/adr/0011).

That is what a browser's own credential opens, and what is open to everybody and counted by address: a bearer
token and no cookie, or neither, so every origin is told yes. Any other endpoint stays closed to pages of
other sites, also where it shares its path with an open one.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from flask import Flask, Response, request

from app.domain.actor import BROWSERS
from app.web.surface import Policy, Surface

_SENT = "Authorization, Content-Type, Idempotency-Key, If-Match, X-Request-ID, X-Tenant, X-Tenant-ID"
_SHOWN = "ETag, Idempotent-Replayed, RateLimit, RateLimit-Policy, Retry-After, X-Request-ID"
#: How long a browser may remember the answer to its question, in seconds.
_REMEMBER = "600"


def is_open(policy: Policy) -> bool:
    """Whether browsers are meant to call this endpoint from a page of another site."""
    public = not policy.auth and not policy.signed
    return bool(policy.auth & BROWSERS) or (public and policy.limit is not None and policy.limit.per == "ip")


def install(app: Flask, surfaces: Sequence[Surface]) -> None:
    """Answer browsers that ask whether their page may call."""
    methods: defaultdict[str, set[str]] = defaultdict(set)
    for surface in surfaces:
        for prefix in surface.mounts:
            for policy in filter(is_open, surface.policies):
                methods[re.sub(r"{(\w+)}", r"<\1>", prefix + policy.path)].add(policy.method)

    @app.after_request
    def _allow(response: Response) -> Response:
        if "Origin" not in request.headers or request.url_rule is None:
            return response
        allowed = methods.get(request.url_rule.rule, set())
        asks = request.method == "OPTIONS"
        wanted = request.headers.get("Access-Control-Request-Method", "") if asks else request.method
        if wanted not in allowed:
            return response
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Access-Control-Expose-Headers"] = _SHOWN
        if asks:
            response.headers["Access-Control-Allow-Methods"] = ", ".join(sorted(allowed))
            response.headers["Access-Control-Allow-Headers"] = _SENT
            response.headers["Access-Control-Max-Age"] = _REMEMBER
        return response
