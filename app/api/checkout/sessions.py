"""CK-001, CK-002, CK-004: sessions."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from app.api.checkout.surface import surface
from app.domain.actor import Actor
from app.models.checkout.session import CheckoutSession
from app.models.payments.intent import PaymentIntent
from app.providers.base import CartLine, CartSnapshot
from app.services.access import tokens
from app.services.checkout import sessions
from app.services.checkout.drafts import SessionDraft
from app.services.payments import intents
from app.web.endpoint import Answer
from app.web.schemas import Body, Instant, Integer, Query, View
from app.web.surface import BROWSER, STOREFRONT

#: Long texts have no business in a name.
_TEXT = 500


class Line(Body):
    """A line of an inline cart (OP-27); `unit_price` in minor units."""

    line_id: str | None = Field(None, min_length=1, max_length=64)
    sku: str = Field(min_length=1, max_length=64)
    name: str = Field(min_length=1, max_length=_TEXT)
    quantity: Integer
    unit_price: Integer


class Cart(Body):
    """An inline cart."""

    currency: str = Field(pattern="^[A-Z]{3}$")
    lines: list[Line]

    def snapshot(self) -> CartSnapshot:
        """The frozen form; lines without an id are numbered."""
        return CartSnapshot(
            self.currency,
            tuple(
                CartLine(
                    line.line_id or f"line_{number}",
                    line.sku,
                    line.name,
                    line.quantity,
                    line.unit_price,
                )
                for number, line in enumerate(self.lines, 1)
            ),
        )


class Owner(Body):
    """Who buys."""

    type: Literal["user", "guest"]
    id: str = Field(min_length=1, max_length=64)


class Options(Body):
    """How the session behaves."""

    capture_mode: Literal["auto", "manual"] | None = None
    require_billing_address: bool = False
    allow_coupon_code: bool = False


class SessionCreate(Body):
    """What a session is made from: `cart_id` or `cart_snapshot`."""

    cart_id: str | None = Field(None, min_length=1, max_length=64)
    cart_snapshot: Cart | None = None
    owner: Owner | None = None
    currency: str | None = Field(None, pattern="^[A-Z]{3}$")
    channel: str = Field("web", min_length=1, max_length=20)
    metadata: dict[str, Any] = Field(default_factory=dict)
    options: Options = Field(default_factory=Options)
    promotion_codes: list[str] = Field(default_factory=list, max_length=10)
    customer: dict[str, Any] = Field(default_factory=dict)
    success_url: str | None = Field(None, max_length=2000)
    cancel_url: str | None = Field(None, max_length=2000)

    def draft(self) -> SessionDraft:
        """The draft that the service takes."""
        return SessionDraft(
            surface="checkout",
            cart_id=self.cart_id,
            cart=self.cart_snapshot.snapshot() if self.cart_snapshot else None,
            currency=self.currency,
            owner=(self.owner.type, self.owner.id) if self.owner else None,
            channel=self.channel,
            metadata=self.metadata,
            options=self.options.model_dump(exclude_none=True),
            customer=self.customer,
            promotion_codes=tuple(self.promotion_codes),
            success_url=self.success_url,
            cancel_url=self.cancel_url,
        )


class SessionIntent(View):
    """How the payment of a session stands."""

    id: str
    status: str
    amount: int
    currency: str
    next_action: dict[str, Any] | None
    last_error: dict[str, Any] | None


class SessionView(View):
    """The whole state of a session (contract/checkout.md 2.1)."""

    checkout_id: str
    cart_id: str | None
    cart_snapshot: dict[str, Any]
    owner: dict[str, str]
    status: str
    client_token: str
    calculation_id: str | None
    totals: dict[str, Any] | None
    shipping_address: dict[str, Any] | None
    billing_address: dict[str, Any] | None
    selected_shipping: dict[str, Any] | None
    pickup_location: dict[str, Any] | None
    reservation_id: str | None
    payment_intent: SessionIntent | None
    order_id: str | None
    receipt_id: str | None
    cancel_reason: str | None
    expires_at: Instant
    created_at: Instant
    updated_at: Instant
    version: int
    metadata: dict[str, Any]
    channel: str
    options: dict[str, Any]
    customer: dict[str, Any]
    contact: dict[str, Any]
    applied_promotions: list[Any]
    validation_issues: list[Any]
    livemode: bool

    @classmethod
    def of(cls, row: CheckoutSession, intent: PaymentIntent | None = None) -> SessionView:
        """The view of a row."""
        return cls.model_construct(
            checkout_id=row.id,
            cart_id=row.cart_id,
            cart_snapshot=row.cart_snapshot,
            owner={"type": row.owner_type, "id": row.owner_id},
            status=row.status,
            client_token=tokens.client_token(row),
            calculation_id=row.calculation_id,
            totals=row.totals,
            shipping_address=row.shipping_address,
            billing_address=row.billing_address,
            selected_shipping=row.selected_shipping,
            pickup_location=row.pickup_location,
            reservation_id=row.reservation_id,
            payment_intent=intent_of(intent),
            order_id=row.order_id,
            receipt_id=row.receipt_id,
            cancel_reason=row.cancel_reason,
            expires_at=row.expires_at,
            created_at=row.created_at,
            updated_at=row.updated_at,
            version=row.version,
            metadata=row.metadata_,
            channel=row.channel,
            options=row.options,
            customer=row.customer,
            contact=row.contact,
            applied_promotions=row.applied_promotions,
            validation_issues=row.validation_issues,
            livemode=row.mode == "live",
        )


def intent_of(intent: PaymentIntent | None) -> SessionIntent | None:
    """The short form of an intent; checkout says `redirect` for `redirect_to_url` (OP-22)."""
    if intent is None:
        return None
    action = intent.next_action
    if action and action["type"] == "redirect_to_url":
        action = {**action, "type": "redirect"}
    return SessionIntent.model_construct(
        id=intent.id,
        status=intent.status,
        amount=intent.amount,
        currency=intent.currency,
        next_action=action,
        last_error=intent.last_error,
    )


class Cancel(Query):
    """How a session ends."""

    release_inventory: bool = False


@surface.post(
    "/sessions",
    "CK-001",
    body=SessionCreate,
    returns=SessionView,
    status=201,
    auth=STOREFRONT,
    permission="checkout:write",
)
def create(actor: Actor, body: SessionCreate) -> Answer:
    """Create a checkout session from a cart or a cart snapshot."""
    session = sessions.create(actor, body.draft())
    return Answer(SessionView.of(session), {"ETag": f'"{session.version}"'})


@surface.get(
    "/sessions/{checkout_id}", "CK-002", returns=SessionView, auth=BROWSER, permission="checkout:read"
)
def get(actor: Actor, checkout_id: str) -> Answer:
    """Read one session with its full current state."""
    session = sessions.get(actor, checkout_id)
    intent = intents.get(actor, session.payment_intent_id) if session.payment_intent_id else None
    return Answer(SessionView.of(session, intent), {"ETag": f'"{session.version}"'})


@surface.delete(
    "/sessions/{checkout_id}",
    "CK-004",
    query=Cancel,
    status=204,
    auth=BROWSER,
    permission="checkout:write",
)
def cancel(actor: Actor, checkout_id: str, query: Cancel) -> None:
    """Cancel the session; what it holds is released with it."""
    sessions.cancel(actor, checkout_id)
