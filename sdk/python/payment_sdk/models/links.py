"""Payment links."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from payment_sdk._models import Model, named


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentLink(Model):
    """What anybody may know of a link; without `amount` the payer chooses, within bounds if there are"""

    slug: str
    amount: int | None
    currency: str
    reference: str | None
    status: str
    expires_at: datetime | None
    is_expired: bool = named("isExpired")
    usage_limit_reached: bool = named("usageLimitReached")
    can_pay: bool = named("canPay")
    min_amount: int | None = named("minAmount")
    max_amount: int | None = named("maxAmount")
    presets: list[int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentLinkDetails(PaymentLink):
    """All of a link of one's own: its terms, its uses, its page and QR codes."""

    id: str
    environment: str
    title: str
    description: str
    method_types: list[str] = named("methodTypes")
    page: dict[str, Any] | None
    usage_limit: int | None = named("usageLimit")
    used: int
    held: int
    scans: int
    url: str
    qr_svg_url: str = named("qrSvgUrl")
    qr_png_url: str = named("qrPngUrl")
    poster_url: str = named("posterUrl")
    created_at: datetime
    updated_at: datetime
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkPayment(Model):
    """A session that was started over a link."""

    session_id: str = named("sessionId")
    redirect_url: str = named("redirectUrl")
    qr_image_url: str | None = named("qrImageUrl")
    expires_at: datetime = named("expiresAt")
