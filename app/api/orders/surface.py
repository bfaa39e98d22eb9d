"""The orders surface, /api/payments and /api/orders (contract/orders.md)."""

from app.domain.actor import ActorKind
from app.web import error_bodies
from app.web.surface import Surface

surface = Surface(
    "orders",
    "/api",
    render_error=error_bodies.short,
    handles=("/api/payments", "/api/orders"),
    exact_numbers=True,
)

#: JWTs alone: a person's, or one for a key that a person has made (OP-05, OP-06).
TOKENS = frozenset({ActorKind.USER, ActorKind.MACHINE_TOKEN})
