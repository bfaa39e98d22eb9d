"""The orders that OR-002 pays: made, read, moved on (OP-69)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.api.orders.surface import TOKENS, surface
from app.api.orders.views import Amount, OrderDetail, exact, invalid, rounded
from app.domain.actor import Actor
from app.domain.errors import InvalidRequest
from app.domain.permissions import ORDERS_MANAGE
from app.providers.base import MAX_LINES, MAX_QUANTITY
from app.services.checkout import order_changes, order_making
from app.services.checkout.order_making import Item
from app.web.schemas import Body, Integer, Listing, PageQuery
from app.web.surface import Idempotency


class ItemBody(Body):
    """Something to order; what the catalogue has under its `sku` needs no price."""

    sku: str | None = Field(None, min_length=1, max_length=64)
    name: str | None = Field(None, min_length=1, max_length=200)
    quantity: Integer = Field(1, ge=1, le=MAX_QUANTITY)
    unit_price: Amount | None = None


class OrderCreate(Body):
    """`items`, or the `subtotal` alone; major units of the merchant's currency."""

    items: list[ItemBody] | None = Field(None, min_length=1, max_length=MAX_LINES)
    subtotal: Amount | None = None
    discount_code: str | None = None

    def goods(self, currency: str) -> list[Item] | int:
        """What the service takes; this is where major units end."""
        if self.items is None:
            if self.subtotal is None:
                raise InvalidRequest("subtotal is required", code="missing_field", field="subtotal")
            return rounded(self.subtotal, currency, "subtotal")
        if self.subtotal is not None:
            raise invalid("subtotal")  # the items have their own
        return [
            Item(
                row.quantity,
                row.sku,
                row.name,
                None
                if row.unit_price is None
                else exact(row.unit_price, currency, f"items.{index}.unit_price"),
            )
            for index, row in enumerate(self.items)
        ]


class OrderChange(Body):
    """Where an order goes next; it becomes paid by POST /api/payments/checkout alone."""

    status: Literal["shipped", "delivered", "cancelled"]


class OrderQuery(PageQuery):
    """Which orders."""

    status: Literal["pending", "paid", "shipped", "delivered", "cancelled"] | None = None


@surface.post(
    "/orders",
    "OP-69-create",
    body=OrderCreate,
    returns=OrderDetail,
    status=201,
    auth=TOKENS,
    permission="orders:write",
)
def create(actor: Actor, body: OrderCreate) -> OrderDetail:
    """Make an order."""
    goods = body.goods(actor.tenant.default_currency)
    return OrderDetail.of(order_making.create(actor, goods, body.discount_code))


@surface.get(
    "/orders",
    "OP-69-list",
    query=OrderQuery,
    returns=Listing[OrderDetail],
    auth=TOKENS,
    permission="orders:read",
)
def list_all(actor: Actor, query: OrderQuery) -> Listing[OrderDetail]:
    """List orders."""
    page = order_making.list_page(actor, limit=query.limit, cursor=query.cursor, status=query.status)
    return Listing.of(page, OrderDetail.of)


@surface.get("/orders/{order_id}", "OP-69-get", returns=OrderDetail, auth=TOKENS, permission="orders:read")
def get(actor: Actor, order_id: str) -> OrderDetail:
    """Read an order."""
    return OrderDetail.of(order_making.get(actor, order_making.number_of(order_id)))


@surface.patch(
    "/orders/{order_id}",
    "OP-69-update",
    body=OrderChange,
    returns=OrderDetail,
    auth=TOKENS,
    permission=ORDERS_MANAGE,
    idempotency=Idempotency.LEASED,
)
def update(actor: Actor, order_id: str, body: OrderChange) -> OrderDetail:
    """Move an order on: shipped, delivered, cancelled."""
    return OrderDetail.of(order_changes.change(actor, order_making.number_of(order_id), body.status))
