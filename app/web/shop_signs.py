"""How a merchant's logo stands on a page (templates/components/shop_sign.html)."""

from __future__ import annotations

from typing import Any

from app.domain.actor import TenantProfile
from app.services.access import logos

#: Pixels that it may take.
WIDTH, HEIGHT = 160, 36


def logo(profile: TenantProfile) -> dict[str, Any]:
    """Where the logo is, how large it is drawn, and what has to be behind it; without one no address."""
    kept = logos.of(profile)
    if kept is None:
        return {"logo_url": None}
    scale = min(WIDTH / kept.width, HEIGHT / kept.height, 1)
    return {
        "logo_url": f"/logo/{profile.public_id}/{kept.digest}/page.png",
        "logo_print_url": f"/logo/{profile.public_id}/{kept.digest}/print.png",
        "logo_width": round(kept.width * scale),
        "logo_height": round(kept.height * scale),
        "logo_backing": kept.backing,
    }
