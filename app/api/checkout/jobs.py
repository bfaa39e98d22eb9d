"""OP-35: jobs of any kind, as this surface shows them."""

from __future__ import annotations

from app.api.checkout.surface import surface
from app.web import job_views

job_views.declare(surface, "OP-35-checkout")
