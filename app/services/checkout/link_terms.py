"""What a payment link asks for: its amount or the payer's choice of one, its methods, and what cannot be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from app.domain import money
from app.domain.actor import Actor, TenantProfile
from app.domain.errors import InvalidRequest
from app.kit import clock
from app.models.checkout.payment_link import PaymentLink
from app.services.operations.settings import checkout_settings

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{1,62}[a-z0-9])")
#: A slug must not look like the id of another link.
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
MAX_PRESETS = 8
#: What ends later has no end; near the end of the calendar an instant is in none of our zones.
LAST_YEAR = 9000


@dataclass(frozen=True, slots=True)
class LinkDraft:
    """What a link is made from; amounts in minor units.

    Without `amount` the payer chooses between the bounds, from `presets` or otherwise. Without `method_types`
    every method of the merchant's may be used.
    """

    title: str
    currency: str
    slug: str | None = None
    description: str = ""
    amount: int | None = None
    min_amount: int | None = None
    max_amount: int | None = None
    presets: tuple[int, ...] = ()
    reference: str | None = None
    expires_at: datetime | None = None
    usage_limit: int | None = None
    method_types: tuple[str, ...] = ("card",)
    page: Mapping[str, Any] | None = None


#: What may change once a link is out; who has started to pay keeps what they were shown.
CHANGEABLE = frozenset(field.name for field in fields(LinkDraft)) - {"slug", "currency"}


def of(link: PaymentLink) -> LinkDraft:
    """The terms of a link as they stand."""
    stand = {field.name: getattr(link, field.name) for field in fields(LinkDraft)}
    return LinkDraft(
        **{**stand, "presets": tuple(link.presets or ()), "method_types": tuple(link.method_types)}
    )


def changed(actor: Actor, link: PaymentLink, changes: Mapping[str, Any]) -> LinkDraft:
    """The terms after a change.

    Raises:
        InvalidRequest: naming the field that cannot be.
    """
    draft = replace(of(link), **changes)
    _check(actor, draft)
    if "expires_at" in changes:
        _check_end(draft)
    limit = changes.get("usage_limit")
    if limit is not None and limit < link.used + link.held:
        raise InvalidRequest("The limit is below what is used already", field="usage_limit")
    return draft


def check(actor: Actor, draft: LinkDraft) -> None:
    """Refuse what no link can be made from.

    Raises:
        InvalidRequest: naming the field that cannot be.
    """
    slug = draft.slug
    if slug is not None and (not _SLUG.fullmatch(slug) or _UUID.fullmatch(slug)):
        raise InvalidRequest(
            "Use 3 to 64 lower-case letters, digits and hyphens", field="slug", code="invalid_slug"
        )
    _check(actor, draft)
    _check_end(draft)


def methods(profile: TenantProfile, link: PaymentLink, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """What a payer may pay with: of the link's methods those that they want, where they want some.

    Raises:
        InvalidRequest: the link takes none of these.
    """
    if not wanted:
        return tuple(link.method_types)
    allowed = checkout_settings(profile).allowed_methods
    chosen = tuple(
        method
        for method in allowed
        if method in wanted and (not link.method_types or method in link.method_types)
    )
    if not chosen:
        raise InvalidRequest("This link takes none of these methods", field="methodTypes")
    return chosen


def price(link: PaymentLink, amount: int | None) -> int:
    """What a payer pays, minor units.

    Raises:
        InvalidRequest: `invalid_amount`: outside the bounds, or another than the link's.
    """
    if link.amount is not None:
        if amount not in (None, link.amount):
            raise InvalidRequest("The amount of this link is fixed", code="invalid_amount", field="amount")
        return link.amount
    low, high = link.min_amount or 1, link.max_amount or money.MAX_AMOUNT
    if amount is None or not low <= amount <= high:
        raise InvalidRequest(
            "Choose an amount within the bounds",
            code="invalid_amount",
            field="amount",
            explain={"min_amount": low, "max_amount": high},
        )
    return amount


def _check(actor: Actor, draft: LinkDraft) -> None:
    if not draft.title.strip():
        raise InvalidRequest("Enter a title", field="title")
    settings = checkout_settings(actor.tenant)
    narrowed = settings.currencies
    if not money.is_currency(draft.currency) or (narrowed and draft.currency not in narrowed):
        raise InvalidRequest("This currency is not supported", code="unsupported_currency", field="currency")
    _check_amounts(draft)
    if draft.usage_limit is not None and draft.usage_limit < 1:
        raise InvalidRequest("A limit is at least 1", field="usage_limit")
    for method in draft.method_types:
        if method not in settings.allowed_methods:
            raise InvalidRequest(f"The method {method} is not supported", field="method_types")


def _check_amounts(draft: LinkDraft) -> None:
    for name in ("amount", "min_amount", "max_amount"):
        value = getattr(draft, name)
        if value is not None and not 0 < value <= money.MAX_AMOUNT:
            raise InvalidRequest("Valid amount is required", code="invalid_amount", field=name)
    low, high = draft.min_amount or 1, draft.max_amount or money.MAX_AMOUNT
    if low > high:
        raise InvalidRequest("The smallest amount is above the largest", field="max_amount")
    chosen = draft.presets or draft.min_amount or draft.max_amount
    if draft.amount is not None and chosen:
        raise InvalidRequest("Either an amount, or bounds and presets for the payer's", field="amount")
    if len(draft.presets) > MAX_PRESETS or len(set(draft.presets)) < len(draft.presets):
        raise InvalidRequest(f"Up to {MAX_PRESETS} different amounts", field="presets")
    if not all(low <= preset <= high for preset in draft.presets):
        raise InvalidRequest("Each preset lies within the bounds", field="presets")


def _check_end(draft: LinkDraft) -> None:
    ends = draft.expires_at
    if ends is not None and (ends <= clock.now() or ends.year > LAST_YEAR):
        raise InvalidRequest("Choose a time in the future", field="expires_at")
