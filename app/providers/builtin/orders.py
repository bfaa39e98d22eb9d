"""Built-in Order Service: orders in the orders table, one for each checkout that is not cancelled."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from app.db import transaction
from app.domain.lifecycles import orders as lifecycle
from app.kit.ids import new_id
from app.models.checkout.finalization import Finalization
from app.models.checkout.order import Order
from app.providers.base import OrderDraft, OrderRefused, PlacedOrder, Scope

_S, _T = lifecycle.Status, lifecycle.Trigger

#: More than a database's whole number has of them is no order of ours.
_MAX_DIGITS = 18

#: Made once a database: every completed checkout places an order.
_INSERT: dict[str, Any] = {
    name: dialect.insert(Order.__table__).on_conflict_do_nothing().returning(Order.number)
    for name, dialect in (("postgresql", postgresql), ("sqlite", sqlite))
}


class BuiltinOrders:
    """Orders of the orders surface (OP-69)."""

    remote = False

    def create(self, scope: Scope, draft: OrderDraft) -> PlacedOrder:
        """See `Orders.create`; a checkout has one order that stands."""
        order = _row(scope, draft)
        values = {
            column.name: getattr(order, column.name)
            for column in Order.__table__.columns
            if getattr(order, column.name) is not None
        }
        with transaction() as db:
            number = db.execute(_INSERT[db.get_bind().dialect.name], values).scalar()
            if number is None:
                mine = (Order.tenant_id == scope.tenant.id, Order.checkout_id == draft.checkout_id)
                standing = select(Order.number).where(*mine, Order.status != _S.CANCELLED)
                return PlacedOrder(f"order_{db.scalars(standing).one()}")
            order.number = number
            order.journal_birth(db, cause="checkout")
            return PlacedOrder(order.public_number)

    def cancel(self, scope: Scope, key: str, order_id: str | None) -> None:
        """See `Orders.cancel`; an order of this house is known by its id as soon as it is there.

        An id that another system gave may look like one of ours: only an order of the same checkout is meant.
        """
        if order_id is None:
            return
        number = order_id.removeprefix("order_")
        known = number.isdecimal() and len(number) <= _MAX_DIGITS
        with transaction() as db:
            order = db.get(Order, int(number), with_for_update=True) if known else None
            checkout_id = db.scalar(select(Finalization.checkout_id).where(Finalization.id == key))
            meant = (scope.tenant.id, scope.mode, checkout_id)
            if order is None or (order.tenant_id, order.mode, order.checkout_id) != meant:
                raise OrderRefused("there is no such order")
            if order.status == _S.CANCELLED:
                return
            if not lifecycle.LIFECYCLE.allows(order.status, _T.CANCELLED):
                raise OrderRefused(f"the order is {order.status}")
            order.advance(_T.CANCELLED, cause="rollback")


def _row(scope: Scope, draft: OrderDraft) -> Order:
    totals = draft.totals
    return Order(
        id=new_id("ord"),
        tenant_id=scope.tenant.id,
        mode=scope.mode,
        checkout_id=draft.checkout_id,
        payment_intent_id=draft.payment_intent_id,
        currency=draft.currency,
        sub_total=totals["sub_total"],
        discount_total=totals["discount_total"],
        tax_total=totals["tax_total"],
        shipping_total=totals["shipping_total"],
        fee_total=totals["fee_total"],
        grand_total=totals["grand_total"],
        discount_code=draft.discount_codes[0] if draft.discount_codes else None,
        lines=list(draft.lines),
        hint=dict(draft.hint) if draft.hint else None,
        receipt_id=draft.receipt_id,
        shipment_plan_id=draft.shipment_plan_id,
        shipments=list(draft.shipments) or None,
        status=str(_S.PAID),
        version=1,
    )
