"""CK-001, CK-002, CK-004, CK-005, CK-016: sessions."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from app.api.checkout.details import Customer
from app.api.checkout.session_views import SessionView, answer
from app.api.checkout.surface import surface
from app.domain.actor import Actor
from app.domain.lifecycles.checkout_sessions import Status
from app.providers.base import CartLine, CartSnapshot
from app.services.checkout import cancellation, sessions, validation
from app.services.checkout.drafts import SessionDraft
from app.web.endpoint import Answer
from app.web.schemas import Body, Integer, Nothing, Query, View
from app.web.surface import BROWSER, STOREFRONT, Idempotency

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
    """An inline cart; without a currency it is the session's, else the merchant's."""

    currency: str | None = Field(None, pattern="^[A-Z]{3}$")
    lines: list[Line]

    def snapshot(self) -> CartSnapshot:
        """The frozen form; lines without an id are numbered."""
        return CartSnapshot(
            self.currency or "",
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
    """How the session behaves; `require_shipping_address` makes its page ask where the goods go, and how."""

    capture_mode: Literal["auto", "manual"] | None = None
    require_billing_address: bool = False
    require_shipping_address: bool | None = None
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
    customer: Customer = Field(default_factory=Customer)
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
            customer=self.customer.model_dump(exclude_none=True),
            promotion_codes=tuple(self.promotion_codes),
            success_url=self.success_url,
            cancel_url=self.cancel_url,
        )


class FindingView(View):
    """How one part of a session was found."""

    check: str
    ok: bool
    code: str | None
    explain: dict[str, Any] | None


class RefreshView(SessionView):
    """The session after a second look, and what that brought."""

    validation_results: list[FindingView]


class BlockerView(View):
    """Something that stands in the way of paying."""

    code: str
    explain: dict[str, Any] | None


class ValidationView(View):
    """Whether the session could be paid now."""

    valid: bool
    blockers: list[BlockerView]


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
    return answer(actor, sessions.create(actor, body.draft()))


@surface.get(
    "/sessions/{checkout_id}",
    "CK-002",
    returns=SessionView,
    auth=BROWSER,
    permission="checkout:read",
    tells_payers=True,
)
def get(actor: Actor, checkout_id: str) -> Answer:
    """Read one session with its full current state."""
    return answer(actor, sessions.get(actor, checkout_id))


@surface.delete(
    "/sessions/{checkout_id}",
    "CK-004",
    query=Cancel,
    status=204,
    auth=BROWSER,
    permission="checkout:write",
    idempotency=Idempotency.LEASED,
)
def cancel(actor: Actor, checkout_id: str, query: Cancel) -> Answer:
    """Cancel the session; optionally release reservations."""
    session = cancellation.cancel(actor, checkout_id, release_inventory=query.release_inventory)
    if session.status == Status.CANCELED:
        return Answer(None)
    # Its payment is with the gateway: it is undone as soon as the outcome is known.
    return Answer({"checkout_id": session.id, "status": session.status}, status=202)


@surface.post(
    "/sessions/{checkout_id}/refresh",
    "CK-005",
    body=Nothing,
    returns=RefreshView,
    auth=BROWSER,
    permission="checkout:write",
)
def refresh(actor: Actor, checkout_id: str, body: Nothing) -> Answer:
    """Force re-validation of pricing, tax, shipping and promotions."""
    session, found = validation.refresh(actor, checkout_id)
    whole = answer(actor, session)
    shown = RefreshView.model_construct(
        **dict(whole.value), validation_results=[FindingView.model_validate(one) for one in found]
    )
    return Answer(shown, whole.headers)


@surface.post(
    "/sessions/{checkout_id}/validate",
    "CK-016",
    body=Nothing,
    returns=ValidationView,
    auth=BROWSER,
    permission="checkout:read",
)
def validate(actor: Actor, checkout_id: str, body: Nothing) -> ValidationView:
    """Validation-only pass returning blockers; changes nothing."""
    found = validation.blockers(actor, checkout_id)
    blockers = [BlockerView.model_validate(one) for one in found]
    return ValidationView(valid=not found, blockers=blockers)
