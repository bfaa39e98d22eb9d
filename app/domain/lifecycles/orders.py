"""Orders of the orders surface and of completed checkouts (`cancelled` has two l there)."""

from __future__ import annotations

from enum import StrEnum

from app.domain.event_types import EventType
from app.domain.lifecycles.base import Edge, Lifecycle


class Status(StrEnum):
    """The five words of the orders surface."""

    PENDING = "pending"
    PAID = "paid"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"


class Trigger(StrEnum):
    """What happens to an order."""

    CREATED = "created"
    BOUGHT = "bought"
    PAID = "paid"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"


_S, _T = Status, Trigger

LIFECYCLE = Lifecycle(
    "order",
    (
        Edge(None, _T.CREATED, _S.PENDING, EventType.ORDER_CREATED),
        Edge(None, _T.BOUGHT, _S.PAID, EventType.ORDER_PAID),
        Edge(_S.PENDING, _T.PAID, _S.PAID, EventType.ORDER_PAID),
        Edge(_S.PAID, _T.SHIPPED, _S.SHIPPED, EventType.ORDER_SHIPPED),
        Edge(_S.SHIPPED, _T.DELIVERED, _S.DELIVERED, EventType.ORDER_DELIVERED),
        Edge(_S.PENDING, _T.CANCELLED, _S.CANCELLED, EventType.ORDER_CANCELLED),
        Edge(_S.PAID, _T.CANCELLED, _S.CANCELLED, EventType.ORDER_CANCELLED),
    ),
)
