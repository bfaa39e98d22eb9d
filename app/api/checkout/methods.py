"""CK-030, CK-031: what can be paid with, and the vault."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from app.api.checkout.intents import CheckoutMethod
from app.api.checkout.surface import surface
from app.connectors.vaulting import WalletDetails
from app.domain.actor import Actor, ActorKind
from app.domain.errors import InvalidRequest
from app.domain.rules.payment_methods import KINDS, NEXT_ACTIONS, Kind
from app.services.checkout import methods as offers
from app.services.checkout.methods import Context, Offered
from app.services.payments import methods, saved_methods
from app.services.payments.methods import MethodDraft
from app.web.endpoint import Answer
from app.web.method_fields import CardFields
from app.web.method_views import MethodView
from app.web.schemas import Body, Query, View
from app.web.surface import BROWSER, Idempotency
from app.web.versions import etag


class Where(Query):
    """A session, or where somebody buys: what is named rules over the session's own."""

    checkout_id: str | None = Field(None, min_length=1, max_length=64)
    country: str | None = Field(None, pattern="^[A-Z]{2}$")
    channel: str | None = Field(None, min_length=1, max_length=20)
    currency: str | None = Field(None, pattern="^[A-Z]{3}$")


class OfferedView(View):
    """A method: how a person calls it, what paying with it is like, what a confirm may ask for.

    `card_form` says that a test card may be typed into Till's own page; else its gateway asks for details.
    """

    type: str
    label: str
    flow: str
    next_actions: list[str]
    card_form: bool


class OfferedList(View):
    """The methods in the merchant's order, and for which context they hold."""

    data: list[OfferedView]
    country: str | None
    channel: str
    currency: str

    @classmethod
    def of(cls, offered: Offered) -> OfferedList:
        """The view of an offer."""
        kinds = [(name, KINDS.get(name, Kind(name, "redirect"))) for name in offered.types]
        return cls(
            data=[
                OfferedView(
                    type=name,
                    label=kind.label,
                    flow=kind.flow,
                    next_actions=list(NEXT_ACTIONS[kind.flow]),
                    card_form=name == "card" and offered.card_form,
                )
                for name, kind in kinds
            ],
            country=offered.context.country,
            channel=str(offered.context.channel),
            currency=str(offered.context.currency),
        )


class Source(Body):
    """A client's token, or in test mode a card of the published list."""

    token: str | None = Field(None, min_length=1, max_length=128)
    card: CardFields | None = None

    def found(self, place: str = "") -> list[tuple[str, Any]]:
        """What was sent, and at which field."""
        sent = [("token", self.token), ("card", self.card.details() if self.card else None)]
        return [(place + name, value) for name, value in sent if value is not None]


class Tokenize(Source):
    """What a method is made from; one that leads to a bank is named by its `type` alone."""

    type: CheckoutMethod | None = None
    payment_method: Source | None = None
    customer_id: str | None = Field(None, min_length=1, max_length=64)
    consent: bool | None = None
    save_method: bool = False
    metadata: Annotated[dict[str, Any], Field(max_length=saved_methods.MAX_METADATA)] = Field(
        default_factory=dict
    )

    def draft(self) -> MethodDraft:
        """The draft that the service takes.

        Raises:
            InvalidRequest: no source, or more than one.
        """
        sources = self.found() + (self.payment_method or Source()).found("payment_method.")
        if not sources and self.type not in (None, "card"):
            sources = [("type", WalletDetails(str(self.type)))]
        if len(sources) != 1:
            code = "invalid_field" if sources else "missing_field"
            raise InvalidRequest("Send one token, or one card", code=code, field="token")
        place, source = sources[0]
        return MethodDraft(
            source, place, self.type, self.customer_id, self.consent, self.save_method, self.metadata
        )


@surface.get(
    "/payment-methods",
    "CK-030",
    query=Where,
    returns=OfferedList,
    auth=BROWSER | {ActorKind.PUBLISHABLE_KEY},
    permission="methods:read",
)
def offered(actor: Actor, query: Where) -> OfferedList:
    """List the payment methods for a session, or for a country, channel and currency."""
    context = Context(query.country, query.channel, query.currency)
    return OfferedList.of(offers.offered(actor, context, checkout_id=query.checkout_id))


@surface.post(
    "/payment-methods/tokenize",
    "CK-031",
    body=Tokenize,
    returns=MethodView,
    status=201,
    permission="methods:write",
    idempotency=Idempotency.LEASED,
    card_fields=("card.number", "card.cvc", "payment_method.card.number", "payment_method.card.cvc"),
)
def tokenize(actor: Actor, body: Tokenize) -> Answer:
    """Have the payment service's vault keep a method, and get its id."""
    row = methods.create(actor, body.draft())
    return Answer(MethodView.of(row), etag(row.version))
