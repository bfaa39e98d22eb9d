"""Stock: what there is of each SKU, counting a new one, and more or fewer units with the reason."""

from __future__ import annotations

from flask import Blueprint, Response, flash, redirect, request
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response as AnyResponse

from app.dashboard import histories
from app.dashboard.catalogue import elsewhere
from app.dashboard.shell import actor, render, screen
from app.dashboard.typed import complaint, needed_whole, next_url, words
from app.domain.errors import DomainError
from app.services.checkout.catalogue import stock
from app.services.events import timeline

blueprint = Blueprint("stock", __name__, url_prefix="/dashboard/<any(test, live):mode>/catalogue/stock")


@blueprint.get("")
@screen("catalogue:read")
def index(mode: str) -> Response:
    """What is counted, by SKU."""
    sku = request.args.get("sku", "").strip()
    page = stock.list_page(actor(), cursor=request.args.get("cursor"), sku=sku or None)
    return render(
        "dashboard/stock/index.html",
        rows=page.data,
        sku=sku,
        next_url=next_url(page, sku=sku),
        elsewhere=elsewhere("inventory"),
    )


@blueprint.get("/new")
@screen("catalogue:write")
def new(mode: str) -> Response:
    """The form that begins to count a SKU."""
    return _form()


@blueprint.post("")
@screen("catalogue:write")
def track(mode: str) -> AnyResponse:
    """Count a SKU from now on."""
    try:
        place = words("location") or "main"
        item = stock.track(actor(), words("sku"), needed_whole("on_hand"), location=place)
    except DomainError as refused:
        return _form(complaint(refused), 422)
    flash(f"{item.sku} is counted from now on", "success")
    return redirect(f"/dashboard/{mode}/catalogue/stock/{item.id}", 303)


@blueprint.get("/<item_id>")
@screen("catalogue:read")
def show(mode: str, item_id: str) -> Response:
    """One SKU at one place, with every change by hand."""
    return _detail(item_id)


@blueprint.post("/<item_id>/adjust")
@screen("catalogue:write")
def adjust(mode: str, item_id: str) -> AnyResponse:
    """Add units, or take some away."""
    stock.get(actor(), item_id)
    try:
        units = needed_whole("by")
        way = -1 if request.form.get("way") == "less" else 1
        item = stock.adjust(actor(), item_id, way * units, words("reason", 1000))
    except DomainError as refused:
        return _detail(item_id, complaint(refused), 422)
    flash(f"{item.on_hand} on hand now", "success")
    return redirect(f"/dashboard/{mode}/catalogue/stock/{item_id}", 303)


def _form(errors: list[dict[str, str]] | None = None, status: int = 200) -> Response:
    return render(
        "dashboard/stock/new.html", status, errors=errors or [], typed=request.form, form=FlaskForm()
    )


def _detail(item_id: str, errors: list[dict[str, str]] | None = None, status: int = 200) -> Response:
    who = actor()
    return render(
        "dashboard/stock/show.html",
        status,
        item=stock.get(who, item_id),
        entries=histories.lines(timeline.of_entity(who, item_id)),
        errors=errors or [],
        typed=request.form,
        form=FlaskForm(),
    )
