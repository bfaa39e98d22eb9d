"""Tax rates: list, set, change, take away."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from flask import Blueprint, Response, flash, redirect, request
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response as AnyResponse

from app.dashboard.catalogue import elsewhere
from app.dashboard.shell import actor, render, screen
from app.dashboard.typed import complaint, next_url, percent, words
from app.domain.errors import DomainError
from app.models.catalogue.tax import TaxRate
from app.services.checkout.catalogue import tax_rates
from app.services.checkout.catalogue.tax_rates import TaxDraft

blueprint = Blueprint("tax_rates", __name__, url_prefix="/dashboard/<any(test, live):mode>/catalogue/tax")


@blueprint.get("")
@screen("catalogue:read")
def index(mode: str) -> Response:
    """Rates, newest first."""
    page = tax_rates.list_page(actor(), cursor=request.args.get("cursor"))
    return render(
        "dashboard/tax_rates/index.html", rows=page.data, next_url=next_url(page), elsewhere=elsewhere("tax")
    )


@blueprint.get("/new")
@screen("catalogue:write")
def new(mode: str) -> Response:
    """The form of a new one."""
    return _form({})


@blueprint.post("")
@screen("catalogue:write")
def create(mode: str) -> AnyResponse:
    """Set one."""
    try:
        tax_rates.create(actor(), _draft())
    except DomainError as refused:
        return _form(request.form, complaint(refused), 422)
    flash("New checkouts are taxed by it", "success")
    return redirect(f"/dashboard/{mode}/catalogue/tax", 303)


@blueprint.get("/<rate_id>")
@screen("catalogue:write")
def edit(mode: str, rate_id: str) -> Response:
    """The form of one that is there."""
    row = tax_rates.get(actor(), rate_id)
    shown = f"{Decimal(row.percent).normalize():f}"
    held = {"name": row.name, "country": row.country, "region": row.region, "percent": shown}
    return _form(held, rate=row)


@blueprint.post("/<rate_id>")
@screen("catalogue:write")
def update(mode: str, rate_id: str) -> AnyResponse:
    """Change one."""
    row = tax_rates.get(actor(), rate_id)
    try:
        tax_rates.update(actor(), rate_id, _draft())
    except DomainError as refused:
        return _form(request.form, complaint(refused), 422, rate=row)
    flash("Saved", "success")
    return redirect(f"/dashboard/{mode}/catalogue/tax", 303)


@blueprint.post("/<rate_id>/remove")
@screen("catalogue:write")
def remove(mode: str, rate_id: str) -> AnyResponse:
    """Take one away."""
    tax_rates.remove(actor(), rate_id)
    flash("The rate was removed", "success")
    return redirect(f"/dashboard/{mode}/catalogue/tax", 303)


def _draft() -> TaxDraft:
    return TaxDraft(words("name"), percent("percent"), words("country"), words("region"))


def _form(
    values: Mapping[str, str],
    errors: list[dict[str, str]] | None = None,
    status: int = 200,
    *,
    rate: TaxRate | None = None,
) -> Response:
    return render(
        "dashboard/tax_rates/form.html",
        status,
        values=values,
        errors=errors or [],
        rate=rate,
        form=FlaskForm(),
    )
