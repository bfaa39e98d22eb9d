"""Products and their prices: list, make, change, take off sale; prices once or each interval."""

from __future__ import annotations

from flask import Response, redirect, request
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response as AnyResponse

from app.dashboard import histories
from app.dashboard.catalogue import WRITE, Part
from app.dashboard.shell import actor, render
from app.dashboard.typed import Errors, complaint, currency, needed_amount, next_url, whole, words
from app.domain.errors import DomainError
from app.models.catalogue.product import Product
from app.services.checkout.catalogue import products
from app.services.checkout.catalogue.products import PriceDraft, ProductDraft
from app.services.events import timeline


class Products(Part):
    """A product has a page with its prices."""

    def index(self, mode: str) -> Response:
        """Products, newest first."""
        show = request.args.get("show", "")
        page = products.list_page(
            actor(),
            cursor=request.args.get("cursor"),
            active={"active": True, "inactive": False}.get(show),
        )
        return render(
            "dashboard/products/index.html",
            rows=page.data,
            prices=products.prices_of(actor(), [row.id for row in page.data]),
            show=show,
            next_url=next_url(page, show=show),
        )

    def show(self, mode: str, product_id: str) -> Response:
        """One product with its prices."""
        return _detail(product_id)


def _draft() -> ProductDraft:
    return ProductDraft(words("sku"), words("name", 1000), words("description", 5000))


def _create() -> tuple[str, str]:
    """With a price where one was typed."""
    price = _price() if request.form.get("amount", "").strip() else None
    product = products.create(actor(), _draft())
    if price is not None:
        products.add_price(actor(), product.id, price)
    return product.id, "The product is in your catalogue"


def _update(row: Product) -> None:
    products.update(actor(), row.id, _draft())


def _held(row: Product) -> dict[str, str]:
    return {"sku": row.sku, "name": row.name, "description": row.description}


def add_price(mode: str, product_id: str) -> AnyResponse:
    """Offer a product at a price."""
    products.get(actor(), product_id)
    try:
        products.add_price(actor(), product_id, _price())
    except DomainError as refused:
        return _detail(product_id, complaint(refused), 422)
    return _part.back(mode, "The price is offered from now on", product_id)


def switch_price(mode: str, product_id: str, price_id: str) -> AnyResponse:
    """Offer a price, or stop."""
    products.set_price_active(actor(), price_id, request.form.get("active") == "1")
    return redirect(f"/dashboard/{mode}/catalogue/products/{product_id}", 303)


def _price() -> PriceDraft:
    code, interval = currency(), request.form.get("interval", "")
    count = whole("interval_count") if interval else None
    return PriceDraft(needed_amount("amount", code), code, interval or None, 1 if count is None else count)


def _detail(product_id: str, errors: Errors | None = None, status: int = 200) -> Response:
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


_part = Products(
    "products",
    "products",
    "product_id",
    service=products,
    create=_create,
    update=_update,
    held=_held,
)
_part.route("/<product_id>/prices", "POST", WRITE, add_price)
_part.route("/<product_id>/prices/<price_id>/active", "POST", WRITE, switch_price)
blueprint = _part.blueprint
