"""Orders: list, one order, and what becomes of it: shipped, delivered, cancelled."""

from __future__ import annotations

from flask import Blueprint, Response, flash, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from app.dashboard import histories
from app.dashboard.shell import actor, render, screen, stepped_up
from app.dashboard.typed import next_url, tell
from app.domain.errors import DomainError
from app.domain.lifecycles import orders as lifecycle
from app.domain.permissions import ORDERS_MANAGE
from app.services.checkout import order_changes, order_making, sessions
from app.services.events import timeline

blueprint = Blueprint("orders", __name__, url_prefix="/dashboard/<any(test, live):mode>/orders")

_S, _T = lifecycle.Status, lifecycle.Trigger
#: What may be done by hand, and what is said then.
_DONE = {_S.SHIPPED: "Marked as shipped", _S.DELIVERED: "Marked as delivered", _S.CANCELLED: "Cancelled"}
_TRIGGERS = {_S.SHIPPED: _T.SHIPPED, _S.DELIVERED: _T.DELIVERED, _S.CANCELLED: _T.CANCELLED}


@blueprint.get("")
@screen("orders:read")
def index(mode: str) -> AnyResponse:
    """Orders, newest first; a number that is asked for is shown at once."""
    status, number = request.args.get("status", ""), request.args.get("number", "").strip()
    if number:
        found = order_making.of_shop(actor(), order_making.number_of(number.removeprefix("order_")))
        return redirect(f"/dashboard/{mode}/orders/{found.number}", 303)
    page = order_making.list_page(
        actor(), cursor=request.args.get("cursor"), status=status or None, whole_shop=True
    )
    return render(
        "dashboard/orders/index.html",
        rows=page.data,
        chosen=status,
        statuses=[str(item) for item in _S],
        next_url=next_url(page, status=status),
    )


@blueprint.get("/<int:order_id>")
@screen("orders:read")
def show(mode: str, order_id: int) -> Response:
    """One order."""
    who = actor()
    order = order_making.of_shop(who, order_making.number_of(str(order_id)))
    may = [str(to) for to, trigger in _TRIGGERS.items() if lifecycle.LIFECYCLE.allows(order.status, trigger)]
    return render(
        "dashboard/orders/show.html",
        order=order,
        session=sessions.get(who, order.checkout_id) if order.checkout_id else None,
        may=may if who.can(ORDERS_MANAGE) else [],
        entries=histories.lines(timeline.of_entity(who, order.id)),
    )


@blueprint.post("/<int:order_id>/status")
@screen(ORDERS_MANAGE)
def change(mode: str, order_id: int) -> AnyResponse:
    """Move it on; cancelling one that is paid gives its money back."""
    who, wanted = actor(), request.form.get("status", "")
    order = order_making.of_shop(who, order_making.number_of(str(order_id)))
    here = f"/dashboard/{mode}/orders/{order.number}"
    if wanted not in _DONE:
        return redirect(here, 303)
    if wanted == _S.CANCELLED and order.status != _S.PENDING:
        detour = stepped_up("refund")
        if detour is not None:
            return detour
    try:
        order_changes.change(who, order.number, wanted)
        flash(_DONE[_S(wanted)], "success")
    except DomainError as refused:
        tell(refused)
    return redirect(here, 303)
