"""MR-004, MR-005: the public face of payment links; how a merchant makes and keeps them (OP-51)."""

from __future__ import annotations

from typing import Annotated, Any

from flask import g
from pydantic import AwareDatetime, Field, Strict

from app.api.merchant.amounts import MaybeAmount
from app.api.merchant.link_views import ChoiceLinkView, LinkDetails, LinkView
from app.api.merchant.sessions import QR_METHODS
from app.api.merchant.surface import surface
from app.domain.actor import Actor
from app.domain.permissions import LINKS_MANAGE
from app.services.checkout import hosted, links
from app.services.checkout.link_page import Asked
from app.services.checkout.link_terms import LinkDraft
from app.web.authentication import client_address
from app.web.endpoint import Answer
from app.web.schemas import Body, Instant, Integer, Listing, PageQuery, View
from app.web.surface import PUBLIC, SERVER, Idempotency, Limit
from app.web.versions import etag, expected_version

#: What the fields of a body are to the service.
_NAMES = {
    "minAmount": "min_amount",
    "maxAmount": "max_amount",
    "usageLimit": "usage_limit",
    "methodTypes": "method_types",
}


class LinkField(Body):
    """A field for the payer: any text, or one of `options`; the session's metadata has the answer."""

    key: str = Field(pattern="^[a-z][a-z0-9_]{0,31}$")
    label: str = Field(min_length=1, max_length=80)
    required: bool = False
    options: list[str] | None = Field(None, max_length=20)


class LinkMessages(Body):
    """The merchant's own words where nobody can pay; `taken` while the last uses are being paid."""

    inactive: str | None = Field(None, min_length=1, max_length=300)
    expired: str | None = Field(None, min_length=1, max_length=300)
    used_up: str | None = Field(None, min_length=1, max_length=300)
    sold_out: str | None = Field(None, min_length=1, max_length=300)
    taken: str | None = Field(None, min_length=1, max_length=300)


class LinkPage(Body):
    """What the link's page asks for beside the amount; with `maxQuantity` a payer may take more than one.

    `picture` is the id of an upload, PNG or JPEG, which then everybody with the link may see.
    """

    maxQuantity: Annotated[Integer, Field(ge=2, le=999)] | None = None  # noqa: N815
    promotionCodes: bool = False  # noqa: N815
    fields: list[LinkField] | None = Field(None, max_length=5)
    messages: LinkMessages | None = None
    picture: str | None = Field(None, max_length=40)


class LinkTerms(Body):
    """What a link asks for. Without `amount` the payer chooses, within bounds where there are some.

    Amounts in minor units; without `methodTypes` every method of the merchant's may be used.
    """

    amount: MaybeAmount = None
    minAmount: MaybeAmount = None  # noqa: N815 - the contract's casing
    maxAmount: MaybeAmount = None  # noqa: N815
    presets: list[Integer] | None = Field(None, max_length=8)
    reference: str = Field(min_length=1, max_length=200)
    title: str | None = Field(None, min_length=1, max_length=200)
    description: str | None = Field(None, max_length=2000)
    expires_at: Annotated[AwareDatetime, Strict(False)] | None = None
    usageLimit: Annotated[Integer, Field(ge=1, le=2**31)] | None = None  # noqa: N815
    methodTypes: list[str] | None = Field(None, max_length=10)  # noqa: N815
    page: LinkPage | None = None

    def given(self) -> dict[str, Any]:
        """What was sent, as the service names it; null where that stands for something is said so."""
        sent = self.model_dump(exclude_unset=True, exclude={"slug", "currency", "version"})
        values = {_NAMES.get(name, name): value for name, value in sent.items()}
        for name in ("presets", "method_types"):
            if name in values:
                values[name] = tuple(dict.fromkeys(values[name] or ()))
        if "description" in values:
            values["description"] = values["description"] or ""
        if "page" in values:
            values["page"] = self.page.model_dump(exclude_defaults=True) or None if self.page else None
        return values


class LinkCreate(LinkTerms):
    """A link to be; the payer reads `title`, or else the reference. Without a slug one is made."""

    slug: str | None = Field(None, max_length=64)
    currency: str = Field(pattern="^[A-Z]{3}$")

    def draft(self) -> LinkDraft:
        """The draft that the service takes."""
        terms: dict[str, Any] = {"method_types": (), **self.given()}
        terms["title"] = self.title or self.reference
        return LinkDraft(slug=self.slug, currency=self.currency, **terms)


class LinkChange(LinkTerms):
    """What is to change: what is left out stays, null takes a thing away. Slug and currency stay for good."""

    reference: str | None = Field(None, min_length=1, max_length=200)  # type: ignore[assignment]
    version: Annotated[Integer, Field(ge=1)] | None = None

    def changes(self) -> dict[str, Any]:
        """The changes that the service takes; neither a title nor a reference can be taken away."""
        kept = {"title", "reference"}
        return {name: value for name, value in self.given().items() if name not in kept or value is not None}


class LinkPay(Body):
    """Which methods the payer may use, how much it is where they choose, and what else the link asks for."""

    amount: MaybeAmount = None
    methodTypes: list[str] | None = Field(None, min_length=1, max_length=10)  # noqa: N815
    quantity: Annotated[Integer, Field(ge=1, le=999)] = 1
    promotionCode: str | None = Field(None, max_length=64)  # noqa: N815
    fields: dict[str, str] | None = Field(None, max_length=10)


class LinkSession(View):
    """The session that was started."""

    sessionId: str  # noqa: N815
    redirectUrl: str  # noqa: N815
    qrImageUrl: str | None  # noqa: N815
    expiresAt: Instant  # noqa: N815


@surface.post(
    "/v1/links",
    "OP-51",
    body=LinkCreate,
    returns=LinkDetails,
    status=201,
    auth=SERVER,
    permission=LINKS_MANAGE,
)
def create(actor: Actor, body: LinkCreate) -> Answer:
    """Make a payment link."""
    return _answer(LinkDetails.of(links.create(actor, body.draft())))


@surface.get(
    "/v1/links",
    "OP-51-list",
    query=PageQuery,
    returns=Listing[LinkDetails],
    auth=SERVER,
    permission=LINKS_MANAGE,
)
def list_all(actor: Actor, query: PageQuery) -> Listing[LinkDetails]:
    """List payment links, newest first."""
    page = links.list_page(actor, limit=query.limit, cursor=query.cursor)
    return Listing[LinkDetails].of(page, LinkDetails.of)


@surface.get(
    "/v1/links/{slug}/details",
    "OP-51-details",
    returns=LinkDetails,
    auth=SERVER,
    permission=LINKS_MANAGE,
)
def details(actor: Actor, slug: str) -> Answer:
    """Read all of a payment link of one's own: its terms, its uses, its addresses and QR codes."""
    return _answer(LinkDetails.of(links.get(actor, slug)))


@surface.patch(
    "/v1/links/{slug}",
    "OP-51-change",
    body=LinkChange,
    returns=LinkDetails,
    auth=SERVER,
    permission=LINKS_MANAGE,
)
def change(actor: Actor, slug: str, body: LinkChange) -> Answer:
    """Change a payment link; payments that have started keep what they were shown."""
    version = expected_version(body.version)
    return _answer(LinkDetails.of(links.update(actor, slug, body.changes(), version=version)))


@surface.post(
    "/v1/links/{slug}/deactivate",
    "OP-51-deactivate",
    returns=LinkDetails,
    auth=SERVER,
    permission=LINKS_MANAGE,
)
def deactivate(actor: Actor, slug: str) -> Answer:
    """Switch a payment link off: nobody starts to pay over it any more."""
    return _answer(LinkDetails.of(links.set_active(actor, slug, False)))


@surface.post(
    "/v1/links/{slug}/activate",
    "OP-51-activate",
    returns=LinkDetails,
    auth=SERVER,
    permission=LINKS_MANAGE,
)
def activate(actor: Actor, slug: str) -> Answer:
    """Switch a payment link on again."""
    return _answer(LinkDetails.of(links.set_active(actor, slug, True)))


def _answer(view: LinkDetails) -> Answer:
    return Answer(view, etag(view.version))


@surface.get(
    "/v1/links/{slug}",
    "MR-004",
    returns=LinkView | ChoiceLinkView,
    auth=PUBLIC,
    limit=Limit(10, "ip"),
)
def get(slug: str) -> LinkView:
    """Read a payment link."""
    link, _ = links.by_slug(slug)
    return LinkView.of(link) if link.amount is not None else ChoiceLinkView.of(link)


@surface.post(
    "/v1/links/{slug}/checkout",
    "MR-005",
    body=LinkPay,
    returns=LinkSession,
    status=201,
    auth=PUBLIC,
    limit=Limit(3, "ip"),
    idempotency=Idempotency.NONE,
)
def pay(slug: str, body: LinkPay) -> LinkSession:
    """Start a payment over a link."""
    asked = Asked(body.quantity, body.promotionCode or "", body.fields or {})
    session = links.pay(
        slug,
        amount=body.amount,
        request_id=g.request_id,
        method_types=tuple(body.methodTypes or ()),
        asked=asked,
        address=client_address(),
    )
    return LinkSession(
        sessionId=session.public_id,
        redirectUrl=hosted.url_of(session),
        qrImageUrl=hosted.qr_url_of(session) if QR_METHODS.intersection(session.method_types) else None,
        expiresAt=session.expires_at,
    )
