"""Delivery options: list, make, change, switch on and off."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, Response, flash, redirect, request
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response as AnyResponse

from app.dashboard.catalogue import elsewhere
from app.dashboard.shell import actor, render, screen
from app.dashboard.typed import complaint, currency, needed_amount, needed_whole, next_url, words
from app.domain import money
from app.domain.errors import DomainError
from app.models.catalogue.shipping import ShippingRate
from app.services.checkout.catalogue import shipping_rates
from app.services.checkout.catalogue.shipping_rates import ShippingTerms

blueprint = Blueprint(
    "shipping_rates", __name__, url_prefix="/dashboard/<any(test, live):mode>/catalogue/shipping"
)


@blueprint.get("")
@screen("catalogue:read")
def index(mode: str) -> Response:
    """Options, newest first."""
    page = shipping_rates.list_page(actor(), cursor=request.args.get("cursor"))
    return render(
        "dashboard/shipping_rates/index.html",
        rows=page.data,
        next_url=next_url(page),
        elsewhere=elsewhere("shipping"),
    )


@blueprint.get("/new")
@screen("catalogue:write")
def new(mode: str) -> Response:
    """The form of a new one."""
    return _form({})


@blueprint.post("")
@screen("catalogue:write")
def create(mode: str) -> AnyResponse:
    """Offer one."""
    try:
        code = currency()
        shipping_rates.create(actor(), code, _terms(code), code=words("code") or None)
    except DomainError as refused:
        return _form(request.form, complaint(refused), 422)
    flash("Buyers can choose it from now on", "success")
    return redirect(f"/dashboard/{mode}/catalogue/shipping", 303)


@blueprint.get("/<rate_id>")
@screen("catalogue:write")
def edit(mode: str, rate_id: str) -> Response:
    """The form of one that is there."""
    row = shipping_rates.get(actor(), rate_id)
    held = {
        "label": row.label,
        "cost": f"{money.to_major(row.cost, row.currency):f}",
        "carrier": row.carrier,
        "service_code": row.service_code,
        "countries": ", ".join(row.countries),
        "days_min": str(row.days_min),
        "days_max": str(row.days_max),
    }
    return _form(held, rate=row)


@blueprint.post("/<rate_id>")
@screen("catalogue:write")
def update(mode: str, rate_id: str) -> AnyResponse:
    """Change one."""
    row = shipping_rates.get(actor(), rate_id)
    try:
        shipping_rates.update(actor(), rate_id, _terms(row.currency))
    except DomainError as refused:
        return _form(request.form, complaint(refused), 422, rate=row)
    flash("Saved", "success")
    return redirect(f"/dashboard/{mode}/catalogue/shipping", 303)


@blueprint.post("/<rate_id>/active")
@screen("catalogue:write")
def switch(mode: str, rate_id: str) -> AnyResponse:
    """Switch one on or off."""
    shipping_rates.set_active(actor(), rate_id, request.form.get("active") == "1")
    return redirect(f"/dashboard/{mode}/catalogue/shipping", 303)


def _terms(code: str) -> ShippingTerms:
    return ShippingTerms(
        label=words("label"),
        cost=needed_amount("cost", code),
        carrier=words("carrier"),
        service_code=words("service_code"),
        countries=tuple(words("countries", 2000).upper().replace(",", " ").split()),
        days_min=needed_whole("days_min"),
        days_max=needed_whole("days_max"),
    )


def _form(
    values: Mapping[str, str],
    errors: list[dict[str, str]] | None = None,
    status: int = 200,
    *,
    rate: ShippingRate | None = None,
) -> Response:
    return render(
        "dashboard/shipping_rates/form.html",
        status,
        values=values,
        errors=errors or [],
        rate=rate,
        form=FlaskForm(),
    )
