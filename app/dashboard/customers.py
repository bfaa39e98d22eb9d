"""Customers: who keeps a way to pay, what each keeps, and taking one away."""

from __future__ import annotations

from urllib.parse import quote

from flask import Blueprint, Response, flash, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from app.dashboard.shell import actor, render, screen
from app.domain.errors import NotFound
from app.services.checkout import stored_value, subscriptions
from app.services.payments import customers, methods, saved_methods

blueprint = Blueprint("customers", __name__, url_prefix="/dashboard/<any(test, live):mode>/customers")


@blueprint.get("")
@screen("methods:read")
def index(mode: str) -> AnyResponse:
    """Customers by their ids; one that is asked for is shown at once."""
    wanted = request.args.get("q", "").strip()[:64]
    if wanted and _known(wanted):
        return redirect(f"/dashboard/{mode}/customers/{quote(wanted, safe='')}", 303)
    page = customers.list_page(actor(), after=request.args.get("after"))
    more = f"{request.path}?after={quote(page.next_cursor, safe='')}" if page.next_cursor else None
    rows = [] if wanted else page.data
    return render(
        "dashboard/customers/index.html", rows=rows, query=wanted, next_url=None if wanted else more
    )


@blueprint.get("/<path:customer_id>")
@screen("methods:read")
def show(mode: str, customer_id: str) -> Response:
    """One customer: saved methods, subscriptions, store credit."""
    who = actor()
    page = saved_methods.list_page(who, customer_id, cursor=request.args.get("cursor"))
    plans = subscriptions.list_page(who, customer_id=customer_id, limit=100).data
    owed = stored_value.credits_of(who, customer_id)
    if not (page.data or plans or owed):
        raise NotFound("Customer not found")
    here = f"{request.path}?cursor={page.next_cursor}" if page.next_cursor else None
    return render(
        "dashboard/customers/show.html",
        customer_id=customer_id,
        kept=page.data,
        subscriptions=plans,
        credits=owed,
        next_url=here,
    )


@blueprint.post("/methods/<payment_method_id>/remove")
@screen("methods:write")
def remove(mode: str, payment_method_id: str) -> AnyResponse:
    """Take a saved method away for good."""
    who = actor()
    method = methods.get(who, payment_method_id)
    saved_methods.revoke(who, method.id)
    flash("It can't be charged any more", "success")
    owner = method.customer_id or ""
    back = f"/{quote(owner, safe='')}" if owner and _known(owner) else ""
    return redirect(f"/dashboard/{mode}/customers{back}", 303)


def _known(customer_id: str) -> bool:
    who = actor()
    return bool(
        saved_methods.list_page(who, customer_id, limit=1).data
        or subscriptions.list_page(who, customer_id=customer_id, limit=1).data
        or stored_value.credits_of(who, customer_id)
    )
