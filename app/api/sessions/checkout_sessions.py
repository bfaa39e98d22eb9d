"""SE-001 to SE-003: checkout sessions in major units (contract/sessions.md)."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from app.api.sessions.surface import surface
from app.domain import money
from app.domain.actor import Actor
from app.domain.errors import InvalidRequest, NotFound
from app.domain.lifecycles.checkout_sessions import Status, hosted_word
from app.kit import clock
from app.kit.ids import uuid_of
from app.models.checkout.session import CheckoutSession
from app.services.checkout import hosted, links, sessions, simple_sessions
from app.services.checkout.simple_sessions import SimpleDraft
from app.web.schemas import Body, Instant, Integer, Query, View
from app.web.surface import SERVER


def _number(value: Any) -> Any:
    """A JSON number; by its shortest text, so that 19.99 is 19.99."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a number")
    return Decimal(repr(value))


Major = Annotated[Decimal, BeforeValidator(_number)]


class SessionCreate(Body):
    """What a session is made from; `amount` per unit, in major units."""

    amount: Major | None = None
    currency_code: str | None = Field(None, max_length=3)
    title: str | None = Field(None, max_length=500)
    description: str | None = Field(None, max_length=2000)
    customer_id: str | None = Field(None, max_length=64)
    customer_email: str | None = Field(None, max_length=254)
    customer_name: str | None = Field(None, max_length=200)
    customer_phone: str | None = Field(None, max_length=40)
    product_id: str | None = Field(None, max_length=36)
    price_id: str | None = Field(None, max_length=36)
    subscription_id: str | None = Field(None, max_length=36)
    allow_quantity: bool = False
    quantity: Integer = 1
    success_url: str | None = Field(None, max_length=2000)
    cancel_url: str | None = Field(None, max_length=2000)
    allow_coupon_code: bool = False
    require_billing_address: bool = False
    metadata: dict[str, Any] = Field(default_factory=dict)

    def draft(self) -> SimpleDraft:
        """The draft that the service takes; this is where major units end."""
        customer = {
            "customer_id": self.customer_id,
            "email": self.customer_email,
            "name": self.customer_name,
            "phone": self.customer_phone,
        }
        simple_sessions.check_buyer(customer)
        return SimpleDraft(
            amount=self._minor(),
            currency=self.currency_code,
            title=self.title,
            quantity=self.quantity,
            description=self.description,
            customer=customer,
            product_id=self.product_id,
            price_id=self.price_id,
            subscription_id=self.subscription_id,
            success_url=self.success_url,
            cancel_url=self.cancel_url,
            metadata=self.metadata,
            options={
                "allow_quantity": self.allow_quantity,
                "allow_coupon_code": self.allow_coupon_code,
                "require_billing_address": self.require_billing_address,
            },
        )

    def _minor(self) -> int | None:
        if self.amount is None:
            return None
        code = self.currency_code
        if code is None:
            raise InvalidRequest("currency_code is required", field="currency_code")
        if not money.is_currency(code):
            raise InvalidRequest("currency_code is not supported", field="currency_code")
        try:
            return money.from_major(self.amount, code)
        except ValueError as error:
            raise InvalidRequest(f"amount: {error}", field="amount") from error


class ListQuery(Query):
    """Filters and page."""

    status: Literal["open", "complete", "expired"] | None = None
    limit: int = Field(20, ge=1, le=100)
    offset: int = Field(0, ge=0, le=2**31)


class SessionRow(View):
    """The twelve fields of a list row."""

    checkout_session_id: str
    organization_id: str
    amount: float
    currency_code: str
    status: str
    title: str | None
    description: str | None
    customer_id: str | None
    customer_email: str | None
    expires_at: Instant
    created_at: Instant
    updated_at: Instant


class SessionCreated(SessionRow):
    """The resource as POST answers it."""

    customer_name: str | None
    customer_phone: str | None
    product_id: str | None
    price_id: str | None
    subscription_id: str | None
    allow_quantity: bool
    quantity: int
    success_url: str | None
    cancel_url: str | None
    allow_coupon_code: bool
    require_billing_address: bool
    payment_link_id: str | None
    metadata: dict[str, Any]
    environment: str
    created_by: str | None
    url: str | None


class SessionView(SessionCreated):
    """The resource as GET answers it."""

    is_spi: bool
    is_pos: bool


def _unit(row: CheckoutSession) -> tuple[int, int]:
    """Minor units per unit, and how many; several lines, of another surface's, are one thing."""
    lines = row.cart_snapshot["lines"]
    if len(lines) == 1:
        return lines[0]["unit_price"], lines[0]["quantity"]
    return sum(line["unit_price"] * line["quantity"] for line in lines), 1


def _customer(row: CheckoutSession) -> str | None:
    """Who buys, as the merchant names them; a guest who has paid has an id of their own."""
    named: str | None = row.customer.get("customer_id")
    return named or (uuid_of(row.owner_id) if row.status == Status.COMPLETED else None)


def _row(actor: Actor, row: CheckoutSession) -> dict[str, Any]:
    return {
        "checkout_session_id": row.public_id,
        "organization_id": actor.tenant.public_id,
        "amount": float(money.to_major(_unit(row)[0], row.currency)),
        "currency_code": row.currency,
        "status": hosted_word(row.status, lapsed=row.expires_at <= clock.now()),
        "title": row.title,
        "description": row.description,
        "customer_id": _customer(row),
        "customer_email": row.customer.get("email"),
        "expires_at": row.expires_at,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def _whole(actor: Actor, row: CheckoutSession) -> dict[str, Any]:
    summary = _row(actor, row)
    return {
        **summary,
        "customer_name": row.customer.get("name"),
        "customer_phone": row.customer.get("phone"),
        "product_id": row.product_id,
        "price_id": row.price_id,
        "subscription_id": row.subscription_id,
        "allow_quantity": bool(row.options.get("allow_quantity")),
        "quantity": _unit(row)[1],
        "success_url": row.success_url,
        "cancel_url": row.cancel_url,
        "allow_coupon_code": bool(row.options.get("allow_coupon_code")),
        "require_billing_address": bool(row.options.get("require_billing_address")),
        "payment_link_id": links.get(actor, row.payment_link_id).public_id if row.payment_link_id else None,
        "metadata": row.metadata_,
        "environment": row.mode,
        "created_by": uuid_of(row.created_by or ""),
        "url": hosted.url_of(row) if summary["status"] == "open" else None,
    }


@surface.post(
    "/checkout-sessions",
    "SE-001",
    body=SessionCreate,
    returns=SessionCreated,
    status=201,
    auth=SERVER,
    permission="sessions:write",
)
def create(actor: Actor, body: SessionCreate) -> SessionCreated:
    """Create a checkout session."""
    made = _whole(actor, simple_sessions.create(actor, body.draft()))
    return SessionCreated.model_construct(**made)


@surface.get(
    "/checkout-sessions",
    "SE-002",
    query=ListQuery,
    returns=list[SessionRow],
    auth=SERVER,
    permission="sessions:read",
)
def list_all(actor: Actor, query: ListQuery) -> list[SessionRow]:
    """List checkout sessions."""
    rows = sessions.list_by_offset(
        actor, surfaces=("sessions", "link"), words=query.status, limit=query.limit, offset=query.offset
    )
    return [SessionRow.model_construct(**_row(actor, row)) for row in rows]


@surface.get(
    "/checkout-sessions/{session_id}",
    "SE-003",
    returns=SessionView,
    auth=SERVER,
    permission="sessions:read",
)
def get(actor: Actor, session_id: str) -> SessionView:
    """Read one checkout session."""
    row = hosted.find_public(actor, session_id)
    if row is None:
        raise NotFound(f"Checkout session with ID {session_id} not found or access denied")
    return SessionView.model_construct(**_whole(actor, row), is_spi=False, is_pos=False)
