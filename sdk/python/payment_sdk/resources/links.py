"""`client.links`: payment links, which anybody may pay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from payment_sdk import _operations as op
from payment_sdk._operations import Auth
from payment_sdk.models.links import LinkPayment, PaymentLink, PaymentLinkDetails
from payment_sdk.pages import Page
from payment_sdk.params import UNSET, Unset
from payment_sdk.resources.base import Resource, changes, given

_LINK = "/api/v1/links/{slug}"
_CREATE = op.post("OP-51", "/api/v1/links")
_LIST = op.get("OP-51-list", "/api/v1/links")
_DETAILS = op.get("OP-51-details", _LINK + "/details")
_UPDATE = op.patch("OP-51-change", _LINK)
_ACTIVATE = op.post("OP-51-activate", _LINK + "/activate")
_DEACTIVATE = op.post("OP-51-deactivate", _LINK + "/deactivate")
_GET = op.get("MR-004", _LINK, auth=Auth.NONE, per_minute=10)
_PAY = op.post("MR-005", _LINK + "/checkout", auth=Auth.NONE, keyed=False, per_minute=3)


class Links(Resource):
    """Payment links; amounts in minor units."""

    def create(
        self,
        *,
        currency: str,
        reference: str,
        amount: int | None = None,
        min_amount: int | None = None,
        max_amount: int | None = None,
        presets: Sequence[int] | None = None,
        slug: str | None = None,
        title: str | None = None,
        description: str | None = None,
        expires_at: datetime | None = None,
        usage_limit: int | None = None,
        method_types: Sequence[str] | None = None,
        page: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> PaymentLinkDetails:
        """Make a link; without an `amount` the payer chooses, without a `slug` one is made."""
        body = given(
            slug=slug,
            amount=amount,
            minAmount=min_amount,
            maxAmount=max_amount,
            presets=list(presets) if presets is not None else None,
            currency=currency,
            reference=reference,
            title=title,
            description=description,
            expires_at=expires_at,
            usageLimit=usage_limit,
            methodTypes=list(method_types) if method_types is not None else None,
            page=page,
        )
        return self._one(_CREATE, PaymentLinkDetails, body=body, key=idempotency_key)

    def list(self, *, limit: int | None = None, cursor: str | None = None) -> Page[PaymentLinkDetails]:
        """The merchant's links in this mode, newest first."""
        return self._page(_LIST, PaymentLinkDetails, query=given(limit=limit, cursor=cursor))

    def details(self, slug: str) -> PaymentLinkDetails:
        """All of a link of one's own."""
        return self._one(_DETAILS, PaymentLinkDetails, _DETAILS.at(slug=slug))

    def update(
        self,
        slug: str,
        *,
        amount: int | Unset | None = UNSET,
        min_amount: int | Unset | None = UNSET,
        max_amount: int | Unset | None = UNSET,
        presets: Sequence[int] | Unset | None = UNSET,
        reference: str | Unset = UNSET,
        title: str | Unset = UNSET,
        description: str | Unset | None = UNSET,
        expires_at: datetime | Unset | None = UNSET,
        usage_limit: int | Unset | None = UNSET,
        method_types: Sequence[str] | Unset | None = UNSET,
        page: Mapping[str, Any] | Unset | None = UNSET,
        version: int | Unset = UNSET,
        idempotency_key: str | None = None,
    ) -> PaymentLinkDetails:
        """Change what is given; None takes a thing away. Payments that have started stay as they are."""
        body = changes(
            amount=amount,
            minAmount=min_amount,
            maxAmount=max_amount,
            presets=presets,
            reference=reference,
            title=title,
            description=description,
            expires_at=expires_at,
            usageLimit=usage_limit,
            methodTypes=method_types,
            page=page,
            version=version,
        )
        return self._one(_UPDATE, PaymentLinkDetails, _UPDATE.at(slug=slug), body=body, key=idempotency_key)

    def activate(self, slug: str, *, idempotency_key: str | None = None) -> PaymentLinkDetails:
        """Switch a link on again."""
        return self._one(_ACTIVATE, PaymentLinkDetails, _ACTIVATE.at(slug=slug), key=idempotency_key)

    def deactivate(self, slug: str, *, idempotency_key: str | None = None) -> PaymentLinkDetails:
        """Switch a link off: nobody starts to pay over it any more."""
        return self._one(_DEACTIVATE, PaymentLinkDetails, _DEACTIVATE.at(slug=slug), key=idempotency_key)

    def get(self, slug: str) -> PaymentLink:
        """How a link stands, as anybody may know."""
        return self._one(_GET, PaymentLink, _GET.at(slug=slug))

    def pay(
        self,
        slug: str,
        *,
        amount: int | None = None,
        method_types: Sequence[str] | None = None,
        quantity: int | None = None,
        promotion_code: str | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> LinkPayment:
        """Start a payment over a link; it takes no key, and is repeated only if it cannot have arrived.

        `amount` is for a link whose payer chooses it, `fields` answers by key what its page asks for.
        """
        body = given(
            amount=amount,
            methodTypes=list(method_types) if method_types is not None else None,
            quantity=quantity,
            promotionCode=promotion_code,
            fields=fields,
        )
        return self._one(_PAY, LinkPayment, _PAY.at(slug=slug), body=body)
