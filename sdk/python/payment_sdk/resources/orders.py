"""`client.orders`: orders in major units. They take an access token; an API key is not enough."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Literal

from payment_sdk import _operations as op
from payment_sdk._operations import Auth
from payment_sdk.models.orders import OrderCalculation, OrderDetail, OrderPayment
from payment_sdk.pages import Page
from payment_sdk.params import OrderItemDraft
from payment_sdk.resources.base import Resource, given, major

_CALCULATE = op.post("OR-001", "/api/payments/calculate", auth=Auth.TOKEN)
_PAY = op.post("OR-002", "/api/payments/checkout", auth=Auth.TOKEN)
_CREATE = op.post("OP-69-create", "/api/orders", auth=Auth.TOKEN)
_LIST = op.get("OP-69-list", "/api/orders", auth=Auth.TOKEN)
_GET = op.get("OP-69-get", "/api/orders/{order_id}", auth=Auth.TOKEN)
_UPDATE = op.patch("OP-69-update", "/api/orders/{order_id}", auth=Auth.TOKEN)

Status = Literal["pending", "paid", "shipped", "delivered", "cancelled"]


class Orders(Resource):
    """Orders of whom the access token stands for: a person, or whoever made the machine's key."""

    def calculate(
        self,
        *,
        subtotal: Decimal | float,
        discount_code: str | None = None,
        idempotency_key: str | None = None,
    ) -> OrderCalculation:
        """What a cart would cost; nothing is kept, and a code that is not good is passed over."""
        body = given(subtotal=major(subtotal), discount_code=discount_code)
        return self._one(_CALCULATE, OrderCalculation, body=body, key=idempotency_key)

    def create(
        self,
        *,
        items: Sequence[OrderItemDraft] | None = None,
        subtotal: Decimal | float | None = None,
        discount_code: str | None = None,
        idempotency_key: str | None = None,
    ) -> OrderDetail:
        """Make an order of `items`, or of a `subtotal` alone; it costs what `calculate` says."""
        lines = [_line(item) for item in items] if items is not None else None
        body = given(items=lines, subtotal=major(subtotal), discount_code=discount_code)
        return self._one(_CREATE, OrderDetail, body=body, key=idempotency_key)

    def get(self, order_id: int) -> OrderDetail:
        """An order as it is."""
        return self._one(_GET, OrderDetail, _GET.at(order_id=str(order_id)))

    def list(
        self, *, status: Status | None = None, limit: int | None = None, cursor: str | None = None
    ) -> Page[OrderDetail]:
        """Orders, newest first."""
        return self._page(_LIST, OrderDetail, query=given(status=status, limit=limit, cursor=cursor))

    def pay(self, order_id: int, *, idempotency_key: str | None = None) -> OrderPayment:
        """Pay an order: it is paid once, however often and by how many it is asked for."""
        return self._one(_PAY, OrderPayment, body={"order_id": order_id}, key=idempotency_key)

    def update(
        self,
        order_id: int,
        *,
        status: Literal["shipped", "delivered", "cancelled"],
        idempotency_key: str | None = None,
    ) -> OrderDetail:
        """Move it on; what is cancelled after it was paid is paid back."""
        path = _UPDATE.at(order_id=str(order_id))
        return self._one(_UPDATE, OrderDetail, path, body={"status": status}, key=idempotency_key)


def _line(item: OrderItemDraft) -> dict[str, Any]:
    line: dict[str, Any] = dict(item)
    if "unit_price" in line:
        line["unit_price"] = major(line["unit_price"])
    return line
