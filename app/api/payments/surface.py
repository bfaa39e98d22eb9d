"""The payments surface, /v1/payments and /v1/{tenant_id}/payments (contract/payments.md, OP-44)."""

from app.web import error_bodies
from app.web.surface import Surface

surface = Surface(
    "payments",
    "/v1/payments",
    render_error=error_bodies.lower,
    also_at=("/v1/<tenant_id>/payments",),
)
