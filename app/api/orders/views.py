"""Money, instants and orders as this surface writes them: major units, no zone suffix (OP-02, OP-20)."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from app.domain import money
from app.domain.errors import InvalidRequest
from app.domain.lifecycles.orders import Status
from app.models.checkout.order import Order
from app.web.schemas import View


def _number(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError("must be a number")
    if not 0 <= value <= money.MAX_AMOUNT:
        raise ValueError("out of range")
    return Decimal(value)


#: An amount in major units: a JSON number, by its text, and not negative.
Amount = Annotated[
    Decimal,
    BeforeValidator(_number),
    WithJsonSchema({"type": "number", "minimum": 0}),
]
#: `2024-01-15T10:00:00`, UTC.
PlainInstant = Annotated[
    datetime,
    PlainSerializer(lambda at: at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S"), return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$"}),
]


def rounded(value: Decimal, currency: str, field: str) -> int:
    """An amount as minor units, rounded half up to what the currency has (OP-74).

    Raises:
        InvalidRequest: more than Till counts.
    """
    try:
        return money.nearest_minor(value, currency)
    except ValueError as error:
        raise invalid(field) from error


def exact(value: Decimal, currency: str, field: str) -> int:
    """An amount as minor units, without rounding.

    Raises:
        InvalidRequest: more than Till counts, or more decimals than the currency has.
    """
    try:
        return money.from_major(value, currency)
    except ValueError as error:
        raise invalid(field) from error


def invalid(field: str) -> InvalidRequest:
    """The refusal of a field's value."""
    return InvalidRequest(f"Invalid value for field: {field}", code="invalid_field", field=field)


def number(minor: int, currency: str) -> float:
    """Minor units as a JSON number in major units."""
    return float(money.to_major(minor, currency))


class OrderView(View):
    """An order as OR-002 answers it; one of a checkout has no user."""

    id: int
    user_id: int | None
    status: str
    subtotal: float
    tax: float
    discount_amount: float
    total: float
    discount_code: str | None
    created_at: PlainInstant
    updated_at: PlainInstant

    @classmethod
    def of(cls, row: Order) -> OrderView:
        """The view of a row."""
        return cls.model_construct(**_facts(row))


class OrderItem(View):
    """A line of an order."""

    sku: str
    name: str
    quantity: int
    unit_price: float


class OrderDetail(OrderView):
    """An order as the orders endpoints answer it; `shipping` is in the total of a checkout's order.

    Until `expires_at` a pending one may be paid; then it is cancelled.
    """

    currency: str
    shipping: float
    items: list[OrderItem]
    payment_intent_id: str | None
    expires_at: PlainInstant | None

    @classmethod
    def of(cls, row: Order) -> OrderDetail:
        """The view of a row."""
        items = [
            OrderItem.model_construct(
                sku=line["sku"],
                name=line["name"],
                quantity=line["quantity"],
                unit_price=number(line["unit_price"], row.currency),
            )
            for line in row.lines
        ]
        return cls.model_construct(
            **_facts(row),
            currency=row.currency,
            shipping=number(row.shipping_total, row.currency),
            items=items,
            payment_intent_id=row.payment_intent_id,
            expires_at=row.expires_at if row.status == Status.PENDING else None,
        )


def _facts(row: Order) -> dict[str, Any]:
    return {
        "id": row.number,
        "user_id": row.user_number,
        "status": row.status,
        "subtotal": number(row.sub_total, row.currency),
        "tax": number(row.tax_total, row.currency),
        "discount_amount": number(row.discount_total, row.currency),
        "total": number(row.grand_total, row.currency),
        "discount_code": row.discount_code,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }
