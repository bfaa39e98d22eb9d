"""Payment links."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from payment_sdk._models import Model, named


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentLink(Model):
    """What anybody may know of a link; without `amount` the payer chooses."""

    slug: str
    amount: int | None
    currency: str
    reference: str | None
    status: str
    expires_at: datetime | None
    is_expired: bool = named("isExpired")
    usage_limit_reached: bool = named("usageLimitReached")
    can_pay: bool = named("canPay")


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkPayment(Model):
    """A session that was started over a link."""

    session_id: str = named("sessionId")
    redirect_url: str = named("redirectUrl")
    qr_image_url: str | None = named("qrImageUrl")
    expires_at: datetime = named("expiresAt")
