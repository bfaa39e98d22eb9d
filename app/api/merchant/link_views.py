"""How payment links look: to anybody (MR-004), and to the merchant whose they are."""

from __future__ import annotations

from typing import Any, Self

from app import settings
from app.models.checkout.payment_link import PaymentLink
from app.services.checkout import links
from app.web.schemas import Instant, View


class LinkView(View):
    """What anybody may know of a link; names as the contract has them (OP-03)."""

    slug: str
    amount: int | None
    currency: str
    reference: str | None
    status: str
    expires_at: Instant | None
    isExpired: bool  # noqa: N815 - the contract's spelling
    usageLimitReached: bool  # noqa: N815
    canPay: bool  # noqa: N815

    @classmethod
    def of(cls, link: PaymentLink) -> Self:
        """The view of a row."""
        return cls(**cls._shown(link))

    @classmethod
    def _shown(cls, link: PaymentLink) -> dict[str, Any]:
        expired = links.has_expired(link)
        return {
            "slug": link.slug,
            "amount": link.amount,
            "currency": link.currency,
            "reference": link.reference,
            "status": "inactive" if not link.active else "expired" if expired else "active",
            "expires_at": link.expires_at,
            "isExpired": expired,
            "usageLimitReached": links.is_used_up(link),
            "canPay": links.state(link) == "payable",
        }


class ChoiceLinkView(LinkView):
    """The same of a link whose payer chooses the amount: between which bounds, and what is offered."""

    minAmount: int | None  # noqa: N815
    maxAmount: int | None  # noqa: N815
    presets: list[int]

    @classmethod
    def _shown(cls, link: PaymentLink) -> dict[str, Any]:
        return {
            **super()._shown(link),
            "minAmount": link.min_amount,
            "maxAmount": link.max_amount,
            "presets": link.presets or [],
        }


class LinkDetails(ChoiceLinkView):
    """All of a link. `methodTypes` is empty where every method of the merchant's may be used.

    `used` counts payments that completed, `held` those under way; with `usageLimit` both are kept within it.
    """

    id: str
    environment: str
    title: str
    description: str
    methodTypes: list[str]  # noqa: N815
    page: dict[str, Any] | None
    usageLimit: int | None  # noqa: N815
    used: int
    held: int
    scans: int
    url: str
    qrSvgUrl: str  # noqa: N815
    qrPngUrl: str  # noqa: N815
    posterUrl: str  # noqa: N815
    created_at: Instant
    updated_at: Instant
    version: int

    @classmethod
    def _shown(cls, link: PaymentLink) -> dict[str, Any]:
        url = f"{settings.current().base_url}/l/{link.slug}"
        return {
            **super()._shown(link),
            "id": link.public_id,
            "environment": link.mode,
            "title": link.title,
            "description": link.description,
            "methodTypes": link.method_types,
            "page": link.page,
            "usageLimit": link.usage_limit,
            "used": link.used,
            "held": link.held,
            "scans": link.scans,
            "url": url,
            "qrSvgUrl": f"{url}/qr.svg",
            "qrPngUrl": f"{url}/qr.png",
            "posterUrl": f"{url}/poster",
            "created_at": link.created_at,
            "updated_at": link.updated_at,
            "version": link.version,
        }
