"""CK-003, CK-006 to CK-010: what is known of the buyer, and the terms of the session."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, Strict

from app.api.checkout.session_views import SessionView, answer
from app.api.checkout.surface import surface
from app.domain.actor import Actor
from app.services.checkout import addresses, details, sessions
from app.services.checkout.details import Change
from app.web.endpoint import Answer
from app.web.schemas import Body, Integer, View
from app.web.surface import BROWSER
from app.web.versions import expected_version

_TEXT = 200
#: JSON has no instants: this one field is read from its text.
Moment = Annotated[AwareDatetime, Strict(False)]


class Customer(Body):
    """Who buys; `customer_id` of a buyer who is signed in."""

    email: str | None = Field(None, max_length=254)
    phone: str | None = Field(None, max_length=40)
    customer_id: str | None = Field(None, min_length=1, max_length=64)
    name: str | None = Field(None, max_length=_TEXT)
    save_for_later: bool | None = None


class Contact(Body):
    """Where notices go."""

    email: str | None = Field(None, max_length=254)
    phone: str | None = Field(None, max_length=40)


class Address(Body):
    """An address (OP-27); what else is needed depends on the country."""

    name: str | None = Field(None, max_length=_TEXT)
    company: str | None = Field(None, max_length=_TEXT)
    line1: str = Field(min_length=1, max_length=_TEXT)
    line2: str | None = Field(None, max_length=_TEXT)
    city: str | None = Field(None, max_length=_TEXT)
    state: str | None = Field(None, max_length=_TEXT)
    postal_code: str | None = Field(None, max_length=20)
    country: str = Field(pattern="^[A-Z]{2}$")
    phone: str | None = Field(None, max_length=40)


class SessionChange(Body):
    """A partial update; what is not sent stays as it is."""

    customer: Customer | None = None
    metadata: dict[str, Any] | None = None
    ttl_seconds: Integer | None = Field(None, ge=1, le=24 * 3600)
    expires_at: Moment | None = None
    promotion_codes: list[Annotated[str, Field(max_length=64)]] | None = Field(None, max_length=10)
    version: Integer | None = Field(None, ge=1)

    def change(self, version: int | None) -> Change:
        """The change that the service takes."""
        codes = self.promotion_codes
        return Change(
            customer=self.customer.model_dump(exclude_none=True) if self.customer else None,
            metadata=self.metadata,
            ttl_seconds=self.ttl_seconds,
            expires_at=self.expires_at,
            promotion_codes=tuple(codes) if codes is not None else None,
            version=version,
        )


class AddressesView(View):
    """Both addresses, and whether each is good."""

    shipping_address: dict[str, Any] | None
    shipping_validation_status: Literal["unverified", "valid", "invalid"]
    billing_address: dict[str, Any] | None
    billing_validation_status: Literal["unverified", "valid", "invalid"]


@surface.patch(
    "/sessions/{checkout_id}",
    "CK-003",
    body=SessionChange,
    returns=SessionView,
    auth=BROWSER,
    permission="checkout:write",
)
def change(actor: Actor, checkout_id: str, body: SessionChange) -> Answer:
    """Partial update (customer info, metadata, TTL) under optimistic concurrency."""
    return answer(actor, details.change(actor, checkout_id, body.change(expected_version(body.version))))


@surface.post(
    "/sessions/{checkout_id}/customer",
    "CK-006",
    body=Customer,
    returns=SessionView,
    auth=BROWSER,
    permission="checkout:write",
)
def set_customer(actor: Actor, checkout_id: str, body: Customer) -> Answer:
    """Set or replace customer info; a consent to save it is passed on, never stored as payment data."""
    seen = expected_version(None)
    return answer(
        actor, details.set_customer(actor, checkout_id, body.model_dump(exclude_none=True), version=seen)
    )


@surface.post(
    "/sessions/{checkout_id}/shipping-address",
    "CK-007",
    body=Address,
    returns=SessionView,
    auth=BROWSER,
    permission="checkout:write",
)
def set_shipping_address(actor: Actor, checkout_id: str, body: Address) -> Answer:
    """Set the shipping address; the ways of delivery follow it."""
    seen = expected_version(None)
    return answer(actor, details.set_shipping_address(actor, checkout_id, body.model_dump(), version=seen))


@surface.post(
    "/sessions/{checkout_id}/billing-address",
    "CK-008",
    body=Address,
    returns=SessionView,
    auth=BROWSER,
    permission="checkout:write",
)
def set_billing_address(actor: Actor, checkout_id: str, body: Address) -> Answer:
    """Set the billing address."""
    seen = expected_version(None)
    return answer(actor, details.set_billing_address(actor, checkout_id, body.model_dump(), version=seen))


@surface.get(
    "/sessions/{checkout_id}/addresses",
    "CK-009",
    returns=AddressesView,
    auth=BROWSER,
    permission="checkout:read",
)
def read_addresses(actor: Actor, checkout_id: str) -> AddressesView:
    """Read both addresses with their validation status."""
    session = sessions.get(actor, checkout_id)
    return AddressesView.model_construct(
        shipping_address=session.shipping_address,
        shipping_validation_status=addresses.status(session.shipping_address),
        billing_address=session.billing_address,
        billing_validation_status=addresses.status(session.billing_address),
    )


@surface.post(
    "/sessions/{checkout_id}/contact",
    "CK-010",
    body=Contact,
    returns=SessionView,
    auth=BROWSER,
    permission="checkout:write",
)
def set_contact(actor: Actor, checkout_id: str, body: Contact) -> Answer:
    """Update contact phone and e-mail for notices."""
    seen = expected_version(None)
    return answer(
        actor, details.set_contact(actor, checkout_id, body.model_dump(exclude_none=True), version=seen)
    )
