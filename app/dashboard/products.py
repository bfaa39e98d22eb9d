"""Products and their prices: list, make, change, take off sale; prices once or each interval."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, Response, flash, redirect, request
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response as AnyResponse

from app.dashboard import histories
from app.dashboard.shell import actor, render, screen
from app.dashboard.typed import complaint, currency, needed_amount, next_url, whole, words
from app.domain.errors import DomainError
from app.services.checkout.catalogue import products
from app.services.checkout.catalogue.products import PriceDraft, ProductDraft
from app.services.events import timeline

blueprint = Blueprint("products", __name__, url_prefix="/dashboard/<any(test, live):mode>/catalogue/products")


@blueprint.get("")
@screen("catalogue:read")
def index(mode: str) -> Response:
    """Products, newest first."""
    show_ = request.args.get("show", "")
    page = products.list_page(
        actor(),
        cursor=request.args.get("cursor"),
        active={"active": True, "inactive": False}.get(show_),
    )
    return render(
        "dashboard/products/index.html",
        rows=page.data,
        prices=products.prices_of(actor(), [row.id for row in page.data]),
        show=show_,
        next_url=next_url(page, show=show_),
    )


@blueprint.get("/new")
@screen("catalogue:write")
def new(mode: str) -> Response:
    """The form of a new product."""
    return _form({})


@blueprint.post("")
@screen("catalogue:write")
def create(mode: str) -> AnyResponse:
    """Make a product, with a price where one was typed."""
    try:
        priced = bool(request.form.get("amount", "").strip())
        price = _price() if priced else None
        product = products.create(actor(), _draft())
        if price is not None:
            products.add_price(actor(), product.id, price)
    except DomainError as refused:
        return _form(request.form, complaint(refused), 422)
    flash("The product is in your catalogue", "success")
    return redirect(f"/dashboard/{mode}/catalogue/products/{product.id}", 303)


@blueprint.get("/<product_id>")
@screen("catalogue:read")
def show(mode: str, product_id: str) -> Response:
    """One product with its prices."""
    return _detail(product_id)


@blueprint.get("/<product_id>/edit")
@screen("catalogue:write")
def edit(mode: str, product_id: str) -> Response:
    """The form of a product that is there."""
    row = products.get(actor(), product_id)
    held = {"sku": row.sku, "name": row.name, "description": row.description}
    return _form(held, product_id=product_id)


@blueprint.post("/<product_id>")
@screen("catalogue:write")
def update(mode: str, product_id: str) -> AnyResponse:
    """Change it."""
    products.get(actor(), product_id)
    try:
        products.update(actor(), product_id, _draft())
    except DomainError as refused:
        return _form(request.form, complaint(refused), 422, product_id=product_id)
    flash("Saved", "success")
    return redirect(f"/dashboard/{mode}/catalogue/products/{product_id}", 303)


@blueprint.post("/<product_id>/active")
@screen("catalogue:write")
def switch(mode: str, product_id: str) -> AnyResponse:
    """Offer it, or take it off sale."""
    products.set_active(actor(), product_id, request.form.get("active") == "1")
    return redirect(f"/dashboard/{mode}/catalogue/products/{product_id}", 303)


@blueprint.post("/<product_id>/prices")
@screen("catalogue:write")
def add_price(mode: str, product_id: str) -> AnyResponse:
    """Offer it at a price."""
    products.get(actor(), product_id)
    try:
        products.add_price(actor(), product_id, _price())
    except DomainError as refused:
        return _detail(product_id, complaint(refused), 422)
    flash("The price is offered from now on", "success")
    return redirect(f"/dashboard/{mode}/catalogue/products/{product_id}", 303)


@blueprint.post("/<product_id>/prices/<price_id>/active")
@screen("catalogue:write")
def switch_price(mode: str, product_id: str, price_id: str) -> AnyResponse:
    """Offer a price, or stop."""
    products.set_price_active(actor(), price_id, request.form.get("active") == "1")
    return redirect(f"/dashboard/{mode}/catalogue/products/{product_id}", 303)


def _draft() -> ProductDraft:
    return ProductDraft(words("sku"), words("name", 1000), words("description", 5000))


def _price() -> PriceDraft:
    code, interval = currency(), request.form.get("interval", "")
    count = whole("interval_count") if interval else None
    return PriceDraft(needed_amount("amount", code), code, interval or None, 1 if count is None else count)


def _form(
    values: Mapping[str, str],
    errors: list[dict[str, str]] | None = None,
    status: int = 200,
    *,
    product_id: str | None = None,
) -> Response:
    return render(
        "dashboard/products/form.html",
        status,
        values=values,
        errors=errors or [],
        product_id=product_id,
        form=FlaskForm(),
    )


def _detail(product_id: str, errors: list[dict[str, str]] | None = None, status: int = 200) -> Response:
    who = actor()
    return render(
        "dashboard/products/show.html",
        status,
        product=products.get(who, product_id),
        prices=products.prices_of(who, [product_id])[product_id],
        entries=histories.lines(timeline.of_entity(who, product_id)),
        errors=errors or [],
        typed=request.form,
        form=FlaskForm(),
    )
