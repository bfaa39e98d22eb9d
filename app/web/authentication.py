"""Which actor a request's credential stands for."""

from __future__ import annotations

from flask import request

from app.domain.actor import Actor
from app.domain.errors import Unauthenticated
from app.kit import addresses
from app.services.access import keys, tokens


def authenticate(header: str, *, to_look: bool = False) -> Actor:
    """The actor of this request, from the surface's own header; `to_look`: see `tokens.authenticate`.

    Raises:
        Unauthenticated: no credential, or not a good one.
    """
    presented = request.headers.get(header, "").strip()
    if header == "Authorization":
        scheme, _, rest = presented.partition(" ")
        if scheme.lower() == "bearer":
            presented = rest.strip()
    if not presented:
        wanted = "Authentication required" if header == "Authorization" else "Invalid API key"
        raise Unauthenticated(wanted, problem="missing")
    if header == "Authorization" and presented.startswith(("pub_", "pi_", "eyJ")):
        return tokens.authenticate(presented, to_look=to_look)
    return keys.authenticate(presented)


def client_address() -> str:
    """The caller's address (behind trusted proxies, the one that they report)."""
    return addresses.without_port(request.remote_addr or "unknown")
