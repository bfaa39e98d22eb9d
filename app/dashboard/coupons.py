"""Coupons: list, make, change, switch on and off."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from flask import Blueprint, Response, flash, redirect, request
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response as AnyResponse

from app.dashboard.catalogue import elsewhere
from app.dashboard.shell import actor, render, screen
from app.dashboard.typed import complaint, moment, next_url, percent, shown_moment, whole, words
from app.domain.errors import DomainError
from app.models.catalogue.promotion import Coupon
from app.services.checkout.catalogue import coupons
from app.services.checkout.catalogue.coupons import CouponTerms

blueprint = Blueprint("coupons", __name__, url_prefix="/dashboard/<any(test, live):mode>/catalogue/coupons")


@blueprint.get("")
@screen("catalogue:read")
def index(mode: str) -> Response:
    """Coupons, newest first."""
    page = coupons.list_page(actor(), cursor=request.args.get("cursor"))
    rows = [(row, coupons.state(row)) for row in page.data]
    return render(
        "dashboard/coupons/index.html", rows=rows, next_url=next_url(page), elsewhere=elsewhere("promotions")
    )


@blueprint.get("/new")
@screen("catalogue:write")
def new(mode: str) -> Response:
    """The form of a new one."""
    return _form({})


@blueprint.post("")
@screen("catalogue:write")
def create(mode: str) -> AnyResponse:
    """Make one."""
    try:
        made = coupons.create(actor(), words("code"), _terms())
    except DomainError as refused:
        return _form(request.form, complaint(refused), 422)
    flash(f"{made.code} can be used from now on", "success")
    return redirect(f"/dashboard/{mode}/catalogue/coupons", 303)


@blueprint.get("/<coupon_id>")
@screen("catalogue:read")
def edit(mode: str, coupon_id: str) -> Response:
    """One coupon: its form, or what it is for those who may not change it."""
    row = coupons.get(actor(), coupon_id)
    held = {
        "percent": f"{Decimal(row.percent).normalize():f}",
        "starts_at": shown_moment(row.starts_at),
        "ends_at": shown_moment(row.ends_at),
        "usage_limit": "" if row.usage_limit is None else str(row.usage_limit),
    }
    return _form(held, coupon=row)


@blueprint.post("/<coupon_id>")
@screen("catalogue:write")
def update(mode: str, coupon_id: str) -> AnyResponse:
    """Change one."""
    row = coupons.get(actor(), coupon_id)
    try:
        coupons.update(actor(), coupon_id, _terms())
    except DomainError as refused:
        return _form(request.form, complaint(refused), 422, coupon=row)
    flash("Saved", "success")
    return redirect(f"/dashboard/{mode}/catalogue/coupons", 303)


@blueprint.post("/<coupon_id>/active")
@screen("catalogue:write")
def switch(mode: str, coupon_id: str) -> AnyResponse:
    """Switch one on or off."""
    coupons.set_active(actor(), coupon_id, request.form.get("active") == "1")
    return redirect(f"/dashboard/{mode}/catalogue/coupons/{coupon_id}", 303)


def _terms() -> CouponTerms:
    return CouponTerms(percent("percent"), moment("starts_at"), moment("ends_at"), whole("usage_limit"))


def _form(
    values: Mapping[str, str],
    errors: list[dict[str, str]] | None = None,
    status: int = 200,
    *,
    coupon: Coupon | None = None,
) -> Response:
    return render(
        "dashboard/coupons/form.html",
        status,
        values=values,
        errors=errors or [],
        coupon=coupon,
        state=coupons.state(coupon) if coupon else None,
        form=FlaskForm(),
    )
